package report_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"tocsin/shared/activity"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/memory"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/wording"
)

// rig is the record and the reports over the real engine, with a clock.
type rig struct {
	t         *testing.T
	db        *memory.Engine
	now       time.Time
	service   *report.Service
	recorder  *daily.Recorder
	receivers map[string]report.Receiver
	broken    bool // the renderer
	rendered  int
	n         int
}

func (r *rig) Receivers(_ context.Context, subs []report.Subscription) (out []report.Found, _ error) {
	for _, s := range subs {
		f := report.Found{Err: report.ErrNotFound}
		if v, ok := r.receivers[s.Receiver]; ok {
			f = report.Found{Receiver: v}
		}
		out = append(out, f)
	}
	return out, nil
}

func (r *rig) Render(*report.Summary, string, report.Console) ([]byte, error) {
	r.rendered++
	if r.broken {
		return nil, errors.New("out of ink")
	}
	return []byte("%PDF-"), nil
}

func start(t *testing.T, now string) *rig {
	t.Helper()
	r := &rig{t: t, receivers: map[string]report.Receiver{}, now: instant(t, now)}
	r.db = memory.New(nil)
	clock := func() time.Time { return r.now }
	r.recorder = &daily.Recorder{Zone: report.ZoneOf(r.db.Reports()), Now: clock}
	r.service = &report.Service{
		Store: r.db.Reports(), Totals: r.db.DailyTotals(), Renderer: r, Receivers: r, Bus: r.db.Bus(),
		Platform: "Tocsin",
		Console:  "https://console.example.com",
		Now:      clock, NewID: func() string { r.n++; return fmt.Sprintf("R%04d", r.n) },
		Log: slog.New(slog.DiscardHandler),
	}
	return r
}

// subscribe makes an integration that receives reports.
func (r *rig) subscribe(id string, addresses []string, types ...event.Type) {
	r.t.Helper()
	i := integration.Integration{ID: id, Tenant: "42", ClientName: "Acme", System: "email", Revision: 1}
	for _, t := range types {
		i.Subscriptions = append(i.Subscriptions, integration.Subscription{Event: t})
	}
	require.NoError(r.t, r.db.Integrations().Create(r.t.Context(), i,
		activity.Record{Entry: enginetest.Entry("42"), Event: event.Event{
			ID: "made-" + id, Tenant: "42", Kind: event.CreateIntegration, Time: r.now,
			Data: []byte(`{"integration":{"id":"x"}}`)}}))
	r.receivers[id] = report.Receiver{Client: "Acme", Addresses: addresses}
}

// run keeps the schedule once and returns the jobs.
func (r *rig) run() int {
	r.t.Helper()
	n, err := r.service.RunSchedule(r.t.Context())
	require.NoError(r.t, err)
	return n
}

// events are the reports that were published, newest last.
func (r *rig) events() (out []event.Event) {
	r.t.Helper()
	entries, err := r.db.Bus().Receive(r.t.Context(), 1000)
	require.NoError(r.t, err)
	for _, e := range entries {
		if e.DetailType == string(event.Report) {
			parsed, err := event.Parse(e.DetailType, e.Detail)
			require.NoError(r.t, err, "fan-out takes it")
			out = append(out, parsed)
		}
	}
	return out
}

func (r *rig) publish(events ...event.Event) {
	r.t.Helper()
	require.NoError(r.t, r.db.Bus().Publish(r.t.Context(), events...))
	f := fanout.Fanout{Integrations: r.db.Integrations(), Systems: catalogue.Default(), Store: r.db.Deliveries(),
		Logger: slog.New(slog.DiscardHandler), Recorder: r.recorder}
	for {
		entries, err := r.db.Bus().Receive(r.t.Context(), 500)
		require.NoError(r.t, err)
		if len(entries) == 0 {
			return
		}
		_, err = f.Process(r.t.Context(), entries)
		require.NoError(r.t, err)
	}
}

func (r *rig) event(kind event.Kind, at time.Time, data string) event.Event {
	r.n++
	return event.Event{ID: fmt.Sprintf("e%d", r.n), Tenant: "42", ClientName: "Acme", Kind: kind, Time: at,
		Data: json.RawMessage(data)}
}

