// Command peers measures Tocsin beside syslog-ng: the same events, the same receiver, in one run on one machine. Run it
// with `make bench-peers`.
//
// syslog-ng reads lines from TCP (network source), keeps them in a reliable disk buffer, and posts them with 32
// workers, as many requests as Tocsin has open to one integration. It does not sync to disk before it takes the next
// line, keeps no ids and makes no log. Publisher, receiver and the measured program share the cores.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"tocsin/scripts/bench/load"
)

func main() {
	b := bench{}
	flag.StringVar(&b.binary, "binary", "bin/tocsin", "the embedded program")
	flag.IntVar(&b.events, "events", 150_000,
		"events of each run with one event a request; three times as many batched")
	flag.IntVar(&b.rounds, "rounds", 5, "runs of each program with each number of connections; their median counts")
	flag.BoolVar(&b.secure, "tls", false, "the receiver speaks TLS")
	growth := flag.Int("growth", 0,
		"publish so many events to Tocsin alone, and compare the first minute with the last")
	flag.Parse()
	run := b.compare
	if *growth > 0 {
		run = func() error { return b.growth(*growth) }
	}
	err := load.Unbounded()
	if err == nil {
		err = run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
}

type bench struct {
	binary         string
	events, rounds int
	secure         bool
}

// work is what both programs do.
type work struct {
	name       string
	events     int
	perRequest int // events, at most

	connections int // of the publisher
}

// connections are those that publishers try: a program that answers each call when it is on the disk needs more of them
// to be busy than one that never answers. The number with the better median counts, for each program by itself.
var connections = []int{16, 32}

// sample is what one run of one program showed.
type sample struct {
	load.Row
	half load.Row // at half of the rate
}

// compare runs the programs by turns, so that a machine that gets busy meanwhile slows both.
func (b bench) compare() error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "program\twork\tconnections\tdelivered/s\tCPU µs each\tpeak MiB\tp50 ms at half\t"+
		"p99 ms at half\t")
	var ratios []float64
	for _, w := range []work{
		{name: "single", events: b.events, perRequest: 1},
		{name: "batched", events: 3 * b.events, perRequest: 100},
	} {
		peers := []*tried{{peer: &tocsinPeer{binary: b.binary}}, {peer: &syslogPeer{}}}
		for _, w.connections = range connections {
			if err := b.rounded(w, peers); err != nil {
				return err
			}
		}
		for _, p := range peers {
			b.print(table, p)
		}
		ratios = append(ratios, peers[0].best.Rate()/peers[1].best.Rate())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Printf("peers single=%.2f batched=%.2f\n", ratios[0], ratios[1])
	return nil
}

// tried is a program, and the best of its medians.
type tried struct {
	peer
	best sample
	work work // of that
}

// rounded runs each program some times, by turns.
func (b bench) rounded(w work, peers []*tried) error {
	samples := make([][]sample, len(peers))
	for round := range b.rounds {
		for n, p := range peers {
			s, err := b.sample(p.peer, w)
			if err != nil {
				return fmt.Errorf("%s, %s, round %d: %w", p.name(), w.name, round+1, err)
			}
			samples[n] = append(samples[n], s)
			fmt.Fprintf(os.Stderr, "%s %s, %d connections, round %d of %d: %.0f/s; %s\n", p.name(), w.name,
				w.connections, round+1, b.rounds, s.Rate(), s.Said())
		}
	}
	for n, p := range peers {
		if m := median(samples[n]); p.best.Delivered == 0 || m.Rate() > p.best.Rate() {
			p.best, p.work = m, w
		}
	}
	return nil
}

func median(of []sample) sample {
	slices.SortFunc(of, func(a, b sample) int { return int(a.Rate() - b.Rate()) })
	return of[len(of)/2]
}

func (b bench) print(table *tabwriter.Writer, p *tried) {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	s := p.best
	fmt.Fprintf(table, "%s\t%s\t%d\t%.0f\t%.1f\t%d\t%.2f\t%.2f\t\n", p.name(), p.work.name, p.work.connections,
		s.Rate(), float64(s.CPU.Microseconds())/float64(s.Delivered), s.PeakKiB/1024, ms(s.half.Quantile(0.5)),
		ms(s.half.Quantile(0.99)))
}

// sample measures the highest rate, and then the latency at half of it, for a tenth of the events.
func (b bench) sample(p peer, w work) (s sample, err error) {
	if s.Row, err = b.run(p, w, 0); err != nil {
		return s, err
	}
	w.events /= 10
	s.half, err = b.run(p, w, s.Rate()/2)
	return s, err
}

// patience is how long a run may take.
const patience = 10 * time.Minute

// run publishes at the rate given, in events a second; 0 = as fast as the program takes them.
func (b bench) run(p peer, w work, rate float64) (load.Row, error) {
	folder, err := os.MkdirTemp("", "tocsin-peers-")
	if err != nil {
		return load.Row{}, err
	}
	defer os.RemoveAll(folder)
	var cert certificate
	if b.secure {
		if cert, err = selfSigned(); err != nil {
			return load.Row{}, err
		}
	}
	r, err := load.NewReceiver(w.events, 1, cert.server)
	if err != nil {
		return load.Row{}, err
	}
	defer r.Close()
	if err := p.start(setting{folder: folder, work: w, receiver: r.Host, ca: cert.pem}); err != nil {
		return load.Row{}, err
	}
	p.prepare(w.events)
	accepted := make([]time.Time, w.events)
	own, start := load.OwnCPU(), time.Now()
	if err := p.publish(w, rate, accepted); err != nil {
		_, _, stopped := p.stop()
		return load.Row{}, errors.Join(err, stopped)
	}
	select {
	case <-r.Done:
	case <-time.After(patience):
		_, _, err := p.stop()
		return load.Row{}, errors.Join(fmt.Errorf("only %d of %d arrived", r.Count.Load(), r.Want), err)
	}
	took, own := time.Since(start), load.OwnCPU()-own
	cpu, peak, err := p.stop()
	return load.Row{Delivered: w.events, Took: took, CPU: cpu, PeakKiB: peak, Latency: r.Latencies(accepted), Tool: own,
		Repeated: r.Repeated.Load()}, errors.Join(err, r.Err())
}

// paced calls for each portion of events at its time, from a worker for each connection.
func paced(w work, rate float64, portion func(worker, from, to int) error) error {
	begin, events := time.Now(), w.events
	const per = load.PerCall
	queue := make(chan int, (events+per-1)/per)
	for at := 0; at < events; at += per {
		queue <- at
	}
	close(queue)
	return load.Parallel(w.connections, w.connections, func(worker int) error {
		for from := range queue {
			if rate > 0 {
				time.Sleep(time.Until(begin.Add(time.Duration(float64(from) / rate * float64(time.Second)))))
			}
			if err := portion(worker, from, min(events, from+per)); err != nil {
				return err
			}
		}
		return nil
	})
}
