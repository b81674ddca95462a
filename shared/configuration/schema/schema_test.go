package schema_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"tocsin/shared/configuration/schema"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/report/calendar"
	"tocsin/shared/retention"
	"tocsin/shared/wording"
)

// taking compiles the schema, as one that checks formats.
func taking(t *testing.T) *jsonschema.Schema {
	t.Helper()
	var systems []destination.System
	for _, e := range catalogue.Default().All() {
		systems = append(systems, e.System)
	}
	raw, err := schema.Of(systems)
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource("schema.json", document))
	s, err := c.Compile("schema.json")
	require.NoError(t, err)
	return s
}

// TestTheSchemaTakesWhatTheServiceTakes holds what the schema words again against the service, value by value: of
// groupings it had kept ten minutes when the service came to take an hour.
func TestTheSchemaTakesWhatTheServiceTakes(t *testing.T) {
	s := taking(t)
	ofIntegration := func(field string, value any) bool {
		return s.Validate(map[string]any{"version": 1, "integrations": map[string]any{
			"x": map[string]any{"system": "slack", field: value}}}) == nil
	}
	ofReports := func(field string, value any) bool {
		settings := map[string]any{"time_zone": "UTC"}
		settings[field] = value
		return s.Validate(map[string]any{"version": 1, "report_settings": settings}) == nil
	}
	counts := []string{"0", "1", "2", "9", "10", "99", "100", "999", "1000", "1001", "050", "-1", "1.5", ""}
	for _, n := range counts {
		for minutes := range 101 {
			g := fmt.Sprintf("%s/%dm", n, minutes)
			require.Equal(t, integration.Grouping(g).Every() > 0, ofIntegration("grouping", g), g)
		}
		for _, per := range []string{"second", "minute", "hour", "minutes", ""} {
			v := n + "/" + per
			require.Equal(t, integration.Rate(v).Every() > 0, ofIntegration("rate", v), v)
			require.Equal(t, integration.StormGuard(v).Limit() > 0, ofIntegration("storm_guard", v), v)
		}
	}
	require.True(t, ofIntegration("storm_guard", string(integration.NoStormGuard)))
	for hour := -2; hour < 27; hour++ {
		require.Equal(t, calendar.CheckHour(hour) == nil, ofReports("hour", hour), hour)
	}
	for days := -1; days < 40; days++ { // of the most, the schema knows nothing
		chosen := retention.Days{Events: days}
		require.Equal(t, retention.Check(chosen, 1000*24*time.Hour, "retention") == nil,
			ofReports("retention", map[string]any{"events": days}), days)
		chosen = retention.Days{Deliveries: days}
		require.Equal(t, retention.Check(chosen, 1000*24*time.Hour, "retention") == nil,
			ofReports("retention", map[string]any{"deliveries": days}), days)
	}
	for _, l := range []string{"en", "ja", "de", "EN"} {
		require.Equal(t, wording.Language(l).Valid(), ofReports("language", l), l)
		require.Equal(t, wording.Language(l).Valid(), ofIntegration("language", l), l)
	}
}

