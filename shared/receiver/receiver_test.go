package receiver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/egress"
	"tocsin/shared/engine/memory"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/mail"
	"tocsin/shared/notification"
	"tocsin/shared/patience"
	"tocsin/shared/profile"
	"tocsin/shared/receiver"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/report/pdf"
	"tocsin/shared/retry"
	"tocsin/shared/sending"
	"tocsin/shared/worker"
)

// post is a mail server in memory that can be down.
type post struct {
	mu   sync.Mutex
	sent []destination.Mail
	down int // answers that fail before it is up
}

func (p *post) Send(_ context.Context, m destination.Mail) (destination.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down > 0 {
		p.down--
		return destination.Response{}, fmt.Errorf("the mail server is down")
	}
	p.sent = append(p.sent, m)
	return destination.Response{Status: destination.MailAccepted}, nil
}

func (p *post) to(address string) (out []destination.Mail) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.sent {
		if m.To == address {
			out = append(out, m)
		}
	}
	return out
}

// world is everything from the bus to the mail server, over the real engine.
type world struct {
	t               *testing.T
	db              *memory.Engine
	post            *post
	integrations    *integration.Service
	people          *profile.Service
	reports         *report.Service
	unsubscriptions profile.Unsubscriptions
	mu              sync.Mutex
	now             time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) set(at string) {
	w.t.Helper()
	now, err := time.Parse(time.RFC3339, at)
	require.NoError(w.t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = now
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, post: &post{}}
	w.set("2023-03-01T12:00:00Z")
	w.db = memory.New(nil)
	keys, err := keyring.Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	log, systems, n := slog.New(slog.DiscardHandler), catalogue.Default(), 0
	var mu sync.Mutex
	newID := func() string { mu.Lock(); defer mu.Unlock(); n++; return fmt.Sprintf("ID%06d", n) }
	w.integrations = &integration.Service{Store: w.db.Integrations(), Keys: keys, Systems: systems,
		Addresses: egress.Policy{}, Now: w.clock, NewID: newID, Log: log}
	w.people = &profile.Service{Store: w.db.People(), Now: w.clock,
		NewID: func() string { return ulid.Make().String() }, Log: log}
	d := &receiver.Directory{Integrations: w.db.Integrations(), Opener: w.integrations, Systems: systems,
		People: w.db.People(), Reports: w.db.Reports(), Now: time.Now}
	platform := notification.Platform{Name: "Tocsin", Console: "https://console.example.com", Cloud: "EU"}
	links := profile.Links{Base: "https://tocsin.example.com", Keys: [][]byte{[]byte("k")}}
	w.unsubscriptions = profile.Unsubscriptions{Links: links, Profiles: w.people,
		SuppressionList: w.db.SuppressionList(),
		Now:             w.clock}
	guard := mail.Guard{Next: w.post, Blocks: w.db.SuppressionList(),
		Feedback: &mail.Feedback{Blocks: w.db.SuppressionList(), Bus: w.db.Bus(), Now: w.clock, Log: log}}
	sender := &sending.Sender{
		Destinations: systems, Transport: egress.New(egress.Policy{}, egress.Options{Mailer: guard}),
		Schedule: retry.Schedule{Faster: 1000}, Platform: platform, Now: time.Now, Log: log,
		Unsubscribe: links, Reports: report.Messages{Store: w.db.Reports(), Platform: platform},
	}
	w.reports = &report.Service{
		Store: w.db.Reports(), Totals: w.db.DailyTotals(), Renderer: pdf.Renderer{}, Receivers: d, Bus: w.db.Bus(),
		Platform: "Tocsin", Now: w.clock, NewID: newID, Log: log,
	}
	pool := worker.NewPool(worker.PoolConfig{
		Queue: w.db.Deliveries(), Outcomes: w.db.Deliveries(), Sender: sender, Integrations: d, Opener: d, Logger: log,
		Monitor: &health.Monitor{Counters: w.db.Counters(), Switch: w.integrations, Now: time.Now},
	})
	f := &fanout.Fanout{Integrations: d, Systems: systems, Store: w.db.Deliveries(), Logger: log,
		Recorder: &daily.Recorder{Zone: report.ZoneOf(w.db.Reports()), Now: w.clock}, People: w.people}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { f.Run(ctx, w.db.Bus(), w.db.Bus().Arrived(), pool.Wake) })
	work.Go(func() { pool.Run(ctx) })
	t.Cleanup(func() {
		stop()
		work.Wait()
	})
	return w
}

func (w *world) publish(id string, kind event.Kind, data string) {
	w.t.Helper()
	require.NoError(w.t, w.db.Bus().Publish(w.t.Context(),
		event.Event{ID: id, Tenant: "42", ClientName: "Acme", Kind: kind, Time: w.clock(),
			Data: json.RawMessage(data)}))
}