func (r *rig) hit(at time.Time, kind, host, path, source, block string) event.Event {
	return r.event(event.NewHits, at,
		fmt.Sprintf(`{"hit":{"type":%q,"host":%q,"path":%q,"parameter":"q","method":"GET","remote_addr4":%q,"remote_country":"NL","response_status":403,"block_status":%q,"request_time":%d,"applications":["shop"]}}`,
			kind, host, path, source, block, at.Unix()))
}

func (r *rig) build(f calendar.Frequency, d calendar.Day, zone string, rows report.Rows) *report.Summary {
	r.t.Helper()
	s, err := report.Build(r.t.Context(), r.db.DailyTotals(), "42", "Acme", calendar.Containing(f, d, zone), rows,
		r.now)
	require.NoError(r.t, err)
	return s
}

func TestASummaryIsWhatWasPublished(t *testing.T) {
	r := start(t, "2023-03-06T12:00:00Z")
	monday := instant(t, "2023-02-27T10:00:00Z")
	r.publish(
		r.hit(monday.Add(-24*time.Hour), "sqli", "shop", "/a", "203.0.113.7", "blocked"), // the week before
		r.hit(monday, "sqli", "shop", "/a", "203.0.113.7", "blocked"),
		r.hit(monday.Add(48*time.Hour), "sqli", "shop", "/a", "203.0.113.8", "monitored"),
		r.hit(monday, "xss", "shop", "/a", "203.0.113.7", "blocked"),
		r.hit(monday.Add(7*24*time.Hour), "xss", "shop", "/a", "203.0.113.7", "blocked"), // the week after
		r.event(event.NewAttack, monday,
			`{"object_id":9,"attack":{"id":"A-1","type":"xss","host":"shop","path":"/a","parameter":"q","hits":40,"last_time":"2023-02-27T11:00:00Z"}}`),
		r.event(event.NewIncident, monday,
			`{"object_id":10,"incident":{"id":"INC-1","type":"sqli","host":"shop","hits":3,"vulnerability":"V-1","threat":"High"}}`),
		r.event(event.Vuln, monday, `{"object_id":11,"vuln":{"id":"V-1","title":"SQLi in search","threat":"High"}}`),
		r.event(event.Vuln, monday.Add(time.Hour),
			`{"object_id":11,"vuln":{"id":"V-1","title":"SQLi in search","threat":"Medium"}}`),
		r.event(event.Vuln, monday.Add(2*time.Hour),
			`{"object_id":12,"vuln":{"id":"V-2","title":"was closed","threat":"High","status":"closed"}}`),
		r.event(event.SecurityIssue, monday, `{"security_issue":{"title":"Open page","risk":"Critical"}}`),
		r.event(event.CreateUser, monday, `{"user":{"name":"Ada"}}`),
	)
	s := r.build(calendar.Weekly, "2023-03-01", "UTC", report.RowsOf(report.PDF))
	require.Equal(t, report.Headline{Hits: 3, Blocked: 2, Attacks: 2, Incidents: 1, Vulnerabilities: 2}, s.Now)
	require.Equal(t, report.Headline{Hits: 1, Blocked: 1, Attacks: 1}, s.Before)
	require.Equal(t, []report.Ranked{{Value: "sqli", N: 2}, {Value: "xss", N: 1}}, s.Types)
	require.Equal(t, []report.Ranked{{Value: "203.0.113.7", N: 2}, {Value: "203.0.113.8", N: 1}}, s.Sources)
	require.Equal(t, []report.Ranked{{Value: "shop", N: 3}}, s.Applications)
	require.Equal(t, []report.Ranked{{Value: "Critical", N: 1}, {Value: "Medium", N: 1}}, s.Threats,
		"a finding that was published again has its newest threat")
	require.Len(t, s.Over, 7)
	require.EqualValues(t, 2, s.Over[0].Hits)
	require.EqualValues(t, 1, s.Over[2].Hits)
	require.Len(t, s.Attacks, 2, "hits of one type on one place are one attack (facts, 1.7)")
	require.Equal(t, "xss", s.Attacks[0].Type)
	require.EqualValues(t, 40, s.Attacks[0].Hits(), "upstream's number, where it is the larger")
	require.Equal(t, "A-1", s.Attacks[0].ID)
	require.EqualValues(t, 2, s.Attacks[1].Hits())
	require.Equal(t, []string{"203.0.113.7", "203.0.113.8"}, s.Attacks[1].Sources)
	require.Equal(t, "V-1", s.Incidents[0].Vulnerability)
}