func TestTheSchemaTakesTheQuietHoursThatTheServiceTakes(t *testing.T) {
	s := taking(t)
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	agree := func(quiet hold.Quiet, then hold.Then, count int) {
		t.Helper()
		rules := hold.Rules{Then: then}
		var list []any
		for range count {
			rules.Quiet = append(rules.Quiet, quiet)
			q := map[string]any{"zone": quiet.Zone}
			for name, v := range map[string]string{"from": quiet.From, "to": quiet.To, "first": quiet.First,
				"last": quiet.Last} {
				if v != "" {
					q[name] = v
				}
			}
			if len(quiet.Days) > 0 {
				q["days"] = []any{string(quiet.Days[0])}
			}
			list = append(list, q)
		}
		value := map[string]any{"quiet": list}
		if then != "" {
			value["then"] = string(then)
		}
		document := map[string]any{"version": 1, "integrations": map[string]any{
			"x": map[string]any{"system": "slack", "hold": value}}}
		problems := hold.Check(rules, "hold", true, now)
		require.Equal(t, problems == nil, s.Validate(document) == nil, "%+v, %d times, then %q: the service says %v",
			quiet, count, then, problems)
	}
	night := hold.Quiet{From: "22:00", To: "06:30", Zone: "Europe/Berlin"}
	agree(night, "", 1)
	for _, count := range []int{hold.MaxQuiet, hold.MaxQuiet + 1} {
		agree(night, "", count)
	}
	for _, then := range []hold.Then{hold.Send, hold.Digest, hold.Drop, "keep"} {
		agree(night, then, 1)
	}
	for _, at := range []string{"00:00", "09:05", "19:59", "20:00", "23:59", "24:00", "24:01", "25:00", "12:60", "7:00",
		"07:0", "0700", "", "noon"} {
		q := night
		q.To = at
		agree(q, "", 1)
		if at != night.To {
			q = night
			q.From = at
			agree(q, "", 1)
		}
	}
	for _, day := range append(hold.Days(), "monday", "Mon") {
		q := night
		q.Days = []hold.Day{day}
		agree(q, "", 1)
	}
	for _, dates := range [][2]string{{"2026-12-24", "2026-12-26"}, {"2026-12-24", ""}, {"", "2026-12-24"},
		{"24.12.2026", "26.12.2026"}, {"2026-02-30", "2026-03-01"}} {
		agree(hold.Quiet{First: dates[0], Last: dates[1], Zone: "UTC"}, "", 1)
	}
}

func TestTheSchemaTakesTheFiltersThatTheServiceTakes(t *testing.T) {
	s := taking(t)
	agree := func(list ...filter.Filter) {
		t.Helper()
		var value []any
		for _, f := range list {
			values := []any{}
			for _, v := range f.Values {
				values = append(values, string(v))
			}
			value = append(value, map[string]any{"id": string(f.ID), "operator": f.Operator, "values": values})
		}
		document := map[string]any{"version": 1, "integrations": map[string]any{
			"x": map[string]any{"system": "slack", "filters": value}}}
		problems := filter.CheckIntegration(list, "slack")
		require.Equal(t, problems == nil, s.Validate(document) == nil, "%+v: the service says %v", list, problems)
	}
	values := func(of string, n int) (out []filter.Value) {
		for range n {
			out = append(out, filter.Value(of))
		}
		return out
	}
	one := func(id filter.ID, operator string, values ...filter.Value) filter.Filter {
		return filter.Filter{ID: id, Operator: operator, Values: values}
	}
	for _, n := range []int{0, 1, filter.MaxValues, filter.MaxValues + 1} {
		agree(one(filter.ByType, filter.Equal, values("sqli", n)...))
	}
	for _, n := range []int{1, filter.Max, filter.Max + 1} {
		agree(slices.Repeat([]filter.Filter{one(filter.ByType, filter.Equal, "sqli")}, n)...)
	}
	for _, operator := range []string{filter.Equal, filter.NotEqual, "gt", ""} {
		agree(one(filter.ByType, operator, "sqli"))
	}
	for _, id := range append(slices.Clone(filter.OfIntegrations), filter.ByRole, filter.ByTarget, "x") {
		of := map[filter.ID]filter.Value{filter.ByApplication: "7", filter.ByIP: "203.0.113.7", filter.ByStatus: "404",
			filter.ByKind: "vuln", filter.ByCountry: "NL", filter.BySeverity: "high", filter.ByType: "sqli"}[id]
		if of == "" {
			of = "a.example"
		}
		agree(one(id, filter.Equal, of))
	}
	for _, v := range []string{"-1", "0", "7", "-2", "07", "1.5", "x", ""} {
		agree(one(filter.ByApplication, filter.Equal, filter.Value(v)))
	}
	for _, v := range []string{"high", "High", "worst"} {
		agree(one(filter.BySeverity, filter.Equal, filter.Value(v)))
	}
	for _, n := range []int{filter.MaxValue - len("a.example/"), filter.MaxValue} {
		agree(one(filter.ByURL, filter.Equal, filter.Value("a.example/"+strings.Repeat("x", n))))
	}
}
