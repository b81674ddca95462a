package sending_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
	"tocsin/shared/sending"
	"tocsin/shared/wording"
)

// as is the locale of every tenant.
type as wording.Locale

func (a as) Locale(context.Context, string) wording.Locale { return wording.Locale(a) }

// example opens every integration by made-up parameters.
type example struct{}

func (example) Open(_ context.Context, i integration.Integration) (integration.Opened, error) {
	system, _, _ := catalogue.Default().Lookup(i.System)
	parameters, _, err := system.Parameters.Example(nil)
	return integration.Opened{System: system, Parameters: parameters, Saved: &i}, err
}

// TestTimesAreSentInTheZoneOfTheirReaders looks at what each system is sent of an integration that fails: the zone is
// the person's own or the tenant's where people read it, and machines get UTC.
func TestTimesAreSentInTheZoneOfTheirReaders(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	sender := &sending.Sender{Destinations: catalogue.Default(), Now: func() time.Time { return destinationtest.Now },
		Locales:  as{Zone: berlin},
		Platform: notification.Platform{Name: "Tocsin", Cloud: "EU"}, Log: slog.New(slog.DiscardHandler)}
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	require.NoError(t, err)
	var failing event.Event
	for _, e := range destinationtest.Events() {
		if e.Kind == event.IntegrationFailing {
			failing = e
		}
	}
	read := 0
	for _, entry := range catalogue.Default().All() {
		s := entry.System
		if !entry.Available || s.Missing != "" || s.Class == notification.Files {
			continue
		}
		previews, err := sender.Preview(t.Context(), example{},
			integration.Integration{ID: "i", Tenant: "42", System: s.Name},
			delivery.Delivery{ID: "d", Tenant: "42", Events: []event.Event{failing}, Count: 1})
		require.NoError(t, err, s.Name)
		sent := said(previews)
		own, err := sender.Preview(t.Context(), example{},
			integration.Integration{ID: "i", Tenant: "42", System: s.Name, Zone: tokyo},
			delivery.Delivery{ID: "d", Tenant: "42", Events: []event.Event{failing}, Count: 1})
		require.NoError(t, err, s.Name)
		if s.Class.Read() {
			read++
			require.Regexp(t, "1 March 2023, 0?9:00 JST", said(own), s.Name)
			require.Contains(t, sent, "1 March 2023, 01:00 CET", s.Name)
			require.NotContains(t, sent, "Failing since: 2023-03-01T00:00:00Z", s.Name)
		} else {
			require.Contains(t, sent, "2023-03-01T00:00:00Z", s.Name)
			require.NotContains(t, sent, "CET", s.Name)
			require.NotContains(t, said(own), "JST", s.Name)
		}
	}
	require.Greater(t, read, 5)
}

// said is all that is sent.
func said(previews []sending.RequestPreview) string {
	var out strings.Builder
	for _, p := range previews {
		out.WriteString(p.Body)
		if p.Mail != nil {
			out.WriteString(p.Mail.Text + p.Mail.HTML)
		}
	}
	return out.String()
}
