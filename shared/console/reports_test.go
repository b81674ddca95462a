package console_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"tocsin/shared/access"
	"tocsin/shared/filter"
	"tocsin/shared/mail"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
)

func (r *rig) as(role access.Role, email string) *rig {
	r.email = email
	r.token = r.issue("42", role)
	return r
}

func TestWhoMaySeeReports(t *testing.T) {
	r := start(t)
	body := `{"period":{"frequency":"daily","from":"2023-03-05"}}`
	for role, want := range map[access.Role][3]int{ // list, order, settings
		access.Administrator: {200, 202, 200}, access.Analyst: {200, 202, 403}, access.ReadOnly: {200, 403, 403},
		access.APIDeveloper: {403, 403, 403}, access.Deploy: {403, 403, 403},
	} {
		r.as(role, "ada@example.com")
		require.Equal(t, want[0], r.call("GET", "/v1/reports", "").status, role)
		require.Equal(t, want[1], r.call("POST", "/v1/reports", body).status, role)
		require.Equal(t, want[2], r.call("PUT", "/v1/report-settings", `{"time_zone":"Europe/Berlin"}`).status, role)
		own := 200
		if role == access.Deploy {
			own = 403
		}
		require.Equal(t, own, r.call("GET", "/v1/profile/notifications", "").status,
			"a profile is everybody's own who has Console access")
	}
}

func TestAReportOnDemand(t *testing.T) {
	r := start(t)
	require.Equal(t, 200, r.call("PUT", "/v1/report-settings", `{"time_zone":"Asia/Tokyo"}`).status)
	a := r.call("POST", "/v1/reports",
		`{"period":{"from":"2023-03-01","to":"2023-03-05"},"format":"csv","recipients":["grace@example.com","grace@example.com"]}`)
	require.Equal(t, http.StatusAccepted, a.status, a.raw)
	path := a.header.Get("Location")
	require.Equal(t, "waiting", a.body["state"])
	require.Len(t, a.body["recipients"], 1, "an address twice is one")
	require.NoError(t, r.reports.MakeWaiting(t.Context()))
	a = r.call("GET", path, "")
	require.Equal(t, "ready", a.body["state"])
	require.Equal(t, "1 – 5 March 2023", a.body["period"].(map[string]any)["title"])
	require.Equal(t, "Asia/Tokyo", a.body["period"].(map[string]any)["time_zone"])
	files := a.body["files"].([]any)
	require.Len(t, files, 3, "one for each kind of event")
	for _, f := range files {
		got := r.call("GET", f.(map[string]any)["href"].(string), "")
		require.Equal(t, 200, got.status)
		require.Equal(t, "text/csv; charset=utf-8", got.header.Get("Content-Type"))
		require.Contains(t, got.header.Get("Content-Disposition"), "attachment; filename=")
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(got.raw, "\ufeff"))).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 1, "an empty period has its header")
	}
	entries, err := r.db.Bus.Receive(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, entries, 1, "one event for its one recipient")

	r.token = r.issue("43", access.Administrator)
	require.Equal(t, 404, r.call("GET", path, "").status, "another tenant finds nothing")
	require.Equal(t, 404, r.call("GET", files[0].(map[string]any)["href"].(string), "").status)
}

func TestAReportIsMadeOfTheEventsThatFiltersSelect(t *testing.T) {
	r := start(t)
	can := r.call("GET", "/v1/report-filters", "").body
	require.Len(t, can["filters"], len(filter.OfReports))
	first := can["from"].(string)
	require.Equal(t, aMonth2023().AddDate(0, 0, -29).Format(time.DateOnly), first)
	order := func(from, filters string) answer {
		return r.call("POST", "/v1/reports",
			fmt.Sprintf(`{"period":{"frequency":"daily","from":%q},"format":"csv","filters":%s}`, from, filters))
	}
	const sqli = `[{"id":"attack_type","operator":"eq","values":["sqli"]},{"id":"pool","operator":"ne","values":[7]}]`
	a := order(first, sqli)
	require.Equal(t, http.StatusAccepted, a.status, a.raw)
	require.NoError(t, r.reports.MakeWaiting(t.Context()))
	a = r.call("GET", a.header.Get("Location"), "")
	require.Equal(t, "ready", a.body["state"])
	require.Equal(t, []any{map[string]any{"id": "attack_type", "operator": "eq", "values": []any{"sqli"}},
		map[string]any{"id": "pool", "operator": "ne", "values": []any{7.0}}}, a.body["filters"])
	require.NotContains(t, a.body["headline"], "before")
	require.Contains(t, r.call("GET", "/v1/activity", "").raw, "attack_type")

	whole := r.call("POST", "/v1/reports", `{"period":{"frequency":"daily","from":"2023-03-05"}}`)
	require.NotContains(t, whole.body, "filters")
	require.NoError(t, r.reports.MakeWaiting(t.Context()))
	require.Contains(t, r.call("GET", whole.header.Get("Location"), "").body["headline"], "before")

	for field, asked := range map[string][2]string{
		"from":               {"2023-03-01", sqli},
		"filters.0.values.0": {first, `[{"id":"attack_type","operator":"eq","values":["spam"]}]`},
		"filters.0.id":       {first, `[{"id":"role","operator":"eq","values":["admin"]}]`},
	} {
		a := order(asked[0], asked[1])
		require.Equal(t, http.StatusUnprocessableEntity, a.status, a.raw)
		require.Contains(t, a.raw, field)
	}
}

