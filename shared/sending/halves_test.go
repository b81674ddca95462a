package sending_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
)

// repeating answers with a text that holds a secret of the request.
type repeating struct{ body *string }

func (r repeating) Do(context.Context, destination.Request) (destination.Response, error) {
	return destination.Response{Status: 500, Body: []byte(*r.body)}, nil
}

// withSecret opens an integration that has a secret.
type withSecret struct {
	openAs
	secret string
}

func (w withSecret) Open(ctx context.Context, i integration.Integration) (integration.Opened, error) {
	o, err := w.openAs.Open(ctx, i)
	o.Secrets = []string{w.secret}
	return o, err
}

// read takes the parameters of a system's example.
func read(t *testing.T, system string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("..", "destination", "*", "testdata", "example.json"))
	require.NoError(t, err)
	for _, name := range all {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		var e destinationtest.Example
		require.NoError(t, json.Unmarshal(raw, &e))
		if e.System == system {
			return string(e.Parameters)
		}
	}
	require.Fail(t, "there is no example", system)
	return ""
}

// A reason is cut where it is long: of a secret that stands there not even the first half is shown.
func TestAReasonShowsNoHalfOfASecret(t *testing.T) {
	const secret = "k3yOfOurs-9f2c7Q-zW41-Lm88-Xp06"
	for system, forms := range map[string][]string{
		"pager_duty": {`{"message":%q}`, `{"errors":["x",%q]}`},
		"web_hooks":  {`%s`},
		"ms_teams":   {`{"error":{"message":%q}}`, `%s`, `<html><title>%s</title>`},
		"slack":      {`%s`, `{"ok":false,"error":%q}`},
		"opsgenie":   {`{"message":%q}`},
		"data_dog":   {`{"errors":[%q]}`},
		"splunk":     {`{"code":99,"text":%q}`},
	} {
		for _, form := range forms {
			body := ""
			s := &sending.Sender{Destinations: catalogue.Default(), Transport: repeating{&body},
				Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(1677628800, 0) }}
			target, err := s.Open(t.Context(), withSecret{openAs{system, read(t, system)}, secret},
				integration.Integration{ID: "i", Tenant: "42", System: system})
			require.NoError(t, err)
			g := &guarded{now: time.Unix(1677628800, 0)}
			for before := 30; before < 310; before += 3 {
				body = fmt.Sprintf(form, strings.Repeat("x", before)+" "+secret+" and more")
				a := g.send(t, s, target, 1)[0]
				require.False(t, a.Delivered, system)
				for n := 6; n <= len(secret); n++ {
					require.NotContains(t, a.Reason, secret[:n], "%s: %d before it", system, before)
				}
			}
		}
	}
}

// What is told of a plain text is UTF-8, so that no secret in another charset is in it.
func TestAReasonTellsNoWordsInAnotherCharset(t *testing.T) {
	const secret = "pässwörd-élan-12"
	for name, charset := range map[string]encoding.Encoding{"ISO 8859-1": charmap.ISO8859_1,
		"UTF-16":     unicode.UTF16(unicode.LittleEndian, unicode.UseBOM),
		"big endian": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), "UTF-8": unicode.UTF8} {
		body, err := charset.NewEncoder().String("the password " + secret + " is wrong")
		require.NoError(t, err)
		s := &sending.Sender{Destinations: catalogue.Default(), Transport: repeating{&body},
			Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Unix(1677628800, 0) }}
		target, err := s.Open(t.Context(), withSecret{openAs{"ms_teams", read(t, "ms_teams")}, secret},
			integration.Integration{ID: "i", Tenant: "42", System: "ms_teams"})
		require.NoError(t, err)
		a := (&guarded{now: time.Unix(1677628800, 0)}).send(t, s, target, 1)[0]
		require.NotContains(t, a.Reason, "lan", name)
		require.NotContains(t, a.Reason, "12", name)
		require.Equal(t, name == "UTF-8", strings.Contains(a.Reason, "the password ********"), name)
	}
}
