//go:build awslocal

package aws_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
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

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/engine/aws/keys"
	"tocsin/shared/engine/aws/ses"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
)

func accepted(id, path string) fanout.Accepted {
	data, _ := json.Marshal(map[string]any{"hit": map[string]string{"type": "sqli", "path": path}})
	e := event.Event{ID: id, Tenant: "42", ClientName: "Acme", Kind: event.NewHits, Time: now(), Data: data}
	return fanout.Accepted{Entry: delivery.Entry{Receipt: "message-" + id, At: now()}, Event: e}
}

func pending(id string, list ...fanout.Accepted) delivery.Delivery {
	d := delivery.Delivery{ID: id, Tenant: "42", Integration: "i", State: delivery.Pending, Count: len(list),
		Kinds: []event.Kind{event.NewHits}}
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
	require.NoError(t, d.Accept(t.Context(),
		fanout.Intake{Accepted: []fanout.Accepted{large}, Deliveries: []delivery.Delivery{pending(first, large)}}))
	got, err := d.Get(t.Context(), "42", "i", first)
	require.NoError(t, err)
	require.JSONEq(t, string(large.Event.Data), string(got.Events[0].Data))
	rejected := delivery.Entry{Receipt: "r", DetailType: "new_hits", Detail: noise, At: now()}
	require.NoError(t, d.Accept(t.Context(),
		fanout.Intake{Rejected: []fanout.Rejected{{Entry: rejected, Reason: "too odd"}}}))
	letters, err := d.AllDeadLetters(t.Context(), "", 10)
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Equal(t, noise, letters[0].Detail)
}

func TestRowsThatTTLHasNotDeletedYetAreLeftOut(t *testing.T) {
	w := open(t)
	d := w.deliveries()
	a := accepted("a", "/")
	require.NoError(t, d.Accept(t.Context(),
		fanout.Intake{Accepted: []fanout.Accepted{a}, Deliveries: []delivery.Delivery{pending(first, a)}}))
	d.Now = func() time.Time { return now().Add(31 * 24 * time.Hour) }
	_, err := d.Get(t.Context(), "42", "i", first)
	require.ErrorIs(t, err, delivery.ErrNotFound)
	list, err := d.List(t.Context(), delivery.Query{Tenant: "42", Integration: "i", Limit: 10})
	require.NoError(t, err)
	require.Empty(t, list)
	standings, err := d.Begin(t.Context(), []fanout.Accepted{a})
	require.NoError(t, err)
	require.Equal(t, []fanout.Standing{fanout.Fresh}, standings)
}

func TestAnAnnouncementThatWasLeftBehindIsPublishedLater(t *testing.T) {
	p := &published{fail: errors.New("the bus is away")}
	s := open(t).integrations(p)
	i := integration.Integration{ID: "i", Tenant: "42", System: "slack", Name: "Ops", Revision: 1, Window: 1,
		Parameters: []byte(`{}`), CreatedAt: now(), UpdatedAt: now()}
	note := event.Event{ID: "n1", Tenant: "42", Kind: event.CreateIntegration, Time: now(),
		Data: []byte(`{"integration":{"id":"i"}}`)}
	require.NoError(t, s.Create(t.Context(), i, activity.Record{Event: note, Entry: enginetest.Entry("42")}),
		"the change stands")
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

func ring(t *testing.T, k http.Handler) (*keys.KeyRing, *awslocal.Gate) {
	t.Helper()
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	gate := awslocal.NewGate(server.URL)
	t.Cleanup(gate.Close)
	c, err := awslocal.Config(t.Context(), gate.URL)
	require.NoError(t, err)
	return &keys.KeyRing{KMS: kms.NewFromConfig(c, func(o *kms.Options) { o.RetryMaxAttempts = 1 }), Key: "k",
		Shared: "old", Now: time.Now}, gate
}

// sealedBefore is a secret as releases sealed it whose one key was the tables' key, and whose data keys were of all
// tenants.
func sealedBefore(t *testing.T, k *kms.Client, plain, context string) []byte {
	t.Helper()
	out, err := k.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{
		KeyId: awssdk.String("old"), KeySpec: kmstypes.DataKeySpecAes256,
		EncryptionContext: map[string]string{"purpose": "tocsin-integration-secrets"},
	})
	require.NoError(t, err)
	block, err := aes.NewCipher(out.Plaintext)
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	sealed := append(binary.BigEndian.AppendUint16([]byte{1}, uint16(len(out.CiphertextBlob))), out.CiphertextBlob...)
	nonce := []byte("twelve bytes")
	return aead.Seal(append(sealed, nonce...), nonce, []byte(plain), []byte(context))
}

func TestSecretsSealedBeforeThereWereTwoKeysGoOnOpening(t *testing.T) {
	k, err := awslocal.NewKMS()
	require.NoError(t, err)
	r, _ := ring(t, k)
	old := sealedBefore(t, r.KMS, "hunter2", "42/i")
	plain, err := r.Open(t.Context(), old, []byte("42/i"))
	require.NoError(t, err)
	require.Equal(t, "hunter2", string(plain))
	_, err = r.Open(t.Context(), old, []byte("43/i"))
	require.ErrorIs(t, err, keys.ErrUnsealable)
	anew, err := r.Seal(t.Context(), plain, []byte("42/i"))
	require.NoError(t, err)
	later := &keys.KeyRing{KMS: r.KMS, Key: "k", Now: time.Now}
	_, err = later.Open(t.Context(), old, []byte("42/i"))
	require.ErrorIs(t, err, keys.ErrUnsealable)
	_, err = later.Open(t.Context(), anew, []byte("42/i"))
	require.NoError(t, err, "sealed again, it needs the old key no more")
}