// A summary agrees with a count by hand over random hits in a zone that changes its clocks, however they are batched.
func TestASummaryAgreesWithAnOracle(t *testing.T) {
	r := start(t, "2023-04-02T12:00:00Z")
	require.NoError(t, r.db.Reports().SaveSettings(t.Context(), report.Settings{Tenant: "42", Zone: "Europe/Berlin"},
		enginetest.Entry("42")))
	random := rand.New(rand.NewPCG(1, 2))
	first, last := instant(t, "2023-03-12T00:00:00Z"), instant(t, "2023-04-02T00:00:00Z")
	berlin := zone(t, "Europe/Berlin")
	byDay, byType, byAttack := map[string]int64{}, map[string]int64{}, map[string]int64{}
	var batch []event.Event
	for range 3000 {
		at := first.Add(time.Duration(random.Int64N(int64(last.Sub(first))))).Truncate(time.Second)
		kind, path := []string{"sqli", "xss", "rce"}[random.IntN(3)], fmt.Sprintf("/%d", random.IntN(40))
		if day := at.In(berlin).Format(time.DateOnly); day >= "2023-03-20" && day <= "2023-03-26" {
			byDay[day]++
			byType[kind]++
			byAttack[kind+path]++
		}
		if batch = append(batch, r.hit(at, kind, "shop", path, "203.0.113.7", "blocked")); random.IntN(100) == 0 {
			r.publish(batch...)
			batch = nil
		}
	}
	r.publish(batch...)
	s := r.build(calendar.Weekly, "2023-03-26", "Europe/Berlin", report.Rows{Attacks: 10})
	for i, d := range s.Period.Each() {
		require.Equal(t, byDay[string(d)], s.Over[i].Hits, d)
	}
	for _, k := range s.Types {
		require.Equal(t, byType[k.Value], k.N)
	}
	sizes := []int64{}
	for _, n := range byAttack {
		sizes = append(sizes, n)
	}
	slices.SortFunc(sizes, func(a, b int64) int { return int(b - a) })
	require.EqualValues(t, len(sizes), s.Now.Attacks)
	require.Len(t, s.Attacks, 10)
	for i, a := range s.Attacks {
		require.Equal(t, sizes[i], a.Hits(), "the largest first")
		require.Equal(t, byAttack[a.Type+a.Path], a.Hits())
	}
	require.EqualValues(t, len(sizes)-10, s.MoreAttacks)
}

func TestARepeatedEventCountsOnce(t *testing.T) {
	r := start(t, "2023-03-06T12:00:00Z")
	h := r.hit(instant(t, "2023-03-01T10:00:00Z"), "sqli", "shop", "/", "203.0.113.7", "blocked")
	r.publish(h, h)
	r.publish(h)
	require.EqualValues(t, 1, r.build(calendar.Daily, "2023-03-01", "UTC", report.Rows{}).Now.Hits)
}

func TestTimesThatCanNotBeTrue(t *testing.T) {
	r := start(t, "2023-03-06T12:00:00Z")
	sent := instant(t, "2023-03-01T10:00:00Z")
	for _, hit := range []string{`{"hit":{"type":"x","request_time":1}}`,
		`{"hit":{"type":"x","request_time":99999999999}}`, `{"hit":{"type":"x"}}`} {
		r.publish(r.event(event.NewHits, sent, hit))
	}
	require.EqualValues(t, 3, r.build(calendar.Daily, "2023-03-01", "UTC", report.Rows{}).Now.Hits,
		"the event's own time holds")
}

