package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// profileFile names the variable in which a program that was built with the tag profile finds where to write its CPU
// profile.
const profileFile = "TOCSIN_CPU_PROFILE"

// part is a share of what a delivery costs: the samples with one of these frames in their stack that no part before it
// has.
type part struct {
	name   string
	frames []string // what they contain
}

// parts are in the order of their rules. Frames of one goroutine only stand beside frames of the same.
var parts = []part{
	{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep",
		"runtime.bgscavenge", "runtime.gcStart"}},
	{"request: written to the connection", []string{"net.(*conn).Write tocsin/shared/egress"}},
	{"request: its answer read and parsed", []string{"bufio.(*Reader).Peek tocsin/shared/egress",
		"tocsin/shared/egress.plainAnswer", "tocsin/shared/egress.(*wire).anyAnswer"}},
	{"request: what the way out does beside", []string{"tocsin/shared/egress"}},
	{"delivery: events to notifications to a request", []string{"tocsin/shared/sending.(*Sender).encode",
		"tocsin/shared/sending.(*Sender).notifications"}},
	{"delivery: begun, judged, handed to be settled", []string{"tocsin/shared/worker.(*Pool).send",
		"tocsin/shared/worker.(*Pool).run"}},
	{"lease: the integration", []string{"tocsin/shared/sending.(*TargetCache)"}},
	{"lease: deliveries and events", []string{"tocsin/shared/worker.(*Pool).fetch"}},
	{"settle: outcomes and counts made", []string{"tocsin/shared/worker.(*Pool).settle",
		"tocsin/shared/worker.(*Pool).write"}},
	{"write: commit", []string{"tocsin/shared/engine/sqlite/db.(*Writer).end"}},
	{"write: events as they come in", []string{"tocsin/shared/engine/sqlite/eventbus.(*Bus).Put"}},
	{"write: ids, deliveries, totals of a fan-out", []string{"deliveries.(*Deliveries).Accept"}},
	{"write: outcomes", []string{"deliveries.(*Deliveries).Settle"}},
	{"write: the rest", []string{"tocsin/shared/engine/sqlite/db.(*Writer)"}},
	{"fan-out: events read", []string{"eventbus.(*Bus).Receive"}},
	{"fan-out: ids looked up", []string{"deliveries.(*Deliveries).Begin"}},
	{"fan-out: events parsed, addressed, counted", []string{"tocsin/shared/fanout"}},
	{"PutEvents: read, checked, answered", []string{"net/http.(*conn).serve", "net/http.(*connReader)"}},
	{"start and end of the program", []string{"main.main", "runtime.doInit"}},
	{"scheduler, timers, poller", []string{"runtime.mcall", "runtime.mstart", "runtime.schedule", "runtime.goexit0",
		"runtime.park_m", "runtime.sysmon", "runtime.findRunnable"}},
	{"the rest", []string{""}},
}

// share is what samples of a part are, in microseconds. Of it are calls of the system, and SQLite's own work; memory is
// what it takes to get some, stacks included.
type share struct{ all, calls, sqlite, memory float64 }

// within says of a stack whether it holds the frames, which are separated by spaces.
func within(stack []string, frames string) bool {
	for f := range strings.SplitSeq(frames, " ") {
		if !slices.ContainsFunc(stack, func(s string) bool { return strings.Contains(s, f) }) {
			return false
		}
	}
	return true
}

func (s *share) add(stack []string, us float64) {
	s.all += us
	switch {
	case strings.Contains(stack[0], "syscall"):
		s.calls += us
	case within(stack, "runtime.mallocgc"), within(stack, "runtime.newstack"):
		s.memory += us
	case within(stack, "modernc.org/sqlite/lib."):
		s.sqlite += us
	}
}

// printParts writes the table of a profile's parts, in microseconds of a delivery, of which the whole took cpu.
func printParts(to io.Writer, binary, profile string, deliveries int, cpu time.Duration) error {
	out, err := exec.Command("go", "tool", "pprof", "-traces", "-unit=ms", binary, profile).Output()
	if err != nil {
		return fmt.Errorf("read the profile %s: %w", profile, err)
	}
	shares := make([]share, len(parts))
	var all float64
	for stack, us := range stacks(out) {
		n := slices.IndexFunc(parts, func(p part) bool {
			return slices.ContainsFunc(p.frames, func(f string) bool { return within(stack, f) })
		})
		shares[n].add(stack, us)
		all += us
	}
	// A profiler's clock misses some: what the kernel counted for the process is right.
	scale := float64(cpu.Microseconds()) / all / float64(deliveries)
	fmt.Fprintln(to, "| part | µs a delivery | system calls | SQLite | memory |\n|---|---|---|---|---|")
	var sum share
	for n, s := range shares {
		s.print(to, parts[n].name, scale)
		sum = share{sum.all + s.all, sum.calls + s.calls, sum.sqlite + s.sqlite, sum.memory + s.memory}
	}
	sum.print(to, "all", scale)
	return nil
}

func (s share) print(to io.Writer, name string, scale float64) {
	fmt.Fprintf(to, "| %s | %.1f | %.1f | %.1f | %.1f |\n", name, s.all*scale, s.calls*scale, s.sqlite*scale,
		s.memory*scale)
}

// stacks reads what `go tool pprof -traces -unit=ms` prints: each stack from the leaf on, and its microseconds.
func stacks(out []byte) iter.Seq2[[]string, float64] {
	return func(yield func([]string, float64) bool) {
		var stack []string
		var ms float64
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			words := strings.Fields(lines.Text())
			switch {
			case strings.HasPrefix(lines.Text(), "-----------+"):
				if len(stack) > 0 && !yield(stack, 1000*ms) {
					return
				}
				stack = nil
			case len(words) == 0 || strings.HasSuffix(words[0], ":"):
			case len(stack) == 0:
				if _, err := fmt.Sscanf(words[0], "%fms", &ms); err == nil {
					stack = append(stack, words[1])
				}
			default:
				stack = append(stack, words[0])
			}
		}
		if len(stack) > 0 {
			yield(stack, 1000*ms)
		}
	}
}
