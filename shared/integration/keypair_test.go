package integration_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest/authority"
	"tocsin/shared/destination/webhook"
	"tocsin/shared/integration"
)

// hooked is a service with a clock, and a webhook that signs with a key pair of ours.
type hooked struct {
	*integration.Service
	t   *testing.T
	now time.Time
	id  string
}

func newHooked(t *testing.T) *hooked {
	t.Helper()
	s, _ := service(t)
	h := &hooked{Service: s, t: t, now: time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)}
	s.Random, s.Now = rand.Reader, func() time.Time { return h.now }
	i, err := s.Create(t.Context(), ada, integration.Draft{System: "web_hooks", Name: "SOC",
		Parameters: json.RawMessage(`{"url":"https://soc.example.com/in","signing_key":"generate"}`)})
	require.NoError(t, err)
	h.id = i.ID
	return h
}

// patch changes parameters, and returns them as they are sent with.
func (h *hooked) patch(parameters string) (webhook.Parameters, integration.Integration) {
	h.t.Helper()
	i, err := h.Update(h.t.Context(), ada, h.id, 0, integration.Patch{Parameters: json.RawMessage(parameters)})
	require.NoError(h.t, err)
	opened, err := h.Open(h.t.Context(), i)
	require.NoError(h.t, err)
	return *opened.Parameters.(*webhook.Parameters), i
}

func TestAKeyPairIsMadeAndItsPrivateHalfNeverShown(t *testing.T) {
	h := newHooked(t)
	p, i := h.patch(`{}`)
	k, err := base64.StdEncoding.DecodeString(p.PrivateKey[len("whsk_"):])
	require.NoError(t, err)
	public := "whpk_" + base64.StdEncoding.EncodeToString(ed25519.PrivateKey(k).Public().(ed25519.PublicKey))
	require.Equal(t, public, p.PublicKey)
	require.Contains(t, string(i.Parameters), public)
	require.NotContains(t, string(i.Parameters)+string(i.Sealed), p.PrivateKey)
	masked, err := h.Masked(t.Context(), i)
	require.NoError(t, err)
	require.Contains(t, string(masked), `"signing_key":"`+destination.SecretMask+`"`)

	same, after := h.patch(`{"signing_key":"generate"}`)
	require.Equal(t, p, same, "a configuration is applied again")
	require.Equal(t, i.Revision, after.Revision)
	_, after = h.patch(string(masked))
	require.Equal(t, i.Revision, after.Revision, "what was read is sent back")
}

func TestTheKeyBeforeSignsForSevenDays(t *testing.T) {
	h := newHooked(t)
	first, _ := h.patch(`{}`)
	second, i := h.patch(`{"signing_key":"rotate"}`)
	require.NotEqual(t, first.PublicKey, second.PublicKey)
	require.Equal(t, [3]string{first.PrivateKey, first.PublicKey, "2026-12-04T09:00:00Z"},
		[3]string{second.PreviousKey, second.PreviousPublic, second.PreviousUntil})
	require.NotContains(t, string(i.Parameters), first.PrivateKey)

	h.now = h.now.Add(webhook.Overlap - time.Second)
	kept, _ := h.patch(`{"max_events":1}`)
	require.Equal(t, first.PublicKey, kept.PreviousPublic)
	h.now = h.now.Add(time.Second)
	over, _ := h.patch(`{"max_events":2}`)
	require.Empty(t, over.PreviousKey+over.PreviousPublic+over.PreviousUntil)
	require.Equal(t, second.PrivateKey, over.PrivateKey)

	third, _ := h.patch(`{"signing_key":"rotate"}`)
	require.Equal(t, second.PublicKey, third.PreviousPublic)
	ended, _ := h.patch(`{"previous_signing_key":null}`)
	require.Equal(t, third.PublicKey, ended.PublicKey)
	require.Empty(t, ended.PreviousKey+ended.PreviousPublic+ended.PreviousUntil, "a person ends it at once")
	off, i := h.patch(`{"signing_key":null}`)
	require.Empty(t, off.PrivateKey+off.PublicKey+off.PreviousKey)
	require.NotContains(t, string(i.Parameters), "whpk_")
}

