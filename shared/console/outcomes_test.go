package console_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/fanout"
	"tocsin/shared/mail"
	"tocsin/shared/notification"
	"tocsin/shared/profile"
	"tocsin/shared/receiver"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/sending"
)

// post is a mail service that answers by address; an address without an answer gets no answer at all.
type post struct {
	mu      sync.Mutex
	answers map[string]destination.Response
	sent    map[string]int
}

func (p *post) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := strings.ToLower(q.Mail.To)
	p.sent[to]++
	if a, ok := p.answers[to]; ok {
		return a, nil
	}
	return destination.Response{}, fmt.Errorf("the mail server does not answer")
}

// postRig is a rig with the way of mails: what waits is sent with sendWaiting.
type postRig struct {
	*rig
	post      *post
	receivers *receiver.Directory
	sender    *sending.Sender
}

func startMailing(t *testing.T) *postRig {
	r := start(t)
	log := slog.New(slog.DiscardHandler)
	m := &postRig{rig: r, post: &post{sent: map[string]int{}, answers: map[string]destination.Response{
		"ada@example.com":     {Status: 250},
		"gone@example.com":    {Status: 550, Body: []byte("5.1.1 no such user"), Recipient: true},
		"left@example.com":    {Status: destination.MailNotSent, Body: []byte("this address has unsubscribed")},
		"analyst@example.com": {Status: 550, Body: []byte("5.1.1 no such user"), Recipient: true},
	}}}
	r.config.Integrations.Backlog = r.db.Deliveries
	r.config.MailQuota = &mail.Quota{Counters: r.db.Counters, Limit: 5, Now: time.Now}
	r.reports.MailQuota = r.config.MailQuota
	r.handler = console.New(r.config)
	m.receivers = &receiver.Directory{
		Integrations: r.db.Integrations, Opener: r.config.Integrations, Systems: catalogue.Default(),
		People: r.db.People, Reports: r.db.Reports, Now: time.Now,
	}
	platform := notification.Platform{Name: "Tocsin", Cloud: "EU"}
	m.sender = &sending.Sender{
		Destinations: catalogue.Default(), Transport: m.post, Platform: platform, Now: time.Now, Log: log,
		Reports: report.Messages{Store: r.db.Reports, Platform: platform},
	}
	return m
}

// sendWaiting fans out what is on the bus and makes one attempt at all that waits for its first.
func (m *postRig) sendWaiting() {
	m.t.Helper()
	ctx, log := m.t.Context(), m.db.Deliveries
	fanout := fanout.Fanout{Integrations: m.receivers, Systems: m.config.Systems, Store: log, Logger: m.config.Log}
	for {
		entries, err := m.db.Bus.Receive(ctx, 100)
		require.NoError(m.t, err)
		if len(entries) == 0 {
			break
		}
		_, err = fanout.Process(ctx, entries)
		require.NoError(m.t, err)
	}
	targets := sending.NewTargetCache(m.sender, m.receivers, m.receivers)
	lanes, _, err := log.Waiting(ctx, time.Now())
	require.NoError(m.t, err)
	for _, l := range lanes {
		if l.Retry {
			continue
		}
		target, ended, err := targets.Target(ctx, l.Tenant, l.Integration)
		require.NoError(m.t, err)
		leased, err := log.Lease(ctx, l, 100, time.Now(), time.Now(), time.Now().Add(time.Minute))
		require.NoError(m.t, err)
		for _, d := range leased {
			after := sending.Outcome{Delivery: d.Kill(ended.Why)}
			if ended.Why == "" {
				after, err = m.sender.Send(ctx, target, d)
				require.NoError(m.t, err)
			}
			require.NoError(m.t, log.Settle(ctx, []delivery.Delivery{after.Delivery}))
		}
	}
}

// mails lists outcomes by receiver and state.
func (m *postRig) mails(path string) (items []map[string]any, states map[string]string) {
	m.t.Helper()
	a := m.call("GET", path, "")
	require.Equal(m.t, 200, a.status, a.raw)
	states = map[string]string{}
	for _, i := range a.body["items"].([]any) {
		v := i.(map[string]any)
		items = append(items, v)
		states[v["receiver"].(string)] = v["state"].(string)
	}
	return items, states
}