func TestP9TheListSaysWhatAReportLacks(t *testing.T) {
	r := start(t)
	missing := []report.Missing{{What: daily.DroppedAttacks, Listed: 2000, Recorded: 2000, Of: 3417,
		Days: []calendar.Day{"2023-05-03"}}, {What: daily.DroppedVulns, Listed: 10_000, Recorded: 10_007, Of: 10_007}}
	for id, lacks := range map[string][]report.Missing{"lacks": missing, "whole": nil} {
		require.NoError(t, r.reports.Store.Save(t.Context(), report.Report{
			ID: id, Tenant: "42", Period: calendar.Containing(calendar.Weekly, "2023-05-03", "UTC"), Format: report.CSV,
			State: report.Ready, CreatedAt: time.Now(), Missing: lacks,
		}, []report.File{{Name: "rows-missing-2023-W18.txt", Type: "text/plain; charset=utf-8",
			Data: []byte("Attacks: 2,000 of 3,417")}}))
	}
	want := []any{
		map[string]any{"what": "attacks", "listed": 2000.0, "recorded": 2000.0, "of": 3417.0,
			"days": []any{"2023-05-03"}},
		map[string]any{"what": "vulnerabilities", "listed": 10_000.0, "recorded": 10_007.0, "of": 10_007.0},
	}
	for _, item := range r.call("GET", "/v1/reports", "").body["items"].([]any) {
		if v := item.(map[string]any); v["id"] == "lacks" {
			require.Equal(t, want, v["missing"])
		} else {
			require.NotContains(t, v, "missing")
		}
	}
	require.Equal(t, want, r.call("GET", "/v1/reports/lacks", "").body["missing"])
	got := r.call("GET", "/v1/reports/lacks/files/rows-missing-2023-W18.txt", "")
	require.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"))
	require.Contains(t, got.header.Get("Content-Disposition"), "attachment; filename=")
}

// The limits that people are told are those that hold.
func TestP9TheDocumentNamesTheLimitsThatHold(t *testing.T) {
	raw := start(t).call("GET", "/openapi.json", "").raw
	for _, want := range []string{
		fmt.Sprintf("at most %d attacks, %d incidents and %[2]d vulnerabilities", report.RowsAttacks,
			report.RowsOthers),
		"with at most " + report.Thousands(report.RowsCSV) + " rows", "a day keeps at least " +
			report.Thousands(daily.MaxAttacks) + " attacks",
		fmt.Sprintf("the first %s incidents and the first %[1]s vulnerabilities", report.Thousands(daily.MaxFindings)),
	} {
		require.Contains(t, raw, want)
	}
	require.NotContains(t, raw, "10,000 largest")
}

func TestThePDFIsDownloaded(t *testing.T) {
	r := start(t)
	a := r.call("POST", "/v1/reports", `{"period":{"frequency":"weekly","from":"2023-03-01"}}`)
	require.Equal(t, http.StatusAccepted, a.status, a.raw)
	require.NoError(t, r.reports.MakeWaiting(t.Context()))
	a = r.call("GET", a.header.Get("Location"), "")
	require.Equal(t, "2023-02-27", a.body["period"].(map[string]any)["from"], "a week begins on Monday")
	got := r.call("GET", a.body["files"].([]any)[0].(map[string]any)["href"].(string), "")
	require.Equal(t, "application/pdf", got.header.Get("Content-Type"))
	require.True(t, strings.HasPrefix(got.raw, "%PDF-"))
	for n := range 4 {
		r.call("POST", "/v1/reports", fmt.Sprintf(`{"period":{"frequency":"daily","from":"2023-03-0%d"}}`, n+1))
	}
	require.Len(t, r.call("GET", "/v1/reports", "").body["items"], 3, "the last three")
}

