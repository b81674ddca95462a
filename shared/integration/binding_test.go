package integration_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/event"
	"tocsin/shared/integration"
)

func TestABindingFindsItsIntegration(t *testing.T) {
	s, db := service(t)
	i, err := s.Create(t.Context(), ada, integration.Draft{System: "telegram", Name: "Ops"})
	require.NoError(t, err)
	require.Equal(t, []string{integration.ByID(i.ID)}, i.Bindings)
	adapted, err := s.Adapt(t.Context(), i, json.RawMessage(`{"chat_id":-100}`), "bound")
	require.NoError(t, err)
	require.Equal(t, []string{integration.ByID(i.ID), integration.ByExternalKey("-100")}, adapted.Bindings)
	found, err := s.Store.Bound(t.Context(), "telegram", integration.ByExternalKey("-100"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	opened, err := s.Open(t.Context(), found[0])
	require.NoError(t, err)
	require.Equal(t, int64(-100), opened.Parameters.(*telegram.Parameters).ChatID)
	require.Equal(t, i.ID, opened.Saved.ID)

	_, err = s.Adapt(t.Context(), i, json.RawMessage(`{"chat_id":-200}`), "late")
	require.ErrorIs(t, err, integration.ErrConflict, "what was said about an older state is done with")
	_, err = s.Adapt(t.Context(), adapted, json.RawMessage(`{"chat_type":"castle"}`), "nonsense")
	require.ErrorContains(t, err, "parameters.chat_type")
	slack := create(t, s)
	_, err = s.Adapt(t.Context(), slack, json.RawMessage(`{"webhook_url":"https://evil.example/"}`), "forged")
	require.ErrorContains(t, err, "webhook_url, which is a person's to set")
	require.Nil(t, slack.Bindings, "a system that never calls us needs none")

	events := announced(t, db)
	require.Equal(t, event.UpdateIntegration, events[1].Kind)
	require.Equal(t, "bound", event.Data[event.IntegrationData](events[1]).Reason)
	require.Nil(t, event.Data[event.IntegrationData](events[1]).By)
}

func TestASystemThatIsNotThereYetIsRefused(t *testing.T) {
	s, _ := service(t)
	s.Systems = soon{}
	_, err := s.Create(t.Context(), ada, integration.Draft{System: "fax", Name: "x"})
	require.ErrorContains(t, err, "system: Fax can not be set up yet")
}

// soon is a catalogue of one system that is listed only.
type soon struct{}

func (soon) Lookup(string) (s destination.System, available, ok bool) {
	return destination.System{Name: "fax", Title: "Fax"}, false, true
}

func (soon) Names() []string { return nil }
