package fanout_test

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
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
	route, by := fanout.RouteOf(i, e)
	require.Equal(t, fanout.Filtered, route)
	require.Equal(t, filter.ByType, by)
	i.Filters = i.Filters[:1]
	route, _ = fanout.RouteOf(i, e)
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
