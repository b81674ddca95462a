// Command bench measures the whole durable path, from PutEvents to a receiver on loopback, against a bare Go HTTP
// client that posts the same payloads to the same receiver in the same run. Run it with `make bench`.
//
// Publisher, receiver and Tocsin share the machine's cores; CPU and memory are those of the Tocsin process alone.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"tocsin/scripts/embedded"
)

func main() {
	binary := flag.String("binary", "bin/tocsin", "the embedded program")
	events := flag.Int("events", 60_000, "deliveries of each throughput run")
	steady := flag.Duration("steady", 15*time.Second, "length of the run at 200 events per second")
	only := flag.Int("only", 0, "measure this scenario alone, counted from 1; 0 = all")
	args := flag.String("args", "", "more arguments for the embedded program, separated by spaces")
	flag.Parse()
	b := &bench{binary: *binary, args: strings.Fields(*args), only: *only}
	if err := b.run(*events, *steady); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	binary string
	args   []string
	only   int
	table  *tabwriter.Writer
}

// row is the outcome of one run.
type row struct {
	name      string
	delivered int
	took      time.Duration
	latency   []time.Duration
	cpu       time.Duration
	peakKiB   int64
	note      string
}

func (r row) rate() float64 { return float64(r.delivered) / r.took.Seconds() }

func (r row) quantile(q float64) time.Duration {
	if len(r.latency) == 0 {
		return 0
	}
	slices.Sort(r.latency)
	return r.latency[min(len(r.latency)-1, int(q*float64(len(r.latency))))]
}

// scenario is one way of using Tocsin.
type scenario struct {
	name         string
	events       int
	integrations int
	maxEvents    int           // a request
	hanging      bool          // one more integration, whose receiver never answers
	pace         time.Duration // between publishes of one event; 0 = as fast as PutEvents answers, ten at a time
	triggers     int           // 0 = the two of a new account; none = not even those
}

const none = -1