func TestTheScheduleSendsOnce(t *testing.T) {
	r := start(t, "2023-03-01T12:00:00Z") // a Wednesday
	r.subscribe("i", []string{"ada@example.com", "grace@example.com"}, event.ReportDaily, event.ReportWeekly)
	require.Zero(t, r.run(), "the first report is that of the day that goes on")
	r.now = instant(t, "2023-03-02T05:59:59Z")
	require.Zero(t, r.run())
	r.now = instant(t, "2023-03-02T06:00:00Z")
	require.Equal(t, 2, r.run(), "one job for each address")
	require.Zero(t, r.run())
	require.Equal(t, 1, r.rendered, "one PDF for both")
	r.now = instant(t, "2023-03-06T06:00:00Z") // Monday
	require.Equal(t, 4, r.run(), "Sunday's day and the week")
	got := r.events()
	require.Len(t, got, 6)
	ids := map[string]bool{}
	for _, e := range got {
		require.Equal(t, "i", event.Data[event.ReportData](e).Integration)
		ids[e.ID] = true
	}
	require.Len(t, ids, 6)
	for _, j := range []string{"ada@example.com", "ADA@example.com"} {
		require.NoError(t, r.service.Perform(t.Context(),
			report.Job{Tenant: "42", Receiver: "i", Address: j,
				Period: calendar.Containing(calendar.Weekly, "2023-03-01", "UTC")}))
	}
	for _, e := range r.events()[6:] {
		require.True(t, ids[e.ID], "a job done again has the same event, which fan-out drops")
	}
}

func TestAMissedRunIsMadeUpForOnce(t *testing.T) {
	r := start(t, "2023-03-01T12:00:00Z")
	r.subscribe("i", []string{"ada@example.com"}, event.ReportDaily)
	require.Zero(t, r.run())
	r.now = instant(t, "2023-03-05T17:00:00Z") // off since then
	require.Equal(t, 1, r.run())
	require.Equal(t, "daily-2023-03-04", event.Data[event.ReportData](r.events()[0]).Report,
		"the newest day that is over")
	require.Zero(t, r.run())
	r.now = instant(t, "2023-03-06T06:00:00Z")
	require.Equal(t, 1, r.run(), "and then as ever")
}

func TestAReportThatFailsIsTriedAgain(t *testing.T) {
	r := start(t, "2023-03-01T12:00:00Z")
	r.subscribe("i", []string{"ada@example.com"}, event.ReportDaily)
	r.run()
	r.broken = true
	r.now = instant(t, "2023-03-02T06:00:00Z")
	require.Zero(t, r.run())
	require.Zero(t, r.run(), "not at once")
	r.broken = false
	r.now = r.now.Add(5 * time.Minute)
	require.Equal(t, 1, r.run())
	require.Len(t, r.events(), 1)
}

func TestReportsOfTenantsAreSpreadOverTheHour(t *testing.T) {
	r := start(t, "2023-03-01T12:00:00Z")
	r.service.Spread = 45 * time.Minute
	const tenants = 200
	for n := range tenants {
		tenant, id := fmt.Sprint("tenant-", n), fmt.Sprint("i-", n)
		i := integration.Integration{ID: id, Tenant: tenant, System: "email", Revision: 1,
			Subscriptions: []integration.Subscription{{Event: event.ReportDaily}}}
		note := event.Event{ID: "made-" + id, Tenant: tenant, Kind: event.CreateIntegration, Time: r.now,
			Data: []byte(`{"integration":{"id":"x"}}`)}
		require.NoError(t, r.db.Integrations().Create(t.Context(), i,
			activity.Record{Event: note, Entry: enginetest.Entry(tenant)}))
		r.receivers[id] = report.Receiver{Client: "Acme", Addresses: []string{"ada@example.com"}}
	}
	var jobs []report.Job
	r.service.Enqueue = func(_ context.Context, more []report.Job) error {
		jobs = append(jobs, more...)
		return nil
	}
	require.Zero(t, r.run())
	r.now = instant(t, "2023-03-02T05:59:00Z")
	require.Zero(t, r.run(), "never before")
	most := 0
	minutes := map[string]int{}
	for minute := range 46 {
		r.now = instant(t, "2023-03-02T06:00:00Z").Add(time.Duration(minute) * time.Minute)
		jobs = nil
		most = max(most, r.run())
		for _, j := range jobs {
			require.Equal(t, calendar.Day("2023-03-01"), j.Period.To)
			minutes[j.Tenant] = minute
		}
	}
	require.Len(t, minutes, tenants, "each has it within the time")
	require.LessOrEqual(t, most, 20)
	for minute := range 46 {
		r.now = instant(t, "2023-03-03T06:00:00Z").Add(time.Duration(minute) * time.Minute)
		jobs = nil
		r.run()
		for _, j := range jobs {
			require.Equal(t, minutes[j.Tenant], minute, "a tenant's minute stays")
			delete(minutes, j.Tenant)
		}
	}
	require.Empty(t, minutes)
}

