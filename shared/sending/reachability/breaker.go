package reachability

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"tocsin/shared/delivery"
)

// When the way out is gone: the last attempt of so many integrations, of so many hosts, could reach nothing, of more
// than one tenant where there is more than one, and so it is with nine of ten that were tried in a minute. The outage
// of one system, which many integrations share a host of, is not that.
const (
	outageSpan   = time.Minute
	outageLanes  = 5
	outageHosts  = 3
	outageTenths = 9
)

// How often a process tells and asks the others: soon where something is lost, and else as often as an answer counts
// for something, whatever is sent meanwhile.
const (
	tellLost     = 2 * time.Second
	tellAnswered = 30 * time.Second
	lostTold     = 32 // integrations
)

// Breaker watches the attempts of a worker for the loss of its own way out: a circuit breaker for all
// integrations together. The zero value is ready, and knows of its own process alone.
type Breaker struct {
	mu    sync.Mutex
	lanes map[delivery.Lane]*reach
	judge time.Time // when it was last judged
	gone  bool

	process     string // this one's name among the others
	told, asked time.Time
	toldLost    bool
	others      []Report
}

// reach is what is known of one integration.
type reach struct {
	host           string
	lost, answered time.Time // when it was last not reached, and when it last answered
}

// Hear notes an attempt and reports whether the way out is gone. host is "" for one that got an answer. shared is nil
// where there is one process; an error says that this one knew of itself alone.
func (b *Breaker) Hear(ctx context.Context, shared Store, l delivery.Lane, host string,
	now time.Time) (gone bool, err error) {
	l.Retry = false
	b.mu.Lock()
	if host == "" {
		b.lane(l).answered, b.gone = now, false
		if now.Sub(b.judge) >= outageSpan { // forget those that nothing is sent to any more
			b.judge = now
			b.outage(now)
		}
	} else {
		r := b.lane(l)
		r.host, r.lost = host, now
	}
	tell, ask := false, false
	if shared != nil {
		tell, ask = b.due(now, host != "")
	}
	var own Report
	if tell {
		own = b.report(now)
	}
	process := b.process
	b.mu.Unlock()

	var others []Report
	if tell {
		err = shared.Tell(ctx, process, own)
	}
	if ask {
		var failed error
		others, failed = shared.Others(ctx, process, now.Add(-outageSpan))
		err = errors.Join(err, failed)
	}
	if host == "" {
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if ask {
		b.others = others
	}
	if ask || now.Sub(b.judge) >= time.Second || now.Before(b.judge) || !b.gone {
		b.judge, b.gone = now, b.outage(now)
	}
	return b.gone, err
}

// due says whether it is time to tell the other processes, and to ask them.
func (b *Breaker) due(now time.Time, lost bool) (tell, ask bool) {
	if b.process == "" {
		b.process = rand.Text()
	}
	span := tellAnswered
	if lost || b.toldLost {
		span = tellLost
	}
	if tell = now.Sub(b.told) >= span || now.Before(b.told); tell {
		b.told = now
	}
	if ask = lost && (now.Sub(b.asked) >= tellLost || now.Before(b.asked)); ask {
		b.asked = now
	}
	return tell, ask
}

// report is what this process knows of the last minute.
func (b *Breaker) report(now time.Time) Report {
	o := Report{At: now}
	since := now.Add(-outageSpan)
	for l, r := range b.lanes {
		switch {
		case r.lost.After(since) && r.lost.After(r.answered):
			if len(o.Lost) < lostTold {
				o.Lost = append(o.Lost, Unreached{Tenant: l.Tenant, Integration: l.Integration, Host: r.host,
					At: r.lost})
			}
		case r.answered.After(since):
			o.Answered++
		}
	}
	b.toldLost = len(o.Lost) > 0
	return o
}

func (b *Breaker) lane(l delivery.Lane) *reach {
	r, ok := b.lanes[l]
	if !ok {
		if b.lanes == nil {
			b.lanes = map[delivery.Lane]*reach{}
		}
		r = &reach{}
		b.lanes[l] = r
	}
	return r
}

// outage judges the last minute and forgets what is older.
func (b *Breaker) outage(now time.Time) bool {
	since := now.Add(-outageSpan)
	answered := 0
	lost, hosts, losers, tenants := map[delivery.Lane]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	lose := func(l delivery.Lane, host string) {
		lost[l], hosts[host], losers[l.Tenant], tenants[l.Tenant] = true, true, true, true
	}
	for l, r := range b.lanes {
		switch {
		case !r.lost.After(since) && !r.answered.After(since):
			delete(b.lanes, l)
		case r.lost.After(since) && r.lost.After(r.answered):
			lose(l, r.host)
		default:
			answered++
			tenants[l.Tenant] = true
		}
	}
	for _, o := range b.others {
		if !o.At.After(since) {
			continue
		}
		if answered += o.Answered; o.Answered > 0 {
			tenants[""] = true // of whom, it does not say
		}
		for _, l := range o.Lost {
			if own, ok := b.lanes[delivery.Lane{Tenant: l.Tenant, Integration: l.Integration}]; l.At.After(since) &&
				!(ok && own.answered.After(l.At)) {
				lose(delivery.Lane{Tenant: l.Tenant, Integration: l.Integration}, l.Host)
			}
		}
	}
	tried := len(lost) + answered
	return len(lost) >= outageLanes && len(hosts) >= outageHosts && len(lost)*10 >= outageTenths*tried &&
		(len(losers) > 1 || len(tenants) == 1)
}
