package settingstest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/destinationtest/authority"
	"tocsin/shared/destination/destinationtest/signature"
	"tocsin/shared/destination/webhook"
	"tocsin/shared/egress"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/sending"
)

// secured keeps the last request for a token and the last message, and takes both.
type secured struct{ token, message destination.Request }

func (s *secured) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	if strings.HasSuffix(q.URL, "/token") {
		s.token = q
		return destination.Response{Status: http.StatusOK, Body: []byte(`{"access_token":"tok","expires_in":60}`)}, nil
	}
	s.message = q
	return destination.Response{Status: http.StatusOK}, nil
}

// webhookKeepsWhatSecuresIt: a webhook is signed with a secret and two key pairs, shows a client certificate and
// fetches an access token, all of what the store kept of it, which is no secret that can be read there.
func webhookKeepsWhatSecuresIt(t *testing.T, open OpenIntegrations) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	s, _ := open(t)
	keys, err := keyring.Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	service := &integration.Service{Store: s, Keys: keys, Systems: catalogue.Default(), Now: time.Now,
		NewID: func() string { return "secured" }, Random: rand.Reader, Log: log,
		Addresses: egress.Policy{Allow: []string{"soc.example.com:443"}}}
	id := authority.New(t, "acme").Client(t, "tocsin.example.com")
	raw, err := json.Marshal(map[string]any{"url": "https://soc.example.com/hook", "signing_secret": secret,
		"signing_key": "generate", "token_url": "https://soc.example.com/token", "client_id": "tocsin",
		"client_secret": "s3cr3t-of-ours", "client_certificate": id.Certificate, "client_key": id.Key})
	require.NoError(t, err)
	ada := activity.Actor{Tenant: "42", Email: "ada@example.com"}
	_, err = service.Create(t.Context(), ada, integration.Draft{System: "web_hooks", Name: "SOC", Parameters: raw})
	require.NoError(t, err)
	_, err = service.Update(t.Context(), ada, "secured", 0,
		integration.Patch{Parameters: json.RawMessage(`{"signing_key":"rotate"}`)})
	require.NoError(t, err)

	kept, err := s.Get(t.Context(), "42", "secured")
	require.NoError(t, err)
	whole, err := json.Marshal(kept)
	require.NoError(t, err)
	for _, word := range []string{secret, secret[len("whsec_"):], "s3cr3t-of-ours", "whsk_", "PRIVATE KEY"} {
		require.NotContains(t, string(whole), word)
	}
	r := &secured{}
	sender := &sending.Sender{Destinations: catalogue.Default(), Transport: r, Log: log, Now: time.Now}
	target, err := sender.Open(t.Context(), service, kept)
	require.NoError(t, err)
	after, err := sender.Send(t.Context(), target, delivery.Delivery{ID: "d", Tenant: "42", Integration: "secured",
		State: delivery.Pending, CreatedAt: at, Count: 1, Events: []event.Event{{ID: "e", Tenant: "42",
			Kind: event.CreateUser, Time: at, Data: []byte(`{"user":{"name":"Grace"}}`)}}})
	require.NoError(t, err)
	require.Equal(t, delivery.Delivered, after.State)

	client, password, ok := (&http.Request{Header: r.token.Header}).BasicAuth()
	require.Equal(t, []any{"tocsin", "s3cr3t-of-ours", true}, []any{client, password, ok})
	require.Equal(t, "Bearer tok", r.message.Header.Get("Authorization"))
	require.Equal(t, id, r.message.Transport.Identity)
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, verifier.VerifyIgnoringTimestamp(r.message.Body, r.message.Header))
	var shown webhook.Parameters
	require.NoError(t, json.Unmarshal(kept.Parameters, &shown))
	for _, public := range []string{shown.PublicKey, shown.PreviousPublic} {
		require.True(t, signature.By(r.message, public), public)
	}
}
