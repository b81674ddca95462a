package delivery

import (
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/logsample"
)

// errEgress: the attempt failed because this deployment can reach nothing. Nothing was decided, and the delivery goes back
// as it was: neither its cycles nor its integration's health pay for our own fault.
var errEgress = errors.New("nothing can be reached from here: the way out of this deployment is gone")

// egressPause is how long an integration is left alone then.
const egressPause = 10 * time.Second

// When the way out is gone: the last attempt of so many integrations, of so many hosts, could reach nothing, of more
// than one tenant where there is more than one, and so it is with nine of ten that were tried in a minute. The outage of one
// system, which many integrations share a host of, is not that.
const (
	outageSpan   = time.Minute
	outageLanes  = 5
	outageHosts  = 3
	outageTenths = 9
)

// fleet watches the attempts of a process for the loss of its way out. The zero value is ready.
type fleet struct {
	mu    sync.Mutex
	lanes map[Lane]*reach
	judge time.Time // when it was last judged
	gone  bool
}

// reach is what is known of one integration.
type reach struct {
	host           string
	lost, answered time.Time // when it was last not reached, and when it last answered
}

// hear notes an attempt and reports whether the way out is gone. host is "" for one that got an answer.
func (f *fleet) hear(l Lane, host string, now time.Time) bool {
	l.Retry = false
	f.mu.Lock()
	defer f.mu.Unlock()
	if host == "" {
		f.lane(l).answered, f.gone = now, false
		if now.Sub(f.judge) >= outageSpan { // forget those that nothing is sent to any more
			f.judge = now
			f.outage(now)
		}
		return false
	}
	r := f.lane(l)
	r.host, r.lost = host, now
	if now.Sub(f.judge) >= time.Second || now.Before(f.judge) || !f.gone {
		f.judge, f.gone = now, f.outage(now)
	}
	return f.gone
}

func (f *fleet) lane(l Lane) *reach {
	r, ok := f.lanes[l]
	if !ok {
		if f.lanes == nil {
			f.lanes = map[Lane]*reach{}
		}
		r = &reach{}
		f.lanes[l] = r
	}
	return r
}

// outage judges the last minute and forgets what is older.
func (f *fleet) outage(now time.Time) bool {
	since := now.Add(-outageSpan)
	lost, tried := 0, 0
	hosts, losers, tenants := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for l, r := range f.lanes {
		if !r.lost.After(since) && !r.answered.After(since) {
			delete(f.lanes, l)
			continue
		}
		tried++
		tenants[l.Tenant] = true
		if r.lost.After(since) && r.lost.After(r.answered) {
			lost++
			hosts[r.host], losers[l.Tenant] = true, true
		}
	}
	return lost >= outageLanes && len(hosts) >= outageHosts && lost*10 >= outageTenths*tried && (len(losers) > 1 || len(tenants) == 1)
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

// egressGone notes an attempt for the fleet, and tells of the loss of the way out once a minute.
func (c *Courier) egressGone(d Delivery, a Attempt) bool {
	if a.Status == 0 && a.lost == "" {
		return false // neither an answer nor a failure that says anything of our way out
	}
	if !c.fleet.hear(Lane{Tenant: d.Tenant, Integration: d.Integration}, a.lost, c.Now()) {
		return false
	}
	c.lines.Add(c.Log, c.Now(), slog.LevelError, logsample.Kind{Class: "egress gone"},
		"the way out is gone: deliveries wait and nothing counts against their integrations", "alarm", "egress",
		"tenant", d.Tenant, "integration", d.Integration, "delivery", d.ID, "host", a.lost, "reason", a.Reason)
	return true
}