func TestAQueueThatIsAwayPostponesTheReportsOfAPageAndLosesNone(t *testing.T) {
	r := start(t, "2023-03-01T12:00:00Z")
	for n := range 3 {
		r.subscribe(fmt.Sprint("i", n), []string{"ada@example.com"}, event.ReportDaily)
	}
	var jobs []report.Job
	down := true
	r.service.Enqueue = func(_ context.Context, more []report.Job) error {
		if down {
			return errors.New("the queue is away")
		}
		jobs = append(jobs, more...)
		return nil
	}
	r.run()
	r.now = instant(t, "2023-03-02T06:00:00Z")
	require.Zero(t, r.run())
	require.Zero(t, r.run(), "not at once")
	down, r.now = false, r.now.Add(5*time.Minute)
	require.Equal(t, 3, r.run())
	require.Len(t, jobs, 3)
}

func TestAReceiverThatHasGoneGetsNothing(t *testing.T) {
	r := start(t, "2023-03-01T12:00:00Z")
	r.subscribe("i", []string{"ada@example.com"}, event.ReportDaily)
	r.run()
	delete(r.receivers, "i")
	r.now = instant(t, "2023-03-02T06:00:00Z")
	require.Zero(t, r.run())
	require.Empty(t, r.events())
}

func TestJobsCanGoToAQueue(t *testing.T) {
	r := start(t, "2023-03-01T12:00:00Z")
	r.subscribe("i", []string{"ada@example.com", "grace@example.com"}, event.ReportDaily)
	var queue []report.Job
	r.service.Enqueue = func(_ context.Context, jobs []report.Job) error {
		queue = append(queue, jobs...)
		return nil
	}
	r.run()
	r.now = instant(t, "2023-03-02T06:00:00Z")
	require.Equal(t, 2, r.run())
	require.Empty(t, r.events())
	for _, j := range queue {
		raw, err := json.Marshal(j)
		require.NoError(t, err)
		var back report.Job
		require.NoError(t, json.Unmarshal(raw, &back))
		require.NoError(t, r.service.Perform(t.Context(), back))
	}
	require.Len(t, r.events(), 2)
}

func TestAFailedReportOnDemandSaysSo(t *testing.T) {
	r := start(t, "2023-03-06T12:00:00Z")
	r.broken = true
	p, err := calendar.NewPeriod("2023-03-01", "2023-03-02", "UTC")
	require.NoError(t, err)
	made, err := r.service.Order(t.Context(), activity.Actor{Tenant: "42"},
		report.Request{Period: p, Format: report.PDF, Recipients: []string{"ada@example.com"}})
	require.NoError(t, err)
	require.NoError(t, r.service.MakeWaiting(t.Context()))
	made, err = r.db.Reports().Get(t.Context(), "42", made.ID)
	require.NoError(t, err)
	require.Equal(t, report.Failed, made.State)
	require.NotContains(t, made.Reason, "ink", "the cause is for the log")
	require.Empty(t, r.events())
}

