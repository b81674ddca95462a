package packed

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

// MostItems is how many deliveries a block has at most: a bit of a number for each, and a body that fits beside others
// into a page of the file.
const MostItems = 64

// The layouts of the bodies of blocks and of their outcomes.
const (
	blockVersion    = 1
	outcomesVersion = 1
)

// Item is what a block holds of a delivery: it is pending and was never tried.
type Item struct {
	ID    string
	Seqs  []int64 // of its events
	Count int
	Kinds []event.Kind
}

// Delivery is the delivery as it was made, without its tenant and integration.
func (i Item) Delivery() delivery.Delivery {
	return delivery.Delivery{ID: i.ID, State: delivery.Pending, Count: i.Count, Kinds: i.Kinds}
}

// Plain reports whether an Item holds all there is to a new delivery.
func Plain(v delivery.Delivery) bool {
	if v.State != delivery.Pending && v.State != "" || !v.Due.IsZero() || v.Failures != 0 || len(v.Attempts) > 0 ||
		!plainFor(v) || v.Reason != "" || len(v.Parts) > 0 {
		return false
	}
	id, err := ulid.ParseStrict(v.ID)
	return err == nil && id.String() == v.ID
}

// plainFor is the part of Plain that sending does not change.
func plainFor(v delivery.Delivery) bool {
	return v.Held == nil && v.Digest == "" && v.Fallback == nil && v.From == nil
}

// alike reports that an item has one event and is counted as the one before it.
func (i Item) alike(before Item) bool {
	return len(i.Seqs) == 1 && i.Count == before.Count && slices.Equal(i.Kinds, before.Kinds)
}

// EncodeBlock writes items, whose ids rise. Ten bytes of an id are random; the rest is three to five bytes an item.
func EncodeBlock(items []Item) ([]byte, error) {
	b := make([]byte, 0, 48+14*len(items))
	b = append(b, blockVersion)
	b = binary.AppendUvarint(b, uint64(len(items)))
	var before Item
	at, seq := uint64(0), int64(0)
	for _, i := range items {
		id, err := ulid.ParseStrict(i.ID)
		if err != nil {
			return nil, err
		}
		alike := i.alike(before)
		head := (id.Time() - at) << 1
		if alike {
			head |= 1
		}
		b = binary.AppendUvarint(b, head)
		b = append(b, id[6:]...)
		if !alike {
			b = binary.AppendUvarint(b, uint64(len(i.Seqs)))
		}
		for _, s := range i.Seqs {
			b = binary.AppendVarint(b, s-seq)
			seq = s
		}
		if !alike {
			b = binary.AppendUvarint(b, uint64(i.Count))
			b = appendText(b, joined(i.Kinds))
		}
		before, at = i, id.Time()
	}
	return b, nil
}

// DecodeBlock is the inverse of EncodeBlock.
func DecodeBlock(b []byte) ([]Item, error) {
	if len(b) == 0 || b[0] != blockVersion {
		return nil, ErrRow
	}
	r := reader{b: b[1:]}
	n := r.count()
	if n > MostItems {
		return nil, ErrRow
	}
	out, seqs := make([]Item, 0, n), make([]int64, 0, n)
	var before Item
	at, seq := uint64(0), int64(0)
	for range n {
		head := r.uvarint()
		at += head >> 1
		id := r.id(at)
		i, events := Item{ID: id, Count: before.Count, Kinds: before.Kinds}, 1
		if head&1 == 0 {
			events = r.count()
		}
		first := len(seqs)
		for range events {
			seq += r.varint()
			seqs = append(seqs, seq)
		}
		i.Seqs = seqs[first:len(seqs):len(seqs)]
		if head&1 == 0 {
			i.Count, i.Kinds = int(r.uvarint()), slices.Clip(split(r.text()))
		}
		out, before = append(out, i), i
	}
	if r.bad {
		return nil, ErrRow
	}
	return out, nil
}

// id reads what makes an id of the time unique.
func (r *reader) id(at uint64) string {
	var id ulid.ULID
	if len(r.b) < len(id)-6 || id.SetTime(at) != nil {
		r.bad, r.b = true, nil
		return ""
	}
	r.b = r.b[copy(id[6:], r.b):]
	return id.String()
}

// Outcome is what came of an item of a block.
type Outcome struct {
	Index int
	// Moved: the delivery has a row of its own, or had until it was removed. Else it was delivered.
	Moved    bool
	Failures int
	Reason   string
	Attempts []delivery.Attempt
	Parts    []delivery.Part
}

// OutcomeOf is the outcome of the item at an index; it is Moved where the outcome can not hold all of it.
func OutcomeOf(index int, v delivery.Delivery) Outcome {
	if v.State != delivery.Delivered || !v.Due.IsZero() || !plainFor(v) {
		return Outcome{Index: index, Moved: true}
	}
	return Outcome{Index: index, Failures: v.Failures, Reason: v.Reason, Attempts: v.Attempts, Parts: v.Parts}
}

