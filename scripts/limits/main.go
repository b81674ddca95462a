// Command limits tries the embedded program where it ends: a full disk, a slow one, little memory, and much of
// everything. Run it with `make limits` (minutes to an hour; ARGS="-only full-disk"). docs/limits.md has what it said.
// A full disk needs the right to mount, a slow one needs strace; where they are missing the trial says so.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"tocsin/scripts/bench/load"
	"tocsin/scripts/embedded"
)

// trials runs them one after the other.
type trials struct {
	binary                         string
	waiting, tenants, integrations int
	crowded, silent                int
}

func main() {
	t := &trials{}
	flag.StringVar(&t.binary, "binary", "bin/tocsin", "the embedded program")
	flag.IntVar(&t.waiting, "waiting", 1_000_000, "events that wait")
	flag.IntVar(&t.tenants, "tenants", 1000, "tenants")
	flag.IntVar(&t.integrations, "integrations", 10_000, "integrations of one tenant")
	flag.IntVar(&t.crowded, "crowd", 2000, "integrations of one tenant that all hang")
	flag.IntVar(&t.silent, "silent", 10_000, "integrations of several tenants that never get an answer")
	only := flag.String("only", "", "this trial alone: full-disk, slow-disk, little-memory, waiting, integrations, "+
		"crowd, silence or tenants")
	flag.Parse()
	failed := false
	if err := load.Unbounded(); err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(1)
	}
	for _, one := range []struct {
		name string
		run  func() error
	}{{"full-disk", t.fullDisk}, {"slow-disk", t.slowDisk}, {"little-memory", t.littleMemory}, {"waiting", t.manyWait},
		{"integrations", t.manyIntegrations}, {"crowd", t.crowd}, {"silence", t.silence},
		{"tenants", t.manyTenants}} {
		if *only != "" && *only != one.name {
			continue
		}
		fmt.Println("==", one.name)
		begin := time.Now()
		if err := one.run(); err != nil {
			fmt.Println("   FAILED:", err)
			failed = true
		}
		say("the trial took %s", time.Since(begin).Round(time.Second))
	}
	if failed {
		os.Exit(1)
	}
}

func say(format string, args ...any) { fmt.Printf("   "+format+"\n", args...) }

// start starts the program in a folder; restart of the same folder takes its time.
func (t *trials) start(folder string, args ...string) (*embedded.Process, error) {
	begin := time.Now()
	p, err := embedded.Start(t.binary, folder, append([]string{"-tenant", "bench", "-log-level", "error"}, args...)...)
	if err == nil {
		say("started in %s", time.Since(begin).Round(10*time.Millisecond))
	}
	return p, err
}

// temporary is a folder that is gone when the trial ends.
func temporary() (folder string, clean func(), err error) {
	folder, err = os.MkdirTemp("", "tocsin-limits-")
	return folder, func() { _ = os.RemoveAll(folder) }, err
}

// size is that of the state file with its log, in MiB.
func size(folder string) int64 {
	var sum int64
	for _, name := range []string{"tocsin.db", "tocsin.db-wal"} {
		if info, err := os.Stat(folder + "/" + name); err == nil {
			sum += info.Size()
		}
	}
	return sum >> 20
}

// resident is the memory of a process now, in MiB.
func resident(pid int) (mib int) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, _ = fmt.Sscan(rest, &mib)
		}
	}
	return mib >> 10
}
