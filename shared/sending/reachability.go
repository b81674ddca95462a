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

// Outlook is what one process of a worker knows of the last minute.
type Outlook struct {
	At time.Time `json:"at"`
	// Answered is how many integrations answered when they were last tried.
	Answered int `json:"answered,omitempty"`
	// Lost are those that could not be reached, at most lostTold.
	Lost []Loss `json:"lost,omitempty"`
}

// Loss is an integration that could not be reached when it was last tried.
type Loss struct {
	Tenant      string    `json:"tenant"`
	Integration string    `json:"integration"`
	Host        string    `json:"host"`
	At          time.Time `json:"at"`
}

// Outlooks is where the processes of a worker tell each other of their way out. One process alone sees too little: it
// may know one integration, or nothing but the failing ones.
type Outlooks interface {
	// Tell replaces what the process said before. It may be forgotten after two minutes.
	Tell(ctx context.Context, process string, o Outlook) error
	// Outlooks are the newest of each process but the given one, of that time or later.
	Outlooks(ctx context.Context, but string, since time.Time) ([]Outlook, error)
}

// How often a process tells and asks the others: soon where something is lost, and else as often as an answer counts
// for something, whatever is sent meanwhile.
const (
	tellLost     = 2 * time.Second
	tellAnswered = 30 * time.Second
	lostTold     = 32 // integrations
)

// fleet watches the attempts of a worker for the loss of its way out. The zero value is ready, and knows of its own
// process alone.
type fleet struct {
	mu    sync.Mutex
	lanes map[delivery.Lane]*reach
	judge time.Time // when it was last judged
	gone  bool

	process     string // this one's name among the others
	told, asked time.Time
	toldLost    bool
	others      []Outlook
}

// reach is what is known of one integration.
type reach struct {
	host           string
	lost, answered time.Time // when it was last not reached, and when it last answered
}

