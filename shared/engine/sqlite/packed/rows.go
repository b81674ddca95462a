// Package packed is the body of a delivery's row in the state file.
package packed

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"tocsin/shared/delivery"
)

// The body of a delivery's row: varints and length-prefixed texts, in the order of Encode. It is written and read for
// every delivery, and JSON would be a third of the engine's time. The first byte is the layout's version: 7 where what
// is held gathers or gathered; 6 where an attempt followed what others had made, which few do; 5 since a delivery can
// have a fallback, or come by one; 4 since it can be held; 3 since it can be a digest; 2 since it has parts; 1 had the
// number of requests that had arrived, which said nothing after a change of settings.
const (
	rowVersion      = 5
	followedVersion = 6
	gathersVersion  = 7
)

// ErrRow says that a body can not be read.
var ErrRow = errors.New("a delivery's row is damaged")

// Encode writes what the row's columns do not hold; seqs are the events' numbers.
func Encode(d delivery.Delivery, seqs []int64) []byte {
	b := make([]byte, 0, 64+8*len(seqs))
	follow := followed(d.Attempts)
	b = append(b, rowVersion)
	if follow != nil {
		b[0] = followedVersion
	}
	gathers := d.Held != nil && !d.Held.Gathers.IsZero()
	if gathers {
		b[0] = gathersVersion
	}
	b = binary.AppendUvarint(b, uint64(len(seqs)))
	last := int64(0)
	for _, s := range seqs {
		b = binary.AppendVarint(b, s-last)
		last = s
	}
	b = binary.AppendUvarint(b, uint64(d.Count))
	b = appendText(b, joined(d.Kinds))
	b = binary.AppendUvarint(b, uint64(d.Failures))
	b = appendText(b, d.Reason)
	b = binary.AppendUvarint(b, uint64(len(d.Attempts)))
	for _, a := range d.Attempts {
		b = binary.AppendVarint(b, a.At.UnixNano())
		b = appendAttempt(b, a)
		b = appendText(b, a.Reason)
		b = appendText(b, a.Answer)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Parts)))
	for _, p := range d.Parts {
		b = appendText(b, p.Key)
		b = appendText(b, p.Name)
		b = binary.AppendUvarint(b, uint64(p.From))
		b = binary.AppendUvarint(b, uint64(p.To))
		b = appendText(b, string(p.State))
		b = binary.AppendUvarint(b, uint64(p.Status))
		b = appendText(b, p.Reason)
	}
	b = appendFallback(appendHeld(appendText(b, d.Digest), d.Held), d)
	switch {
	case gathers:
		b = binary.AppendVarint(appendText(b, string(follow)), d.Held.Gathers.UnixNano())
	case follow != nil:
		b = appendText(b, string(follow))
	}
	return b
}

// followed is what attempts did with what others had made, by their index, as JSON; nil where none did anything.
func followed(attempts []delivery.Attempt) []byte {
	var all map[int]*delivery.Followed
	for n, a := range attempts {
		if a.Followed != nil && all == nil {
			all = map[int]*delivery.Followed{}
		}
		if a.Followed != nil {
			all[n] = a.Followed
		}
	}
	if all == nil {
		return nil
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return b
}

// The bits of where a delivery's events went, and where they came from.
const (
	fellBack = 1 << iota
	cameBy
)

func appendFallback(b []byte, d delivery.Delivery) []byte {
	bits := byte(0)
	if d.Fallback != nil {
		bits |= fellBack
	}
	if d.From != nil {
		bits |= cameBy
	}
	b = append(b, bits)
	if f := d.Fallback; f != nil {
		b = appendText(appendText(appendText(b, f.Integration), f.Delivery), string(f.Why))
	}
	if f := d.From; f != nil {
		b = appendText(appendText(appendText(appendText(b, f.Integration), f.Name), f.Delivery), f.Reason)
	}
	return b
}

// The bits of what holds a delivery.
const (
	heldSome = 1 << iota
	heldMerge
	heldTenant
	heldJoin
)

func appendHeld(b []byte, h *delivery.Held) []byte {
	if h == nil {
		return append(b, 0)
	}
	bits := byte(heldSome)
	if h.Merge {
		bits |= heldMerge
	}
	if h.Tenant {
		bits |= heldTenant
	}
	if h.Join {
		bits |= heldJoin
	}
	b = appendText(append(b, bits), h.By)
	b = binary.AppendVarint(b, h.Until.UnixNano())
	return appendText(b, h.Zone)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// Decode is the inverse of Encode.
func Decode(b []byte, d *delivery.Delivery) (seqs []int64, err error) {
	if len(b) == 0 || b[0] == 0 || b[0] > gathersVersion {
		return nil, ErrRow
	}
	version := b[0]
	r := reader{b: b[1:]}
	n := r.count()
	seqs = make([]int64, 0, n)
	last := int64(0)
	for range n {
		last += r.varint()
		seqs = append(seqs, last)
	}
	d.Count = int(r.uvarint())
	d.Kinds = append(d.Kinds, split(r.text())...)
	d.Failures = int(r.uvarint())
	if version == 1 {
		r.uvarint()
		r.varint()
	}
	d.Reason = r.text()
	n = r.count()
	if n > 0 {
		d.Attempts = make([]delivery.Attempt, 0, n+1)
	}
	for range n {
		a := r.attempt(r.varint(), version)
		a.Reason, a.Answer = r.text(), r.text()
		d.Attempts = append(d.Attempts, a)
	}
	if version > 1 {
		r.parts(d)
	}
	if version > 2 {
		d.Digest = r.text()
	}
	if version > 3 {
		d.Held = r.held()
	}
	if version > 4 {
		r.fallback(d)
	}
	if version >= followedVersion {
		r.followed(d.Attempts)
	}
	if version >= gathersVersion {
		if gathers := time.Unix(0, r.varint()).UTC(); d.Held != nil {
			d.Held.Gathers = gathers
		}
	}
	if r.bad {
		return nil, ErrRow
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

func (r *reader) parts(d *delivery.Delivery) {
	for range r.count() {
		d.Parts = append(d.Parts, delivery.Part{
			Key: r.text(), Name: r.text(), From: int(r.uvarint()), To: int(r.uvarint()),
			State: delivery.PartState(r.text()), Status: int(r.uvarint()), Reason: r.text(),
		})
	}
}

func (r *reader) held() *delivery.Held {
	bits := r.uvarint()
	if bits&heldSome == 0 {
		return nil
	}
	return &delivery.Held{Merge: bits&heldMerge != 0, Tenant: bits&heldTenant != 0, Join: bits&heldJoin != 0,
		By: r.text(), Until: time.Unix(0, r.varint()).UTC(), Zone: r.text()}
}

func (r *reader) fallback(d *delivery.Delivery) {
	bits := r.uvarint()
	if bits&fellBack != 0 {
		d.Fallback = &delivery.Fallback{Integration: r.text(), Delivery: r.text(), Why: delivery.NotFallback(r.text())}
	}
	if bits&cameBy != 0 {
		d.From = &delivery.From{Integration: r.text(), Name: r.text(), Delivery: r.text(), Reason: r.text()}
	}
}

func (r *reader) followed(attempts []delivery.Attempt) {
	var all map[int]*delivery.Followed
	text := r.text()
	if text == "" { // of a row that says when it gathered
		return
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		r.bad = true
		return
	}
	for n, f := range all {
		if n < 0 || n >= len(attempts) {
			r.bad = true
			return
		}
		attempts[n].Followed = f
	}
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