// Apply makes a delivery of an item what came of it.
func (o Outcome) Apply(v *delivery.Delivery) {
	v.State = delivery.Delivered
	v.Failures, v.Reason, v.Attempts, v.Parts = o.Failures, o.Reason, o.Attempts, o.Parts
}

// How an outcome is written: most are short.
const (
	short = iota // one attempt and no words
	long         // a body as Encode writes it
	moved
	forms
)

// form is how an outcome is written.
func (o Outcome) form() int {
	switch {
	case o.Moved:
		return moved
	case len(o.Attempts) == 1 && o.Failures == 0 && o.Reason == "" && len(o.Parts) == 0 &&
		o.Attempts[0].Reason == "" && o.Attempts[0].Answer == "" && o.Attempts[0].Followed == nil:
		return short
	}
	return long
}

// EncodeOutcomes writes what came of items of one block.
func EncodeOutcomes(outcomes []Outcome) []byte {
	b := make([]byte, 0, 16+20*len(outcomes))
	b = append(b, outcomesVersion)
	b = binary.AppendUvarint(b, uint64(len(outcomes)))
	last := int64(0)
	for _, o := range outcomes {
		form := o.form()
		b = binary.AppendUvarint(b, uint64(o.Index*forms+form))
		switch form {
		case short:
			a := o.Attempts[0]
			b = binary.AppendVarint(b, a.At.UnixNano()-last)
			last = a.At.UnixNano()
			b = appendAttempt(b, a)
		case long:
			b = appendText(b, string(Encode(delivery.Delivery{Failures: o.Failures, Reason: o.Reason,
				Attempts: o.Attempts, Parts: o.Parts}, nil)))
		}
	}
	return b
}

// DecodeOutcomes is the inverse of EncodeOutcomes.
func DecodeOutcomes(b []byte) ([]Outcome, error) {
	if len(b) == 0 || b[0] != outcomesVersion {
		return nil, ErrRow
	}
	r := reader{b: b[1:]}
	n := r.count()
	out := make([]Outcome, 0, n)
	last := int64(0)
	for range n {
		head := r.uvarint()
		if head >= MostItems*forms {
			return nil, ErrRow
		}
		o := Outcome{Index: int(head / forms)}
		switch head % forms {
		case short:
			last += r.varint()
			o.Attempts = []delivery.Attempt{r.attempt(last, rowVersion)}
		case long:
			var v delivery.Delivery
			if _, err := Decode([]byte(r.text()), &v); err != nil {
				return nil, err
			}
			o.Failures, o.Reason, o.Attempts, o.Parts = v.Failures, v.Reason, v.Attempts, v.Parts
		case moved:
			o.Moved = true
		}
		out = append(out, o)
	}
	if r.bad {
		return nil, ErrRow
	}
	return out, nil
}

// Places are the indexes that the bits of a number say.
func Places(open uint64) []int {
	out := make([]int, 0, bits.OnesCount64(open))
	for ; open != 0; open &= open - 1 {
		out = append(out, bits.TrailingZeros64(open))
	}
	return out
}

func joined(kinds []event.Kind) string {
	if len(kinds) == 1 {
		return string(kinds[0])
	}
	texts := make([]string, len(kinds))
	for i, k := range kinds {
		texts[i] = string(k)
	}
	return strings.Join(texts, ",")
}

func split(kinds string) (out []event.Kind) {
	if kinds == "" {
		return nil
	}
	for k := range strings.SplitSeq(kinds, ",") {
		out = append(out, event.Kind(k))
	}
	return out
}

// appendAttempt writes an attempt without when it was, and without its words.
func appendAttempt(b []byte, a delivery.Attempt) []byte {
	b = binary.AppendVarint(b, int64(a.Waited))
	b = binary.AppendVarint(b, int64(a.Late))
	b = binary.AppendVarint(b, int64(a.Took))
	status := uint64(a.Status) << 2
	if a.Delivered {
		status |= 1
	}
	if a.Gone {
		status |= 2
	}
	return binary.AppendUvarint(b, status)
}

// attempt reads what appendAttempt wrote.
func (r *reader) attempt(at int64, version byte) delivery.Attempt {
	a := delivery.Attempt{At: time.Unix(0, at).UTC(), Waited: time.Duration(r.varint()),
		Late: time.Duration(r.varint()), Took: time.Duration(r.varint())}
	status := r.uvarint()
	a.Delivered = status&1 == 1
	if status >>= 1; version > 1 {
		a.Gone = status&1 == 1
		status >>= 1
	}
	a.Status = int(status)
	return a
}