func TestBadOrders(t *testing.T) {
	r := start(t)
	for body, says := range map[string]string{
		`{"period":{"from":"yesterday","to":"2023-03-01"}}`:                                             "period.from",
		`{"period":{"from":"2023-03-01"}}`:                                                              "period.to",
		`{"period":{"frequency":"daily","from":"2023-03-01","to":"2023-03-02"}}`:                        "period.to",
		`{"period":{"from":"2023-03-02","to":"2023-03-01"}}`:                                            "it ends before it begins",
		`{"period":{"from":"2020-03-02","to":"2023-03-01"}}`:                                            "at most 366",
		`{"period":{"frequency":"hourly","from":"2023-03-01"}}`:                                         "frequency",
		`{"period":{"from":"9023-03-02","to":"9023-03-03"}}`:                                            "must not be in the future",
		`{"period":{"frequency":"daily","from":"2023-03-01"},"format":"doc"}`:                           "format",
		`{"period":{"frequency":"daily","from":"2023-03-01"},"recipients":["ada"]}`:                     "recipients.0",
		`{"period":{"frequency":"daily","from":"2023-03-01"},"recipients":["a@b.org\r\nBcc: c@d.org"]}`: "recipients.0",
	} {
		a := r.call("POST", "/v1/reports", body)
		require.Equal(t, 422, a.status, body)
		require.Contains(t, a.raw, says, body)
	}
	require.Equal(t, 422, r.call("PUT", "/v1/report-settings", `{"time_zone":"Mars/Olympus"}`).status)
	require.Equal(t, "UTC", r.call("GET", "/v1/report-settings", "").body["time_zone"])
	for _, hour := range []string{"24", "-1", "6.5", `"6"`} {
		a := r.call("PUT", "/v1/report-settings", `{"time_zone":"UTC","hour":`+hour+`}`)
		require.Equal(t, 422, a.status, hour)
		require.Contains(t, a.raw, "hour")
	}
	require.Equal(t, 404, r.call("GET", "/v1/reports/none", "").status)
}

func TestTheHourOfReportsIsASetting(t *testing.T) {
	r := start(t)
	hour := func() any { return r.call("GET", "/v1/report-settings", "").body["hour"] }
	require.EqualValues(t, 6, hour(), "until one is chosen")
	a := r.call("PUT", "/v1/report-settings", `{"time_zone":"Europe/Berlin","hour":0}`)
	require.Equal(t, 200, a.status)
	require.EqualValues(t, 0, a.body["hour"], "midnight is an hour")
	require.EqualValues(t, 0, hour())
	require.Equal(t, 200, r.call("PUT", "/v1/report-settings", `{"time_zone":"Asia/Tokyo"}`).status)
	require.EqualValues(t, 0, hour(), "one that is left out is as it was")
}

func TestAPersonSetsTheirOwnNotifications(t *testing.T) {
	r := start(t).as(access.ReadOnly, "grace@example.com")
	a := r.call("GET", "/v1/profile/notifications", "")
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, "grace@example.com", a.body["email"])
	require.Equal(t, map[string]any{"report_daily": false, "report_weekly": true, "report_monthly": true,
		"system": true, "vuln": false, "scope": false, "daily_security_issues": true,
		"daily_critical_security_issues": true, "aasm_report": true, "api_discovery_hourly_changes_report": false,
		"api_discovery_daily_changes_report": false}, a.body["choices"], "facts, 5.3")
	body := `{"choices":{"report_daily":true,"report_weekly":false,"report_monthly":false,"system":false,"vuln":true,"scope":true}}`
	require.Equal(t, 412, r.call("PUT", "/v1/profile/notifications", body, "If-Match", `"7"`).status)
	a = r.call("PUT", "/v1/profile/notifications", body, "If-Match", a.header.Get("ETag"))
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, true, a.body["choices"].(map[string]any)["vuln"])
	require.Equal(t, 422, r.call("PUT", "/v1/profile/notifications", `{"choices":{"report_daily":true}}`).status,
		"all of them, or none is meant")

	r.as(access.Analyst, "ada@example.com")
	require.Equal(t, false, r.call("GET", "/v1/profile/notifications", "").body["choices"].(map[string]any)["vuln"],
		"another person's are their own")
	r.as(access.Analyst, "")
	require.Equal(t, 422, r.call("GET", "/v1/profile/notifications", "").status)
}

func (r *rig) open(method, link string) (int, string) {
	r.t.Helper()
	u, err := url.Parse(link)
	require.NoError(r.t, err)
	body := strings.NewReader("List-Unsubscribe=One-Click")
	q := httptest.NewRequest(method, u.Path, body)
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	require.NotContains(r.t, w.Header().Get("Content-Security-Policy"), "script")
	_, err = html.Parse(strings.NewReader(w.Body.String()))
	require.NoError(r.t, err)
	return w.Code, w.Body.String()
}

