package sending_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
	"tocsin/shared/sending"
	"tocsin/shared/wording"
)

// answers is a transport that keeps all requests and gives the answers in turn, the last one for ever.
type answers struct {
	requests []destination.Request
	give     []destination.Response
}

func (a *answers) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	a.requests = append(a.requests, q)
	r := a.give[0]
	if len(a.give) > 1 {
		a.give = a.give[1:]
	}
	return r, nil
}

func manyEvents(now time.Time, count int) (out []event.Event) {
	for n := range count {
		out = append(out, event.Event{ID: fmt.Sprint("e", n), Tenant: "42", ClientName: "Acme", Kind: event.CreateUser,
			Time: now.Add(-time.Duration(n) * time.Minute), Data: []byte(`{"user":{"name":"Grace"}}`)})
	}
	return out
}

// many is an integration and what sends to it.
type many struct {
	*sending.Sender
	*answers
	opener      openAs
	integration integration.Integration
	now         time.Time
}

func newMany(opener openAs, give ...destination.Response) *many {
	m := &many{answers: &answers{give: give}, opener: opener, now: time.Date(2023, 3, 1, 7, 0, 0, 0, time.UTC),
		integration: integration.Integration{ID: "i", Tenant: "42", System: opener.system,
			Language: wording.English}}
	m.Sender = &sending.Sender{
		Destinations: catalogue.Default(), Transport: m.answers, Now: func() time.Time { return m.now },
		Log:      slog.New(slog.DiscardHandler),
		Platform: notification.Platform{Name: "Tocsin", Cloud: "EU", Pages: "https://tocsin.example.com"},
	}
	return m
}

// try makes one attempt, as long after the last as the delivery waits.
func (m *many) try(t *testing.T, d delivery.Delivery) delivery.Delivery {
	t.Helper()
	if !d.Due.IsZero() {
		m.now = d.Due
	}
	target, err := m.Open(t.Context(), m.opener, m.integration)
	require.NoError(t, err)
	after, err := m.Send(t.Context(), target, d)
	require.NoError(t, err)
	return after.Delivery
}

func (m *many) digest(count int) delivery.Delivery {
	return delivery.Delivery{ID: "01GTD8R4000000000000000000", Tenant: "42", Integration: "i", State: delivery.Pending,
		CreatedAt: m.now.Add(-10 * time.Hour), Events: manyEvents(m.now, count), Count: count,
		Digest: delivery.DigestQuiet}
}

var (
	slackAs = openAs{"slack", `{"webhook_url":"https://hooks.slack.com/services/T/B/x"}`}
	mailAs  = openAs{"email", `{"addresses":["ada@example.com","grace@example.com"]}`}
)

func TestADigestIsOneMessageThroughRetriesAndReplaysAndInThePreview(t *testing.T) {
	for _, failure := range []int{503, 400, 413} {
		m := newMany(slackAs, destination.Response{Status: failure, Body: []byte("no_text")},
			destination.Response{Status: 200, Body: []byte("ok")})
		d := m.try(t, m.digest(12))
		require.Equal(t, delivery.Retrying, d.State)
		require.Len(t, m.requests, 1, "it is not halved: no half is another message")
		d = m.try(t, d)
		require.Equal(t, delivery.Delivered, d.State, d.Reason)
		require.Empty(t, d.Parts)
		require.Len(t, m.requests, 2)
		require.Equal(t, string(m.requests[0].Body), string(m.requests[1].Body), "a retry is the same message")
		require.Contains(t, string(m.requests[1].Body), "12 events of the quiet hours")
		require.Contains(t, string(m.requests[1].Body),
			"https://tocsin.example.com/integrations/i/deliveries/01GTD8R4000000000000000000")
		require.NotContains(t, string(m.requests[1].Body), "sent late", "it says when its events were")
		previews, err := m.Preview(t.Context(), m.opener, m.integration, d)
		require.NoError(t, err)
		require.Len(t, previews, 1)
		require.Equal(t, string(m.requests[1].Body), previews[0].Body)
		d.State = delivery.Pending // as a replay has it
		d = m.try(t, d)
		require.Equal(t, delivery.Delivered, d.State)
		require.Len(t, m.requests, 3)
	}
}

func TestADigestByMailHasAPartForEachReceiver(t *testing.T) {
	m := newMany(mailAs, destination.Response{Status: 550, Body: []byte("5.1.1 nobody"), Recipient: true},
		destination.Response{Status: 250, Body: []byte("2.0.0 ok")})
	d := m.try(t, m.digest(12))
	require.Equal(t, delivery.Delivered, d.State)
	require.Len(t, m.requests, 2)
	require.Len(t, d.Outcomes(), 2)
	require.Equal(t, delivery.PartRefused, d.Outcomes()[0].State)
	require.Equal(t, delivery.PartDelivered, d.Outcomes()[1].State)
	require.True(t, strings.HasPrefix(m.requests[0].Mail.Subject, "[Tocsin] 12 events"), m.requests[0].Mail.Subject)
	before := len(m.requests)
	d.State, d.Attempts = delivery.Pending, nil
	d = m.try(t, d)
	require.Equal(t, delivery.Delivered, d.State)
	require.Len(t, m.requests, before, "what arrived is not sent again")
}

func TestMachinesGetEachEventOfADigestAndAPersonASingleEventAsItIs(t *testing.T) {
	ok := destination.Response{Status: 200, Body: []byte("ok")}
	m := newMany(openAs{"web_hooks", `{"url":"https://siem.example.com/"}`}, ok)
	require.Equal(t, delivery.Delivered, m.try(t, m.digest(12)).State)
	require.Len(t, m.requests, 1)
	require.Equal(t, 12, strings.Count(string(m.requests[0].Body), `"client_name"`))
	m = newMany(slackAs, ok)
	require.Equal(t, delivery.Delivered, m.try(t, m.digest(1)).State)
	require.Contains(t, string(m.requests[0].Body), "New user was added")
}
