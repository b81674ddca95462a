//go:build awslocal

package chaos_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/scripts/awslocal/sim"
	"tocsin/shared/delivery"
)

var (
	seeds = flag.Int("seeds", 200, "how many seeds to run")
	from  = flag.Uint64("from", 1, "the first seed")
	bound = flag.Duration("bound", 10*time.Minute, "start no seed after this time; 0 = no bound")
	loud  = flag.Bool("loud", false, "show what the functions log")
)

const root = "../.."

// purged are the queues that somebody empties by mistake. EventsQueue is not among them: what is in it is not accepted.
var purged = []string{"DeliveriesQueue", "CountingQueue"}

var (
	servers  *awslocal.Servers
	template *awslocal.Template
)

func TestMain(m *testing.M) {
	flag.Parse()
	var err error
	if template, err = awslocal.ReadTemplate(filepath.Join(root, "template.yaml")); err == nil {
		servers, err = awslocal.StartDynamo(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	servers.Close()
	os.Exit(code)
}

// coverage counts where functions were killed, and how people were told of events.
type coverage struct {
	mu    sync.Mutex
	calls map[string]*killed
	told  map[string]int // by why they were told together or later
	fell  map[string]int // deliveries by how they fell back
}

type killed struct{ made, before, after int }

func (c *coverage) note(call sim.Call, f sim.Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]*killed{}
	}
	name := call.Function + ": " + call.Name()
	if c.calls[name] == nil {
		c.calls[name] = &killed{}
	}
	k := c.calls[name]
	k.made++
	switch f.Kind {
	case sim.KillFirst:
		k.before++
	case sim.KillAfter:
		k.after++
	}
}

// tell notes a delivery to people.
func (c *coverage) tell(d delivery.Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told == nil {
		c.told = map[string]int{}
	}
	how := "at once"
	switch reason := delivery.DigestReason(d.Digest); {
	case reason != "":
		how = reason
	case d.Held != nil:
		how = "held"
	}
	c.told[how]++
}

func (c *coverage) print(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "%-80s %8s %15s %15s\n", "call", "made", "killed before", "killed after")
	for _, name := range slices.Sorted(maps.Keys(c.calls)) {
		k := c.calls[name]
		fmt.Fprintf(&b, "%-80s %8d %15d %15d\n", name, k.made, k.before, k.after)
	}
	t.Logf("where functions were killed:\n%s", b.String())
	t.Logf("how people were told of events: %v", c.told)
	t.Logf("how deliveries fell back: %v", c.fell)
}

// kept are the seeds that failed before, in testdata/seeds, a line each: they run first.
func kept(t *testing.T) (list []uint64) {
	raw, err := os.ReadFile(keptFile)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	for _, line := range strings.Fields(string(raw)) {
		n, err := strconv.ParseUint(line, 10, 64)
		require.NoError(t, err)
		list = append(list, n)
	}
	return list
}

// enough are so many seeds that each way to tell people is among them.
const enough = 60

const keptFile = "testdata/seeds"

var keeping sync.Mutex

func keep(t *testing.T, seed uint64) {
	keeping.Lock()
	defer keeping.Unlock()
	if slices.Contains(kept(t), seed) {
		return
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(keptFile), 0o755))
	f, err := os.OpenFile(keptFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	_, err = fmt.Fprintln(f, seed)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// TestChaos runs seeds: the engine's own functions under all that AWS does, and what must hold after it.
func TestChaos(t *testing.T) {
	began := time.Now()
	list := kept(t)
	for n := range *seeds {
		if s := *from + uint64(n); !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	var cover coverage
	var ran, bad atomic.Int64
	next := make(chan uint64)
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			for seed := range next {
				if !t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { one(t, seed, &cover) }) {
					bad.Add(1)
				}
				ran.Add(1)
			}
		})
	}
	for _, s := range list {
		if *bound > 0 && time.Since(began) > *bound {
			break
		}
		next <- s
	}
	close(next)
	work.Wait()
	cover.print(t)
	t.Logf("%d of %d seeds ran in %s, %d failed", ran.Load(), len(list), time.Since(began).Round(time.Second),
		bad.Load())
	require.Equal(t, len(list), int(ran.Load()), "all seeds must run within the bound: make them smaller")
	if ran.Load() >= enough {
		for _, how := range []string{"at once", "held", delivery.DigestStorm, delivery.DigestGroup,
			delivery.DigestQuiet} {
			require.NotZero(t, cover.told[how], "no seed tells people so: %s", how)
		}
		for _, how := range []string{"at arrival", "died", "died: by health", "died: by hand", "once", "to people",
			"held"} {
			require.NotZero(t, cover.fell[how], "in no seed falls anything back so: %s", how)
		}
	}
}

// one runs a seed, and keeps it when something is wrong.
func one(t *testing.T, seed uint64, cover *coverage) {
	if wrong := try(t, seed, cover, nil); len(wrong) > 0 {
		keep(t, seed)
		t.Errorf("seed %d (again: make test-aws-chaos ARGS=\"-seeds=1 -from=%d\"):\n  %s", seed, seed,
			strings.Join(wrong, "\n  "))
	}
}

// hangs is how long a seed may take, far more than it does: 2 to 12 seconds on a quiet machine, and some minutes where
// twenty processes share two cores. The clock of the bubble stands still while a goroutine waits for a mutex; where
// the holder waits for an answer, which takes time by that clock, that is for ever. No code should hold a mutex over a
// call: see the stacks.
const hangs = 15 * time.Minute

// try runs a seed in tables of its own and returns what is wrong after it.
func try(t *testing.T, seed uint64, cover *coverage, sabotage func(*world)) (wrong []string) {
	prefix := fmt.Sprintf("c%d-", seed)
	config, err := awslocal.Config(t.Context(), servers.Dynamo)
	require.NoError(t, err)
	db := dynamodb.NewFromConfig(config)
	require.NoError(t, template.CreateTables(t.Context(), db, prefix))
	defer func() { require.NoError(t, template.DeleteTables(context.Background(), db, prefix)) }()
	out := io.Discard
	if *loud {
		out = os.Stderr
	}
	began := time.Now()
	hung := time.AfterFunc(hangs, func() {
		stacks := make([]byte, 8<<20)
		panic(fmt.Sprintf("seed %d hangs: something waits for a mutex whose holder waits for the clock\n%s", seed,
			stacks[:runtime.Stack(stacks, true)]))
	})
	defer hung.Stop()
	var lasted time.Duration
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		wrong = run(t, seed, servers.Dynamo, prefix, cover, slog.New(slog.NewTextHandler(out, nil)), sabotage)
		lasted = time.Since(start)
	})
	t.Logf("seed %d: %s of the cloud's time in %s", seed, lasted.Round(time.Second),
		time.Since(began).Round(time.Millisecond))
	return wrong
}
