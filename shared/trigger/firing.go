package trigger

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"tocsin/shared/event"
)

// KeepFirings is how long it is told when a trigger fired: as long as the events and deliveries that came of it.
const KeepFirings = 30 * 24 * time.Hour

// MaxFirings is how many firings of a trigger are kept whole of one batch of events; of the others the number is.
const MaxFirings = 20

// Firing is one time that a trigger went off.
type Firing struct {
	// ID is the beginning of the ids of the events that it published: see EventID.
	ID string    `json:"id"`
	At time.Time `json:"at"`
	// Source is the address that a threshold was exceeded from, "" where all are counted together. Count is how many
	// were in the window then, which lasted from From to To.
	Source string    `json:"source,omitempty"`
	Count  int64     `json:"count,omitempty"`
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero"`
	// Threshold is the one that was exceeded; nil = an event alone set it off.
	Threshold *Threshold `json:"threshold,omitempty"`
	// Event is what set it off: the last event that was counted, or the only one. Object is what that is about.
	Event   string   `json:"event,omitempty"`
	Object  string   `json:"object,omitempty"`
	Actions []Action `json:"actions"` // as they were then
}

// EventID is the id of the event that a firing published for a reaction.
func (f Firing) EventID(a ActionID) string { return f.ID + ":" + string(a) }

// Firings are those of one trigger that one batch of events set off. They are written with what else the batch means.
type Firings struct {
	Tenant  string   `json:"-"`
	Trigger string   `json:"-"`
	Place   string   `json:"-"`    // places sort by time, and no two are the same
	List    []Firing `json:"list"` // MaxFirings at the most
	More    int      `json:"more,omitempty"`
}

// FiringQuery asks for the firings of a trigger, newest first.
type FiringQuery struct {
	Tenant, Trigger string
	Before          string // the Place of the last ones of the page before, "" = from the newest on
	Limit           int    // batches
}

// FiringReader reads what triggers did.
type FiringReader interface {
	// Firings answers a query. What was written longer ago than KeepFirings may be gone.
	Firings(ctx context.Context, q FiringQuery) ([]Firings, error)
}

// FiringsBefore is the least Place of what was written at a time.
func FiringsBefore(at time.Time) string { return fmt.Sprintf("%019d", max(0, at.UnixNano())) }

// fired notes that a trigger went off.
func (o *Outcome) fired(m *matcher, f Firing) {
	n := slices.IndexFunc(o.Firings, func(of Firings) bool { return of.Tenant == m.Tenant && of.Trigger == m.ID })
	if n < 0 {
		n = len(o.Firings)
		o.Firings = append(o.Firings, Firings{Tenant: m.Tenant, Trigger: m.ID,
			Place: FiringsBefore(f.At) + " " + f.ID})
	}
	if of := &o.Firings[n]; len(of.List) < MaxFirings {
		of.List = append(of.List, f)
	} else {
		of.More++
	}
}

// maxObject is the length of a Firing's Object in bytes: it is written by strangers in part.
const maxObject = 200

// object is what an event is about, for people.
func object(e event.Event) string {
	switch e.Kind {
	case event.IPBlocked:
		return event.Data[event.BlockedData](e).IP
	case event.CreateUser:
		return event.Data[event.UserData](e).User.Email
	case event.APIStructureChanged, event.APIComparisonResult:
		d := event.Data[event.EndpointData](e)
		return d.Site() + d.EndpointPath
	case event.CompromisedLogins:
		return event.Data[event.LoginsData](e).URL
	}
	return ""
}

// Firings lists when a trigger of the tenant fired. Error: ErrNotFound.
func (s *Service) Firings(ctx context.Context, q FiringQuery) ([]Firings, error) {
	out, err := s.Store.Firings(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list when trigger %s fired: %w", q.Trigger, err)
	}
	return out, nil
}

// Standing is what a trigger with a threshold counts now.
type Standing struct {
	Groups []CountedGroup // those nearest to firing, MaxGroups at the most
	Total  int            // of groups that count something now, or are quiet
}

// MaxGroups bounds the groups of a Standing.
const MaxGroups = 10

// CountedGroup is what is counted apart: what lies in its window that ends now. It is exact up to one more than the
// threshold: more is not kept.
type CountedGroup struct {
	Source string // the address; "" = all are counted together, or it was last seen by a release before this one
	Count  int64
	Last   time.Time // when the newest of them was
	Quiet  time.Time // when it can fire again, zero when it can now
}

// Standing tells what a trigger counts now, by what has been counted.
func (s *Service) Standing(ctx context.Context, t Trigger) (Standing, error) {
	if t.Threshold == nil {
		return Standing{}, nil
	}
	template, ok := Find(t.Template)
	if !ok {
		return Standing{}, nil
	}
	states, err := s.Store.States(ctx, t.Tenant, []string{t.ID})
	if err != nil {
		return Standing{}, fmt.Errorf("read what trigger %s counts: %w", t.ID, err)
	}
	st, err := decode(states[0].Body)
	if err != nil || st.epoch != t.Epoch { // it begins anew with the next event
		return Standing{}, nil
	}
	return st.standing(newRuler(*t.Threshold, template.Threshold), s.Now()), nil
}

func (s *state) standing(r ruler, now time.Time) (out Standing) {
	var all []CountedGroup
	at := r.at(now)
	for _, w := range s.windows {
		g := CountedGroup{Source: w.address()}
		for _, e := range w.entries {
			if e.at > at-r.span {
				g.Count += e.n
			}
		}
		if len(w.entries) > 0 {
			g.Last = r.time(w.newest())
		}
		if w.fired != none && w.fired+r.span > at {
			g.Quiet = r.time(w.fired + r.span)
		}
		if g.Count > 0 || !g.Quiet.IsZero() {
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b CountedGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), b.Last.Compare(a.Last), cmp.Compare(a.Source, b.Source))
	})
	return Standing{Groups: all[:min(len(all), MaxGroups)], Total: len(all)}
}

// address is that of a source in words, "" where it is not known.
func (s *source) address() string {
	if !s.addr.IsValid() {
		return ""
	}
	return s.addr.String()
}

// named notes the address of a source that has a window.
func (s *state) named(key uint64, ip string) {
	if n, ok := s.index[key]; ok && !s.windows[n].addr.IsValid() {
		s.windows[n].addr, _ = netip.ParseAddr(ip)
	}
}