func TestP3AReportSaysOfEachReceiverWhatBecameOfTheMail(t *testing.T) {
	m := startMailing(t)
	m.reports.Now = m.config.Now
	ordered := m.call("POST", "/v1/reports", fmt.Sprintf(
		`{"period":{"frequency":"daily","from":%q},"recipients":["ada@example.com","gone@example.com","Left@example.com","slow@example.com"]}`,
		m.config.Now().AddDate(0, 0, -2).Format(time.DateOnly)))
	require.Equal(t, 202, ordered.status, ordered.raw)
	path := "/v1/reports/" + ordered.body["id"].(string) + "/mails"
	_, states := m.mails(path)
	require.Equal(t, map[string]string{"ada@example.com": "waiting", "gone@example.com": "waiting",
		"Left@example.com": "waiting", "slow@example.com": "waiting"}, states, "before it is made")
	require.NoError(t, m.reports.MakeWaiting(t.Context()))
	m.sendWaiting()
	items, states := m.mails(path)
	require.Len(t, items, 4, "in the order of the receivers")
	require.Equal(t, "sent", states["ada@example.com"])
	require.EqualValues(t, 250, items[0]["status"])
	require.NotContains(t, items[0], "reason")
	require.Equal(t, "failed", states["gone@example.com"])
	require.Contains(t, items[1]["reason"], "5.1.1 no such user")
	require.Equal(t, "not_sent", states["Left@example.com"])
	require.Contains(t, items[2]["reason"], "unsubscribed")
	require.NotContains(t, items[2], "status", "nobody answered")
	require.Equal(t, "waiting", items[3]["state"])
	require.Contains(t, items[3]["reason"], "does not answer")
	require.Contains(t, items[3], "due")

	// The bound of mails on request holds: three went to other people with room for five.
	again := path + "/" + items[1]["id"].(string) + "/replay"
	m.post.answers["gone@example.com"] = destination.Response{Status: 250}
	a := m.call("POST", again, "")
	require.Equal(t, 200, a.status, a.raw)
	require.EqualValues(t, 1, a.body["count"])
	receiver := report.OrderReceiverID(ordered.body["id"].(string))
	require.Contains(t, m.woken, delivery.Lane{Tenant: "42", Integration: receiver})
	_, states = m.mails(path)
	require.Equal(t, "waiting", states["gone@example.com"])
	require.EqualValues(t, 0, m.call("POST", again, "").body["count"], "it is on its way: nothing is counted")
	m.sendWaiting()
	_, states = m.mails(path)
	require.Equal(t, "sent", states["gone@example.com"])
	require.Equal(t, 1, m.post.sent["ada@example.com"], "who has it does not get it again")
	require.Equal(t, 200, m.call("POST", again, "").status)
	m.sendWaiting()
	busy := m.call("POST", again, "")
	require.Equal(t, 429, busy.status, busy.raw)
	require.NotEmpty(t, busy.header.Get("Retry-After"))
	require.Equal(t, 404, m.call("POST", path+"/01GTD8R4000000000000000001/replay", "").status)
}

func TestP3WhatIsKeptNoLongerIsNotSaidToBeSent(t *testing.T) {
	m := startMailing(t)
	p, err := calendar.NewPeriod("2023-03-01", "2023-03-02", "UTC")
	require.NoError(t, err)
	for state, want := range map[report.State]string{report.Ready: "unknown", report.Failed: "not_sent"} {
		r := report.Report{ID: string(state), Tenant: "42", Period: p, Format: report.PDF, State: state,
			CreatedAt: time.Now().Add(-48 * time.Hour), Recipients: []string{"a@example.com"}}
		require.NoError(t, m.db.Reports.Save(t.Context(), r, nil))
		_, states := m.mails("/v1/reports/" + r.ID + "/mails")
		require.Equal(t, want, states["a@example.com"])
	}
}

