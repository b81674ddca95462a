package report_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"tocsin/shared/activity"
	"tocsin/shared/event"
	"tocsin/shared/notification"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/wording"
)

// dayOf is what daily totals in memory has of one day.
type dayOf struct {
	attacks, incidents, vulns int
	gone                      map[string]int64
	from                      int // numbers begin here: days with the same numbers have the same attacks
}

// kept is daily totals in memory: what an engine has kept, and counts of what it let go of.
type kept map[calendar.Day]dayOf

func (k kept) each(first, last calendar.Day, visit func(calendar.Day, dayOf) error) error {
	for d, of := range k {
		if d < first || d > last {
			continue
		}
		if err := visit(d, of); err != nil {
			return err
		}
	}
	return nil
}

func (k kept) Counts(_ context.Context, _ string, first, last calendar.Day,
	visit func(calendar.Day, daily.Count) error) error {
	return k.each(first, last, func(d calendar.Day, of dayOf) error {
		for what, n := range of.gone {
			if err := visit(d, daily.Count{Dimension: daily.Dropped, Value: what, N: n}); err != nil {
				return err
			}
		}
		return visit(d, daily.Count{Dimension: daily.Total, N: 7})
	})
}

func numbered(d calendar.Day, n int) daily.Attack {
	at, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		panic(err)
	}
	a := daily.Attack{
		Type: "sqli", Host: "shop", Path: fmt.Sprintf("/%d", n), Seen: int64(n + 1), First: at, Last: at,
		Sources: []string{"203.0.113.7"},
	}
	a.Key[0], a.Key[1], a.Key[2] = byte(n>>16), byte(n>>8), byte(n)
	return a
}

