package fanout_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
)

// readAndNot are a messenger, an incident manager, a log store, and a system that takes files.
type readAndNot struct{}

// noParameters are much to make for each question, and not what a benchmark is to measure.
var noParameters = destination.ParametersOf[struct{}]()

func (readAndNot) Lookup(name string) (destination.System, bool, bool) {
	s := destination.System{Name: name, Class: notification.Advanced, Batch: destination.Batch{Count: 10},
		Parameters: noParameters}
	switch name {
	case "messenger":
		s.Class, s.Batch = notification.Basic, destination.Batch{}
	case "incidents":
		s.Class, s.Batch, s.Group = notification.Basic, destination.Batch{}, destination.Incidents
	case "files":
		s.Class, s.Batch = notification.Files, destination.File
	}
	return s, true, true
}

func (readAndNot) Names() []string { return nil }

// tenants have the same rules.
type tenants hold.Rules

func (r tenants) Hold(context.Context, string) hold.Rules { return hold.Rules(r) }

func (r tenants) Fresh(context.Context, string) (hold.Rules, error) { return hold.Rules(r), nil }

// daily are rules of the oracle: quiet hours each day in UTC, and a mute.
type daily struct {
	from, to  int // hours; from == to = none
	muteUntil time.Time
	then      hold.Then
	pass      []string // nil = incidents
}

func (d daily) rules() (r hold.Rules) {
	if r.Then, r.Pass = d.then, d.pass; d.from != d.to {
		r.Quiet = []hold.Quiet{{From: fmt.Sprintf("%02d:00", d.from), To: fmt.Sprintf("%02d:00", d.to), Zone: "UTC"}}
	}
	if !d.muteUntil.IsZero() {
		r.Mute = &hold.Mute{Until: d.muteUntil, Reason: "r"}
	}
	return r
}

func (d daily) quiet(at time.Time) bool {
	h := at.Hour()
	if d.from <= d.to {
		return h >= d.from && h < d.to
	}
	return h >= d.from || h < d.to
}

func (d daily) muted(at time.Time) bool { return at.Before(d.muteUntil) }

func (d daily) passes(k event.Kind) bool {
	if d.pass == nil {
		return k == event.IncidentsExceeded
	}
	return slices.Contains(d.pass, string(k))
}

// oracle says what becomes of an event: "now", "drop by …", or what holds it until when, and whether it is a digest.
func oracle(own, tenant daily, system string, k event.Kind, at time.Time) string {
	at = at.Truncate(time.Second)
	by, then := "", hold.Then("")
	var counts []daily
	if !own.passes(k) {
		counts = append(counts, own)
	}
	if system == "messenger" && !tenant.passes(k) && (own.pass == nil || !own.passes(k)) {
		counts = append(counts, tenant)
	}
	for _, r := range counts {
		if by == "" && r.muted(at) {
			by, then = "mute", r.then
		} else if by == "" && r.quiet(at) {
			by, then = "quiet", r.then
		}
	}
	if by == "" {
		return "now"
	}
	if then == hold.Drop {
		return "drop by " + by
	}
	until := at
	for slices.ContainsFunc(counts, func(r daily) bool { return r.muted(until) || r.quiet(until) }) {
		until = until.Truncate(time.Minute).Add(time.Minute) // rules end at whole minutes
	}
	if system == "files" && !until.After(at.Truncate(10*time.Minute).Add(10*time.Minute)) {
		return "now" // its file is open for longer
	}
	if system == "messenger" && then == hold.Digest {
		return "digest of " + by + " until " + until.Format(time.RFC3339)
	}
	return by + " until " + until.Format(time.RFC3339)
}

func fateOf(d delivery.Delivery) string {
	switch {
	case d.Held == nil:
		return "now"
	case d.Digest != "":
		return "digest of " + d.Digest + " until " + d.Held.Until.Format(time.RFC3339)
	}
	return d.Held.By + " until " + d.Held.Until.Format(time.RFC3339)
}

