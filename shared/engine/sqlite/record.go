package sqlite

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

// The body of a delivery's row: varints and length-prefixed texts, in the order of encode. It is written and read
// for every delivery, and JSON would be a third of the engine's time. The first byte is the layout's version.
const recordVersion = 1

var errRecord = errors.New("a delivery's row is damaged")

// encode writes what the row's columns do not hold; seqs are the events' numbers.
func encode(d delivery.Delivery, seqs []int64) []byte {
	b := make([]byte, 0, 64+8*len(seqs))
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(len(seqs)))
	last := int64(0)
	for _, s := range seqs {
		b = binary.AppendVarint(b, s-last)
		last = s
	}
	b = binary.AppendUvarint(b, uint64(d.Count))
	kinds := make([]string, len(d.Kinds))
	for i, k := range d.Kinds {
		kinds[i] = string(k)
	}
	b = appendText(b, strings.Join(kinds, ","))
	b = binary.AppendUvarint(b, uint64(d.Failures))
	b = binary.AppendUvarint(b, uint64(d.Sent))
	b = binary.AppendVarint(b, d.SentRevision)
	b = appendText(b, d.Reason)
	b = binary.AppendUvarint(b, uint64(len(d.Attempts)))
	for _, a := range d.Attempts {
		b = binary.AppendVarint(b, a.At.UnixNano())
		b = binary.AppendVarint(b, int64(a.Waited))
		b = binary.AppendVarint(b, int64(a.Late))
		b = binary.AppendVarint(b, int64(a.Took))
		status := uint64(a.Status) << 1
		if a.Delivered {
			status |= 1
		}
		b = binary.AppendUvarint(b, status)
		b = appendText(b, a.Reason)
		b = appendText(b, a.Answer)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// decode is the inverse of encode.
func decode(b []byte, d *delivery.Delivery) (seqs []int64, err error) {
	if len(b) == 0 || b[0] != recordVersion {
		return nil, errRecord
	}
	r := reader{b: b[1:]}
	n := r.count()
	seqs = make([]int64, 0, n)
	last := int64(0)
	for range n {
		last += r.varint()
		seqs = append(seqs, last)
	}
	d.Count = int(r.uvarint())
	if kinds := r.text(); kinds != "" {
		for k := range strings.SplitSeq(kinds, ",") {
			d.Kinds = append(d.Kinds, event.Kind(k))
		}
	}
	d.Failures, d.Sent, d.SentRevision, d.Reason = int(r.uvarint()), int(r.uvarint()), r.varint(), r.text()
	n = r.count()
	if n > 0 {
		d.Attempts = make([]delivery.Attempt, 0, n+1)
	}
	for range n {
		a := delivery.Attempt{
			At: time.Unix(0, r.varint()).UTC(), Waited: time.Duration(r.varint()), Late: time.Duration(r.varint()), Took: time.Duration(r.varint()),
		}
		status := r.uvarint()
		a.Status, a.Delivered = int(status>>1), status&1 == 1
		a.Reason, a.Answer = r.text(), r.text()
		d.Attempts = append(d.Attempts, a)
	}
	if r.bad {
		return nil, errRecord
	}
	return seqs, nil
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count is a number of things that follow, each of at least one byte.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) text() string {
	n := r.count()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}
