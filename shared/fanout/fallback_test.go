package fanout_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
)

var night = time.Date(2023, 3, 1, 23, 30, 20, 0, time.UTC)

// died is a delivery that died on the integration a.
func died(events ...event.Event) delivery.Delivery {
	d := delivery.Delivery{ID: delivery.DerivedID(night.Add(-time.Hour), []byte("0123456789")), Tenant: "42",
		Integration: "a", State: delivery.Dead, Reason: "answered 503", CreatedAt: night.Add(-time.Hour).UTC(),
		Count: len(events), Events: events}
	return d
}

func told(id string, kind event.Kind, data string) event.Event {
	return event.Event{ID: id, Tenant: "42", ClientName: "Acme", Kind: kind, Time: night, Data: []byte(data)}
}

func aFallsTo(b ...integration.Integration) subscribers {
	a := integration.Integration{ID: "a", Tenant: "42", System: "plain", Name: "On call", Fallback: "b"}
	return append(subscribers{a}, b...)
}

func fallbacks(system destination.System, s subscribers) *fanout.Fallbacks {
	system.Name, system.Parameters = "plain", destination.ParametersOf[struct{}]()
	return &fanout.Fallbacks{Integrations: s, Systems: one(system), Now: func() time.Time { return night }}
}

func TestADeadDeliveryBecomesOneOfTheFallback(t *testing.T) {
	b := integration.Integration{ID: "b", Tenant: "42", System: "plain"}
	s := aFallsTo(b)
	dead := died(told("u", event.CreateUser, newUser), told("v", event.CreateUser, newUser))
	minute := night.Truncate(time.Minute).Add(time.Minute)

	f := fallbacks(people, s)
	to, err := f.Of(t.Context(), s[0], dead)
	require.NoError(t, err)
	require.Equal(t, to.Delivery, to.Made.ID)
	require.Equal(t, delivery.FallbackID(dead, "b"), to.Made.ID)
	at, err := delivery.MadeAt(to.Made.ID)
	require.NoError(t, err)
	require.Equal(t, dead.CreatedAt, at, "it is as old as its events")
	require.Equal(t, dead.Events, to.Made.Events)
	require.Equal(t, []event.Kind{event.CreateUser}, to.Made.Kinds)
	require.Equal(t, &delivery.From{Integration: "a", Name: "On call", Delivery: dead.ID, Reason: "answered 503"},
		to.Made.From)
	require.Equal(t, &delivery.Held{By: delivery.HeldByFallback, Until: minute, Merge: true}, to.Made.Held)
	require.Equal(t, minute, to.Made.Due, "people get one message a minute")
	require.Equal(t, delivery.FallbackDigest("a"), to.Made.Digest)
	again, err := f.Of(t.Context(), s[0], dead)
	require.NoError(t, err)
	require.Equal(t, to, again)

	to, err = fallbacks(machines, s).Of(t.Context(), s[0], dead)
	require.NoError(t, err)
	require.Nil(t, to.Made.Held, "programs get it at once")
	require.Zero(t, to.Made.Due)
	require.Empty(t, to.Made.Digest)

	urgent := died(told("f", event.IntegrationFailing, `{"integration":{"id":"c","name":"x","type":"slack"}}`))
	to, err = fallbacks(people, s).Of(t.Context(), s[0], urgent)
	require.NoError(t, err)
	require.Nil(t, to.Made.Held, "what is never held is sent at once")
	to, err = fallbacks(onCall, s).Of(t.Context(), s[0], died(told("c", event.SecurityIssue, closedIssue)))
	require.NoError(t, err)
	require.Empty(t, to.Made.Digest, "what closes an incident joins no other")
}

func TestQuietHoursOfTheFallbackHoldAndNeverDrop(t *testing.T) {
	b := integration.Integration{ID: "b", Tenant: "42", System: "plain", Hold: hold.Rules{Then: hold.Drop,
		Quiet: []hold.Quiet{{From: "22:00", To: "07:00", Zone: "UTC"}}}}
	s := aFallsTo(b)
	dead := died(told("u", event.CreateUser, newUser))
	for _, system := range []destination.System{people, machines} {
		to, err := fallbacks(system, s).Of(t.Context(), s[0], dead)
		require.NoError(t, err)
		require.Equal(t, "quiet", to.Made.Held.By)
		require.Equal(t, time.Date(2023, 3, 2, 7, 0, 0, 0, time.UTC), to.Made.Due)
		require.Equal(t, system.Class.Read(), to.Made.Held.Merge)
	}
}

