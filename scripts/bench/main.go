// Command bench measures the whole durable path, from PutEvents to a receiver on loopback, against a bare Go HTTP
// client that posts the same payloads to the same receiver in the same run. Run it with `make bench`.
//
// Publisher, receiver and Tocsin share the machine's cores; CPU and memory are those of the Tocsin process alone.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"tocsin/scripts/bench/load"
	"tocsin/scripts/embedded"
)

func main() {
	binary := flag.String("binary", "bin/tocsin", "the embedded program")
	events := flag.Int("events", 60_000, "deliveries of each throughput run")
	steady := flag.Duration("steady", 15*time.Second, "length of the run at 200 events per second")
	only := flag.Int("only", 0, "measure this scenario alone, counted from 1; 0 = all")
	profile := flag.String("profile", "", "with -only, and a binary built with the tag profile: keep the run's CPU "+
		"profile there, and print what each part of a delivery costs (make bench-parts)")
	args := flag.String("args", "", "more arguments for the embedded program, separated by spaces")
	flag.Parse()
	b := &bench{binary: *binary, args: strings.Fields(*args), only: *only, profile: *profile}
	err := load.Unbounded()
	if err == nil {
		err = b.run(*events, *steady)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	binary  string
	args    []string
	only    int
	profile string
	table   *tabwriter.Writer
	fair    string // what the runs of two tenants came to
}

// tenants is the scenario, by -only, of a quiet tenant beside a loud one.
const tenants = 8

// row is the outcome of one run.
type row struct {
	load.Row
	note string
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
	if b.only == 0 || b.only == tenants {
		if err := b.fairness(int(steady / quietPace)); err != nil {
			return err
		}
	}
	if b.only != 0 {
		if b.only == tenants {
			defer fmt.Println(b.fair)
		}
		if err := b.table.Flush(); err != nil || b.profile == "" || len(rows) == 0 {
			return err
		}
		return printParts(os.Stdout, b.binary, b.profile, rows[0].Delivered, rows[0].CPU)
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
	b.sum(bare, rows)
	return nil
}

// sum prints what the runs came to.
func (b *bench) sum(bare row, rows []row) {
	one, ten, hanging, paced := rows[0], rows[2], rows[3], rows[4]
	fmt.Println(b.fair)
	fmt.Printf("100 triggers keep %.0f %% of the rate without any\n", 100*rows[6].Rate()/rows[5].Rate())
	fmt.Printf("beside a hanging integration the others keep %.0f %% of their rate\n", 100*hanging.Rate()/ten.Rate())
	fmt.Printf("bench delivered_per_s=%.0f bare_per_s=%.0f ratio=%.2f p50_ms=%.2f p99_ms=%.2f\n",
		one.Rate(), bare.Rate(), one.Rate()/bare.Rate(), ms(paced.Quantile(0.50)), ms(paced.Quantile(0.99)))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (b *bench) print(r row) {
	cpu, peak := "", ""
	if r.CPU > 0 {
		cpu = fmt.Sprintf("%.3f", r.CPU.Seconds()/float64(r.Delivered)*1000)
	}
	if r.PeakKiB > 0 {
		peak = strconv.FormatInt(r.PeakKiB/1024, 10)
	}
	p50, p99 := "", ""
	if len(r.Latency) > 0 {
		p50, p99 = fmt.Sprintf("%.2f", ms(r.Quantile(0.50))), fmt.Sprintf("%.2f", ms(r.Quantile(0.99)))
	}
	fmt.Fprintf(b.table, "%s\t%.0f\t%s\t%s\t%s\t%s\t%s\t\n", r.Name, r.Rate(), p50, p99, cpu, peak, r.note)
	fmt.Fprintf(os.Stderr, "done: %s (%s; %s)\n", r.Name, r.Took.Round(time.Millisecond), r.Said())
}

// bareWorkers is how many posts of the bare client are in flight: as many as Tocsin's own limit for one integration.
const bareWorkers = 32

func runBare(events int) (row, error) {
	r, err := load.NewReceiver(events, 1, nil)
	if err != nil {
		return row{}, err
	}
	defer r.Close()
	c := load.Client(bareWorkers)
	bodies := make([][]byte, events)
	for n := range bodies {
		bodies[n] = load.Payload(n)
	}
	before, start := load.OwnCPU(), time.Now()
	err = load.Parallel(bareWorkers, events, func(n int) error {
		a, err := c.Post("http://"+r.Host+"/hook", "application/json", bytes.NewReader(bodies[n]))
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, a.Body)
		return a.Body.Close()
	})
	if err != nil {
		return row{}, err
	}
	<-r.Done
	return row{Row: load.Row{Name: fmt.Sprintf("bare client, posts of %d bytes", len(bodies[0])), Delivered: events,
		Took: time.Since(start), Tool: load.OwnCPU() - before}}, r.Err()
}

// start runs the program with the integrations of the scenario.
func (b *bench) start(s scenario, r *load.Receiver) (*embedded.Process, func(), error) {
	folder, err := os.MkdirTemp("", "tocsin-bench-")
	if err != nil {
		return nil, nil, err
	}
	clean := func() { _ = os.RemoveAll(folder) }
	if b.profile != "" { // this process alone, not the commands that are run beside it
		if err := os.Setenv(profileFile, b.profile); err != nil {
			clean()
			return nil, nil, err
		}
	}
	p, err := embedded.Start(b.binary, folder,
		append([]string{"-allow", r.Host, "-tenant", "bench", "-log-level", "error"}, b.args...)...)
	_ = os.Unsetenv(profileFile)
	if err != nil {
		clean()
		return nil, nil, err
	}
	for i := range s.integrations {
		if err := load.Create(p, fmt.Sprintf("receiver %d", i+1), "http://"+r.Host+"/hook", s.maxEvents, ""); err != nil {
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
		if err := load.Create(p, "hanging", "http://"+r.Host+"/hang", s.maxEvents, ""); err != nil {
			p.Kill()
			clean()
			return nil, nil, err
		}
	}
	return p, clean, nil
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

func (b *bench) measure(s scenario) (row, error) {
	r, err := load.NewReceiver(s.events, s.integrations, nil)
	if err != nil {
		return row{}, err
	}
	defer r.Close()
	p, clean, err := b.start(s, r)
	if err != nil {
		return row{}, err
	}
	defer clean()
	accepted := make([]time.Time, s.events)
	var events load.Events
	if s.pace == 0 {
		events = load.NewEvents(s.events)
	}
	before, own := load.CPUSoFar(p.PID()), load.OwnCPU()
	start := time.Now()
	if s.pace > 0 {
		err = publishPaced(p, s, accepted)
	} else {
		err = load.PublishFast(p, events, accepted)
	}
	if err != nil {
		p.Kill()
		return row{}, err
	}
	select {
	case <-r.Done:
	case <-time.After(5 * time.Minute):
		p.Kill()
		return row{}, fmt.Errorf("only %d of %d arrived\n%s", r.Count.Load(), r.Want, p.Output())
	}
	took, own := time.Since(start), load.OwnCPU()-own
	peak := load.PeakKiB(p.PID())
	usage, err := p.Stop()
	if err != nil {
		return row{}, err
	}
	return row{Row: load.Row{Name: s.name, Delivered: int(r.Want), Took: took, Latency: r.Latencies(accepted),
		CPU: load.CPU(usage) - before, PeakKiB: peak, Tool: own, Repeated: r.Repeated.Load()}}, r.Err()
}

// publishPaced publishes one event at a time at a fixed rate, and measures from the beginning of the publish: the
// latency that upstream sees.
func publishPaced(p *embedded.Process, s scenario, accepted []time.Time) error {
	bus := load.NewBus(p.Bus)
	defer bus.Close()
	begin := time.Now()
	return load.Parallel(load.Publishers, s.events, func(n int) error {
		time.Sleep(time.Until(begin.Add(time.Duration(n) * s.pace)))
		accepted[n] = time.Now()
		return bus.Publish(load.PutEvents(n, n+1))
	})
}

// backlog publishes to a receiver that hangs, and looks at the memory while everything waits.
func (b *bench) backlog(events int) (row, error) {
	r, err := load.NewReceiver(events, 1, nil)
	if err != nil {
		return row{}, err
	}
	defer r.Close()
	s := scenario{events: events, maxEvents: 1, hanging: true}
	p, clean, err := b.start(s, r)
	if err != nil {
		return row{}, err
	}
	defer clean()
	made := load.NewEvents(events)
	own, start := load.OwnCPU(), time.Now()
	if err := load.PublishFast(p, made, make([]time.Time, events)); err != nil {
		p.Kill()
		return row{}, err
	}
	took, own := time.Since(start), load.OwnCPU()-own
	time.Sleep(time.Second)
	peak := load.PeakKiB(p.PID())
	if _, err := p.Stop(); err != nil {
		return row{}, err
	}
	return row{Row: load.Row{Name: fmt.Sprintf("accepted while %d wait for a hanging one", events),
		Delivered: events, Took: took, PeakKiB: peak, Tool: own}}, r.Err()
}