func TestCSV(t *testing.T) {
	r := start(t, "2023-03-06T12:00:00Z")
	at := instant(t, "2023-03-01T10:00:00Z")
	var hits []event.Event
	for n := range 12 {
		for range n + 1 {
			hits = append(hits, r.hit(at, "sqli", "店舗.example.jp", fmt.Sprintf("/%02d", n), "203.0.113.7", "blocked"))
		}
	}
	hits = append(hits, r.hit(at, "=HYPERLINK(\"http://evil\")", "@host", "+1", "203.0.113.7", "blocked"))
	r.publish(hits...)
	s := r.build(calendar.Daily, "2023-03-01", "UTC", report.Rows{Attacks: 10})
	files, err := s.Files("https://console.example.com")
	require.NoError(t, err)
	require.Len(t, files, 3)
	require.Equal(t, "attacks-2023-03-01.csv", files[0].Name)
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(files[0].Data, []byte("\ufeff")))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 11, "a header and the limit")
	for i, row := range rows[1:] {
		require.Equal(t, fmt.Sprint(12-i), row[5], "the largest first")
		require.Equal(t, "店舗.example.jp", row[1])
		require.Equal(t, "2023-03-01T10:00:00Z", row[7])
	}
	all, err := r.build(calendar.Daily, "2023-03-01", "UTC", report.RowsOf(report.CSV)).Files("")
	require.NoError(t, err)
	require.Contains(t, string(all[0].Data), `"'=HYPERLINK(""http://evil"")","'@host","'+1"`, "no cell is a formula")
}

func TestTheMessage(t *testing.T) {
	r := start(t, "2023-03-01T12:00:00Z")
	r.subscribe("i", []string{"ada@example.com"}, event.ReportWeekly)
	r.publish(r.hit(instant(t, "2023-03-01T10:00:00Z"), "sqli", "shop", "/", "203.0.113.7", "blocked"))
	r.run()
	r.now = instant(t, "2023-03-06T06:00:00Z")
	require.Equal(t, 1, r.run())
	e := r.events()[0]
	m, err := report.Messages{Store: r.db.Reports(),
		Platform: notification.Platform{Name: "Tocsin", Console: "https://console.example.com"}}.Report(t.Context(), e,
		wording.English)
	require.NoError(t, err)
	require.Equal(t, "Weekly report: Week 9, 27 February – 5 March 2023", m.Title)
	require.Equal(t, "ada@example.com", m.Address)
	require.Equal(t,
		[]notification.File{{Name: "tocsin-weekly-report-2023-W09.pdf", Type: "application/pdf",
			Data: []byte("%PDF-")}}, m.Files)
	require.Contains(t, m.Caption, "1 malicious request in 1 attack")
	around := notification.Around{Unsubscribe: "https://x/unsubscribe/a.b",
		Late: "Made on 2023-03-06T06:00:00Z; sent late."}
	text := m.Text(around)
	for _, want := range []string{around.Late, "Malicious requests: 1 (none before)",
		"Unsubscribe: https://x/unsubscribe/a.b", "time zone UTC", "Acme"} {
		require.Contains(t, text, want)
	}
	page := m.HTML(around)
	_, err = html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	for _, want := range []string{around.Late, `href="https://x/unsubscribe/a.b"`, "prefers-color-scheme: dark",
		"role=\"presentation\"", "New vulnerabilities"} {
		require.Contains(t, page, want)
	}
	_, err = report.Messages{Store: r.db.Reports()}.Report(t.Context(),
		event.Event{Tenant: "42", Kind: event.Report, Data: []byte(`{"report":"gone"}`)}, wording.English)
	require.ErrorContains(t, err, "order it anew")
}

func TestAnEmptyPeriodIsToldInTheMessage(t *testing.T) {
	r := start(t, "2023-03-01T12:00:00Z")
	r.subscribe("i", []string{""}, event.ReportMonthly)
	r.run()
	r.now = instant(t, "2023-04-01T06:00:00Z")
	require.Equal(t, 1, r.run())
	m, err := report.Messages{Store: r.db.Reports()}.Report(t.Context(), r.events()[0], wording.English)
	require.NoError(t, err)
	require.Contains(t, m.Text(notification.Around{}), "Nothing was recorded in this period")
	require.Contains(t, m.HTML(notification.Around{}), "Nothing was recorded in this period")
	require.NotContains(t, m.HTML(notification.Around{}), "Unsubscribe")
}

// reported are the days whose reports were published, in their order.
func (r *rig) reported() (days []string) {
	r.t.Helper()
	for _, e := range r.events() {
		days = append(days, strings.TrimPrefix(event.Data[event.ReportData](e).Report, "daily-"))
	}
	return days
}

