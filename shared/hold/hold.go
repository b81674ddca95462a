package hold

import (
	"slices"
	"time"

	"tocsin/shared/event"
)

// Rules say when events are held. The zero value holds none.
type Rules struct {
	Quiet []Quiet `json:"quiet,omitempty"`
	// Mute is nil when nobody muted it; one that is over may still be there.
	Mute *Mute `json:"mute,omitempty"`
	// Then is what becomes of what came meanwhile; "" = Send.
	Then Then `json:"then,omitempty"`
	// Pass are the names of the event types and kinds that are not held; nil = those of PassByDefault, and empty = all
	// are held. What an integration names here is not held by its tenant's rules either.
	Pass []string `json:"pass,omitzero"`
	// OwnOnly is of an integration: its tenant's rules do not count for it.
	OwnOnly bool `json:"own_only,omitempty"`
}

// Mute holds everything once, until its end.
type Mute struct {
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
	By     string    `json:"by,omitempty"` // who muted it
	At     time.Time `json:"at"`
	// Then is what becomes of what came meanwhile; "" = what the rules say.
	Then Then `json:"then,omitempty"`
}

// Then is what becomes of events that came while they were held.
type Then string

// What becomes of them.
const (
	Send   Then = "send"   // each is sent when the hold is over
	Digest Then = "digest" // they become messages that a person can read, which carry many
	Drop   Then = "drop"   // they are not sent
)

// By is what holds an event.
type By string

// What holds.
const (
	ByQuiet By = "quiet"
	ByMute  By = "mute"
)

// Hold is that an event waits.
type Hold struct {
	By    By
	Until time.Time
	// Zone is that of the quiet hours that end last; "" when a mute does.
	Zone string
	Then Then
	// Tenant reports whether the rule is the tenant's, not the integration's own.
	Tenant bool
}

// PassByDefault are the kinds that are not held unless the rules say which are: what a trigger tells of incidents.
func PassByDefault() []string { return []string{string(event.IncidentsExceeded)} }

// Never reports whether no rule holds events of the kind. Reports and scheduled digests go to who asked for them, at
// the hour that they chose. Commands are for a program that must have them at once. That an integration fails, or works
// again, is about the way on which what passes the quiet hours goes. A token's notice goes to one person, once, and
// about a day that comes.
func Never(k event.Kind) bool {
	switch k {
	case event.Report, event.ScheduledDigest, event.IntegrationBroken, event.IntegrationFailing,
		event.IntegrationWorking, event.APITokenExpiring:
		return true
	}
	return k.Command()
}

// Passes reports whether an event of the kind and type is held by none of the rules.
func (r Rules) Passes(k event.Kind, t event.Type) bool {
	if r.Pass == nil {
		return k == event.IncidentsExceeded
	}
	return slices.Contains(r.Pass, string(k)) || t != "" && slices.Contains(r.Pass, string(t))
}

// Zero reports whether nothing was ever said.
func (r Rules) Zero() bool {
	return r.Quiet == nil && r.Mute == nil && r.Then == "" && r.Pass == nil && !r.OwnOnly
}

// Empty reports whether the rules never hold anything from the moment on.
func (r Rules) Empty(now time.Time) bool { return len(r.Quiet) == 0 && r.Muted(now) == nil }

// Muted is the mute that lasts at the moment, nil when none does.
func (r Rules) Muted(now time.Time) *Mute {
	if r.Mute == nil || !now.Before(r.Mute.Until) {
		return nil
	}
	return r.Mute
}

// At says whether the rules hold an event of the kind and type that comes at the moment.
func (r Rules) At(now time.Time, k event.Kind, t event.Type) (Hold, bool) {
	return NewMoment(r, Rules{}, now).Hold(k, t)
}

// Moment is what an integration's rules and its tenant's say at one moment. It is worked out once for a batch of
// events, and is not safe for concurrent use.
type Moment struct {
	now   time.Time
	rules [2]Rules // the integration's own, and its tenant's
	known [4]*Hold // by which of the two rules hold: 1 the first, 2 the second
	done  [4]bool
}

// NewMoment looks at the rules of an integration and of its tenant, which are Rules{} where the tenant's do not count:
// see the package.
func NewMoment(own, tenants Rules, now time.Time) *Moment {
	if own.OwnOnly {
		tenants = Rules{}
	}
	return &Moment{now: now, rules: [2]Rules{own, tenants}}
}

// Hold says whether an event of the kind and type is held.
func (m *Moment) Hold(k event.Kind, t event.Type) (Hold, bool) {
	if Never(k) {
		return Hold{}, false
	}
	if own := &m.rules[0]; own.Pass != nil && own.Passes(k, t) {
		return Hold{}, false // somebody said by hand that this integration gets it at once: whoever's rules hold others
	}
	set := 0
	for n := range m.rules {
		if r := &m.rules[n]; !r.Empty(m.now) && !r.Passes(k, t) {
			set |= 1 << n
		}
	}
	if !m.done[set] {
		m.known[set], m.done[set] = m.work(set), true
	}
	if m.known[set] == nil {
		return Hold{}, false
	}
	return *m.known[set], true
}

// most bounds how far ahead a hold is looked at. Rules that Check lets pass end before: see Longest and LongestMute. At
// its end whoever holds looks again.
const most = 2*Longest + LongestMute

// work is the hold of a set of the rules.
func (m *Moment) work(set int) *Hold {
	var active []*Rules
	var out *Hold
	for n := range m.rules {
		r := &m.rules[n]
		if set&(1<<n) == 0 {
			continue
		}
		active = append(active, r)
		if out != nil {
			continue
		}
		if mute := r.Muted(m.now); mute != nil {
			out = &Hold{By: ByMute, Then: mute.Then, Tenant: n == 1}
		} else if end, _ := r.quietUntil(m.now); end.After(m.now) {
			out = &Hold{By: ByQuiet, Tenant: n == 1}
		}
		if out != nil && out.Then == "" {
			out.Then = r.Then.or()
		}
	}
	if out == nil {
		return nil
	}
	out.Until, out.Zone = m.end(active)
	return out
}

// end is when none of the rules holds any more.
func (m *Moment) end(active []*Rules) (until time.Time, zone string) {
	until = m.now
	for moved := true; moved && until.Sub(m.now) < most; {
		moved = false
		for _, r := range active {
			if mute := r.Muted(until); mute != nil {
				until, zone, moved = mute.Until, "", true
			}
			if end, z := r.quietUntil(until); end.After(until) {
				until, zone, moved = end, z, true
			}
		}
	}
	return until, zone
}

func (t Then) or() Then {
	if t == "" {
		return Send
	}
	return t
}
