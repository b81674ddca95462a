package fanout_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/filter"
	"tocsin/shared/integration"
)

func only(id filter.ID, values ...filter.Value) filter.Filter {
	return filter.Filter{ID: id, Operator: filter.Equal, Values: values}
}

func sieve(id string, filters ...filter.Filter) integration.Integration {
	return integration.Integration{ID: id, Tenant: "42", System: "web_hooks", Revision: 1, Filters: filters,
		Subscriptions: []integration.Subscription{{Event: event.Hits}, {Event: event.System},
			{Event: event.ReportDaily}}}
}

func sieving(s *intakes, to subscribers) *fanout.Fanout {
	return &fanout.Fanout{Integrations: to, Systems: tenAtOnce{}, Store: s, Logger: slog.New(slog.DiscardHandler)}
}

func hit(n int, kind string) delivery.Entry {
	return entry(event.NewHits, fmt.Sprintf("e%d", n), "42", `{"hit":{"type":"`+kind+`","remote_country":"NL"}}`)
}

func TestWhatAFilterStopsIsCountedAndNothingOfItIsWritten(t *testing.T) {
	s := &intakes{known: map[string]bool{}}
	all := subscribers{sieve("all"), sieve("sqli", only(filter.ByType, "sqli")),
		sieve("none", only(filter.ByType, "sqli", "xss"), only(filter.ByCountry, "PL"))}
	f := sieving(s, all)
	_, err := f.Process(t.Context(), []delivery.Entry{hit(1, "sqli"), hit(2, "xss"), hit(3, "rce"),
		entry(event.CreateUser, "e4", "42", newUser)})
	require.NoError(t, err)
	got := map[string][]string{}
	for _, d := range s.accepted[0].Deliveries {
		for _, e := range d.Events {
			got[d.Integration] = append(got[d.Integration], e.ID)
		}
	}
	require.Equal(t, map[string][]string{"all": {"e1", "e2", "e3", "e4"}, "sqli": {"e1", "e4"}, "none": {"e4"}}, got)
	at := time.UnixMilli(1677628800123)
	require.Equal(t, []fanout.LeftOut{
		{Tenant: "42", Integration: "sqli", By: filter.ByType, At: at, Events: 2},
		{Tenant: "42", Integration: "none", By: filter.ByType, At: at, Events: 1},
		{Tenant: "42", Integration: "none", By: filter.ByCountry, At: at, Events: 2},
	}, s.accepted[0].LeftOut)
	all[1].Filters, all[1].Revision = nil, 2
	_, err = f.Process(t.Context(), []delivery.Entry{hit(5, "rce")})
	require.NoError(t, err)
	require.Len(t, s.accepted[1].Deliveries, 2, "changed filters count at once")
}

func TestWhatATriggerSendsAndAReportPassByFilters(t *testing.T) {
	s := &intakes{known: map[string]bool{}}
	f := sieving(s, subscribers{sieve("i", only(filter.ByKind, "new_hits"))})
	_, err := f.Process(t.Context(), []delivery.Entry{
		entry(event.AttacksExceeded, "e1", "42",
			`{"trigger_name":"T","count":1,"period":60,"reaction":{"trigger":"t","integrations":["i"]}}`),
		entry(event.Report, "e2", "42", `{"report":"r","frequency":"daily","integration":"i"}`),
		entry(event.CreateUser, "e3", "42", newUser),
	})
	require.NoError(t, err)
	require.Equal(t, 2, s.deliveries())
	require.Len(t, s.accepted[0].LeftOut, 1)
}

func TestAFilterOfALaterReleaseStopsNothing(t *testing.T) {
	s := &intakes{known: map[string]bool{}}
	f := sieving(s, subscribers{sieve("i", only("of_tomorrow", "x"))})
	_, err := f.Process(t.Context(), []delivery.Entry{hit(1, "xss")})
	require.NoError(t, err)
	require.Equal(t, 1, s.deliveries())
}

