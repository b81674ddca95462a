package metrics

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strconv"
	"time"
)

// Process tells of the process and of the build. begin is when the program was started.
func Process(version, commit string, begin time.Time) func(context.Context, *Gathering) {
	return func(_ context.Context, g *Gathering) {
		g.Set(Build, 1, version, commit, runtime.Version())
		g.Set(StartTime, float64(begin.UnixMilli())/1000)
		g.Set(Goroutines, float64(runtime.NumGoroutine()))
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory) // stops the program for some microseconds
		g.Set(Heap, float64(memory.HeapAlloc))
		g.Set(Collections, float64(memory.NumGC))
		ofLinux(g)
	}
}

// ticks is how Linux counts the processor's time for programs: in hundredths of a second (proc(5), sysconf
// _SC_CLK_TCK, which is 100 on every architecture that Go runs on).
const ticks = 100

// ofLinux reads /proc; on other systems there is none.
func ofLinux(g *Gathering) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return
	}
	// The second field is the program's name in brackets, which may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	number := func(field int) float64 { // as proc(5) numbers them
		if n := field - 3; n < len(fields) {
			v, _ := strconv.ParseFloat(string(fields[n]), 64)
			return v
		}
		return 0
	}
	g.Set(CPU, (number(14)+number(15))/ticks)
	g.Set(Resident, number(24)*float64(os.Getpagesize()))
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		g.Set(OpenFiles, float64(len(open)-1)) // without the one that reads the folder
	}
	maxFiles(g)
}
