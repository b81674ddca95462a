// Package cache remembers what was read or made, within a bound: beyond it, what was used longest ago is forgotten
// (least recently used; github.com/hashicorp/golang-lru). The zero values work. All are safe for concurrent use.
//
// The library's expirable cache would do what Aging does, but it reads time.Now, which a test cannot steer, and starts
// a goroutine for each cache, which nothing ends.
package cache

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// LRU is a bounded map.
type LRU[K comparable, V any] struct {
	mu   sync.Mutex
	list *simplelru.LRU[K, V]
}

// Get returns what is remembered.
func (c *LRU[K, V]) Get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list == nil {
		return value, false
	}
	return c.list.Get(key)
}

// Keep remembers a value, and no more than most of them: most is 1 or more, and the same in every call.
func (c *LRU[K, V]) Keep(key K, value V, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list == nil {
		c.list, _ = simplelru.NewLRU[K, V](most, nil) // the error is for a bound under 1
	}
	c.list.Add(key, value)
}

// Drop forgets a value.
func (c *LRU[K, V]) Drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list != nil {
		c.list.Remove(key)
	}
}

// Aging is an LRU of values that are good for a time.
type Aging[K comparable, V any] struct {
	lru LRU[K, dated[V]]
}

type dated[V any] struct {
	value V
	at    time.Time
}

// Get returns what is remembered, if it is younger than good now. What is from the future, because a clock was set
// back, is not returned.
func (c *Aging[K, V]) Get(key K, now time.Time, good time.Duration) (value V, ok bool) {
	d, ok := c.lru.Get(key)
	if age := now.Sub(d.at); !ok || age < 0 || age >= good {
		return value, false
	}
	return d.value, true
}

// Keep remembers a value that was true at a time; most is that of LRU.Keep.
func (c *Aging[K, V]) Keep(key K, value V, at time.Time, most int) {
	c.lru.Keep(key, dated[V]{value, at}, most)
}

// Drop forgets a value.
func (c *Aging[K, V]) Drop(key K) { c.lru.Drop(key) }
