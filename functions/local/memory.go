package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// The heap may grow by headroom beyond what lives before it is collected, within bounds of GOGC. A proportion alone
// would let it grow to five times what lives where much waits, or collect it all the time where little does.
const (
	headroom    = 52 << 20 // bytes
	leastGrowth = 50       // per cent: so that a large heap is not collected all the time
	mostGrowth  = 400
)

// boundHeap has the heap collected when it has grown by headroom, unless the environment says when.
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

// growth is headroom in per cent of what lives.
func growth(live uint64) int {
	return int(min(mostGrowth, max(leastGrowth, headroom*100/max(live, 1))))
}

// collected is garbage as soon as it is made, for its finalizer to run after a collection.
type collected struct{ do func() }

func afterEachCollection(do func()) {
	runtime.SetFinalizer(&collected{do}, func(c *collected) {
		c.do()
		afterEachCollection(c.do)
	})
}
