package cache_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/cache"
)

func TestWhatWasUsedLongestAgoIsForgotten(t *testing.T) {
	var c cache.LRU[string, int]
	_, ok := c.Get("a")
	require.False(t, ok)
	c.Drop("a")
	c.Keep("a", 1, 2)
	c.Keep("b", 2, 2)
	v, ok := c.Get("a")
	require.True(t, ok)
	require.Equal(t, 1, v)
	c.Keep("c", 3, 2)
	_, ok = c.Get("b")
	require.False(t, ok)
	_, ok = c.Get("a")
	require.True(t, ok)
	c.Drop("a")
	_, ok = c.Get("a")
	require.False(t, ok)
}

func TestAValueIsGoodForItsTimeByTheClockOfTheCaller(t *testing.T) {
	var c cache.Aging[string, int]
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c.Keep("a", 1, at, 10)
	for age, want := range map[time.Duration]bool{
		0: true, time.Second - 1: true, time.Second: false, -1: false,
	} {
		_, ok := c.Get("a", at.Add(age), time.Second)
		require.Equal(t, want, ok, age)
	}
	c.Drop("a")
	_, ok := c.Get("a", at, time.Second)
	require.False(t, ok)
}

// BenchmarkGet is of the hot path: a target, an integration and a meter are looked up for each delivery.
func BenchmarkGet(b *testing.B) {
	var c cache.LRU[int, int]
	for n := range 1000 {
		c.Keep(n, n, 1000)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		c.Get(n % 1000)
	}
}