func TestWhatTheFallbackLetsPassByItsTypeGoesAtOnce(t *testing.T) {
	rules := hold.Rules{Pass: []string{string(event.VulnHigh)},
		Quiet: []hold.Quiet{{From: "22:00", To: "07:00", Zone: "UTC"}}}
	high, medium := told("h", event.Vuln, `{"vuln":{"threat":"High"}}`), told("m", event.Vuln,
		`{"vuln":{"threat":"Medium"}}`)
	morning, minute := time.Date(2023, 3, 2, 7, 0, 0, 0, time.UTC), night.Truncate(time.Minute).Add(time.Minute)
	for name, c := range map[string]struct {
		own, account hold.Rules
		due          time.Time // of what passes
	}{
		"its own quiet hours":     {own: rules},
		"those of the account":    {account: rules, due: minute}, // people get one message a minute
		"its own, and by default": {own: hold.Rules{Quiet: rules.Quiet}, due: morning},
	} {
		t.Run(name, func(t *testing.T) {
			s := aFallsTo(integration.Integration{ID: "b", Tenant: "42", System: "plain", Hold: c.own})
			f := fallbacks(people, s)
			f.Tenants = tenants(c.account)
			to, err := f.Of(t.Context(), s[0], died(high, high))
			require.NoError(t, err)
			require.Equal(t, c.due, to.Made.Due)
			to, err = f.Of(t.Context(), s[0], died(medium))
			require.NoError(t, err)
			require.Equal(t, morning, to.Made.Due)
		})
	}
}

func TestWhatDoesNotFallBackSaysWhy(t *testing.T) {
	b := integration.Integration{ID: "b", Tenant: "42", System: "plain"}
	off := b
	off.Off = &integration.Off{By: integration.ByPerson}
	user := told("u", event.CreateUser, newUser)
	came := died(user)
	came.From = &delivery.From{Integration: "x"}
	about := told("i", event.UpdateIntegration, `{"integration":{"id":"b","name":"x","type":"slack"}}`)
	direct := told("r", event.Report, `{"report":{"id":"r","receiver":"a","frequency":"report_daily"}}`)
	_, isDirect := direct.Direct()
	require.True(t, isDirect)
	for name, c := range map[string]struct {
		s    subscribers
		dead delivery.Delivery
		why  delivery.NotFallback
	}{
		"it was deleted":                  {aFallsTo(), died(user), delivery.FallbackDeleted},
		"it is disabled":                  {aFallsTo(off), died(user), delivery.FallbackDisabled},
		"it came by fallback itself":      {aFallsTo(b), came, delivery.FallbackOnce},
		"it tells of the fallback itself": {aFallsTo(b), died(about), delivery.FallbackDirect},
		"it is for one receiver alone":    {aFallsTo(b), died(direct), delivery.FallbackDirect},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := fallbacks(people, c.s).Of(t.Context(), c.s[0], c.dead)
			require.NoError(t, err)
			require.Equal(t, &delivery.Fallback{Integration: "b", Why: c.why}, to)
		})
	}
	s := aFallsTo(b)
	none := s[0]
	none.Fallback = ""
	to, err := fallbacks(people, s).Of(t.Context(), none, died(user))
	require.NoError(t, err)
	require.Nil(t, to)
	before := died(user)
	before.Fallback = &delivery.Fallback{Integration: "other", Delivery: "made before"}
	to, err = fallbacks(people, s).Of(t.Context(), s[0], before)
	require.NoError(t, err)
	require.Equal(t, before.Fallback, to, "events fall back once")
	mixed, err := fallbacks(people, s).Of(t.Context(), s[0], died(user, about))
	require.NoError(t, err)
	require.Equal(t, []event.Event{user}, mixed.Made.Events)
}

