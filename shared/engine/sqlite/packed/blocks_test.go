package packed

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

func items(r *rand.Rand) (out []Item) {
	at := time.UnixMilli(1677628800000)
	for n := range 1 + r.IntN(MostItems) {
		if r.IntN(2) == 0 {
			at = at.Add(time.Duration(r.IntN(100_000)) * time.Millisecond)
		}
		digest := sha256.Sum256(fmt.Append(nil, n, r.Uint64()))
		i := Item{ID: delivery.DerivedID(at, digest[:]), Count: 1, Kinds: []event.Kind{event.CreateUser}}
		for range 1 + max(0, r.IntN(6)-3) {
			i.Seqs = append(i.Seqs, r.Int64N(1<<40))
		}
		if r.IntN(4) == 0 {
			i.Count, i.Kinds = len(i.Seqs), []event.Kind{event.CreateUser, event.NewHits}
		}
		if r.IntN(8) == 0 {
			i.Kinds = nil
		}
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b Item) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func outcomes(r *rand.Rand, n int) (out []Outcome) {
	for index := range n {
		a := delivery.Attempt{At: time.Unix(1677628800, r.Int64N(1e17)).UTC(), Took: time.Duration(r.Int64N(1e10)),
			Waited: time.Duration(r.Int64N(1e3)), Late: time.Duration(r.IntN(2)), Status: r.IntN(600), Delivered: true}
		o := Outcome{Index: index, Attempts: []delivery.Attempt{a}}
		switch r.IntN(6) {
		case 0:
			o = Outcome{Index: index, Moved: true}
		case 1:
			o.Attempts = append(o.Attempts, delivery.Attempt{At: a.At, Gone: true, Reason: "r", Answer: "\x00"})
			o.Failures, o.Reason = 1, "why"
			o.Parts = []delivery.Part{{Key: "k", State: delivery.PartDelivered, Status: 250}}
		case 2:
			o.Attempts = nil
		case 3:
			o.Attempts[0].Answer = "ok"
		}
		out = append(out, o)
	}
	return out
}

func TestABlockIsReadAsItWasWritten(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 16))
		want := items(r)
		body, err := EncodeBlock(want)
		require.NoError(t, err)
		got, err := DecodeBlock(body)
		require.NoError(t, err)
		require.Equal(t, want, got, "seed %d", seed)
		for _, i := range got {
			require.True(t, Plain(i.Delivery()))
		}
		ends := outcomes(r, len(want))
		written := EncodeOutcomes(ends)
		read, err := DecodeOutcomes(written)
		require.NoError(t, err)
		require.Equal(t, ends, read, "seed %d", seed)

		n := r.IntN(len(body))
		_, err = DecodeBlock(body[:n])
		require.ErrorIs(t, err, ErrRow, "seed %d: %d bytes of a block", seed, n)
		n = r.IntN(len(written))
		_, err = DecodeOutcomes(written[:n])
		require.ErrorIs(t, err, ErrRow, "seed %d: %d bytes of outcomes", seed, n)
	}
}

func TestABlockOfANewerReleaseIsNotRead(t *testing.T) {
	_, err := DecodeBlock([]byte{blockVersion + 1, 0})
	require.ErrorIs(t, err, ErrRow)
	_, err = DecodeOutcomes([]byte{outcomesVersion + 1, 0})
	require.ErrorIs(t, err, ErrRow)
}

func TestAnEventInOrderTakesThirteenBytesOfABlock(t *testing.T) {
	var in []Item
	for n := range MostItems {
		digest := sha256.Sum256(fmt.Append(nil, n))
		in = append(in, Item{ID: delivery.DerivedID(time.UnixMilli(1677628800000+int64(n)), digest[:]),
			Seqs: []int64{1_000_000 + int64(n)}, Count: 1, Kinds: []event.Kind{event.NewHits}})
	}
	body, err := EncodeBlock(in)
	require.NoError(t, err)
	require.Less(t, len(body), 13*MostItems)
	require.Less(t, len(body), 1000, "it is in one page, beside others")
}

// Whatever an Item or an Outcome does not hold keeps a delivery in a row of its own.
func TestWhatIsPeculiarIsNotPlain(t *testing.T) {
	plain := delivery.Delivery{ID: "01GTD8R4000000000000000001", State: delivery.Pending}
	require.True(t, Plain(plain))
	for name, change := range map[string]func(d *delivery.Delivery){
		"retrying":    func(d *delivery.Delivery) { d.State = delivery.Retrying },
		"due":         func(d *delivery.Delivery) { d.Due = time.Unix(1, 0) },
		"held":        func(d *delivery.Delivery) { d.Held = &delivery.Held{} },
		"failed":      func(d *delivery.Delivery) { d.Failures = 1 },
		"in parts":    func(d *delivery.Delivery) { d.Parts = []delivery.Part{{}} },
		"a digest":    func(d *delivery.Delivery) { d.Digest = "quiet" },
		"fell back":   func(d *delivery.Delivery) { d.Fallback = &delivery.Fallback{} },
		"came by":     func(d *delivery.Delivery) { d.From = &delivery.From{} },
		"a reason":    func(d *delivery.Delivery) { d.Reason = "why" },
		"tried":       func(d *delivery.Delivery) { d.Attempts = []delivery.Attempt{{}} },
		"no ULID":     func(d *delivery.Delivery) { d.ID = "d1" },
		"lower case":  func(d *delivery.Delivery) { d.ID = strings.ToLower(d.ID) },
		"not by time": func(d *delivery.Delivery) { d.ID = "8" + d.ID[1:] },
	} {
		d := plain
		change(&d)
		require.False(t, Plain(d), name)
	}
	arrived := plain
	arrived.State = delivery.Delivered
	require.False(t, OutcomeOf(0, arrived).Moved)
	for _, s := range []delivery.State{delivery.Pending, delivery.Retrying, delivery.Dead} {
		arrived.State = s
		require.True(t, OutcomeOf(0, arrived).Moved, s)
	}
}