func TestTheRouteOfAFilteredEventSaysWhichFilter(t *testing.T) {
	i := sieve("i", only(filter.ByCountry, "NL"), only(filter.ByType, "sqli"))
	e, err := event.Parse("new_hits", hit(1, "xss").Detail)
	require.NoError(t, err)
	route, by := fanout.RouteOf(tenAtOnce{}, i, e)
	require.Equal(t, fanout.Filtered, route)
	require.Equal(t, filter.ByType, by)
	i.Filters = i.Filters[:1]
	route, _ = fanout.RouteOf(tenAtOnce{}, i, e)
	require.Equal(t, fanout.BySubscription, route)
}

// journal holds events by their place.
type journal []fanout.Accepted

func (j journal) Arrived(_ context.Context, _ string, from, to time.Time, after string, limit int) (
	out []fanout.Accepted, next string, err error) {
	start, _ := strconv.Atoi(after)
	for n := start; n < len(j); n++ {
		if len(out) == limit {
			return out, strconv.Itoa(n), nil
		}
		if at := j[n].Entry.At; !at.Before(from) && at.Before(to) {
			out = append(out, j[n])
		}
	}
	return out, "", nil
}

func (journal) Carried(_ context.Context, _, _ string, events []fanout.Accepted) ([]bool, error) {
	return make([]bool, len(events)), nil
}

func (journal) Recover(context.Context, []delivery.Delivery, []fanout.Accepted) (int, error) {
	return 0, nil
}

func TestFiltersAreTriedOnTheLastEvents(t *testing.T) {
	now := time.UnixMilli(1677628800123).Add(2 * time.Hour)
	var j journal
	for n := range 2400 {
		e := hit(n, []string{"sqli", "xss", "rce"}[n%3])
		e.At = now.Add(-time.Duration(2400-n) * time.Second)
		parsed, err := event.Parse(e.DetailType, e.Detail)
		require.NoError(t, err)
		j = append(j, fanout.Accepted{Entry: e, Event: parsed})
	}
	r := &fanout.Recovery{Fanout: sieving(&intakes{}, nil), Journal: j, Now: func() time.Time { return now }}
	i := sieve("", only(filter.ByType, "sqli"))
	tried, err := r.Try(t.Context(), i)
	require.NoError(t, err)
	require.Equal(t, now.Add(-10*time.Minute).UTC(), tried.From, "600 are enough")
	require.Equal(t, []int{600, 200}, []int{tried.Takes, tried.Passed})
	require.Equal(t, 400, tried.LeftOut[0].Events)
	i.Filters = []filter.Filter{only(filter.ByType, "xss", "rce")}
	tried, err = r.Try(t.Context(), i)
	require.NoError(t, err)
	require.Equal(t, 400, tried.Passed, "nothing is remembered of the try before")
	r.Journal = j[:300]
	tried, err = r.Try(t.Context(), i)
	require.NoError(t, err)
	require.Equal(t, []int{300, 200}, []int{tried.Takes, tried.Passed}, "few: it looks farther back")
}

// tickets are systems that keep something of an object where their parameters say so.
type tickets struct{ tenAtOnce }

type ticket struct {
	Keep bool `json:"keep" jsonschema:"title=Keep"`
}

func (p *ticket) KeepsObjects() bool { return p.Keep }

var ofTickets = destination.ParametersOf[ticket]()

func (tickets) Lookup(string) (destination.System, bool, bool) {
	return destination.System{Name: "tickets", Batch: destination.Batch{Count: 10}, Parameters: ofTickets}, true, true
}