func (b *bench) run(events int, steady time.Duration) error {
	b.table = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(b.table, "run\tdelivered/s\tp50 ms\tp99 ms\tCPU s / 1,000\tpeak MiB\t\t")
	bare, err := runBare(events)
	if err != nil {
		return err
	}
	b.print(bare)
	var rows []row
	for i, s := range []scenario{
		{name: "1 integration, 1 event a request", events: events, integrations: 1, maxEvents: 1},
		{name: "1 integration, up to 100 events a request", events: events, integrations: 1, maxEvents: 100},
		{name: "10 integrations, 1 event a request", events: events / 10, integrations: 10, maxEvents: 1},
		{name: "the same beside a hanging one", events: events / 10, integrations: 10, maxEvents: 1, hanging: true},
		{name: "200 events per second", events: int(steady / (5 * time.Millisecond)), integrations: 1, maxEvents: 1,
			pace: 5 * time.Millisecond},
		{name: "up to 100 events a request, no trigger at all", events: 2 * events, integrations: 1, maxEvents: 100,
			triggers: none},
		{name: "the same with 100 triggers, 60 of them thresholds that count every hit", events: 2 * events,
			integrations: 1, maxEvents: 100, triggers: 100},
	} {
		if b.only != 0 && b.only != i+1 {
			continue
		}
		r, err := b.measure(s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		b.print(r)
		rows = append(rows, r)
	}
	if b.only != 0 {
		return b.table.Flush()
	}
	for _, backlog := range []int{events, 4 * events} {
		r, err := b.backlog(backlog)
		if err != nil {
			return fmt.Errorf("backlog of %d: %w", backlog, err)
		}
		b.print(r)
	}
	if err := b.table.Flush(); err != nil {
		return err
	}
	one, ten, hanging, paced := rows[0], rows[2], rows[3], rows[4]
	fmt.Printf("100 triggers keep %.0f %% of the rate without any\n", 100*rows[6].rate()/rows[5].rate())
	fmt.Printf("beside a hanging integration the others keep %.0f %% of their rate\n", 100*hanging.rate()/ten.rate())
	fmt.Printf("bench delivered_per_s=%.0f bare_per_s=%.0f ratio=%.2f p50_ms=%.2f p99_ms=%.2f\n",
		one.rate(), bare.rate(), one.rate()/bare.rate(), ms(paced.quantile(0.50)), ms(paced.quantile(0.99)))
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (b *bench) print(r row) {
	cpu, peak := "", ""
	if r.cpu > 0 {
		cpu = fmt.Sprintf("%.3f", r.cpu.Seconds()/float64(r.delivered)*1000)
	}
	if r.peakKiB > 0 {
		peak = strconv.FormatInt(r.peakKiB/1024, 10)
	}
	p50, p99 := "", ""
	if len(r.latency) > 0 {
		p50, p99 = fmt.Sprintf("%.2f", ms(r.quantile(0.50))), fmt.Sprintf("%.2f", ms(r.quantile(0.99)))
	}
	fmt.Fprintf(b.table, "%s\t%.0f\t%s\t%s\t%s\t%s\t%s\t\n", r.name, r.rate(), p50, p99, cpu, peak, r.note)
	fmt.Fprintf(os.Stderr, "done: %s (%s)\n", r.name, r.took.Round(time.Millisecond))
}

// marker precedes the number of an event in its payload.
const marker = `"seq":"`

// payload is the body of one delivery of one event, as a bare client posts it.
func payload(n int) []byte {
	return fmt.Appendf(nil,
		`[{"summary":"[Tocsin] New hit detected","details":{"client_name":"Acme","cloud":"EU","notification_type":"new_hits",%s}}]`, hit(n))
}

func hit(n int) string {
	return fmt.Sprintf(
		`"hit":{"type":"sqli","domain":"shop.example.com","path":"/orders/1","remote_addr4":"203.0.113.7",%s%07d"}`,
		marker, n)
}

// putEvents is the body of one PutEvents call with the events [from, to).
func putEvents(from, to int) []byte {
	var buf bytes.Buffer
	buf.WriteString(`{"Entries":[`)
	for n := from; n < to; n++ {
		if n > from {
			buf.WriteByte(',')
		}
		detail := fmt.Sprintf(
			`{"version":1,"id":"bench-%07d","tenant":"bench","client_name":"Acme","time":"2023-03-01T00:00:00Z","data":{%s}}`, n, hit(n))
		fmt.Fprintf(&buf, `{"Source":"platform.bench","DetailType":"new_hits","Detail":%s}`, strconv.Quote(detail))
	}
	buf.WriteString(`]}`)
	return buf.Bytes()
}

// receiver counts what arrives and when.
type receiver struct {
	host    string
	server  *http.Server
	arrived []atomic.Int64 // Unix nanoseconds of the last arrival of each event
	count   atomic.Int64
	want    int64
	done    chan struct{}
	hang    chan struct{}
}

func newReceiver(events, copies int) (*receiver, error) {
	l, host, err := embedded.Listen()
	if err != nil {
		return nil, err
	}
	r := &receiver{host: host, arrived: make([]atomic.Int64, events), want: int64(events * copies), done: make(
		chan struct{}), hang: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/hook", r.take)
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		select {
		case <-r.hang:
		case <-q.Context().Done():
		}
	})
	r.server = &http.Server{Handler: mux}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (r *receiver) take(_ http.ResponseWriter, q *http.Request) {
	buf, _ := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(q.Body); err != nil {
		return
	}
	now := time.Now().UnixNano()
	for rest := buf.Bytes(); ; {
		at := bytes.Index(rest, []byte(marker))
		if at < 0 {
			return
		}
		rest = rest[at+len(marker):]
		n, err := strconv.Atoi(string(rest[:7]))
		if err != nil || n >= len(r.arrived) {
			continue
		}
		r.arrived[n].Store(now)
		if r.count.Add(1) == r.want {
			close(r.done)
		}
	}
}

func (r *receiver) close() {
	close(r.hang)
	_ = r.server.Close()
}

// client is a plain HTTP client that keeps its connections.
func client(connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, DialContext: (&net.Dialer{}).DialContext, DisableCompression: true,
	}}
}

