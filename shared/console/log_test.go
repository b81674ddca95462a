package console_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
)

// all are the integrations that a fan-out of a test knows.
type all []integration.Integration

func (a all) Get(_ context.Context, _, id string) (integration.Integration, error) {
	for _, i := range a {
		if i.ID == id {
			return i, nil
		}
	}
	return integration.Integration{}, integration.ErrNotFound
}

func (a all) Enabled(context.Context, string) ([]integration.Integration, error) { return a, nil }

// publish fans events of new users out to integrations; e0 is the oldest.
func (r *rig) publish(t *testing.T, count int, names []string, to ...string) {
	t.Helper()
	var known all
	for _, id := range to {
		i, err := r.db.Integrations.Get(t.Context(), "42", id)
		require.NoError(t, err)
		known = append(known, i)
	}
	f := fanout.Fanout{Integrations: known, Systems: r.config.Systems, Store: r.db.Deliveries, Logger: r.config.Log}
	entries := make([]delivery.Entry, count)
	for n := range entries {
		name := fmt.Sprintf("User %d", n)
		if n < len(names) {
			name = names[n]
		}
		entries[n] = delivery.Entry{Receipt: fmt.Sprint(n + 1), DetailType: "create_user",
			At: time.Date(2023, 3, 1, 12, 0, n, 0, time.UTC), Detail: fmt.Appendf(nil,
				`{"version":1,"id":"e%d","tenant":"42","time":"2023-03-01T12:00:00Z","data":{"user":{"name":%q}}}`,
				n, name)}
	}
	_, err := f.Process(t.Context(), entries)
	require.NoError(t, err)
}

func (r *rig) found(t *testing.T, query string) []any {
	t.Helper()
	a := r.call("GET", "/v1/deliveries?"+query, "")
	require.Equal(t, 200, a.status, a.raw)
	return a.body["items"].([]any)
}

func TestOneLogOverAllIntegrations(t *testing.T) {
	r := start(t)
	own, other := r.slack("Mine"), r.slack("Other")
	r.publish(t, 30, []string{"Ada", "=HYPERLINK(1)"}, own, other)
	require.Len(t, r.found(t, "limit=1000"), 60, "one request has them all")
	require.Len(t, r.found(t, "integration="+own), 30)
	require.Len(t, r.found(t, "integration="+own+","+other+"&limit=1000"), 60)
	require.Len(t, r.found(t, "event=e3"), 2)
	require.Empty(t, r.found(t, "event=nothing"))
	one := r.found(t, "event=e3&integration="+own)[0].(map[string]any)
	require.Len(t, r.found(t, "delivery="+strings.ToLower(one["id"].(string))), 1)
	require.Equal(t, map[string]any{"id": own, "name": "Mine", "system": "slack", "enabled": true}, one["integration"])
	require.Len(t, r.found(t, "text=ada"), 2)
	require.Len(t, r.found(t, "kind=create_user,vuln&state=pending,dead&limit=100"), 60)
	require.Empty(t, r.found(t, "status=5xx"))
	tokyo := url.QueryEscape("2023-03-01T21:00:10+09:00")
	require.Len(t, r.found(t, "from="+tokyo+"&limit=100"), 40, "the zone counts")
	require.Len(t, r.found(t, "to="+tokyo+"&limit=100"), 20)
	for _, bad := range []string{"status=abc", "status=99", "kind=rain", "state=lost", "limit=1001",
		"limit=0", "from=noon", "text=" + strings.Repeat("a", 201)} {
		require.Equal(t, 422, r.call("GET", "/v1/deliveries?"+bad, "").status, bad)
	}
	first := r.call("GET", "/v1/deliveries?limit=40", "")
	cursor := first.body["next_cursor"].(string)
	require.Equal(t, "2023-03-01T12:00:10Z", first.body["reached"])
	rest := r.call("GET", "/v1/deliveries?limit=40&cursor="+cursor, "")
	require.Len(t, rest.body["items"], 20)
	require.NotContains(t, rest.body, "next_cursor")
	require.Equal(t, 400, r.call("GET", "/v1/integrations/"+own+"/deliveries?cursor="+cursor, "").status,
		"a cursor is of one list")
	r.token = r.issue("42", access.Analyst)
	for _, path := range []string{"/v1/deliveries", "/v1/deliveries/export", "/v1/events/e3"} {
		require.Equal(t, 403, r.call("GET", path, "").status, path)
	}
}

