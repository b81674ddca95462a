package eventcache_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/sqlite/eventcache"
	"tocsin/shared/event"
)

// What is found is what was added first under the number, and within the bound nothing is gone.
func TestEventsAreFoundByTheirNumbers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		chance := rand.New(rand.NewPCG(seed, 1))
		var c eventcache.Cache
		added := map[int64]string{}
		last := int64(0)
		for range 2000 {
			seq := last + 1
			switch chance.IntN(20) {
			case 0:
				seq += int64(chance.IntN(50)) // some are left out
			case 1:
				seq = 1 + chance.Int64N(seq) // one comes late, or again
			}
			last = max(last, seq)
			id := strings.Repeat("x", 1+chance.IntN(8))
			c.Add(seq, event.Event{ID: id})
			if _, ok := added[seq]; !ok {
				added[seq] = id
			}
			look := 1 + chance.Int64N(last+5)
			e, ok := c.Find(look)
			want, known := added[look]
			require.Equal(t, known, ok, "seed %d", seed)
			require.Equal(t, want, e.ID, "seed %d", seed)
		}
	}
}

// The oldest go when there is too much, and one that is larger than all is kept.
func TestTheOldestGo(t *testing.T) {
	t.Parallel()
	var c eventcache.Cache
	data := []byte(strings.Repeat("x", 64<<10))
	for seq := range int64(1000) {
		c.Add(seq, event.Event{ID: "e", Data: data})
	}
	_, ok := c.Find(1000 - 60)
	require.True(t, ok)
	_, ok = c.Find(1000 - 70)
	require.False(t, ok)
	c.Add(1000, event.Event{ID: "large", Data: make([]byte, 8<<20)})
	_, ok = c.Find(999)
	require.False(t, ok)
	e, ok := c.Find(1000)
	require.True(t, ok)
	require.Equal(t, "large", e.ID)
}