func TestAPersonReadsInAZoneOfTheirOwn(t *testing.T) {
	r := start(t)
	const at = "/v1/profile/notifications"
	had := r.call("GET", at, "")
	require.NotContains(t, had.body, "time_zone")
	require.NotContains(t, r.call("GET", "/v1/session", "").body, "time_zone", "the browser's")
	choices, err := json.Marshal(had.body["choices"])
	require.NoError(t, err)
	set := func(more string) answer {
		t.Helper()
		return r.call("PUT", at, `{"choices":`+string(choices)+more+`}`)
	}
	for _, zone := range []string{"Mars", "Local", "../UTC"} {
		a := set(`,"time_zone":"` + zone + `"`)
		require.Equal(t, 422, a.status, a.raw)
		require.Contains(t, a.raw, `"field":"time_zone"`)
		requireWorded(t, a.body)
	}
	r.forgetLog()
	require.Equal(t, "Asia/Tokyo", set(`,"time_zone":"Asia/Tokyo"`).body["time_zone"])
	require.Equal(t, "Asia/Tokyo", set("").body["time_zone"], "as it was")
	require.Equal(t, "Asia/Tokyo", r.call("GET", "/v1/session", "").body["time_zone"])
	changes, err := json.Marshal(r.entries())
	require.NoError(t, err)
	require.Contains(t, string(changes), "Asia/Tokyo")
	require.NotContains(t, set(`,"time_zone":""`).body, "time_zone")
	require.NotContains(t, r.call("GET", "/v1/session", "").body, "time_zone")
}

func TestOneClickUnsubscribe(t *testing.T) {
	r := start(t).as(access.Analyst, "grace@example.com")
	r.call("GET", "/v1/profile/notifications", "")
	people, err := r.db.People.List(t.Context(), "42", "", 10)
	require.NoError(t, err)
	link := r.links.Link("42", people[0].ID, "grace@example.com")

	status, page := r.open("GET", link)
	require.Equal(t, 200, status)
	require.Contains(t, page, "grace@example.com")
	require.Contains(t, page, `<form method="post">`)
	require.Equal(t, true, r.call("GET", "/v1/profile/notifications", "").body["choices"].(map[string]any)["system"],
		"a scanner that follows the link changes nothing")
	for range 2 {
		status, page = r.open("POST", link)
		require.Equal(t, 200, status)
		require.Contains(t, page, "is unsubscribed")
	}
	for name, on := range r.call("GET", "/v1/profile/notifications", "").body["choices"].(map[string]any) {
		require.Equal(t, false, on, name)
	}
	for _, bad := range []string{link[:len(link)-2], link + "x", "https://x/unsubscribe/a.b",
		strings.Replace(link, "unsubscribe/e", "unsubscribe/f", 1)} {
		status, _ = r.open("POST", bad)
		require.Equal(t, 404, status, bad)
	}
}

func TestAnAddressLeavesAnIntegration(t *testing.T) {
	r := start(t)
	status, _ := r.open("POST", r.links.Link("42", "i1", "Team@Example.com"))
	require.Equal(t, 200, status)
	items := r.call("GET", "/v1/blocked-addresses", "").body["items"].([]any)
	require.Len(t, items, 1)
	b := items[0].(map[string]any)
	require.Equal(t, "team@example.com", b["address"])
	require.Equal(t, "i1", b["integration"])
	require.Equal(t, "unsubscribed", b["why"])
	require.Equal(t, 204, r.call("DELETE", "/v1/blocked-addresses/team@example.com", "").status)
	require.Empty(t, r.call("GET", "/v1/blocked-addresses", "").body["items"])
}

func TestBlockedAddressesHavePages(t *testing.T) {
	r := start(t)
	for n := range 5 {
		_, err := r.db.SuppressionList.Suppress(t.Context(),
			mail.Suppression{Tenant: "42", Address: fmt.Sprintf("%s%d@example.com", strings.Repeat("a", 60), n),
				Why: mail.Bounced, At: time.Now()})
		require.NoError(t, err)
	}
	seen := 0
	for path := "/v1/blocked-addresses?limit=2"; path != ""; {
		a := r.call("GET", path, "")
		require.Equal(t, 200, a.status, a.raw)
		seen += len(a.body["items"].([]any))
		next, _ := a.body["next_cursor"].(string)
		if path = ""; next != "" {
			path = "/v1/blocked-addresses?limit=2&cursor=" + next
		}
	}
	require.Equal(t, 5, seen)
}

func TestPersonalEmailIsNoIntegration(t *testing.T) {
	r := start(t)
	a := r.call("POST", "/v1/integrations",
		`{"system":"personal_email","parameters":{"addresses":["eve@example.com"]}}`)
	require.Equal(t, 422, a.status)
	require.Contains(t, a.raw, "is set in your profile")
}