func (r *rig) zone(name string) { r.hour(name, calendar.DefaultHour) }

func (r *rig) hour(zone string, hour int) {
	r.t.Helper()
	require.NoError(r.t, r.db.Reports().SaveSettings(r.t.Context(),
		report.Settings{Tenant: "42", Zone: zone, Hour: &hour}, enginetest.Entry("42")))
}

// change makes the integration anew with other subscriptions, as a person saves it.
func (r *rig) change(id string, revision int64, types ...event.Type) {
	r.t.Helper()
	i := integration.Integration{ID: id, Tenant: "42", ClientName: "Acme", System: "email", Revision: revision,
		UpdatedAt: r.now}
	for _, t := range types {
		i.Subscriptions = append(i.Subscriptions, integration.Subscription{Event: t})
	}
	note := event.Event{ID: fmt.Sprintf("changed-%s-%d", id, revision), Tenant: "42", Kind: event.UpdateIntegration,
		Time: r.now, Data: []byte(`{"integration":{"id":"x"}}`)}
	if revision == 1 {
		note.Kind = event.CreateIntegration
	}
	rec := activity.Record{Event: note, Entry: enginetest.Entry("42")}
	if revision == 1 {
		require.NoError(r.t, r.db.Integrations().Create(r.t.Context(), i, rec))
	} else {
		require.NoError(r.t, r.db.Integrations().Update(r.t.Context(), i, rec))
	}
	r.receivers[id] = report.Receiver{Client: "Acme", Addresses: []string{"ada@example.com"}}
}

// zoneChanges are changes of settings around the time when a report is due, and the reports that come.
var zoneChanges = map[string]struct {
	zone string // at the start
	do   func(r *rig)
	want []string // days, in the two days after
}{
	"the same zone, at three in the night, nobody looks before six": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T03:00:00Z")
		r.zone("UTC")
	}, []string{"2023-03-04", "2023-03-05"}},
	"the same zone, at three in the night, with a look": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T03:00:00Z")
		r.zone("UTC")
		r.run()
	}, []string{"2023-03-04", "2023-03-05"}},
	"the same zone, a moment after six, before the schedule looked": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T06:02:00Z")
		r.zone("UTC")
	}, []string{"2023-03-04", "2023-03-05"}},
	"the same zone, after it was sent": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T06:00:00Z")
		r.run()
		r.zone("UTC")
		r.run()
		r.zone("UTC")
	}, []string{"2023-03-04", "2023-03-05"}},
	"to the east, over six o'clock: it is due at once": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T03:00:00Z")
		r.zone("Asia/Tokyo")
	}, []string{"2023-03-04", "2023-03-05"}},
	"to the west, after it was sent": {"Asia/Tokyo", func(r *rig) {
		r.now = instant(r.t, "2023-03-04T21:00:00Z") // six in Tokyo
		r.run()
		r.now = instant(r.t, "2023-03-05T01:00:00Z")
		r.zone("UTC")
	}, []string{"2023-03-04", "2023-03-05"}},
	"there and back": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T03:00:00Z")
		r.zone("Asia/Tokyo")
		r.run()
		r.zone("America/Los_Angeles")
		r.run()
		r.zone("UTC")
	}, []string{"2023-03-04", "2023-03-05"}},
	"half around the world, so that two mornings fall together": {"Pacific/Niue", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T16:30:00Z") // 05:30 on the 5th, and 06:30 on the 6th
		r.zone("Pacific/Kiritimati")
	}, []string{"2023-03-04", "2023-03-05", "2023-03-06"}},
	"the frequency off and on before six": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T03:00:00Z")
		r.change("i", 2, event.Scope)
		r.change("i", 3, event.ReportDaily)
	}, []string{"2023-03-04", "2023-03-05"}},
	"the frequency off and on a moment after six, before the schedule looked": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T06:02:00Z")
		r.change("i", 2, event.Scope)
		r.change("i", 3, event.ReportDaily)
	}, []string{"2023-03-04", "2023-03-05"}},
	"the frequency off and on after it was sent": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T06:00:00Z")
		r.run()
		r.now = instant(r.t, "2023-03-05T10:00:00Z")
		r.change("i", 2, event.Scope)
		r.change("i", 3, event.ReportDaily)
	}, []string{"2023-03-04", "2023-03-05"}},
	"another change of the integration": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T05:59:00Z")
		r.change("i", 2, event.ReportDaily, event.Scope)
	}, []string{"2023-03-04", "2023-03-05"}},
	"the frequency is off when it is due": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T05:00:00Z")
		r.change("i", 2, event.Scope)
		r.now = instant(r.t, "2023-03-05T10:00:00Z")
		r.change("i", 3, event.ReportDaily)
	}, []string{"2023-03-05"}},
	"it stays off": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T05:00:00Z")
		r.change("i", 2, event.Scope)
	}, nil},
	"a later hour, before the old one": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T03:00:00Z")
		r.hour("UTC", 22)
	}, []string{"2023-03-04", "2023-03-05"}},
	"a later hour, after it was sent": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T07:00:00Z")
		r.run()
		r.hour("UTC", 9)
	}, []string{"2023-03-04", "2023-03-05"}},
	"an earlier hour, which has passed": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T03:00:00Z")
		r.hour("UTC", 2)
	}, []string{"2023-03-04", "2023-03-05"}},
	"to and fro": {"UTC", func(r *rig) {
		r.now = instant(r.t, "2023-03-05T03:00:00Z")
		for _, hour := range []int{2, 23, 0, 4, 9} {
			r.hour("UTC", hour)
			r.run()
		}
	}, []string{"2023-03-04", "2023-03-05"}},
	"clocks go forward in the night": {"America/New_York", func(r *rig) {
		r.now = instant(r.t, "2023-03-12T05:00:00Z")
		r.run() // that of the 10th, which was due on the 11th
		r.zone("America/New_York")
	}, []string{"2023-03-10", "2023-03-11", "2023-03-12"}},
}