func TestTheLogAsCSVHoldsNoFormula(t *testing.T) {
	r := start(t)
	r.publish(t, 3, []string{"Ada", "=HYPERLINK(1)"}, r.slack("@SUM(1)"))
	file := r.call("GET", "/v1/deliveries/export?text=hyperlink", "")
	require.Equal(t, "text/csv; charset=utf-8", file.header.Get("Content-Type"))
	require.Contains(t, file.header.Get("Content-Disposition"), `attachment; filename="deliveries-`)
	lines, err := csv.NewReader(strings.NewReader(file.raw)).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 2)
	require.Equal(t, "delivery", lines[0][1])
	require.Equal(t, "'@SUM(1)", lines[1][3])
	for _, cell := range lines[1] {
		require.False(t, strings.IndexAny(strings.TrimLeft(cell, ` "`), "=+-@\t\r") == 0, "%q is a formula", cell)
	}
	all, err := csv.NewReader(strings.NewReader(r.call("GET", "/v1/deliveries/export", "").raw)).ReadAll()
	require.NoError(t, err)
	require.Len(t, all, 4)
}

func TestAnEventTellsWhereItWentAndWhyNot(t *testing.T) {
	r := start(t)
	own, later := r.slack("Mine"), ""
	r.publish(t, 2, nil, own)
	off := r.slack("Off")
	require.Equal(t, 200, r.call("POST", "/v1/integrations/"+off+"/disable", "").status)
	later = r.create(`{"system":"slack","name":"Scope","events":[{"event":"scope"}],"parameters":{"webhook_url":"` +
		slackURL + `"}}`).body["id"].(string)
	a := r.call("GET", "/v1/events/e1", "")
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, "create_user", a.body["kind"])
	require.Equal(t, "2023-03-01T12:00:01Z", a.body["arrived_at"])
	carried := a.body["deliveries"].([]any)
	require.Len(t, carried, 1)
	require.Equal(t, "subscription", carried[0].(map[string]any)["why"])
	why := map[string]any{}
	for _, l := range a.body["left_out"].([]any) {
		one := l.(map[string]any)
		why[one["integration"].(map[string]any)["id"].(string)] = one["reason"]
	}
	require.Equal(t, map[string]any{off: "added", later: "not_subscribed"}, why)
	require.Equal(t, 404, r.call("GET", "/v1/events/e9", "").status)
	r.token = r.issue("43", access.Administrator)
	require.Equal(t, 404, r.call("GET", "/v1/events/e1", "").status, "another tenant's")
}

func TestAnEventTellsThatQuietHoursOrAMuteDroppedIt(t *testing.T) {
	r := start(t)
	with := func(name, hold string) string {
		return r.create(`{"system":"slack","name":"` + name + `","events":[{"event":"vuln_high"}],"hold":` + hold +
			`,"parameters":{"webhook_url":"` + slackURL + `"}}`).body["id"].(string)
	}
	now := time.Now().UTC()
	quiet := fmt.Sprintf(`{"quiet":[{"zone":"UTC","first":%q,"last":%q}],"then":"drop"}`,
		now.AddDate(0, 0, -1).Format(time.DateOnly), now.AddDate(0, 0, 1).Format(time.DateOnly))
	muted := with("Muted", `{}`)
	require.Equal(t, 200, r.call("POST", "/v1/integrations/"+muted+"/mute",
		`{"hours":2,"reason":"x","then":"drop"}`).status)
	want := map[string]any{with("Quiet", quiet): "quiet", muted: "mute"}
	open := with("Open", `{"then":"drop"}`)
	r.arrive(0, 2, now.Add(5*time.Second)) // after they were added
	a := r.call("GET", "/v1/events/arrived-1", "")
	require.Equal(t, 200, a.status, a.raw)
	require.Contains(t, a.raw, open)
	got := map[string]any{}
	for _, l := range a.body["left_out"].([]any) {
		one := l.(map[string]any)
		got[one["integration"].(map[string]any)["id"].(string)] = one["reason"]
	}
	require.Equal(t, want, got)
}

// The sentence about an event is in the language of who reads it, and its words are found in each.
func TestWhatTheLogSaysOfAnEventIsWorded(t *testing.T) {
	r := start(t)
	r.publish(t, 1, []string{"Ada"}, r.slack("Ops"))
	for language, part := range map[string]string{"en": "A user was", "ja": "ユーザーが"} {
		one := r.call("GET", "/v1/events/e0", "", "Accept-Language", language)
		require.Equal(t, 200, one.status, one.raw)
		require.Contains(t, one.body["summary"], part)
		list := r.call("GET", "/v1/deliveries?text="+url.QueryEscape(part), "", "Accept-Language", language)
		require.Contains(t, list.raw, one.body["summary"])
	}
}
