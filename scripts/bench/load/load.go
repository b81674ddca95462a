// Package load makes the events of the benchmarks, publishes them, and counts what arrives.
package load

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tocsin/scripts/embedded"
)

// Unbounded has the programs that are started from here take what is published as fast as they can.
func Unbounded() error { return os.Setenv("TOCSIN_TENANT_EVENTS", "0") }

// Row is the outcome of one run.
type Row struct {
	Name      string
	Delivered int
	Took      time.Duration
	Latency   []time.Duration
	CPU       time.Duration
	PeakKiB   int64
	Tool      time.Duration // CPU of publisher and receiver
	Repeated  int64         // arrivals of what had arrived
}

// Said is what a run took beside what its row says.
func (r Row) Said() string {
	said := fmt.Sprintf("publisher and receiver took %.1f µs of CPU each",
		float64(r.Tool.Nanoseconds())/1e3/float64(r.Delivered))
	if r.Repeated > 0 {
		said += fmt.Sprintf("; %d arrived once more", r.Repeated)
	}
	return said
}

// Rate is deliveries a second.
func (r Row) Rate() float64 { return float64(r.Delivered) / r.Took.Seconds() }

// Quantile of the latency; 0 where none was measured.
func (r Row) Quantile(q float64) time.Duration {
	if len(r.Latency) == 0 {
		return 0
	}
	slices.Sort(r.Latency)
	return r.Latency[min(len(r.Latency)-1, int(q*float64(len(r.Latency))))]
}

// Latencies are the times from each event's acceptance to its arrival.
func (r *Receiver) Latencies(accepted []time.Time) []time.Duration {
	out := make([]time.Duration, len(accepted))
	for n := range out {
		out[n] = max(0, time.Unix(0, r.Arrived[n].Load()).Sub(accepted[n]))
	}
	return out
}

// OwnCPU is what publisher and receiver have used so far, of user and system: what this process has.
func OwnCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it knows this process
	return CPU(&u)
}

// marker precedes the number of an event in its payload.
const marker = `"seq":"`

// Payload is the body of one delivery of one event, as a bare client posts it.
func Payload(n int) []byte {
	return fmt.Appendf(nil,
		`[{"summary":"[Tocsin] New hit detected","details":{"client_name":"Acme","cloud":"EU","notification_type":"new_hits",%s}}]`, hit(n))
}

func hit(n int) string {
	return fmt.Sprintf(
		`"hit":{"type":"sqli","domain":"shop.example.com","path":"/orders/1","remote_addr4":"203.0.113.7",%s%07d"}`,
		marker, n)
}

// ID is the id of event n. It is as good as random, as upstream's are: ids in a row would all go to one end of an
// index.
func ID(n int) string { return fmt.Sprintf("bench-%016x", uint64(n+1)*0x9E3779B97F4A7C15) }

// PutEvents is the body of one PutEvents call with the events [from, to).
func PutEvents(from, to int) []byte { return PutEventsOf("bench", from, to) }

// PutEventsOf are those of a tenant.
func PutEventsOf(tenant string, from, to int) []byte {
	var buf bytes.Buffer
	buf.WriteString(`{"Entries":[`)
	for n := from; n < to; n++ {
		if n > from {
			buf.WriteByte(',')
		}
		detail := fmt.Sprintf(
			`{"version":1,"id":%q,"tenant":%q,"client_name":"Acme","time":"2023-03-01T00:00:00Z","data":{%s}}`,
			ID(n), tenant, hit(n))
		fmt.Fprintf(&buf, `{"Source":"platform.bench","DetailType":"new_hits","Detail":%s}`, strconv.Quote(detail))
	}
	buf.WriteString(`]}`)
	return buf.Bytes()
}

// Client is a plain HTTP client that keeps its connections.
func Client(connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, DialContext: (&net.Dialer{}).DialContext, DisableCompression: true,
	}}
}

// Parallel does n things with so many workers. Its error joins those at which the workers stopped.
func Parallel(workers, n int, do func(int) error) error {
	var next atomic.Int64
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[w] = do(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Publishers is how many PutEvents calls are in flight, each with PerCall entries, the most of one call.
const (
	Publishers = 16
	PerCall    = 10
)

// Create makes a webhook that takes hits, up to so many a request, and trusts the certificates in ca (PEM; "" = those
// of the system).
func Create(p *embedded.Process, name, url string, maxEvents int, ca string) error {
	parameters := map[string]any{"url": url, "max_events": maxEvents}
	if ca != "" {
		parameters["ca_file"] = ca
	}
	return p.Call(http.MethodPost, "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": name,
		"events":     []map[string]any{{"event": "siem", "active": true}},
		"parameters": parameters,
	}, nil)
}

// madeBefore is how many events are made before they are published; more would not fit into memory.
const madeBefore = 1_000_000

// Events are calls of PutEvents, made before they are published: what it takes to make them is no part of a run.
type Events struct {
	count  int
	bodies [][]byte // nil: made as they are published
}

// NewEvents makes so many events.
func NewEvents(count int) Events {
	e := Events{count: count}
	if count <= madeBefore {
		e.bodies = make([][]byte, e.calls())
		for n := range e.bodies {
			e.bodies[n] = e.make(n)
		}
	}
	return e
}

func (e Events) calls() int { return (e.count + PerCall - 1) / PerCall }

func (e Events) make(call int) []byte { return PutEvents(call*PerCall, min(e.count, (call+1)*PerCall)) }

func (e Events) call(n int) []byte {
	if e.bodies == nil {
		return e.make(n)
	}
	return e.bodies[n]
}

// PublishFast publishes as fast as PutEvents answers, and notes when it did.
func PublishFast(p *embedded.Process, of Events, accepted []time.Time) error {
	events := of.count
	bus := NewBus(p.Bus)
	defer bus.Close()
	return Parallel(Publishers, of.calls(), func(i int) error {
		if err := bus.Publish(of.call(i)); err != nil {
			return err
		}
		now := time.Now()
		for n := i * PerCall; n < min(events, (i+1)*PerCall); n++ {
			accepted[n] = now
		}
		return nil
	})
}

// PeakKiB is the highest resident size so far (VmHWM of the kernel), 0 where the kernel does not tell.
func PeakKiB(pid int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// CPU is what a process used, of user and system.
func CPU(u *syscall.Rusage) time.Duration {
	if u == nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// clockTick is the unit of the kernel's counts in /proc/<pid>/stat (USER_HZ, proc(5)).
const clockTick = 10 * time.Millisecond

// CPUSoFar is what a running process has used, of user and system: what a program takes to start is no delivery's. It
// is 0 where the kernel does not tell.
func CPUSoFar(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(raw, []byte(") ")) // the name of the program may hold anything
	fields := strings.Fields(string(rest))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick
}