func TestP3EverybodySeesTheirOwnMailsAndAdministratorsThoseOfAll(t *testing.T) {
	m := startMailing(t)
	who := profile.Person{Actor: activity.Actor{Tenant: "42", ClientName: "Acme", Email: "analyst@example.com",
		Name: "Ann"},
		Role: access.Analyst, At: time.Now().Add(-time.Hour)}
	_, err := m.config.Profiles.Set(t.Context(), who, profile.Choices{Vuln: true}, 0)
	require.NoError(t, err)
	m.call("GET", "/v1/profile/notifications", "") // Ada is told of what the system does
	m.arrive(0, 2, time.Now().Add(-time.Minute))
	m.receivers.Now = func() time.Time { return time.Now().Add(time.Hour) } // nobody is remembered
	require.NoError(t, m.db.Bus.Put(t.Context(), []delivery.Entry{{DetailType: "vuln", At: time.Now(), Detail: []byte(
		`{"version":1,"id":"for-ann","tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z","data":{"object_id":5,"vuln":{"domain":"secret.example.com","threat":"High","type":"XSS"}}}`)}}))
	m.sendWaiting()

	people := m.call("GET", "/v1/people", "")
	require.Equal(t, 200, people.status, people.raw)
	var ann map[string]any
	for _, p := range people.body["items"].([]any) {
		if v := p.(map[string]any); v["email"] == "analyst@example.com" {
			ann = v
		}
	}
	require.NotNil(t, ann, people.raw)
	require.EqualValues(t, 1, ann["failed"], people.raw)
	theirs := "/v1/people/" + ann["id"].(string) + "/mails"
	items, states := m.mails(theirs)
	require.Equal(t, map[string]string{"analyst@example.com": "failed"}, states)
	require.Contains(t, items[0]["reason"], "no such user")
	require.Equal(t, []any{"vuln"}, items[0]["kinds"])
	require.NotContains(t, m.call("GET", theirs, "").raw, "secret.example.com", "what a mail says is the person's")

	// The analyst sees the same, and nobody else's.
	administrator := m.token
	m.email = "analyst@example.com"
	m.token = m.issue("42", access.Analyst)
	mine, _ := m.mails("/v1/profile/mails")
	require.Equal(t, items, mine)
	require.Equal(t, 403, m.call("GET", theirs, "").status)
	require.Equal(t, 403, m.call("GET", "/v1/people", "").status)
	m.post.answers["analyst@example.com"] = destination.Response{Status: 250}
	again := "/v1/profile/mails/" + mine[0]["id"].(string) + "/replay"
	a := m.call("POST", again, "")
	require.Equal(t, 200, a.status, a.raw)
	require.EqualValues(t, 1, a.body["count"])
	m.sendWaiting()
	_, states = m.mails("/v1/profile/mails")
	require.Equal(t, "sent", states["analyst@example.com"])

	// What a new role may not see is not sent again, whoever asks.
	who.Role, who.At = access.APIDeveloper, time.Now()
	require.NoError(t, m.config.Profiles.Know(t.Context(), who))
	m.token = m.issue("42", access.APIDeveloper)
	require.Equal(t, 409, m.call("POST", again, "").status)
	m.token = administrator
	refused := m.call("POST", theirs+"/"+mine[0]["id"].(string)+"/replay", "")
	require.Equal(t, 409, refused.status)
	require.Contains(t, refused.raw, "may not see any more")
	require.Equal(t, 404, m.call("GET", "/v1/people/person.none/mails", "").status)
	m.blamesNoRoleThatNobodySaid(who, theirs+"/"+mine[0]["id"].(string)+"/replay")
}

// blamesNoRoleThatNobodySaid asks for a mail again whose person's role nobody has said yet.
func (m *postRig) blamesNoRoleThatNobodySaid(who profile.Person, again string) {
	t := m.t
	p, err := m.db.People.Get(t.Context(), "42", profile.ID(who.Email))
	require.NoError(t, err)
	p.Role = ""
	p.Revision++
	require.NoError(t, m.db.People.Save(t.Context(), p))
	refused := m.call("POST", again, "")
	require.Equal(t, 409, refused.status)
	require.Contains(t, refused.raw, "is not known here yet: it is when they have signed in to the Console once")
	requireWorded(t, refused.body)
}

func TestTheHealthOfAnIntegrationJustEnabledHasAListOfSteps(t *testing.T) {
	r := start(t)
	id := r.slack("Ops")
	r.call("POST", "/v1/integrations/"+id+"/disable", "")
	r.call("POST", "/v1/integrations/"+id+"/enable", "")
	require.JSONEq(t, `[]`, member(t, r.call("GET", "/v1/integrations/"+id+"/health", ""), "series"))
}