// bareWorkers is how many posts of the bare client are in flight: as many as Tocsin's own limit for one integration.
const bareWorkers = 32

func runBare(events int) (row, error) {
	r, err := newReceiver(events, 1)
	if err != nil {
		return row{}, err
	}
	defer r.close()
	c := client(bareWorkers)
	bodies := make([][]byte, events)
	for n := range bodies {
		bodies[n] = payload(n)
	}
	start := time.Now()
	err = parallel(bareWorkers, events, func(n int) error {
		a, err := c.Post("http://"+r.host+"/hook", "application/json", bytes.NewReader(bodies[n]))
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, a.Body)
		return a.Body.Close()
	})
	if err != nil {
		return row{}, err
	}
	<-r.done
	return row{name: fmt.Sprintf("bare client, posts of %d bytes", len(bodies[0])), delivered: events,
		took: time.Since(start)}, nil
}

func parallel(workers, n int, do func(int) error) error {
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

// start runs the program with the integrations of the scenario.
func (b *bench) start(s scenario, r *receiver) (*embedded.Process, func(), error) {
	folder, err := os.MkdirTemp("", "tocsin-bench-")
	if err != nil {
		return nil, nil, err
	}
	clean := func() { _ = os.RemoveAll(folder) }
	p, err := embedded.Start(b.binary, folder,
		append([]string{"-allow", r.host, "-tenant", "bench", "-log-level", "error"}, b.args...)...)
	if err != nil {
		clean()
		return nil, nil, err
	}
	for i := range s.integrations {
		if err := create(p, fmt.Sprintf("receiver %d", i+1), "http://"+r.host+"/hook", s.maxEvents); err != nil {
			p.Kill()
			clean()
			return nil, nil, err
		}
	}
	if err := triggers(p, s.triggers); err != nil {
		p.Kill()
		clean()
		return nil, nil, err
	}
	if s.hanging {
		if err := create(p, "hanging", "http://"+r.host+"/hang", s.maxEvents); err != nil {
			p.Kill()
			clean()
			return nil, nil, err
		}
	}
	return p, clean, nil
}

func create(p *embedded.Process, name, url string, maxEvents int) error {
	return p.Call(http.MethodPost, "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": name,
		"events":     []map[string]any{{"event": "siem", "active": true}},
		"parameters": map[string]any{"url": url, "max_events": maxEvents},
	}, nil)
}

// thresholds is how many of a hundred triggers count.
const thresholds = 60

// triggers deletes those of a new account and makes so many others: thresholds that count every hit and are never
// reached, and conditions that no hit can match.
func triggers(p *embedded.Process, count int) error {
	if count == 0 {
		return nil
	}
	var list struct{ Items []struct{ ID string } }
	if err := p.Call(http.MethodGet, "/v1/triggers", nil, &list); err != nil {
		return err
	}
	for _, t := range list.Items {
		if err := p.Call(http.MethodDelete, "/v1/triggers/"+t.ID, nil, nil); err != nil {
			return err
		}
	}
	var made struct{ Items []struct{ ID string } }
	if err := p.Call(http.MethodGet, "/v1/integrations", nil, &made); err != nil {
		return err
	}
	notify := []any{map[string]any{"id": "send_notification",
		"params": map[string]any{"integration_ids": []string{made.Items[0].ID}}}}
	for n := range count {
		t := map[string]any{"name": fmt.Sprintf("trigger %d", n), "template_id": "user_created", "actions": notify}
		if n < thresholds {
			t["template_id"] = []string{"hits_exceeded", "attacks_exceeded", "hits_exceeded"}[n%3]
			t["threshold"] = map[string]any{"period": 3600 + n, "count": []int{100_000_000, 1900, 300_000_000}[n%3]}
			t["filters"] = []any{map[string]any{"id": "attack_type", "operator": "eq",
				"values": []string{"xss", "sqli"}}, map[string]any{"id": "ip_address", "operator": "ne",
				"values": []string{"198.51.100.1"}}}
		}
		if err := p.Call(http.MethodPost, "/v1/triggers", t, nil); err != nil {
			return err
		}
	}
	return nil
}

