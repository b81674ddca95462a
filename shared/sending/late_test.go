package sending_test

import (
	"context"
	"encoding/json"
	"log/slog"
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

// last is a transport that keeps the last request.
type last struct {
	request destination.Request
	status  int
}

func (l *last) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	l.request = q
	return destination.Response{Status: l.status, Body: []byte("ok")}, nil
}

type openAs struct{ system, parameters string }

func (o openAs) Open(context.Context, integration.Integration) (integration.Opened, error) {
	s, _, _ := catalogue.Default().Lookup(o.system)
	full, err := s.Parameters.Complete(json.RawMessage(o.parameters))
	if err != nil {
		return integration.Opened{}, err
	}
	p, err := s.Parameters.Open(full)
	return integration.Opened{System: s, Parameters: p}, err
}

// lateness is a delivery, and whether it is late.
type lateness struct {
	came     time.Duration // before now
	state    delivery.State
	before   []delivery.Attempt
	late     bool
	sentence string
	held     *delivery.Held
}

func TestWhatIsSentLateSaysSoAndThePreviewAgrees(t *testing.T) {
	now := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
	dead := delivery.Attempt{At: now.Add(-2 * time.Hour), Status: 503}
	arrived := delivery.Attempt{At: now.Add(-2 * time.Hour), Status: 200, Delivered: true}
	kept := delivery.Attempt{At: now.Add(-2 * time.Hour), Status: destination.MailNotSent, Delivered: true}
	for name, c := range map[string]lateness{
		"a first attempt at once": {state: delivery.Pending},
		"a retry within the hour": {came: time.Hour, state: delivery.Retrying,
			before: []delivery.Attempt{{At: now.Add(-time.Hour), Status: 503}}},
		"what was recovered": {3 * time.Hour, delivery.Pending, nil, true, "sent late", nil},
		"a retry after more than an hour": {2 * time.Hour, delivery.Retrying, []delivery.Attempt{dead},
			true, "sent late", nil},
		"what was dead and is sent again": {2 * time.Hour, delivery.Pending, []delivery.Attempt{dead},
			true, "sent late", nil},
		"what has arrived and is sent again": {2 * time.Hour, delivery.Pending,
			[]delivery.Attempt{arrived}, true, "sent again", nil},
		"a retry of that": {3 * time.Hour, delivery.Retrying,
			[]delivery.Attempt{arrived, dead}, true, "sent again", nil},
		"what was held": {came: 9 * time.Hour, state: delivery.Pending, late: true, sentence: "held back until now",
			held: &delivery.Held{By: "quiet", Until: now}},
		"what was held, and then failed": {came: 9 * time.Hour, state: delivery.Retrying,
			before: []delivery.Attempt{dead}, late: true, sentence: "sent late",
			held: &delivery.Held{By: "quiet", Until: now}},
		"what was held for less than an hour": {came: time.Hour, state: delivery.Pending,
			held: &delivery.Held{By: "mute", Until: now}},
		"a mail that was settled without having been sent": {2 * time.Hour, delivery.Pending, []delivery.Attempt{kept},
			true, "sent late", nil},
	} {
		for system, parameters := range map[string]string{"web_hooks": `{"url":"https://siem.example.com/"}`,
			"slack": `{"webhook_url":"https://hooks.slack.com/services/T/B/x"}`} {
			t.Run(name+" to "+system, func(t *testing.T) { sendLate(t, c, now, openAs{system, parameters}) })
		}
	}
}

func sendLate(t *testing.T, c lateness, now time.Time, opener openAs) {
	t.Helper()
	transport := &last{status: 200}
	sender := &sending.Sender{
		Destinations: catalogue.Default(), Transport: transport, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler), Platform: notification.Platform{Name: "Tocsin", Cloud: "EU"},
	}
	i := integration.Integration{ID: "i", Tenant: "42", System: opener.system}
	target, err := sender.Open(t.Context(), opener, i)
	require.NoError(t, err)
	e := event.Event{ID: "e", Tenant: "42", ClientName: "Acme", Kind: event.CreateUser, Time: now.Add(-c.came),
		Data: []byte(`{"user":{"name":"Grace"},"late":"upstream's"}`)}
	d := delivery.Delivery{
		ID: "01GTD8R4000000000000000000", Tenant: "42", Integration: "i", State: c.state,
		CreatedAt: now.Add(-c.came), Attempts: c.before, Events: []event.Event{e}, Count: 1,
		Held: c.held,
	}
	after, err := sender.Send(t.Context(), target, d)
	require.NoError(t, err)
	require.Equal(t, delivery.Delivered, after.State)
	body := string(transport.request.Body)
	if c.late {
		at := e.Time.Format(time.RFC3339)
		if opener.system == "slack" {
			at = wording.Time(wording.English, e.Time)
		}
		require.Contains(t, body, "Happened: "+at+"; "+c.sentence)
	} else {
		require.NotContains(t, body, "Happened")
	}
	if opener.system == "web_hooks" {
		require.Equal(t, d.ID, transport.request.Header.Get("Webhook-Id"), "it is the delivery that it was")
		var got []struct{ Details map[string]any }
		require.NoError(t, json.Unmarshal(transport.request.Body, &got), body)
		want := any("upstream's") // nothing of ours stands in its place
		if c.late {
			want = true
			require.Equal(t, e.Time.Format(time.RFC3339), got[0].Details["event_time"])
		}
		require.Equal(t, want, got[0].Details["late"])
	}
	previews, err := sender.Preview(t.Context(), opener, i, after.Delivery)
	require.NoError(t, err)
	require.Equal(t, body, previews[0].Body, "the preview shows what was sent")
}