func TestEachEventIsSentHeldOrLeftOutAsAPlainOracleSays(t *testing.T) {
	for seed := range uint64(25) {
		rnd := rand.New(rand.NewPCG(seed, 19))
		start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		some := func() daily {
			d := daily{then: []hold.Then{"", hold.Send, hold.Digest, hold.Drop}[rnd.IntN(4)]}
			if rnd.IntN(2) == 0 {
				if d.from, d.to = rnd.IntN(24), rnd.IntN(24); (d.to-d.from+24)%24 > 10 {
					d.to = d.from
				}
			}
			if rnd.IntN(3) == 0 {
				d.pass = [][]string{{}, {"new_hits"}}[rnd.IntN(2)]
			}
			return d
		}
		tenant := some()
		var all subscribers
		own := map[string]daily{}
		for n, system := range []string{"messenger", "log", "files", "messenger", "messenger", "log"} {
			id := fmt.Sprintf("i%d", n)
			d := daily{}
			if n > 2 {
				d = some()
			}
			if n > 2 && rnd.IntN(2) == 0 {
				d.muteUntil = start.Add(time.Duration(rnd.IntN(60*48)) * time.Minute)
			}
			own[id] = d
			all = append(all, integration.Integration{ID: id, Tenant: "42", System: system, Revision: 1,
				Hold: d.rules(), Subscriptions: []integration.Subscription{{Event: event.Hits}, {Event: event.System}}})
		}
		s := &intakes{known: map[string]bool{}}
		f := &fanout.Fanout{Integrations: all, Systems: readAndNot{}, Store: s, Holds: tenants(tenant.rules()),
			Logger: slog.New(slog.DiscardHandler)}
		var entries []delivery.Entry
		at := start
		for n := range 120 {
			at = at.Add(time.Duration(rnd.IntN(1800)) * time.Second)
			e := entry(event.CreateUser, fmt.Sprintf("e%d", n), "42", newUser)
			switch n % 3 {
			case 0:
				e = hit(n, "sqli")
			case 1:
				e = entry(event.IncidentsExceeded, fmt.Sprintf("e%d", n), "42", `{"trigger_name":"T","count":1,"period":60,`+
					`"reaction":{"trigger":"t","integrations":["i0","i1","i2","i3","i4","i5"]}}`)
			}
			e.At = at
			entries = append(entries, e)
		}
		for len(entries) > 0 {
			n := min(len(entries), 1+rnd.IntN(20))
			_, err := f.Process(t.Context(), entries[:n])
			require.NoError(t, err)
			entries = entries[n:]
		}
		checkFates(t, s, all, own, tenant, seed)
	}
}

func checkFates(t *testing.T, s *intakes, all subscribers, own map[string]daily, tenant daily, seed uint64) {
	t.Helper()
	dropper := fanout.Dropper{Systems: readAndNot{}, Tenants: tenant.rules()}
	for _, in := range s.accepted {
		got, left := map[string]string{}, map[string]int{}
		for _, d := range in.Deliveries {
			for _, e := range d.Events {
				require.Empty(t, got[d.Integration+" "+e.ID], "%d: twice", seed)
				got[d.Integration+" "+e.ID] = fateOf(d)
				if d.Held != nil {
					require.Equal(t, d.Due, d.Held.Until)
				}
			}
		}
		for _, l := range in.LeftOut {
			left[l.Integration+" "+string(l.By)] += l.Events
		}
		for _, a := range in.Accepted {
			for _, i := range all {
				want := oracle(own[i.ID], tenant, i.System, a.Event.Kind, a.Entry.At)
				by, ok := cutPrefix(want, "drop by ")
				told, said := dropper.Drops(i, fanout.BySubscription, a)
				require.Equal(t, []any{by, ok}, []any{string(told), said}, "seed %d: what is told of it", seed)
				if ok {
					left[i.ID+" "+by]--
					want = ""
				}
				require.Equal(t, want, got[i.ID+" "+a.Event.ID], "seed %d: %s to %s at %s", seed, a.Event.Kind, i.ID,
					a.Entry.At)
			}
		}
		for by, n := range left {
			require.Zero(t, n, "seed %d: left out and not counted, or the reverse: %s", seed, by)
		}
	}
}

