package main

import (
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"
)

// The heap's goal is its usual size, and half as much again as lives where that is large.
func TestTheHeapGrowsToItsUsualSizeAndNotByAMultipleOfWhatLives(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 1 << 20: 400, 16 << 20: 400, 20 << 20: 300, 32 << 20: 150,
		50 << 20: 60, 54 << 20: 50, 80 << 20: 50, 1 << 30: 50} {
		require.Equal(t, want, growth(live), "%d MiB live", live>>20)
	}
	t.Setenv("GOGC", "")
	boundHeap()
	kept := make([]byte, 200<<20)
	for range 3 { // the finalizer of one collection sets the goal of the next
		runtime.GC()
		settled := make(chan bool)
		runtime.SetFinalizer(&collected{}, func(*collected) { close(settled) })
		runtime.GC()
		<-settled
	}
	goal := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(goal)
	require.Less(t, goal[0].Value.Uint64(), uint64(2*len(kept)))
	runtime.KeepAlive(kept)
}