func TestAKeyPairThatWasPromisedSevenDaysIsNotLostToAnotherRotation(t *testing.T) {
	h := newHooked(t)
	first, _ := h.patch(`{}`)
	second, _ := h.patch(`{"signing_key":"rotate"}`)
	own := "whsk_" + base64.StdEncoding.EncodeToString(make([]byte, ed25519.SeedSize))
	h.now = h.now.Add(webhook.Overlap - time.Second)
	for _, key := range []string{"rotate", own} {
		_, err := h.Update(t.Context(), ada, h.id, 0,
			integration.Patch{Parameters: json.RawMessage(`{"signing_key":"` + key + `"}`)})
		require.ErrorContains(t, err, "parameters.signing_key: can not be replaced again yet: the key pair before "+
			"signs until 2026-12-04T09:00:00Z")
	}
	kept, _ := h.patch(`{"signing_key":"generate"}`)
	require.Equal(t, [2]string{second.PublicKey, first.PublicKey}, [2]string{kept.PublicKey, kept.PreviousPublic})
	third, _ := h.patch(`{"signing_key":"rotate","previous_signing_key":null}`)
	require.Equal(t, second.PublicKey, third.PreviousPublic, "a person ended the first")
	h.now = h.now.Add(webhook.Overlap)
	fourth, _ := h.patch(`{"signing_key":"rotate"}`)
	require.Equal(t, third.PublicKey, fourth.PreviousPublic)
}

// Whoever may change an address must not have what goes there signed by the key of the receiver before.
func TestAKeyPairStaysWithItsReceiver(t *testing.T) {
	h := newHooked(t)
	first, _ := h.patch(`{}`)
	for _, parameters := range []string{`{"url":"https://other.example.com/"}`,
		`{"url":"https://other.example.com/","signing_key":"********"}`} {
		_, err := h.Update(t.Context(), ada, h.id, 0, integration.Patch{Parameters: json.RawMessage(parameters)})
		require.ErrorContains(t, err, "parameters.signing_key: enter it again")
	}
	h.patch(`{"signing_key":"rotate"}`)
	for _, word := range []string{"generate", "rotate"} {
		moved, _ := h.patch(`{"url":"https://` + word + `.example.com/","signing_key":"` + word + `"}`)
		require.NotContains(t, []string{"", first.PrivateKey}, moved.PrivateKey)
		require.Empty(t, moved.PreviousKey+moved.PreviousPublic+moved.PreviousUntil)
	}
	_, err := h.Update(t.Context(), ada, h.id, 0,
		integration.Patch{Parameters: json.RawMessage(`{"public_key":"whpk_x"}`)})
	require.ErrorContains(t, err, "parameters.public_key: is read-only")
}

func TestAKeyOfOnesOwnIsTakenInBothForms(t *testing.T) {
	h := newHooked(t)
	seed := make([]byte, ed25519.SeedSize)
	long := "whsk_" + base64.StdEncoding.EncodeToString(ed25519.NewKeyFromSeed(seed))
	p, i := h.patch(`{"signing_key":"whsk_` + base64.StdEncoding.EncodeToString(seed) + `"}`)
	require.Equal(t, long, p.PrivateKey)
	_, after := h.patch(`{"signing_key":"` + long + `"}`)
	require.Equal(t, i.Revision, after.Revision)
}

func TestAClientCertificateIsJudgedWhenItIsNewAndItsEndIsShown(t *testing.T) {
	h := newHooked(t)
	issuer := authority.New(t, "acme")
	id := issuer.Identity(t, x509.Certificate{NotBefore: h.now.AddDate(-1, 0, 0), NotAfter: h.now.AddDate(0, 1, 0)})
	given := func(id destination.Identity, more string) string {
		raw, err := json.Marshal(map[string]string{"client_certificate": id.Certificate, "client_key": id.Key})
		require.NoError(t, err)
		return string(raw[:len(raw)-1]) + more + "}"
	}
	p, i := h.patch(given(id, ""))
	require.Equal(t, id, destination.Identity{Certificate: p.Certificate, Key: p.Key})
	require.Equal(t, h.now.AddDate(0, 1, 0).Format(time.RFC3339), p.Ends)
	require.NotContains(t, string(i.Parameters), "PRIVATE KEY", "the key is sealed")

	h.now = h.now.AddDate(0, 2, 0)
	p, _ = h.patch(`{"max_events":3}`)
	require.Equal(t, 3, p.MaxEvents, "what has ended is in nobody's way to change something else")
	h.patch(`{"client_certificate":null,"client_key":null}`)
	_, err := h.Update(t.Context(), ada, h.id, 0,
		integration.Patch{Parameters: json.RawMessage(given(id, `,"max_events":101`))})
	require.ErrorContains(t, err, "parameters.client_certificate: has expired")
	require.ErrorContains(t, err, "parameters.max_events: must be at most 100", "all that is wrong is said at once")
	fresh := issuer.Client(t, "later")
	_, err = h.Update(t.Context(), ada, h.id, 0,
		integration.Patch{Parameters: json.RawMessage(given(fresh, `,"url":"http://soc.example.com/in"`))})
	require.ErrorContains(t, err, "parameters.client_certificate: needs an https address")
}