func cutPrefix(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):], true
	}
	return "", false
}

func TestNothingIsToldToBeDroppedThatNoRuleDrops(t *testing.T) {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	i := integration.Integration{ID: "i", Tenant: "42", System: "messenger",
		Hold: hold.Rules{Mute: &hold.Mute{At: at, Until: at.Add(time.Hour), Then: hold.Drop}}}
	for after, want := range map[time.Duration]bool{-time.Second: false, 0: true, 59 * time.Minute: true,
		time.Hour: false} {
		a := fanout.Accepted{Event: event.Event{ID: "e", Tenant: "42", Kind: event.CreateUser},
			Entry: delivery.Entry{At: at.Add(after)}}
		by, ok := fanout.Dropper{Systems: readAndNot{}}.Drops(i, fanout.BySubscription, a)
		require.Equal(t, want, ok, after)
		require.Equal(t, want, by == hold.ByMute, after)
		_, ok = fanout.Dropper{Systems: readAndNot{}}.Drops(i, fanout.ByAddress, a)
		require.False(t, ok, "what is for one receiver is never held")
	}
}

func TestADigestIsOneDeliveryOfABatchAndLeftOutEventsSayWhatHeldThem(t *testing.T) {
	at := time.Date(2026, 3, 2, 23, 0, 0, 0, time.UTC)
	night := []hold.Quiet{{From: "22:00", To: "07:00", Zone: "Europe/Berlin"}}
	to := func(id string, then hold.Then) integration.Integration {
		return integration.Integration{ID: id, Tenant: "42", System: "messenger",
			Hold:          hold.Rules{Quiet: night, Then: then},
			Subscriptions: []integration.Subscription{{Event: event.System}}}
	}
	s := &intakes{known: map[string]bool{}}
	three := subscribers{to("send", hold.Send), to("digest", hold.Digest), to("drop", hold.Drop)}
	f := &fanout.Fanout{Integrations: three, Systems: readAndNot{}, Store: s, Logger: slog.New(slog.DiscardHandler)}
	var entries []delivery.Entry
	for n := range 5 {
		e := entry(event.CreateUser, fmt.Sprintf("e%d", n), "42", newUser)
		e.At = at.Add(time.Duration(n) * 100 * time.Millisecond)
		entries = append(entries, e)
	}
	_, err := f.Process(t.Context(), entries)
	require.NoError(t, err)
	by := map[string][]delivery.Delivery{}
	for _, d := range s.accepted[0].Deliveries {
		by[d.Integration] = append(by[d.Integration], d)
	}
	require.Len(t, by["send"], 5)
	require.Len(t, by["digest"], 1)
	require.Equal(t, 5, by["digest"][0].Count)
	until := time.Date(2026, 3, 3, 6, 0, 0, 0, time.UTC)
	require.Equal(t, delivery.Held{By: "quiet", Until: until, Zone: "Europe/Berlin", Join: true}, *by["send"][0].Held)
	require.Equal(t, delivery.Held{By: "quiet", Until: until, Zone: "Europe/Berlin", Merge: true},
		*by["digest"][0].Held)
	require.Equal(t, []fanout.LeftOut{{Tenant: "42", Integration: "drop", By: filter.ID("quiet"), At: entries[4].At,
		Events: 5}}, s.accepted[0].LeftOut)
}