func (k kept) Attacks(_ context.Context, _ string, first, last calendar.Day,
	visit func(calendar.Day, daily.Attack) error) error {
	return k.each(first, last, func(d calendar.Day, of dayOf) error {
		for n := range of.attacks {
			if err := visit(d, numbered(d, of.from+n)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (k kept) Incidents(_ context.Context, _ string, first, last calendar.Day, visit func(daily.Incident) error) error {
	return k.each(first, last, func(d calendar.Day, of dayOf) error {
		for n := range of.incidents {
			i := daily.Incident{Attack: numbered(d, of.from+n), Threat: "High"}
			i.ID = fmt.Sprintf("INC-%d", of.from+n)
			if err := visit(i); err != nil {
				return err
			}
		}
		return nil
	})
}

func (k kept) Vulnerabilities(_ context.Context, _ string, first, last calendar.Day,
	visit func(daily.Vulnerability) error) error {
	return k.each(first, last, func(d calendar.Day, of dayOf) error {
		for n := range of.vulns {
			if err := visit(daily.Vulnerability{ID: fmt.Sprintf("V-%d", of.from+n), Threat: "Low",
				At: numbered(d, 0).First}); err != nil {
				return err
			}
		}
		return nil
	})
}

const again = "What was let go and came again is counted again"

const mayDay = calendar.Day("2023-05-01") // a Monday

// longMonth has more attacks than a file of CSV.
func longMonth() kept {
	out := kept{}
	for n := range 31 {
		out[mayDay.Add(n)] = dayOf{attacks: 600, from: 600 * n}
	}
	return out
}

// everyDay has days that each let attacks go.
func everyDay() kept {
	out := kept{}
	for n := range 7 {
		out[mayDay.Add(n)] = dayOf{attacks: 3, from: 3 * n, gone: map[string]int64{daily.DroppedAttacks: 10}}
	}
	return out
}

// lackingRows are days, and what a report on them says of the rows that it lacks.
var lackingRows = map[string]struct {
	totals    kept
	frequency calendar.Frequency
	format    report.Format
	want      []report.Missing
	says      []string
}{
	"nothing at all": {kept{}, calendar.Weekly, report.CSV, nil, nil},
	"just what a PDF lists": {
		kept{mayDay: {attacks: report.RowsAttacks, incidents: report.RowsOthers, vulns: report.RowsOthers}},
		calendar.Daily, report.PDF, nil, nil,
	},
	"just what a day keeps, as CSV": {
		kept{mayDay: {attacks: 2 * daily.MaxAttacks, incidents: daily.MaxFindings, vulns: daily.MaxFindings}},
		calendar.Daily, report.CSV, nil, nil,
	},
	"one more than a PDF lists": {
		kept{mayDay: {attacks: 51, incidents: 201, vulns: 201}}, calendar.Weekly, report.PDF,
		[]report.Missing{
			{What: "attacks", Listed: 50, Recorded: 51, Of: 51},
			{What: "incidents", Listed: 200, Recorded: 201, Of: 201},
			{What: "vulnerabilities", Listed: 200, Recorded: 201, Of: 201},
		},
		[]string{
			"Attacks: 50 of 51 are listed. A CSV report lists all of them.",
			"Incidents: 200 of 201 are listed. A CSV report lists all of them.",
			"Vulnerabilities: 200 of 201 are listed. A CSV report lists all of them.",
		},
	},
	"a day that let attacks go, as CSV": {
		kept{mayDay.Add(2): {attacks: 2000, gone: map[string]int64{daily.DroppedAttacks: 1417}}}, calendar.Weekly,
		report.CSV,
		[]report.Missing{{What: "attacks", Listed: 2000, Recorded: 2000, Of: 3417,
			Days: []calendar.Day{"2023-05-03"}}},
		[]string{
			"Attacks: 2,000 of 3,417 are listed. 1,417 are in no report: the record of a day keeps at least " +
				"2,000, and lets go of the smallest so far (3 May 2023).", again,
		},
	},
	"the same as PDF": {
		kept{mayDay.Add(2): {attacks: 2000, gone: map[string]int64{daily.DroppedAttacks: 1417}}}, calendar.Monthly,
		report.PDF,
		[]report.Missing{{What: "attacks", Listed: 50, Recorded: 2000, Of: 3417, Days: []calendar.Day{"2023-05-03"}}},
		[]string{"Attacks: 50 of 3,417 are listed. A CSV report lists 2,000 of them. 1,417 are in no report: ",
			again},
	},
	"all kinds, on several days": {
		kept{
			mayDay: {incidents: 1000, vulns: 1000,
				gone: map[string]int64{daily.DroppedIncidents: 1, daily.DroppedVulns: 30}},
			mayDay.Add(1): {incidents: 1000, vulns: 1000, from: 500,
				gone: map[string]int64{daily.DroppedVulns: 12}},
		}, calendar.Weekly, report.CSV,
		[]report.Missing{
			{What: "incidents", Listed: 1500, Recorded: 1500, Of: 1501, Days: []calendar.Day{mayDay}},
			{What: "vulnerabilities", Listed: 1500, Recorded: 1500, Of: 1542,
				Days: []calendar.Day{mayDay, mayDay.Add(1)}},
		},
		[]string{
			"Incidents: 1,500 of 1,501 are listed. 1 is in no report: the record of a day keeps the first 1,000 " +
				"(1 May 2023).",
			"Vulnerabilities: 1,500 of 1,542 are listed. 42 are in no report: the record of a day keeps the " +
				"first 1,000 (1 May 2023, 2 May 2023).", again,
		},
	},
	"the day before the period let rows go": {
		kept{mayDay.Add(-1): {attacks: 1, gone: map[string]int64{daily.DroppedAttacks: 9}}}, calendar.Weekly,
		report.CSV, nil, nil,
	},
	"more than a file of CSV has": {
		longMonth(), calendar.Monthly, report.CSV,
		[]report.Missing{{What: "attacks", Listed: 10_000, Recorded: 18_600, Of: 18_600}},
		[]string{"Attacks: 10,000 of 18,600 are listed. A CSV file has at most 10,000 rows: reports on fewer " +
			"days list more."},
	},
	"the same as PDF does not promise what CSV has not": {
		longMonth(), calendar.Monthly, report.PDF,
		[]report.Missing{{What: "attacks", Listed: 50, Recorded: 18_600, Of: 18_600}},
		[]string{"Attacks: 50 of 18,600 are listed. A CSV report lists 10,000 of them. A CSV file has at most " +
			"10,000 rows: reports on fewer days list more."},
	},
	"many days are told by their number": {
		everyDay(), calendar.Weekly, report.CSV,
		[]report.Missing{{What: "attacks", Listed: 21, Recorded: 21, Of: 91,
			Days: calendar.Containing(calendar.Weekly, mayDay, "UTC").Each()}},
		[]string{"(7 days from 1 May 2023 to 7 May 2023).", again},
	},
}

func TestP9AReportSaysHowManyRowsItLacks(t *testing.T) {
	for name, c := range lackingRows {
		t.Run(name, func(t *testing.T) {
			p := calendar.Containing(c.frequency, mayDay, "UTC")
			s, err := report.Build(t.Context(), c.totals, "42", "Acme", p, report.RowsOf(c.format),
				numbered(mayDay, 0).First)
			require.NoError(t, err)
			require.Equal(t, c.want, s.Missing())
			for _, m := range s.Missing() {
				counted := map[string]int64{"attacks": s.Now.Attacks, "incidents": s.Now.Incidents,
					"vulnerabilities": s.Now.Vulnerabilities}
				require.Equal(t, counted[m.What], m.Of, "the number of the headline")
			}
			said := s.Explain(c.format)
			require.Len(t, said, len(c.says))
			for i, want := range c.says {
				require.Contains(t, said[i], want)
			}
		})
	}
}

func TestP9TheRiskOfWhatWasLetGoIsNotInvented(t *testing.T) {
	const d = calendar.Day("2023-05-03")
	l := kept{d: {vulns: 1000, gone: map[string]int64{daily.DroppedVulns: 3}}}
	s, err := report.Build(t.Context(), l, "42", "Acme", calendar.Containing(calendar.Daily, d, "UTC"),
		report.RowsOf(report.PDF), time.Time{})
	require.NoError(t, err)
	require.Equal(t, []report.Ranked{{Value: "Low", N: 1000}, {Value: daily.Other, N: 3}}, s.Threats)
}

// over publishes a day with more than is kept of each kind, and returns how many of each.
func (r *rig) over(at time.Time) map[string]int {
	r.t.Helper()
	of := map[string]int{"attacks": 2*daily.MaxAttacks + 417, "incidents": daily.MaxFindings + 20,
		"vulnerabilities": daily.MaxFindings + 3}
	var events []event.Event
	for n := range of["attacks"] {
		const attack = `{"attack":{"id":"A-%d","type":"sqli","host":"shop","path":"/%[1]d","hits":%d}}`
		events = append(events, r.event(event.NewAttack, at, fmt.Sprintf(attack, n, n+1)))
	}
	for n := range of["incidents"] {
		const incident = `{"incident":{"id":"INC-%d","type":"sqli","host":"shop","hits":3,"vulnerability":"V","threat":"High"}}`
		events = append(events, r.event(event.NewIncident, at, fmt.Sprintf(incident, n)))
	}
	for n := range of["vulnerabilities"] {
		events = append(events, r.event(event.Vuln, at,
			fmt.Sprintf(`{"vuln":{"id":"V-%d","title":"SQLi","threat":"Low"}}`, n)))
	}
	for batch := range slices.Chunk(events, 500) {
		r.publish(batch...)
	}
	return of
}

// ordered makes a report on demand and returns it with the message that its recipient gets.
func (r *rig) ordered(p calendar.Period, f report.Format) (report.Report, *notification.Report) {
	r.t.Helper()
	made, err := r.service.Order(r.t.Context(), activity.Actor{Tenant: "42", ClientName: "Acme"},
		report.Request{Period: p, Format: f, Recipients: []string{"ada@example.com"}})
	require.NoError(r.t, err)
	require.NoError(r.t, r.service.MakeWaiting(r.t.Context()))
	made, err = r.db.Reports().Get(r.t.Context(), "42", made.ID)
	require.NoError(r.t, err)
	require.Equal(r.t, report.Ready, made.State)
	events := r.events()
	messages := report.Messages{Store: r.db.Reports(), Platform: notification.Platform{Name: "Tocsin"}}
	m, err := messages.Report(r.t.Context(), events[len(events)-1], wording.English)
	require.NoError(r.t, err)
	return made, m
}

func TestP9EveryPlaceOfAReportSaysWhatIsMissing(t *testing.T) {
	r := start(t, "2023-05-04T12:00:00Z")
	of := r.over(instant(t, "2023-05-03T10:00:00Z"))
	week := calendar.Containing(calendar.Weekly, "2023-05-03", "UTC")
	for _, f := range []report.Format{report.CSV, report.PDF} {
		made, m := r.ordered(week, f)
		require.Len(t, made.Missing, 3)
		page := shown(t, m.HTML(notification.Around{}))
		for _, lack := range made.Missing {
			require.EqualValues(t, of[lack.What], lack.Of)
			require.Equal(t, []calendar.Day{"2023-05-03"}, lack.Days)
			numbers := fmt.Sprintf("%s of %s", report.Thousands(lack.Listed), report.Thousands(lack.Of))
			require.Contains(t, m.Caption, numbers+" "+lack.What)
			require.Contains(t, m.Caption, fmt.Sprintf("%s %s", report.Thousands(lack.Gone()), lack.What))
			for _, text := range []string{m.Text(notification.Around{}), page} {
				require.Contains(t, text, numbers+" are listed.")
				require.Contains(t, text, report.Thousands(lack.Gone())+" are in no report")
				require.Contains(t, text, again)
			}
		}
		require.NotContains(t, page, "whole report")
	}
	made, m := r.ordered(week, report.CSV)
	require.Len(t, m.Files, 4)
	for i, f := range m.Files[:3] {
		rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(f.Data, []byte("\ufeff")))).ReadAll()
		require.NoError(t, err)
		require.EqualValues(t, made.Missing[i].Listed, len(rows)-1,
			"a row is an event, and the number told is that of the rows")
	}
	note := m.Files[3]
	require.Equal(t, "rows-missing-2023-W18.txt", note.Name)
	require.Equal(t, "text/plain; charset=utf-8", note.Type)
	require.Equal(t,
		"These CSV files do not list everything that was counted.\r\nWeek 18, 1 – 7 May 2023\r\nDays are those of "+
			"the time zone UTC.\r\n\r\n"+
			"Attacks: 2,000 of 4,417 are listed. 2,417 are in no report: the record of a day keeps at least 2,000, "+
			"and lets go of the smallest so far (3 May 2023).\r\n"+
			"Incidents: 1,000 of 1,020 are listed. 20 are in no report: the record of a day keeps the first 1,000 (3 "+
			"May "+
			"2023).\r\n"+
			"Vulnerabilities: 1,000 of 1,003 are listed. 3 are in no report: the record of a day keeps the first "+
			"1,000 "+
			"(3 May 2023).\r\n"+
			again+", so fewer may be missing, and the row of such an attack has only a part of its hits.\r\n",
		string(note.Data))
}

func TestP9WhereNothingIsMissingNothingIsSaid(t *testing.T) {
	r := start(t, "2023-05-04T12:00:00Z")
	r.publish(r.hit(instant(t, "2023-05-03T10:00:00Z"), "sqli", "shop", "/", "203.0.113.7", "blocked"))
	for _, f := range []report.Format{report.CSV, report.PDF} {
		made, m := r.ordered(calendar.Containing(calendar.Daily, "2023-05-03", "UTC"), f)
		require.Empty(t, made.Missing)
		raw, err := json.Marshal(made)
		require.NoError(t, err)
		require.NotContains(t, string(raw), "missing")
		require.Len(t, m.Files, map[report.Format]int{report.CSV: 3, report.PDF: 1}[f])
		for _, text := range []string{m.Text(notification.Around{}), shown(t, m.HTML(notification.Around{})),
			m.Caption} {
			require.NotRegexp(t, "(?i)listed|missing|in no report", text)
		}
	}
}

// A messenger cuts a caption of more than 512 characters (package telegram): what is missing is said before that,
// however long the company's name and the numbers are.
func TestP9TheCaptionSaysItWithinAMessengersLimit(t *testing.T) {
	r := start(t, "2023-05-04T12:00:00Z")
	r.over(instant(t, "2023-05-03T10:00:00Z"))
	made, _ := r.ordered(calendar.Containing(calendar.Weekly, "2023-05-03", "UTC"), report.PDF)
	made.Headline.Now = report.Headline{Hits: 1e12, Attacks: 1e9, Incidents: 1e9, Vulnerabilities: 1e9}
	for i := range made.Missing {
		made.Missing[i].Of = 1e9
	}
	require.NoError(t, r.db.Reports().Save(t.Context(), made, nil))
	e := r.events()[0]
	e.ClientName = strings.Repeat("株", 300)
	m, err := report.Messages{Store: r.db.Reports()}.Report(t.Context(), e, wording.English)
	require.NoError(t, err)
	require.LessOrEqual(t, utf8.RuneCountInString(m.Caption), 512)
	require.Contains(t, m.Caption,
		"50 of 1,000,000,000 attacks, 200 of 1,000,000,000 incidents, 200 of 1,000,000,000 vulnerabilities.")
	require.Contains(t, m.Caption, "In no report: up to ")
}

func TestP9ApplicationsBeyondThoseKeptAreMarkedAsSourcesAre(t *testing.T) {
	r := start(t, "2023-05-04T12:00:00Z")
	at := instant(t, "2023-05-03T10:00:00Z")
	for n := range 12 {
		const hit = `{"hit":{"type":"sqli","host":"shop","path":"/","remote_addr4":"203.0.113.%d","applications":["app-%d"]}}`
		r.publish(r.event(event.NewHits, at, fmt.Sprintf(hit, n+1, n)))
	}
	r.publish(r.event(event.NewHits, at,
		`{"hit":{"type":"xss","host":"shop","path":"/","remote_addr4":"203.0.113.1","applications":["only"]}}`))
	files, err := r.build(calendar.Daily, "2023-05-03", "UTC", report.RowsOf(report.CSV)).Files("")
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(files[0].Data, []byte("\ufeff")))).ReadAll()
	require.NoError(t, err)
	for _, column := range []int{slices.Index(rows[0], "source_addresses"), slices.Index(rows[0], "applications")} {
		require.Len(t, strings.Fields(rows[1][column]), 11)
		require.True(t, strings.HasSuffix(rows[1][column], " …"))
		require.NotContains(t, rows[2][column], "…")
	}
}

// shown is the text of a page.
func shown(t *testing.T, page string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	var out strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && cmp.Or(n.Parent, n).Data != "style" {
			out.WriteString(n.Data + "\n")
		}
	}
	return out.String()
}