// used are the calls of one action so far, without their callers.
func used(gate *awslocal.Gate, action string) (out []awslocal.Use) {
	for _, u := range gate.Uses() {
		if u.Caller = ""; u.Action == action {
			out = append(out, u)
		}
	}
	return out
}

func TestADataKeyIsOneTenantsAlone(t *testing.T) {
	k, err := awslocal.NewKMS()
	require.NoError(t, err)
	r, gate := ring(t, k)
	for _, tenant := range []string{"42", "43", "a/b"} {
		for _, id := range []string{"i", "j"} {
			sealed, err := r.Seal(t.Context(), []byte("secret"), []byte(tenant+"/"+id))
			require.NoError(t, err)
			_, err = r.Open(t.Context(), sealed, []byte(tenant+"/"+id))
			require.NoError(t, err)
		}
	}
	require.ElementsMatch(t, []awslocal.Use{
		{Action: "kms:GenerateDataKey", Resource: "k", Context: "purpose=tocsin-integration-secrets,tenant=42"},
		{Action: "kms:GenerateDataKey", Resource: "k", Context: "purpose=tocsin-integration-secrets,tenant=43"},
		{Action: "kms:GenerateDataKey", Resource: "k", Context: "purpose=tocsin-integration-secrets,tenant=a/b"},
	}, used(gate, "kms:GenerateDataKey"))
	// Put into another tenant's row, with a data key that is open in memory or not, a secret opens nowhere.
	mine, err := r.Seal(t.Context(), []byte("secret"), []byte("42/i"))
	require.NoError(t, err)
	for _, other := range []*keys.KeyRing{r, {KMS: r.KMS, Key: "k", Now: time.Now}} {
		_, err = other.Open(t.Context(), mine, []byte("43/i"))
		require.ErrorIs(t, err, keys.ErrUnsealable)
	}
}

// TestTheKMSOfMotoTakesOurDataKeys has a KMS that is not ours judge the calls.
func TestTheKMSOfMotoTakesOurDataKeys(t *testing.T) {
	c, err := awslocal.Config(t.Context(), servers.Moto)
	require.NoError(t, err)
	client := kms.NewFromConfig(c)
	made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	require.NoError(t, err)
	sealing := &keys.KeyRing{KMS: client, Key: *made.KeyMetadata.Arn, Now: time.Now}
	sealed, err := sealing.Seal(t.Context(), []byte("hunter2"), []byte("42/i"))
	require.NoError(t, err)
	opening := &keys.KeyRing{KMS: client, Key: *made.KeyMetadata.Arn, Now: time.Now}
	plain, err := opening.Open(t.Context(), sealed, []byte("42/i"))
	require.NoError(t, err)
	require.Equal(t, "hunter2", string(plain))
	_, err = opening.Open(t.Context(), sealed, []byte("43/i"))
	require.ErrorIs(t, err, keys.ErrUnsealable, "another tenant's encryption context")
}

func TestSecretsOfTheFunctionsAreReadWithTheVersionBefore(t *testing.T) {
	c, err := awslocal.Config(t.Context(), servers.Moto)
	require.NoError(t, err)
	client := secretsmanager.NewFromConfig(c)
	name := fmt.Sprintf("unsubscribe-%d", time.Now().UnixNano())
	_, err = client.CreateSecret(t.Context(),
		&secretsmanager.CreateSecretInput{Name: &name, SecretString: awssdk.String("one\n")})
	require.NoError(t, err)
	s := keys.Secrets{Manager: client}
	values, err := s.Versions(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, []string{"one"}, values, "never rotated")
	_, err = client.PutSecretValue(t.Context(),
		&secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: awssdk.String("two")})
	require.NoError(t, err)
	values, err = s.Versions(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, []string{"two", "one"}, values)
	_, err = s.Current(t.Context(), "none-"+name)
	require.ErrorContains(t, err, "read the secret none-")
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
	require.ErrorIs(t, err, keys.ErrUnsealable, "it opens only where it belongs")
	for n := range sealed[0] {
		damaged := append([]byte(nil), sealed[0]...)
		damaged[n] ^= 1
		_, err = other.Open(t.Context(), damaged, []byte("42/i"))
		require.ErrorIs(t, err, keys.ErrUnsealable, "byte %d", n)
	}
	gate.Faults(func(string) *awslocal.Fault { return &awslocal.Fault{Status: 500, Type: "KMSInternalException"} })
	later := &keys.KeyRing{KMS: r.KMS, Key: "k", Now: time.Now}
	_, err = later.Open(t.Context(), sealed[0], []byte("42/i"))
	require.Error(t, err)
	require.NotErrorIs(t, err, keys.ErrUnsealable, "this passes: the delivery waits")
}

func TestMailsBySES(t *testing.T) {
	c, err := awslocal.Config(t.Context(), servers.SES)
	require.NoError(t, err)
	composer, err := mail.NewComposer("Tocsin <tocsin@example.com>", now)
	require.NoError(t, err)
	m := &ses.Mailer{SES: sesv2.NewFromConfig(c), From: composer.From(), Composer: composer}
	said, err := m.Send(t.Context(), destination.Mail{To: "ada@example.com", Subject: "Grüße, 警報", Text: "plain text",
		HTML: "<p>rich text</p>", ID: "d.e.0"})
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