func TestH21NoChangeOfSettingsSwallowsAReportOrSendsItTwice(t *testing.T) {
	for name, c := range zoneChanges {
		t.Run(name, func(t *testing.T) {
			r := start(t, "2023-03-04T12:00:00Z")
			r.zone(c.zone)
			if c.zone == "America/New_York" {
				r.now = instant(t, "2023-03-10T12:00:00Z")
			}
			if c.zone == "Pacific/Niue" {
				r.now = instant(t, "2023-03-04T16:30:00Z") // 05:30, before the one of the 3rd
			}
			r.change("i", 1, event.ReportDaily)
			r.run()
			if c.zone == "Pacific/Niue" {
				r.now = instant(t, "2023-03-04T17:00:00Z")
				require.Equal(t, 1, r.run())
			}
			c.do(r)
			for until := r.now.Add(48 * time.Hour); r.now.Before(until); r.now = r.now.Add(10 * time.Minute) {
				r.run()
			}
			got := r.reported()
			if c.zone == "Pacific/Niue" {
				require.Equal(t, "2023-03-03", got[0])
				got = got[1:]
			}
			slices.Sort(got)
			require.Equal(t, got, slices.Compact(slices.Clone(got)), "no report comes twice")
			switch {
			case c.want == nil:
				require.Empty(t, got)
			default:
				require.Equal(t, c.want, got[:min(len(got), len(c.want))])
			}
		})
	}
}

func TestH21AnIntegrationThatIsMadeAfterSixBeginsWithTheNextMorning(t *testing.T) {
	r := start(t, "2023-03-05T07:00:00Z")
	r.change("i", 1, event.ReportDaily)
	require.Zero(t, r.run())
	r.now = instant(t, "2023-03-06T06:00:00Z")
	require.Equal(t, 1, r.run())
	require.Equal(t, []string{"2023-03-05"}, r.reported())
}

func TestH21ARestartBeforeSixSwallowsNothing(t *testing.T) {
	r := start(t, "2023-03-05T03:00:00Z")
	r.change("i", 1, event.ReportDaily) // and nobody looks before seven
	r.now = instant(t, "2023-03-05T07:00:00Z")
	require.Equal(t, 1, r.run())
	require.Equal(t, []string{"2023-03-04"}, r.reported())
	require.Zero(t, r.run())
}