func TestAMessageThatGathersIntoQuietHoursWaitsForTheirEnd(t *testing.T) {
	at := time.Date(2026, 3, 2, 21, 45, 0, 0, time.UTC)
	s := &intakes{known: map[string]bool{}}
	i := integration.Integration{ID: "i", Tenant: "42", System: "messenger", Grouping: "20/60m",
		Hold:          hold.Rules{Quiet: []hold.Quiet{{From: "22:00", To: "07:00", Zone: "UTC"}}, Then: hold.Drop},
		Subscriptions: []integration.Subscription{{Event: event.System}}}
	f := &fanout.Fanout{Integrations: subscribers{i}, Systems: readAndNot{}, Store: s,
		Logger: slog.New(slog.DiscardHandler)}
	early, late := entry(event.CreateUser, "e1", "42", newUser), entry(event.CreateUser, "e2", "42", newUser)
	early.At, late.At = at.Add(-time.Hour), at
	_, err := f.Process(t.Context(), []delivery.Entry{early, late})
	require.NoError(t, err)
	made := s.accepted[0].Deliveries
	require.Len(t, made, 2)
	require.Equal(t, time.Date(2026, 3, 2, 21, 0, 0, 0, time.UTC), made[0].Due)
	require.Nil(t, made[0].Held)
	morning := time.Date(2026, 3, 3, 7, 0, 0, 0, time.UTC)
	require.Equal(t, morning, made[1].Due)
	require.Equal(t, delivery.Held{By: "quiet", Until: morning, Zone: "UTC", Merge: true,
		Gathers: time.Date(2026, 3, 2, 22, 0, 0, 0, time.UTC)}, *made[1].Held)
	require.Empty(t, s.accepted[0].LeftOut, "it came before: it is not dropped")
}

// An incident manager closes the incident of an object when it is told of that object alone.
func TestWhatClosesAnIncidentIsHeldAndInNoDigest(t *testing.T) {
	at := time.Date(2026, 3, 2, 23, 0, 0, 0, time.UTC)
	s := &intakes{known: map[string]bool{}}
	f := &fanout.Fanout{Integrations: subscribers{{ID: "i", Tenant: "42", System: "incidents",
		Hold:          hold.Rules{Quiet: []hold.Quiet{{From: "22:00", To: "07:00", Zone: "UTC"}}, Then: hold.Digest},
		Subscriptions: []integration.Subscription{{Event: event.VulnHigh}}}},
		Systems: readAndNot{}, Store: s, Logger: slog.New(slog.DiscardHandler)}
	var entries []delivery.Entry
	for n, status := range []string{"open", "closed", "open"} {
		e := entry(event.Vuln, fmt.Sprintf("e%d", n), "42", fmt.Sprintf(
			`{"vuln":{"id":"V%d","threat":"High","title":"XSS","status":%q}}`, n, status))
		e.At = at.Add(time.Duration(n) * time.Millisecond)
		entries = append(entries, e)
	}
	_, err := f.Process(t.Context(), entries)
	require.NoError(t, err)
	made := s.accepted[0].Deliveries
	require.Len(t, made, 2)
	for _, d := range made {
		require.Equal(t, at.Add(8*time.Hour), d.Due)
		require.Equal(t, "quiet", d.Held.By)
		if d.Digest == "" {
			require.Equal(t, "e1", d.Events[0].ID)
			require.False(t, d.Held.Merge)
		}
	}
	require.ElementsMatch(t, []int{1, 2}, []int{made[0].Count, made[1].Count})
}