// publishers is how many PutEvents calls are in flight, each with ten entries, the most of one call.
const (
	publishers = 16
	perCall    = 10
)

func (b *bench) measure(s scenario) (row, error) {
	r, err := newReceiver(s.events, s.integrations)
	if err != nil {
		return row{}, err
	}
	defer r.close()
	p, clean, err := b.start(s, r)
	if err != nil {
		return row{}, err
	}
	defer clean()
	accepted := make([]time.Time, s.events)
	start := time.Now()
	if s.pace > 0 {
		err = publishPaced(p, s, accepted)
	} else {
		err = publishFast(p, s.events, accepted)
	}
	if err != nil {
		p.Kill()
		return row{}, err
	}
	select {
	case <-r.done:
	case <-time.After(5 * time.Minute):
		p.Kill()
		return row{}, fmt.Errorf("only %d of %d arrived\n%s", r.count.Load(), r.want, p.Output())
	}
	took := time.Since(start)
	peak := peakKiB(p.PID())
	usage, err := p.Stop()
	if err != nil {
		return row{}, err
	}
	latency := make([]time.Duration, s.events)
	for n := range latency {
		latency[n] = max(0, time.Unix(0, r.arrived[n].Load()).Sub(accepted[n]))
	}
	return row{name: s.name, delivered: int(r.want), took: took, latency: latency, cpu: cpu(usage), peakKiB: peak}, nil
}

func publishFast(p *embedded.Process, events int, accepted []time.Time) error {
	calls := (events + perCall - 1) / perCall
	bodies := make([][]byte, calls)
	for i := range bodies {
		bodies[i] = putEvents(i*perCall, min(events, (i+1)*perCall))
	}
	c := client(publishers)
	return parallel(publishers, calls, func(i int) error {
		if err := p.PublishRaw(c, bodies[i]); err != nil {
			return err
		}
		now := time.Now()
		for n := i * perCall; n < min(events, (i+1)*perCall); n++ {
			accepted[n] = now
		}
		return nil
	})
}

// publishPaced publishes one event at a time at a fixed rate, and measures from the beginning of the publish: the
// latency that upstream sees.
func publishPaced(p *embedded.Process, s scenario, accepted []time.Time) error {
	c := client(publishers)
	begin := time.Now()
	return parallel(publishers, s.events, func(n int) error {
		time.Sleep(time.Until(begin.Add(time.Duration(n) * s.pace)))
		accepted[n] = time.Now()
		return p.PublishRaw(c, putEvents(n, n+1))
	})
}

// backlog publishes to a receiver that hangs, and looks at the memory while everything waits.
func (b *bench) backlog(events int) (row, error) {
	r, err := newReceiver(events, 1)
	if err != nil {
		return row{}, err
	}
	defer r.close()
	s := scenario{events: events, maxEvents: 1, hanging: true}
	p, clean, err := b.start(s, r)
	if err != nil {
		return row{}, err
	}
	defer clean()
	start := time.Now()
	if err := publishFast(p, events, make([]time.Time, events)); err != nil {
		p.Kill()
		return row{}, err
	}
	took := time.Since(start)
	time.Sleep(time.Second)
	peak := peakKiB(p.PID())
	if _, err := p.Stop(); err != nil {
		return row{}, err
	}
	return row{name: fmt.Sprintf("accepted while %d wait for a hanging one", events), delivered: events, took: took,
		peakKiB: peak}, nil
}

// peakKiB is the highest resident size so far (VmHWM of the kernel), 0 where the kernel does not tell.
func peakKiB(pid int) int64 {
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

func cpu(u *syscall.Rusage) time.Duration {
	if u == nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
