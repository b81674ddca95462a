package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// The heap may grow to usualHeap before it is collected, or by leastGrowth beyond what lives, within bounds of GOGC.
// A proportion alone would let it grow to five times what lives where much waits, or collect it all the time where
// little does. What comes to live, such as the filters of millions of event ids, takes from the room of what does not:
// the program stays as large as it was.
const (
	usualHeap   = 80 << 20 // bytes
	leastGrowth = 50       // per cent: so that a large heap is not collected all the time
	mostGrowth  = 400
)

// boundHeap has the heap collected when it has grown enough, unless the environment says when.
func boundHeap() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(mostGrowth)
	was := mostGrowth
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	afterEachCollection(func() {
		metrics.Read(live)
		next := growth(live[0].Value.Uint64())
		if next > was+was/8 || next < was-was/8 { // to set it stops the program for some microseconds
			debug.SetGCPercent(next)
			was = next
		}
	})
}

// growth is how much what lives may grow by, in per cent of itself.
func growth(live uint64) int {
	live = max(live, 1)
	return int(min(mostGrowth, max(leastGrowth, (max(usualHeap, live)-live)*100/live)))
}

// collected is garbage as soon as it is made, for its finalizer to run after a collection.
type collected struct{ do func() }

func afterEachCollection(do func()) {
	runtime.SetFinalizer(&collected{do}, func(c *collected) {
		c.do()
		afterEachCollection(c.do)
	})
}