// settled waits until fan-out is done with all that was published.
func (w *world) settled() {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		entries, err := w.db.Bus().Receive(w.t.Context(), 1)
		return err == nil && len(entries) == 0
	}, patience.Long, 5*time.Millisecond)
}

// mails waits for so many mails to an address, and sees that no more come.
func (w *world) mails(address string, n int) []destination.Mail {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return len(w.post.to(address)) >= n }, patience.Long, 5*time.Millisecond,
		"%d of %d mails to %s", len(w.post.to(address)), n, address)
	time.Sleep(50 * time.Millisecond)
	got := w.post.to(address)
	require.Len(w.t, got, n, address)
	return got
}

const user = `{"user":{"name":"Grace","email":"grace@example.com","role":"Read Only"}}`

func TestAPersonIsToldOfWhatTheyChose(t *testing.T) {
	w := start(t)
	ada := profile.Person{Actor: activity.Actor{Tenant: "42", ClientName: "Acme", Email: "ada@example.com",
		Name: "Ada"},
		Role: access.Administrator}
	_, err := w.people.Set(t.Context(), ada, profile.Choices{Vuln: true}, 0)
	require.NoError(t, err)
	w.publish("1", event.CreateUser, user) // Grace is known from now on
	time.Sleep(1100 * time.Millisecond)    // a change shows within a second
	w.publish("2", event.Vuln, `{"vuln":{"threat":"Low","title":"XSS"}}`)
	w.publish("3", event.CreateUser, `{"user":{"name":"Alan","email":"alan@example.com"}}`)
	m := w.mails("ada@example.com", 1)[0]
	require.Equal(t, "[Tocsin] New vulnerability detected: XSS", m.Subject)
	require.Contains(t, m.HTML, "the notifications in your profile")
	require.Contains(t, m.Text, m.Unsubscribe)
	require.Equal(t, "42", m.Tenant)
	system := w.post.to("grace@example.com")
	require.NotEmpty(t, system)
	require.Equal(t, "[Tocsin] New user was added to the company account: Grace <grace@example.com>", system[0].Subject,
		"on by default (facts, 5.3)")

	_, _, err = w.unsubscriptions.Unsubscribe(t.Context(),
		strings.TrimPrefix(m.Unsubscribe, "https://tocsin.example.com"+profile.Path))
	require.NoError(t, err)
	time.Sleep(1100 * time.Millisecond)
	w.publish("4", event.Vuln, `{"vuln":{"threat":"High"}}`)
	w.mails("ada@example.com", 1)
}

// TestS7OnlyWhoMaySeeItIsSentIt publishes to people of every role, who are there by default and have chosen all that
// there is.
// ofEachRole has a person of each role told of things by today's rules, and one for whom an older release asked nobody:
// old-<name>@example.com.
func (w *world) ofEachRole() {
	roles := map[string]string{"admin": "Administrator", "analyst": "analytic", "auditor": "Read Only",
		"developer": "API Developer", "deploy": "deploy", "wizard": "Wizard", "nobody": ""}
	for name, role := range roles {
		w.publish("create-"+name, event.CreateUser, `{"user":{"name":"`+name+`","email":"`+name+
			`@example.com","role":"`+role+`"}}`)
	}
	w.settled()
	for name, role := range roles {
		p := profile.Profile{
			ID: profile.ID("old-" + name + "@example.com"), Tenant: "42", Email: "old-" + name + "@example.com",
			Role: access.RoleOfTitle(role), Revision: 1,
			Choices: profile.Choices{ReportDaily: true, ReportWeekly: true, ReportMonthly: true, System: true,
				Vuln: true, Scope: true},
		}
		require.NoError(w.t, w.db.People().Save(w.t.Context(), p))
	}
	time.Sleep(1100 * time.Millisecond) // a change shows within a second
	w.post.mu.Lock()
	w.post.sent = nil
	w.post.mu.Unlock()
}

// subjects are those of the mails to a person, of which there are n.
func (w *world) subjects(name string, n int) string {
	var all []string
	for _, m := range w.mails(name+"@example.com", n) {
		all = append(all, m.Subject)
	}
	return strings.Join(all, "\n")
}

func TestThePersonalMailsTellTimesInTheZoneOfTheirPerson(t *testing.T) {
	w := start(t)
	zone := "Asia/Tokyo"
	_, err := w.people.SetIn(t.Context(), profile.Person{Actor: activity.Actor{Tenant: "42", ClientName: "Acme",
		Email: "ada@example.com"}, Role: access.Administrator}, profile.Choices{Vuln: true},
		profile.Reading{Zone: &zone}, 0)
	require.NoError(t, err)
	w.publish("1", event.Vuln, `{"vuln":{"threat":"Low","title":"XSS"}}`)
	require.Contains(t, w.mails("ada@example.com", 1)[0].Text, " JST")
}