func TestAnEventTypeThatPassesLetsGoWhatIsHeldOfIt(t *testing.T) {
	now := time.Date(2026, 3, 2, 23, 0, 0, 0, time.UTC)
	i := integration.Integration{ID: "i", Tenant: "42", System: "messenger"}
	high := string(event.VulnHigh)
	for _, c := range []struct {
		pass []string
		kind event.Kind
		held bool
	}{
		{[]string{}, event.NewHits, true},
		{[]string{"siem"}, event.NewHits, false},
		{[]string{"system"}, event.NewHits, true},
		{[]string{"system"}, event.UpdateUser, false},
		{[]string{"system"}, event.CreateUser, true}, // it may be a trigger's, which is of no type
		{[]string{"create_user"}, event.CreateUser, false},
		{[]string{high}, event.Vuln, true}, // it may be of another level
		{[]string{high, string(event.VulnMedium), string(event.VulnLow)}, event.Vuln, false},
		{[]string{"vuln"}, event.Vuln, false},
	} {
		i.Hold = hold.Rules{Mute: &hold.Mute{Until: now.Add(time.Hour)}, Pass: c.pass}
		h := &fanout.Holder{Integrations: subscribers{i}, Systems: readAndNot{}, Now: func() time.Time { return now }}
		holding, err := h.Holding(t.Context(), "42", "i")
		require.NoError(t, err)
		require.Equal(t, c.held, !holding([]event.Kind{c.kind}, now).Until.IsZero(), "%s, pass %s", c.kind, c.pass)
	}
}

func TestTheHolderSaysWhatTheRulesHoldNow(t *testing.T) {
	now := time.Date(2026, 3, 2, 23, 0, 0, 0, time.UTC)
	off := integration.Integration{ID: "off", Tenant: "42", System: "messenger", Off: &integration.Off{},
		Hold: hold.Rules{Mute: &hold.Mute{Until: now.Add(time.Hour)}}}
	muted, log := off, off
	muted.ID, muted.Off = "muted", nil
	log.ID, log.Off, log.System, log.Hold = "log", nil, "log", hold.Rules{}
	h := &fanout.Holder{Integrations: subscribers{off, muted, log}, Systems: readAndNot{},
		Tenants: tenants{Quiet: []hold.Quiet{{From: "22:00", To: "07:00", Zone: "UTC"}}},
		Now:     func() time.Time { return now }}
	for id, want := range map[string]time.Time{"off": {}, "gone": {}, "log": {}, "muted": now.Add(8 * time.Hour)} {
		holding, err := h.Holding(t.Context(), "42", id)
		require.NoError(t, err, id)
		var got delivery.Held
		if holding != nil {
			require.Zero(t, holding([]event.Kind{event.IncidentsExceeded}, now).Until, "they pass")
			got = holding([]event.Kind{event.IncidentsExceeded, event.CreateUser}, now)
		}
		require.True(t, want.Equal(got.Until), "%s: %s", id, got.Until)
		require.Equal(t, map[string]int{"muted": 60}[id], got.Guard, "%s: people have a storm guard", id)
	}
}

// A message of a grouping or of a storm has what the account lets pass by its type apart from what it holds.
func TestWhatTheAccountLetsPassByItsTypeIsNotHeldWhereItGathers(t *testing.T) {
	dusk := time.Date(2026, 3, 2, 21, 59, 30, 0, time.UTC)
	for name, at := range map[string]time.Time{"in quiet hours": dusk.Add(time.Hour), "just before": dusk} {
		for _, i := range []integration.Integration{{Grouping: "50/1m"}, {StormGuard: "1/minute"}} {
			i.ID, i.Tenant, i.System = "i", "42", "messenger"
			i.Subscriptions = []integration.Subscription{{Event: event.VulnHigh}, {Event: event.VulnMedium}}
			s := &intakes{known: map[string]bool{}}
			f := &fanout.Fanout{Integrations: subscribers{i}, Systems: readAndNot{}, Store: s,
				Messages: &fanout.MessageCounts{}, Now: func() time.Time { return at },
				Holds: tenants{Pass: []string{string(event.VulnHigh)},
					Quiet: []hold.Quiet{{From: "22:00", To: "07:00", Zone: "UTC"}}},
				Logger: slog.New(slog.DiscardHandler)}
			var entries []delivery.Entry
			for n := range 9 {
				e := entry(event.Vuln, fmt.Sprintf("e%d", n), "42",
					fmt.Sprintf(`{"vuln":{"id":"v%d","threat":%q}}`, n, []string{"High", "Medium"}[n%2]))
				e.At = at
				entries = append(entries, e)
			}
			_, err := f.Process(t.Context(), entries)
			require.NoError(t, err)
			high := 0
			minute, morning := at.Truncate(time.Minute).Add(time.Minute), time.Date(2026, 3, 3, 7, 0, 0, 0, time.UTC)
			ids := map[string]bool{}
			for _, d := range s.accepted[0].Deliveries {
				require.False(t, ids[d.ID], "two deliveries have one id")
				ids[d.ID] = true
				require.Equal(t, len(d.Events), d.Count)
				for _, e := range d.Events {
					switch {
					case e.Type() != event.VulnHigh:
						require.Equal(t, d.Due.IsZero(), d.Held == nil && name == "just before", "%s: %s", name, e.ID)
						require.True(t, d.Held == nil || d.Due.Equal(morning), "%s: %s", name, e.ID)
						continue
					case !d.Due.IsZero():
						require.Equal(t, minute, d.Due, "%s: %s", name, e.ID)
						require.NotEmpty(t, d.Digest)
					}
					require.Nil(t, d.Held, "%s: %s", name, e.ID)
					high++
				}
			}
			require.Equal(t, 5, high)
		}
	}
}