// hear notes an attempt and reports whether the way out is gone. host is "" for one that got an answer. shared is nil
// where there is one process; an error says that this one knew of itself alone.
func (f *fleet) hear(ctx context.Context, shared Outlooks, l delivery.Lane, host string, now time.Time) (gone bool,
	err error) {
	l.Retry = false
	f.mu.Lock()
	if host == "" {
		f.lane(l).answered, f.gone = now, false
		if now.Sub(f.judge) >= outageSpan { // forget those that nothing is sent to any more
			f.judge = now
			f.outage(now)
		}
	} else {
		r := f.lane(l)
		r.host, r.lost = host, now
	}
	tell, ask := false, false
	if shared != nil {
		tell, ask = f.turns(now, host != "")
	}
	var outlook Outlook
	if tell {
		outlook = f.outlook(now)
	}
	process := f.process
	f.mu.Unlock()

	var others []Outlook
	if tell {
		err = shared.Tell(ctx, process, outlook)
	}
	if ask {
		var failed error
		others, failed = shared.Outlooks(ctx, process, now.Add(-outageSpan))
		err = errors.Join(err, failed)
	}
	if host == "" {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if ask {
		f.others = others
	}
	if ask || now.Sub(f.judge) >= time.Second || now.Before(f.judge) || !f.gone {
		f.judge, f.gone = now, f.outage(now)
	}
	return f.gone, err
}

// turns says whether it is time to tell the other processes, and to ask them.
func (f *fleet) turns(now time.Time, lost bool) (tell, ask bool) {
	if f.process == "" {
		f.process = rand.Text()
	}
	span := tellAnswered
	if lost || f.toldLost {
		span = tellLost
	}
	if tell = now.Sub(f.told) >= span || now.Before(f.told); tell {
		f.told = now
	}
	if ask = lost && (now.Sub(f.asked) >= tellLost || now.Before(f.asked)); ask {
		f.asked = now
	}
	return tell, ask
}

// outlook is what this process knows of the last minute.
func (f *fleet) outlook(now time.Time) Outlook {
	o := Outlook{At: now}
	since := now.Add(-outageSpan)
	for l, r := range f.lanes {
		switch {
		case r.lost.After(since) && r.lost.After(r.answered):
			if len(o.Lost) < lostTold {
				o.Lost = append(o.Lost, Loss{Tenant: l.Tenant, Integration: l.Integration, Host: r.host, At: r.lost})
			}
		case r.answered.After(since):
			o.Answered++
		}
	}
	f.toldLost = len(o.Lost) > 0
	return o
}

func (f *fleet) lane(l delivery.Lane) *reach {
	r, ok := f.lanes[l]
	if !ok {
		if f.lanes == nil {
			f.lanes = map[delivery.Lane]*reach{}
		}
		r = &reach{}
		f.lanes[l] = r
	}
	return r
}

// outage judges the last minute and forgets what is older.
func (f *fleet) outage(now time.Time) bool {
	since := now.Add(-outageSpan)
	answered := 0
	lost, hosts, losers, tenants := map[delivery.Lane]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	lose := func(l delivery.Lane, host string) {
		lost[l], hosts[host], losers[l.Tenant], tenants[l.Tenant] = true, true, true, true
	}
	for l, r := range f.lanes {
		switch {
		case !r.lost.After(since) && !r.answered.After(since):
			delete(f.lanes, l)
		case r.lost.After(since) && r.lost.After(r.answered):
			lose(l, r.host)
		default:
			answered++
			tenants[l.Tenant] = true
		}
	}
	for _, o := range f.others {
		if !o.At.After(since) {
			continue
		}
		if answered += o.Answered; o.Answered > 0 {
			tenants[""] = true // of whom, it does not say
		}
		for _, l := range o.Lost {
			if own, ok := f.lanes[delivery.Lane{Tenant: l.Tenant, Integration: l.Integration}]; l.At.After(since) &&
				!(ok && own.answered.After(l.At)) {
				lose(delivery.Lane{Tenant: l.Tenant, Integration: l.Integration}, l.Host)
			}
		}
	}
	tried := len(lost) + answered
	return len(lost) >= outageLanes && len(hosts) >= outageHosts && len(lost)*10 >= outageTenths*tried &&
		(len(losers) > 1 || len(tenants) == 1)
}

// LocalOutlooks are those of processes that share their memory. The zero value is ready.
type LocalOutlooks struct {
	mu  sync.Mutex
	all map[string]Outlook
}

// Tell keeps one.
func (s *LocalOutlooks) Tell(_ context.Context, process string, o Outlook) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]Outlook{}
	}
	s.all[process] = o
	return nil
}

// Outlooks lists the others.
func (s *LocalOutlooks) Outlooks(_ context.Context, but string, since time.Time) (out []Outlook, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for process, o := range s.all {
		if process != but && !o.At.Before(since) {
			out = append(out, o)
		}
	}
	return out, nil
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
func (c *Sender) egressGone(ctx context.Context, d delivery.Delivery, a delivery.Attempt) bool {
	if a.Status == 0 && a.Lost == "" {
		return false // neither an answer nor a failure that says anything of our way out
	}
	gone, err := c.fleet.hear(ctx, c.Outlooks, delivery.Lane{Tenant: d.Tenant, Integration: d.Integration}, a.Lost,
		c.Now())
	if err != nil {
		c.lines.Add(c.Log, c.Now(), slog.LevelWarn, logsample.Kind{Class: "outlooks"},
			"the processes do not hear of each other's way out", "error", err.Error())
	}
	if !gone {
		return false
	}
	c.lines.Add(c.Log, c.Now(), slog.LevelError, logsample.Kind{Class: "egress gone"},
		"the way out is gone: deliveries wait and nothing counts against their integrations", "alarm", "egress",
		"tenant", d.Tenant, "integration", d.Integration, "delivery", d.ID, "host", a.Lost, "reason", a.Reason)
	return true
}