func TestS7OnlyWhoMaySeeItIsSentIt(t *testing.T) {
	w := start(t)
	w.ofEachRole()
	w.publish("vuln", event.Vuln, `{"vuln":{"threat":"High","title":"XSS"}}`)
	w.publish("scope", event.NewScopeIPs,
		`{"data":[{"action":"new","object_type":"ip","entity":{"ip":"198.51.100.1"}}]}`)
	w.publish("user", event.DeleteUser, `{"user":{"name":"Alan","email":"alan@example.com"}}`)
	w.publish("application", event.CreateApplication, `{"application":{"id":1,"name":"Shop"}}`)
	w.publish("integration", event.IntegrationBroken, `{"integration":{"id":"i","name":"Ops","system":"slack"}}`)
	w.publish("weekly", event.NewHits, `{"hit":{"type":"sqli","host":"shop","block_status":"blocked"}}`)
	w.settled()
	_, err := w.reports.RunSchedule(t.Context())
	require.NoError(t, err)
	w.set("2023-03-06T06:00:01Z")
	_, err = w.reports.RunSchedule(t.Context())
	require.NoError(t, err)
	const daily, weekly, digests = 1, 1, 2 // of issues, and of the attack surface
	require.Contains(t, w.subjects("old-admin", 5+daily+weekly), "vulnerability")
	require.NotContains(t, w.subjects("old-analyst", 3+daily+weekly), "User")
	require.NotContains(t, w.subjects("old-auditor", 4+daily+weekly), "ntegration")
	require.NotContains(t, w.subjects("analyst", 1+weekly+digests), "User")
	w.subjects("admin", 3+weekly+digests)
	w.subjects("auditor", 2+weekly+digests)
	for _, name := range []string{"developer", "deploy", "wizard", "nobody"} {
		require.Empty(t, w.subjects(name, 0))
		require.Empty(t, w.subjects("old-"+name, 0))
	}
}

func TestAPersonWhoseRoleNobodySaidIsToldThatTheirTokenExpires(t *testing.T) {
	w := start(t)
	d := &receiver.Directory{Integrations: w.db.Integrations(), People: w.db.People(), Now: w.clock}
	for role, told := range map[access.Role]bool{"": true, access.Analyst: true, access.Deploy: false,
		"wizard": false} {
		p := profile.Profile{ID: profile.ID(string(role) + "@example.com"), Tenant: "42",
			Email: string(role) + "@example.com", Choices: profile.Default, Role: role, Revision: 1}
		require.NoError(t, w.db.People().Save(t.Context(), p))
		i, err := d.Get(t.Context(), "42", p.ID)
		require.NoError(t, err)
		require.Equal(t, told, i.Enabled(), "%q", role)
		require.Equal(t, event.TokenExpiry, i.Subscriptions[0].Event)
		require.Len(t, i.Subscriptions, map[bool]int{true: 1 + len(p.Told().Types()), false: 1}[told])
	}
}

func TestS7ALostRoleAndADeletedAccountTakeWaitingMailsWithThem(t *testing.T) {
	w := start(t)
	w.ofEachRole()
	w.post.mu.Lock()
	w.post.sent, w.post.down = nil, 1000
	w.post.mu.Unlock()
	w.publish("vuln-2", event.Vuln, `{"vuln":{"threat":"High","title":"XSS"}}`)
	w.settled()
	w.publish("lost", event.UpdateUser, `{"user":{"name":"a","email":"old-admin@example.com","role":"Deploy"}}`)
	w.publish("gone", event.DeleteUser, `{"user":{"name":"a","email":"old-analyst@example.com"}}`)
	w.settled()
	time.Sleep(1100 * time.Millisecond)
	w.post.mu.Lock()
	w.post.down = 0
	w.post.mu.Unlock()
	w.publish("vuln-3", event.Vuln, `{"vuln":{"threat":"High","title":"XSS"}}`)
	require.Contains(t, w.subjects("old-auditor", 4), "vulnerability",
		"the one that waited, the new one, and two of users")
	require.Empty(t, w.subjects("old-admin", 0))
	require.Empty(t, w.subjects("old-analyst", 0))
}