func TestAClosingReachesWhoGotTheOpeningThoughItsSeverityWasLowered(t *testing.T) {
	keeping, chat := json.RawMessage(`{"keep":true}`), json.RawMessage(`{"keep":false}`)
	sub := func(types ...event.Type) (out []integration.Subscription) {
		for _, t := range types {
			out = append(out, integration.Subscription{Event: t})
		}
		return out
	}
	failing := []integration.Subscription{{Event: event.System, Kinds: []event.Kind{event.IntegrationFailing}}}
	high := []filter.Filter{only(filter.BySeverity, "high")}
	begins := []filter.Filter{only(filter.ByKind, "integration_failing")}
	host := func(name filter.Value) []filter.Filter { return []filter.Filter{only(filter.ByDomain, name)} }
	found := []event.Type{event.VulnHigh, event.VulnMedium, event.VulnLow}
	other := filter.Filter{ID: filter.ByKind, Operator: filter.NotEqual, Values: []filter.Value{"vuln"}}
	vuln := func(threat, status string) string {
		return `{"vuln":{"id":"V-1","threat":"` + threat + `","domain":"a.example","status":"` + status + `"}}`
	}
	lower := vuln("Low", "closed")
	issue := `{"security_issue":{"id":"S-1","risk":"Info","host":"a.example","status":"closed"}}`
	health := `{"integration":{"id":"another","name":"I","type":"slack"}}`
	for name, c := range map[string]struct {
		parameters json.RawMessage
		takes      []integration.Subscription
		filters    []filter.Filter
		kind       event.Kind
		data       string
		sent       bool
	}{
		"a filter of severity":    {keeping, sub(found...), high, event.Vuln, lower, true},
		"a type of the severity":  {keeping, sub(event.VulnHigh), nil, event.Vuln, lower, true},
		"type and filter":         {keeping, sub(event.VulnHigh), high, event.Vuln, lower, true},
		"a security issue":        {keeping, sub(event.IssueHigh), high, event.SecurityIssue, issue, true},
		"health by its kinds":     {keeping, failing, nil, event.IntegrationWorking, health, true},
		"health by a filter":      {keeping, sub(event.System), begins, event.IntegrationWorking, health, true},
		"an opening":              {keeping, sub(event.VulnHigh), high, event.Vuln, vuln("Low", "open"), false},
		"one that is opened anew": {keeping, sub(event.VulnHigh), high, event.Vuln, vuln("Low", "reopened"), false},
		"another host": {keeping, sub(event.VulnHigh), host("b.example"), event.Vuln,
			lower, false},
		"its host":            {keeping, sub(event.VulnHigh), host("a.example"), event.Vuln, lower, true},
		"no kind of opening":  {keeping, sub(found...), []filter.Filter{other}, event.Vuln, lower, false},
		"nothing of findings": {keeping, sub(event.IssueHigh), nil, event.Vuln, lower, false},
		"what keeps nothing":  {chat, sub(event.VulnHigh), high, event.Vuln, lower, false},
		"itself": {keeping, failing, nil, event.IntegrationWorking, `{"integration":{"id":"i","name":"I","type":"x"}}`,
			false},
	} {
		t.Run(name, func(t *testing.T) {
			i := sieve("i", c.filters...)
			i.Subscriptions, i.Parameters = c.takes, c.parameters
			closingGoes(t, i, entry(c.kind, "e1", "42", c.data), c.sent)
		})
	}
}

// closingGoes checks that an event is sent to an integration of tickets, or not, and that all who tell of it agree.
func closingGoes(t *testing.T, i integration.Integration, arrived delivery.Entry, sent bool) {
	t.Helper()
	s := &intakes{known: map[string]bool{}}
	f := sieving(s, subscribers{i})
	f.Systems = tickets{}
	_, err := f.Process(t.Context(), []delivery.Entry{arrived})
	require.NoError(t, err)
	require.Equal(t, sent, s.deliveries() == 1)
	e, err := event.Parse(arrived.DetailType, arrived.Detail)
	require.NoError(t, err)
	route, _ := fanout.RouteOf(tickets{}, i, e)
	require.Equal(t, sent, route.Leads(), "the page of the event says the same: %s", route)
	now := arrived.At.Add(time.Minute)
	tried, err := (&fanout.Recovery{Fanout: f, Journal: journal{{Entry: arrived, Event: e}},
		Now: func() time.Time { return now }}).Try(t.Context(), i)
	require.NoError(t, err)
	require.Equal(t, sent, tried.Passed == 1, "and so does a dry run")
	require.Equal(t, tried.Takes, tried.Passed+len(tried.LeftOut))
}