func TestWhatComesWhileAnIntegrationIsDisabledGoesToItsFallback(t *testing.T) {
	off := &integration.Off{By: integration.ByPlatform, Reason: "too much failed", At: night}
	takes := func(types ...event.Type) (out []integration.Subscription) {
		for _, t := range types {
			out = append(out, integration.Subscription{Event: t})
		}
		return out
	}
	a := integration.Integration{ID: "a", Tenant: "42", System: "plain", Name: "On call", Fallback: "b", Off: off,
		Subscriptions: takes(event.System, event.IssueHigh)}
	b := integration.Integration{ID: "b", Tenant: "42", System: "plain", Subscriptions: takes(event.IssueHigh)}
	f, m := newFanout()
	f.Now = func() time.Time { return night }
	minute := night.Truncate(time.Minute).Add(time.Minute)
	of := people
	of.Name, of.Parameters = "plain", destination.ParametersOf[struct{}]()
	f.Systems = one(of)
	process := func(entries ...delivery.Entry) []delivery.Delivery {
		m.accepted = nil
		_, err := f.Process(t.Context(), entries)
		require.NoError(t, err)
		return m.accepted[0].Deliveries
	}
	f.Integrations = subscribers{a, b}
	users := []delivery.Entry{entry(event.CreateUser, "u1", "42", newUser),
		entry(event.CreateUser, "u2", "42", newUser)}
	got := process(users...)
	require.Len(t, got, 1, "what comes together is one message")
	d := got[0]
	require.Equal(t, "b", d.Integration)
	require.Equal(t, 2, d.Count)
	require.Equal(t, minute, d.Due, "people get one message a minute")
	require.Equal(t, &delivery.Held{By: delivery.HeldByFallback, Until: minute, Merge: true}, d.Held)
	require.Equal(t, &delivery.From{Integration: "a", Name: "On call", Reason: "the integration was disabled because " +
		"it kept failing: too much failed"}, d.From)
	require.Equal(t, delivery.FallbackDigest("a"), d.Digest)
	m.known = map[string]bool{}
	require.Equal(t, got, process(users...), "made again it is the same")

	got = process(entry(event.SecurityIssue, "s", "42", `{"security_issue":{"id":"S1","risk":"High","title":"x"}}`))
	require.Len(t, got, 1)
	require.Nil(t, got[0].From, "the fallback gets it anyway")

	got = process(entry(event.AttacksExceeded, "t", "42",
		`{"trigger_name":"Burst","count":1,"period":60,"reaction":{"trigger":"t","integrations":["a"]}}`))
	require.Len(t, got, 1, "a trigger names the disabled one")
	require.Equal(t, "b", got[0].Integration)
	require.Equal(t, "a", got[0].From.Integration)
	got = process(entry(event.AttacksExceeded, "t2", "42",
		`{"trigger_name":"Burst","count":1,"period":60,"reaction":{"trigger":"t","integrations":["a","b"]}}`))
	require.Len(t, got, 1)
	require.Nil(t, got[0].From, "the trigger names both")

	b.Off = off
	f.Integrations = subscribers{a, b}
	require.Empty(t, process(entry(event.CreateUser, "u3", "42", newUser)), "both are disabled")
	f.Integrations = subscribers{a}
	require.Empty(t, process(entry(event.CreateUser, "u4", "42", newUser)), "it was deleted")
}

func TestWhatTheFallbackDropsOfItsOwnReachesItByFallback(t *testing.T) {
	takes := []integration.Subscription{{Event: event.System}}
	off := &integration.Off{By: integration.ByPerson}
	mute := &hold.Mute{Until: night.Add(time.Hour), Reason: "r", Then: hold.Drop}
	f, m := newFanout()
	f.Now = func() time.Time { return night }
	of := people
	of.Name, of.Parameters = "plain", destination.ParametersOf[struct{}]()
	f.Systems = one(of)
	f.Integrations = subscribers{
		{ID: "a", Tenant: "42", System: "plain", Fallback: "b", Off: off, Subscriptions: takes},
		{ID: "b", Tenant: "42", System: "plain", Subscriptions: takes, Hold: hold.Rules{Mute: mute}}}
	for _, e := range []delivery.Entry{
		entry(event.CreateUser, "u", "42", newUser),
		entry(event.AttacksExceeded, "t", "42",
			`{"trigger_name":"T","count":1,"period":60,"reaction":{"trigger":"t","integrations":["a","b"]}}`),
	} {
		m.accepted = nil
		e.At = night
		_, err := f.Process(t.Context(), []delivery.Entry{e})
		require.NoError(t, err)
		got := m.accepted[0].Deliveries
		require.Len(t, got, 1, "it would reach nobody")
		require.Equal(t, [2]string{"b", "a"}, [2]string{got[0].Integration, got[0].From.Integration})
		require.Equal(t, mute.Until, got[0].Due, "held, and not dropped")
	}
}

