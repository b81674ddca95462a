package sending

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/logsample"
)

// ErrEgress: the attempt failed because this deployment can reach nothing. Nothing was decided, and the delivery goes
// back as it was: neither its cycles nor its integration's health pay for our own fault.
var ErrEgress = errors.New("nothing can be reached from here: the way out of this deployment is gone")

// EgressPause is how long an integration is left alone then.
const EgressPause = 10 * time.Second

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

// egressBreaker watches the attempts of a worker for the loss of its own way out: a circuit breaker for all
// integrations together. The zero value is ready, and knows of its own process alone.
type egressBreaker struct {
	mu    sync.Mutex
	lanes map[delivery.Lane]*reach
	judge time.Time // when it was last judged
	gone  bool

	process     string // this one's name among the others
	told, asked time.Time
	toldLost    bool
	others      []Reachability
}

// reach is what is known of one integration.
type reach struct {
	host           string
	lost, answered time.Time // when it was last not reached, and when it last answered
}

// hear notes an attempt and reports whether the way out is gone. host is "" for one that got an answer. shared is nil
// where there is one process; an error says that this one knew of itself alone.
func (b *egressBreaker) hear(ctx context.Context, shared ReachabilityStore, l delivery.Lane, host string,
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
	var own Reachability
	if tell {
		own = b.reachability(now)
	}
	process := b.process
	b.mu.Unlock()

	var others []Reachability
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
func (b *egressBreaker) due(now time.Time, lost bool) (tell, ask bool) {
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

// reachability is what this process knows of the last minute.
func (b *egressBreaker) reachability(now time.Time) Reachability {
	o := Reachability{At: now}
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

func (b *egressBreaker) lane(l delivery.Lane) *reach {
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
func (b *egressBreaker) outage(now time.Time) bool {
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

// lost is the host that an error says could not be reached for a reason that can be our own, "" for every other error.
func lost(err error, q destination.Request) string {
	var ours interface{ MaybeOurs() bool }
	if q.Mail != nil || !errors.As(err, &ours) || !ours.MaybeOurs() {
		return ""
	}
	if u, err := url.Parse(q.URL); err == nil {
		return u.Host
	}
	return ""
}

// egressGone notes an attempt for the egress breaker, and tells of the loss of the way out once a minute.
func (s *Sender) egressGone(ctx context.Context, d delivery.Delivery, a attempt) bool {
	if a.Status == 0 && a.lost == "" {
		return false // neither an answer nor a failure that says anything of our way out
	}
	gone, err := s.egress.hear(ctx, s.Reachability, delivery.Lane{Tenant: d.Tenant, Integration: d.Integration}, a.lost,
		s.Now())
	if err != nil {
		s.lines.Add(s.Log, s.Now(), slog.LevelWarn, logsample.Kind{Class: "reachability"},
			"the processes do not hear of each other's way out", "error", err.Error())
	}
	if !gone {
		return false
	}
	s.lines.Add(s.Log, s.Now(), slog.LevelError, logsample.Kind{Class: "egress gone"},
		"the way out is gone: deliveries wait and nothing counts against their integrations", "alarm", "egress",
		"tenant", d.Tenant, "integration", d.Integration, "delivery", d.ID, "host", a.lost, "reason", a.Reason)
	return true
}