// A scheduled report reaches each address once, whatever is repeated, over the retry cycles.
func TestAScheduledReportArrivesOnce(t *testing.T) {
	w := start(t)
	who := activity.Actor{Tenant: "42", ClientName: "Acme", Email: "ada@example.com"}
	i, err := w.integrations.Create(t.Context(), who, integration.Draft{
		System: "email", Name: "Managers", Subscriptions: []integration.Subscription{{Event: event.ReportWeekly}},
		Parameters: json.RawMessage(`{"addresses":["m1@example.com","m2@example.com"]}`),
	})
	require.NoError(t, err)
	// Grace is not known yet when the event of the new integration is fanned out
	w.settled()
	// weekly by default
	require.NoError(t, w.people.Know(t.Context(), profile.Person{Actor: activity.Actor{Tenant: "42", ClientName: "Acme",
		Email: "grace@example.com"},
		Role: access.ReadOnly}))
	w.publish("h1", event.NewHits, `{"hit":{"type":"sqli","host":"shop","block_status":"blocked"}}`)
	w.settled()
	run := func() {
		_, err := w.reports.RunSchedule(t.Context())
		require.NoError(t, err)
	}
	run()
	w.post.down = 3 // the first attempts fail and go through the cycles
	w.set("2023-03-06T06:00:01Z")
	run()
	run()
	period := calendar.Containing(calendar.Weekly, "2023-03-01", "UTC")
	for range 3 { // a queue that hands a job out again
		require.NoError(t, w.reports.Perform(t.Context(),
			report.Job{Tenant: "42", Client: "Acme", Receiver: i.ID, Address: "m1@example.com", Period: period}))
	}
	for _, to := range []string{"m1@example.com", "m2@example.com", "grace@example.com"} {
		m := w.mails(to, 1)[0]
		require.Equal(t, "[Tocsin] Weekly report: Week 9, 27 February – 5 March 2023", m.Subject)
		require.Len(t, m.Attachments, 1)
		require.True(t, bytes.HasPrefix(m.Attachments[0].Data, []byte("%PDF-")))
		require.Contains(t, m.Text, "Malicious requests: 1")
		require.NotContains(t, m.HTML+m.Text, "m2@example.com")
	}
	found, err := w.db.Deliveries().List(t.Context(), delivery.Query{Tenant: "42", Integration: i.ID, Limit: 10})
	require.NoError(t, err)
	require.Len(t, found, 2, "each address is a delivery of its own, in the log")
}

func TestAReportOnDemandIsMailed(t *testing.T) {
	w := start(t)
	p, err := calendar.NewPeriod("2023-02-01", "2023-02-28", "UTC")
	require.NoError(t, err)
	_, err = w.reports.Order(t.Context(), activity.Actor{Tenant: "42", ClientName: "Acme", Email: "ada@example.com"},
		report.Request{Period: p, Format: report.CSV, Recipients: []string{"boss@example.com", "cfo@example.com"}})
	require.NoError(t, err)
	require.NoError(t, w.reports.MakeWaiting(t.Context()))
	m := w.mails("boss@example.com", 1)[0]
	require.Len(t, m.Attachments, 3)
	require.Contains(t, m.Text, "Nothing was recorded")
	w.mails("cfo@example.com", 1)

	_, _, err = w.unsubscriptions.Unsubscribe(t.Context(),
		strings.TrimPrefix(m.Unsubscribe, "https://tocsin.example.com"+profile.Path))
	require.NoError(t, err)
	_, err = w.reports.Order(t.Context(), activity.Actor{Tenant: "42"},
		report.Request{Period: p, Format: report.CSV, Recipients: []string{"boss@example.com", "cfo@example.com"}})
	require.NoError(t, err)
	require.NoError(t, w.reports.MakeWaiting(t.Context()))
	w.mails("cfo@example.com", 2)
	w.mails("boss@example.com", 1)
}

func TestAnUndeliverableAddressDoesNotBreakItsIntegration(t *testing.T) {
	w := start(t)
	_, err := w.db.SuppressionList().Suppress(t.Context(),
		mail.Suppression{Tenant: "42", Address: "gone@example.com", Why: mail.Bounced, Reason: "550", At: w.clock()})
	require.NoError(t, err)
	i, err := w.integrations.Create(t.Context(), activity.Actor{Tenant: "42"}, integration.Draft{
		System: "email", Name: "Team", Subscriptions: []integration.Subscription{{Event: event.Scope}},
		Parameters: json.RawMessage(`{"addresses":["gone@example.com","here@example.com"]}`),
	})
	require.NoError(t, err)
	w.publish("s", event.NewScopeIPs, `{"data":[{"entity":{"ip":"203.0.113.8"}}]}`)
	w.mails("here@example.com", 1)
	w.mails("gone@example.com", 0)
	require.Eventually(t, func() bool {
		found, err := w.db.Deliveries().List(t.Context(), delivery.Query{Tenant: "42", Integration: i.ID, Limit: 10})
		require.NoError(t, err)
		return len(found) == 1 && found[0].State == delivery.Delivered &&
			strings.Contains(found[0].Reason, "gone@example.com: it is undeliverable")
	}, time.Minute, 10*time.Millisecond, "the log says who did not get it")
}
