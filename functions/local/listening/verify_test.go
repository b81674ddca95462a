package listening_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"tocsin/functions/local/listening"
)

const (
	secret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	another = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// pair is a key pair for tests.
func pair(seed byte) (ed25519.PrivateKey, string) {
	k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return k, "whpk_" + base64.StdEncoding.EncodeToString(k.Public().(ed25519.PublicKey))
}

// signed are the headers of a request: signed by the library of Standard Webhooks, and with a key pair.
func signed(t *testing.T, body string, at time.Time) http.Header {
	w, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	v1, err := w.Sign("msg_1", at, []byte(body))
	require.NoError(t, err)
	private, _ := pair(1)
	v1a := ed25519.Sign(private, fmt.Appendf(nil, "msg_1.%d.%s", at.Unix(), body))
	h := http.Header{}
	h.Set("webhook-id", "msg_1")
	h.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
	h.Set("webhook-signature", "v1,AAAA "+v1+" v2,x v1a,"+base64.StdEncoding.EncodeToString(v1a)+" v1a,%")
	return h
}

func TestARequestIsJudgedAsStandardWebhooksAsks(t *testing.T) {
	now := time.Date(2026, 11, 27, 20, 0, 0, 0, time.UTC)
	_, public := pair(1)
	_, stranger := pair(2)
	for name, c := range map[string]struct {
		secret, public string
		late           time.Duration
		body           string
		change         func(http.Header)
		says           string
	}{
		"the secret's signature":     {secret: secret, says: "verified (v1)"},
		"the key pair's signature":   {public: public, says: "verified (v1a)"},
		"both":                       {secret: secret, public: public, says: "verified (v1, v1a)"},
		"neither is known":           {says: "not verified (no secret and no public key was given)"},
		"another secret":             {secret: another, says: "REFUSED: no signature v1 holds"},
		"another key pair":           {public: stranger, says: "REFUSED: no signature v1a holds"},
		"one of both":                {secret: secret, public: stranger, says: "REFUSED: no signature v1a holds"},
		"another body":               {secret: secret, body: "[2]", says: "REFUSED: no signature v1 holds"},
		"five minutes":               {secret: secret, late: 5 * time.Minute, says: "verified (v1)"},
		"more than five minutes":     {secret: secret, late: 301 * time.Second, says: "is 5m1s off, and may be 5m"},
		"a time that is yet to come": {secret: secret, late: -301 * time.Second, says: "is -5m1s off"},
		"another id": {secret: secret, change: func(h http.Header) { h.Set("webhook-id", "msg_2") },
			says: "no signature v1 holds"},
		"no id": {secret: secret, change: func(h http.Header) { h.Del("webhook-id") },
			says: "it has no webhook-id"},
		"no signature": {secret: secret, change: func(h http.Header) { h.Del("webhook-signature") },
			says: "not signed"},
		"no number": {secret: secret, change: func(h http.Header) { h.Set("webhook-timestamp", "x") },
			says: "no number"},
	} {
		k, err := listening.ReadKeys(c.secret, c.public)
		require.NoError(t, err, name)
		h, body := signed(t, "[1]", now), "[1]"
		if c.change != nil {
			c.change(h)
		}
		if c.body != "" {
			body = c.body
		}
		v := k.Verify(h, []byte(body), now.Add(c.late))
		require.Contains(t, v.String(), c.says, name)
		require.Equal(t, v.Refused(), len(v.Verified) == 0 && !v.Unchecked || v.Reason != "", name)
	}
}

func TestWhatIsNoKeyIsRefusedWithoutBeingRepeated(t *testing.T) {
	for _, bad := range []string{"whsec_", "whsec_%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whpk_AAAA"} {
		_, err := listening.ReadKeys(bad, "")
		require.Error(t, err)
		require.NotContains(t, err.Error(), "MfKQ")
		_, err = listening.ReadKeys("", bad)
		require.ErrorContains(t, err, "whpk_ and base64")
	}
}
