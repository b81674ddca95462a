//go:build awslocal

package aws_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/engine/aws"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
)

func accepted(id, path string) delivery.Accepted {
	data, _ := json.Marshal(map[string]any{"hit": map[string]string{"type": "sqli", "path": path}})
	e := event.Event{ID: id, Tenant: "42", ClientName: "Acme", Kind: event.NewHits, Time: now(), Data: data}
	return delivery.Accepted{Entry: delivery.Entry{Receipt: "message-" + id, At: now()}, Event: e}
}

func pending(id string, list ...delivery.Accepted) delivery.Delivery {
	d := delivery.Delivery{ID: id, Tenant: "42", Integration: "i", State: delivery.Pending, Count: len(list), Kinds: []event.Kind{event.NewHits}}
	for _, a := range list {
		d.Events = append(d.Events, a.Event)
	}
	return d
}

const first, second = "01GTD8R4000000000000000001", "01GTD8R4000000000000000002"

func TestAnEventOfAMegabyteIsKeptInSeveralRows(t *testing.T) {
	d := open(t).deliveries()
	noise := make([]byte, 900<<10) // does not compress
	random := rand.NewChaCha8([32]byte{1})
	for i := range noise {
		noise[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[random.Uint64()%64]
	}
	large := accepted("large", string(noise))
	require.NoError(t, d.Accept(t.Context(), delivery.Intake{Accepted: []delivery.Accepted{large}, Deliveries: []delivery.Delivery{pending(first, large)}}))
	got, err := d.Get(t.Context(), "42", "i", first)
	require.NoError(t, err)
	require.JSONEq(t, string(large.Event.Data), string(got.Events[0].Data))
	rejected := delivery.Entry{Receipt: "r", DetailType: "new_hits", Detail: noise, At: now()}
	require.NoError(t, d.Accept(t.Context(), delivery.Intake{Rejected: []delivery.Rejected{{Entry: rejected, Reason: "too odd"}}}))
	letters, err := d.DeadLetters(t.Context(), "*", "", 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Equal(t, noise, letters[0].Detail)
}

func TestRowsThatTTLHasNotDeletedYetAreLeftOut(t *testing.T) {
	w := open(t)
	d := w.deliveries()
	a := accepted("a", "/")
	require.NoError(t, d.Accept(t.Context(), delivery.Intake{Accepted: []delivery.Accepted{a}, Deliveries: []delivery.Delivery{pending(first, a)}}))
	d.Now = func() time.Time { return now().Add(31 * 24 * time.Hour) }
	_, err := d.Get(t.Context(), "42", "i", first)
	require.ErrorIs(t, err, delivery.ErrNotFound)
	list, err := d.List(t.Context(), delivery.Query{Tenant: "42", Integration: "i", Limit: 10})
	require.NoError(t, err)
	require.Empty(t, list)
	standings, err := d.Begin(t.Context(), []delivery.Accepted{a})
	require.NoError(t, err)
	require.Equal(t, []delivery.Standing{delivery.Fresh}, standings)
}

func TestAnAnnouncementThatWasLeftBehindIsPublishedLater(t *testing.T) {
	p := &published{fail: errors.New("the bus is away")}
	s := open(t).integrations(p)
	i := integration.Integration{ID: "i", Tenant: "42", System: "slack", Name: "Ops", Revision: 1, Window: 1, Parameters: []byte(`{}`), CreatedAt: now(), UpdatedAt: now()}
	note := event.Event{ID: "n1", Tenant: "42", Kind: event.CreateIntegration, Time: now(), Data: []byte(`{"integration":{"id":"i"}}`)}
	require.NoError(t, s.Create(t.Context(), i, note), "the change stands")
	p.fail = nil
	count, err := s.Relay(t.Context())
	require.NoError(t, err)
	require.Zero(t, count, "its writer may be at work still")
	s.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	count, err = s.Relay(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, count)
	require.Equal(t, []event.Kind{event.CreateIntegration}, p.kinds())
	count, err = s.Relay(t.Context())
	require.NoError(t, err)
	require.Zero(t, count, "once")
}

func ring(t *testing.T, k http.Handler) (*aws.KeyRing, *awslocal.Gate) {
	t.Helper()
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	gate := awslocal.NewGate(server.URL)
	t.Cleanup(gate.Close)
	c, err := awslocal.Config(t.Context(), gate.URL)
	require.NoError(t, err)
	return &aws.KeyRing{KMS: kms.NewFromConfig(c, func(o *kms.Options) { o.RetryMaxAttempts = 1 }), Key: "k", Now: time.Now}, gate
}

func TestSecretsAreSealedByEnvelope(t *testing.T) {
	k, err := awslocal.NewKMS()
	require.NoError(t, err)
	r, gate := ring(t, k)
	var sealed [][]byte
	for n := range 50 {
		s, err := r.Seal(t.Context(), fmt.Appendf(nil, "secret %d", n), []byte("42/i"))
		require.NoError(t, err)
		require.NotContains(t, string(s), "secret")
		sealed = append(sealed, s)
	}
	other, _ := ring(t, k) // another process
	for n, s := range sealed {
		plain, err := other.Open(t.Context(), s, []byte("42/i"))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("secret %d", n), string(plain))
	}
	calls, _ := gate.Calls()
	require.Equal(t, 1, calls["GenerateDataKey"], "one data key seals many secrets")
	_, err = r.Open(t.Context(), sealed[0], []byte("43/i"))
	require.ErrorIs(t, err, aws.ErrUnsealable, "it opens only where it belongs")
	for n := range sealed[0] {
		damaged := append([]byte(nil), sealed[0]...)
		damaged[n] ^= 1
		_, err = other.Open(t.Context(), damaged, []byte("42/i"))
		require.ErrorIs(t, err, aws.ErrUnsealable, "byte %d", n)
	}
	gate.Faults(func(string) *awslocal.Fault { return &awslocal.Fault{Status: 500, Type: "KMSInternalException"} })
	later := &aws.KeyRing{KMS: r.KMS, Key: "k", Now: time.Now}
	_, err = later.Open(t.Context(), sealed[0], []byte("42/i"))
	require.Error(t, err)
	require.NotErrorIs(t, err, aws.ErrUnsealable, "this passes: the delivery waits")
}

func TestMailsBySES(t *testing.T) {
	c, err := awslocal.Config(t.Context(), servers.SES)
	require.NoError(t, err)
	composer, err := mail.NewComposer("Tocsin <tocsin@example.com>", now)
	require.NoError(t, err)
	m := &aws.Mailer{SES: sesv2.NewFromConfig(c), From: composer.From(), Composer: composer}
	said, err := m.Send(t.Context(), destination.Mail{To: "ada@example.com", Subject: "Grüße, 警報", Text: "plain text", HTML: "<p>rich text</p>", ID: "d.e.0"})
	require.NoError(t, err)
	require.Equal(t, destination.MailAccepted, said.Status)
	answer, err := http.Get(servers.SES + "/store")
	require.NoError(t, err)
	defer answer.Body.Close()
	store, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	for _, want := range []string{"ada@example.com", "Grüße, 警報", "plain text", "rich text"} {
		require.Contains(t, string(store), want)
	}
	large := strings.Repeat("x", 41<<20)
	_, err = m.Send(t.Context(), destination.Mail{To: "ada@example.com", Subject: "s", Text: large})
	require.ErrorContains(t, err, "can be sent: ask for a shorter period")
}