func TestADisabledIntegrationFloodsNobodyThroughItsFallback(t *testing.T) {
	f, m := newFanout()
	now := night
	f.Now = func() time.Time { return now }
	of := people
	of.Name, of.Parameters = "plain", destination.ParametersOf[struct{}]()
	f.Systems = one(of)
	a := integration.Integration{ID: "a", Tenant: "42", System: "plain", Fallback: "b",
		Off:           &integration.Off{By: integration.ByPerson},
		Subscriptions: []integration.Subscription{{Event: event.System}}}
	f.Integrations = subscribers{a, {ID: "b", Tenant: "42", System: "plain"}}
	var held []delivery.Delivery
	for n := range 75 { // in batches of their own
		now = night.Add(time.Duration(n) * 240 * time.Millisecond)
		m.accepted = nil
		_, err := f.Process(t.Context(), []delivery.Entry{entry(event.CreateUser, fmt.Sprint("u", n), "42", newUser)})
		require.NoError(t, err)
		held = append(held, m.accepted[0].Deliveries...)
	}
	require.Len(t, held, 75)
	none := delivery.Holding(func([]event.Kind, time.Time) delivery.Held { return delivery.Held{} })
	size := func(delivery.Delivery) int { return 1 }
	end := night.Truncate(time.Minute).Add(time.Minute)
	require.Empty(t, none.LetGo(held, end.Add(-time.Second), size).Merged)
	let := none.LetGo(held, end, size)
	require.Empty(t, let.Alone)
	require.Len(t, let.Merged, 1, "people get one message of the minute")
	require.Len(t, let.Merged[0], 75)
}

func TestNothingIsHeldForLongerThanAMonth(t *testing.T) {
	came := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	month := func(from, to string) hold.Rules {
		return hold.Rules{Quiet: []hold.Quiet{{Zone: "UTC", First: from, Last: to}}}
	}
	own, account := month("2026-11-28", "2026-12-28"), tenants(month("2026-12-29", "2027-01-28"))
	last := came.Add(delivery.HeldAtMost)

	f, m := newFanout()
	f.Now, f.Holds = func() time.Time { return came }, account
	of := people
	of.Name, of.Parameters = "plain", destination.ParametersOf[struct{}]()
	f.Systems = one(of)
	subs := []integration.Subscription{{Event: event.System}}
	b := integration.Integration{ID: "b", Tenant: "42", System: "plain", Hold: own}
	a := integration.Integration{ID: "a", Tenant: "42", System: "plain", Fallback: "b", Subscriptions: subs,
		Off: &integration.Off{By: integration.ByPerson}}
	c := integration.Integration{ID: "c", Tenant: "42", System: "plain", Subscriptions: subs, Hold: own}
	f.Integrations = subscribers{a, b, c}
	user := entry(event.CreateUser, "u", "42", newUser)
	user.At = came
	_, err := f.Process(t.Context(), []delivery.Entry{user})
	require.NoError(t, err)
	require.Len(t, m.accepted[0].Deliveries, 2, "its own, and by fallback")
	for _, d := range m.accepted[0].Deliveries {
		require.Equal(t, last, d.Held.Until, d.Integration)
		require.Equal(t, last, d.Due)
	}
	on := a
	on.Off = nil
	fall := fallbacks(people, subscribers{on, b})
	fall.Now, fall.Tenants = f.Now, account
	dead := died(told("u", event.CreateUser, newUser))
	dead.CreatedAt = came.Add(-time.Hour)
	dead.ID = delivery.DerivedID(dead.CreatedAt, []byte("0123456789"))
	to, err := fall.Of(t.Context(), on, dead)
	require.NoError(t, err)
	require.Equal(t, last.Add(-time.Hour), to.Made.Due, "it is as old as its events")
	require.Equal(t, last.Add(-time.Hour), to.Made.Held.Until)
}

func TestWhatIsGoneOrArrivedDoesNotFallBack(t *testing.T) {
	s := aFallsTo(integration.Integration{ID: "b", Tenant: "42", System: "plain"})
	gone := died()
	gone.Count = 2
	to, err := fallbacks(people, s).Of(t.Context(), s[0], gone)
	require.NoError(t, err)
	require.Nil(t, to, "it has no event left")
	some := died(told("u", event.CreateUser, newUser))
	some.Count, some.Attempts = 2, []delivery.Attempt{{Delivered: true}}
	to, err = fallbacks(people, s).Of(t.Context(), s[0], some)
	require.NoError(t, err)
	require.Nil(t, to, "what was left has arrived")
	some.Attempts = nil
	to, err = fallbacks(people, s).Of(t.Context(), s[0], some)
	require.NoError(t, err)
	require.Len(t, to.Made.Events, 1)
	require.Equal(t, 1, to.Made.Count)
}
