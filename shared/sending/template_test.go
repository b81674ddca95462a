package sending_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/notification"
	"tocsin/shared/sending"
)

func TestAMessageOfATemplateIsSentAndWhereItMakesNoneOursIsAndTheAttemptSaysSo(t *testing.T) {
	now := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
	opener := openAs{"slack", `{"webhook_url":"https://hooks.slack.com/services/T/B/x"}`}
	for name, c := range map[string]struct {
		template messagetemplate.Source
		status   int
		sent     string
		reason   string
	}{
		"none": {sent: "A user was added."},
		"its words": {template: messagetemplate.Source{Title: "{{.User}}!", Text: "Hello {{.User}}"},
			sent: "Hello Grace"},
		"an empty title": {template: messagetemplate.Source{Title: "{{.Host}}", Text: "Hello {{.User}}"},
			sent:   "New user was added",
			reason: "the message template made no title of create_user: the standard title was sent"},
		"of another release": {template: messagetemplate.Source{Title: "{{.Gone}}"}, sent: "A user was added.",
			reason: "the message template can not be run any more: the standard message was sent"},
		"a failure that has its own reason": {template: messagetemplate.Source{Title: "{{.Host}}"}, status: 500,
			sent:   "A user was added.",
			reason: "; the message template made no title of create_user: the standard title was sent"},
	} {
		t.Run(name, func(t *testing.T) {
			transport := &last{status: max(c.status, 200)}
			sender := &sending.Sender{Destinations: catalogue.Default(), Transport: transport,
				Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
				Platform: notification.Platform{Name: "Tocsin", Cloud: "EU"}}
			i := integration.Integration{ID: "i", Tenant: "42", System: "slack", MessageTemplate: c.template}
			target, err := sender.Open(t.Context(), opener, i)
			require.NoError(t, err)
			e := event.Event{ID: "e", Tenant: "42", ClientName: "Acme", Kind: event.CreateUser, Time: now,
				Data: []byte(`{"user":{"name":"Grace"}}`)}
			after, err := sender.Send(t.Context(), target, delivery.Delivery{ID: "01GTD8R4000000000000000000",
				Tenant: "42", Integration: "i", State: delivery.Pending, CreatedAt: now, Events: []event.Event{e},
				Count: 1})
			require.NoError(t, err)
			require.Contains(t, string(transport.request.Body), c.sent)
			a := after.Attempts[len(after.Attempts)-1]
			require.Equal(t, c.status == 0, a.Delivered, "the event is not lost")
			if c.status == 0 {
				require.Equal(t, c.reason, a.Reason)
			} else {
				require.Contains(t, a.Reason, c.reason)
			}
			require.Equal(t, c.reason != "", messagetemplate.FellBack(a.Reason))
			previews, err := sender.Preview(t.Context(), opener, i, after.Delivery)
			require.NoError(t, err)
			require.Equal(t, string(transport.request.Body), previews[0].Body)
		})
	}
}
