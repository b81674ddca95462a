package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/scripts/bench/load"
	"tocsin/scripts/embedded"
)

// A quiet tenant publishes an event every quietPace. A loud one publishes loudTimes as many, or as fast as it is
// answered, to loudIntegrations.
const (
	quietPace        = 50 * time.Millisecond
	loudTimes        = 100
	loudIntegrations = 1
)

// loudness is what the loud tenant does.
type loudness int

const (
	silent loudness = iota
	loud
	flooding
)

// fairness measures a quiet tenant's latency alone, beside one that publishes a hundred times as much, and beside one
// that publishes as fast as it can.
func (b *bench) fairness(events int) error {
	var rows []row
	for _, how := range []loudness{silent, loud, flooding} {
		r, err := b.beside(events, how)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		b.print(r)
		rows = append(rows, r)
	}
	b.fair = fmt.Sprintf("a quiet tenant's p99 is %.1f times its own alone beside one that publishes %d times as "+
		"much, and %.1f times beside one that publishes as fast as it can",
		ratio(rows[1], rows[0]), loudTimes, ratio(rows[2], rows[0]))
	return nil
}

func ratio(a, b row) float64 { return ms(a.Quantile(0.99)) / ms(b.Quantile(0.99)) }

// beside is a run of the quiet tenant.
func (b *bench) beside(events int, how loudness) (row, error) {
	out := row{Row: load.Row{Name: map[loudness]string{silent: "a quiet tenant alone",
		loud:     fmt.Sprintf("the same beside one that publishes %d times as much", loudTimes),
		flooding: "the same beside one that publishes as fast as it can"}[how], Delivered: events}}
	r, err := load.NewReceiver(events, 1, nil)
	if err != nil {
		return out, err
	}
	defer r.Close()
	p, clean, err := b.start(scenario{integrations: loudIntegrations, maxEvents: 1}, r)
	if err != nil {
		return out, err
	}
	defer clean()
	quiet, err := p.As("quiet@example.com", "quiet")
	if err == nil {
		err = load.Create(quiet, "quiet", "http://"+r.Host+"/hook", 1, "")
	}
	if err != nil {
		p.Kill()
		return out, err
	}
	before := load.CPUSoFar(p.PID())
	own, start := load.OwnCPU(), time.Now()
	stop, end := context.WithCancel(context.Background())
	var work sync.WaitGroup
	var said error
	var sent atomic.Int64
	work.Go(func() { said = publishLoud(stop, p, how, &sent) })
	accepted := make([]time.Time, events)
	err = publishQuiet(p, accepted)
	select {
	case <-r.Done:
	case <-time.After(5 * time.Minute):
		err = errors.Join(err, fmt.Errorf("only %d of %d arrived", r.Count.Load(), r.Want))
	}
	end()
	work.Wait()
	out.Took, out.Tool = time.Since(start), load.OwnCPU()-own
	out.PeakKiB = load.PeakKiB(p.PID())
	out.CPU = load.CPUSoFar(p.PID()) - before
	p.Kill() // what the loud one has waiting is nobody's
	out.Latency = r.Latencies(accepted)
	out.note = fmt.Sprintf("%.0f events/s beside it", float64(sent.Load())/out.Took.Seconds())
	return out, errors.Join(err, said, r.Err())
}

// publishQuiet publishes at the quiet tenant's pace.
func publishQuiet(p *embedded.Process, accepted []time.Time) error {
	bus := load.NewBus(p.Bus)
	defer bus.Close()
	begin := time.Now()
	return load.Parallel(load.Publishers, len(accepted), func(n int) error {
		time.Sleep(time.Until(begin.Add(time.Duration(n) * quietPace)))
		accepted[n] = time.Now()
		return bus.Publish(load.PutEventsOf("quiet", n, n+1))
	})
}

// publishLoud publishes until it is stopped. The receiver does not count the numbers of its events.
func publishLoud(ctx context.Context, p *embedded.Process, how loudness, sent *atomic.Int64) error {
	if how == silent {
		return nil
	}
	const beyond = 5_000_000 // more than a receiver counts
	bus := load.NewBus(p.Bus)
	defer bus.Close()
	begin := time.Now()
	pace := quietPace * load.PerCall / loudTimes
	err := load.Parallel(load.Publishers, (9_999_999-beyond)/load.PerCall, func(n int) error {
		if how == loud {
			time.Sleep(time.Until(begin.Add(time.Duration(n) * pace)))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		from := beyond + n*load.PerCall
		sent.Add(load.PerCall)
		return bus.Publish(load.PutEventsOf("bench", from, from+load.PerCall))
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
