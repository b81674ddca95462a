package sending_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
)

// says answers every request with a page.
type says string

func (s says) Do(context.Context, destination.Request) (destination.Response, error) {
	return destination.Response{Status: 500, Body: []byte(s)}, nil
}

// keeping opens a webhook with a secret.
type keeping string

func (k keeping) Open(ctx context.Context, i integration.Integration) (integration.Opened, error) {
	o, err := openAs{"web_hooks", `{"url":"https://soc.example.com/in"}`}.Open(ctx, i)
	o.Secrets = []string{string(k)}
	return o, err
}

// TestAnAnswerInAnotherCharsetShowsNoSecret: it is made UTF-8 for the log after its secrets were masked.
func TestAnAnswerInAnotherCharsetShowsNoSecret(t *testing.T) {
	wide := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	for name, of := range map[string]struct {
		charset encoding.Encoding
		secret  string
	}{"ISO 8859-1": {charmap.ISO8859_1, "pässwörd-élan-12"}, "Windows 1252": {charmap.Windows1252, "pässwörd-élan-12"},
		"UTF-16": {wide, "pässwörd-élan-12"}, "UTF-16 without ASCII": {wide, "秘密の言葉"}} {
		page, err := of.charset.NewEncoder().String("<p>the password " + of.secret + " is wrong</p>")
		require.NoError(t, err)
		g := &guarded{now: time.Unix(1677628800, 0)}
		s := &sending.Sender{Destinations: catalogue.Default(), Transport: says(page),
			Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return g.now }}
		target, err := s.Open(t.Context(), keeping(of.secret),
			integration.Integration{ID: "i", Tenant: "42", System: "web_hooks"})
		require.NoError(t, err)
		a := g.send(t, s, target, 1)[0]
		require.False(t, a.Delivered)
		require.Contains(t, a.Answer, "********", name)
		require.NotContains(t, a.Answer, "12", name)
		require.NotContains(t, a.Answer+a.Reason, "lan", name)
	}
}