func TestAChangeOfRulesEndsNothingThatStillGathers(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 15, 0, 0, time.UTC)
	end, quiet := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), hold.Quiet{From: "09:50", To: "10:30", Zone: "UTC"}
	i := integration.Integration{ID: "i", Tenant: "42", System: "messenger", Grouping: "1000/60m",
		Subscriptions: []integration.Subscription{{Event: event.System}}, Hold: hold.Rules{Quiet: []hold.Quiet{quiet}}}
	s := &intakes{known: map[string]bool{}}
	f := &fanout.Fanout{Integrations: subscribers{i}, Systems: readAndNot{}, Store: s,
		Now: func() time.Time { return at }, Logger: slog.New(slog.DiscardHandler)}
	e := entry(event.CreateUser, "u", "42", newUser)
	e.At = at
	_, err := f.Process(t.Context(), []delivery.Entry{e})
	require.NoError(t, err)
	group := s.accepted[0].Deliveries
	require.Len(t, group, 1)
	require.Equal(t, end.Add(30*time.Minute), group[0].Due)

	saturdays := hold.Rules{Quiet: []hold.Quiet{{Days: []hold.Day{"sat"}, Zone: "UTC"}}}
	look := func(rules, account hold.Rules, now time.Time) delivery.LetGo {
		i.Hold = rules
		h := &fanout.Holder{Integrations: subscribers{i}, Systems: readAndNot{}, Tenants: tenants(account),
			Now: func() time.Time { return now }}
		holding, err := h.Holding(t.Context(), "42", "i")
		require.NoError(t, err)
		return holding.LetGo(group, now, func(delivery.Delivery) int { return 1 })
	}
	same := look(i.Hold, saturdays, at)
	require.Equal(t, delivery.LetGo{Next: group[0].Due}, same, "the rules hold it at its end as they did")

	later := quiet
	later.To = "11:00"
	off := look(hold.Rules{Quiet: []hold.Quiet{later}}, saturdays, at).Off
	require.Len(t, off, 1)
	require.Equal(t, time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC), off[0].Due)

	none := look(hold.Rules{}, saturdays, at)
	require.Empty(t, none.Merged, "it still gathers")
	require.Len(t, none.Off, 1)
	group = none.Off
	require.Equal(t, end, group[0].Due)
	require.False(t, group[0].WasHeld(), "nothing holds it")
	require.Equal(t, delivery.LetGo{Next: end}, look(hold.Rules{}, saturdays, at), "looked at again it is the same")
	require.Len(t, look(hold.Rules{}, saturdays, end).Merged, 1)
}
