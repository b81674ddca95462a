package catalogue_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/s3"
	"tocsin/shared/notification"
)

// TestS3AKeptSecretGoesToNoOtherReceiver changes each parameter that is no secret, of every system, and looks at where
// the requests and the questions for credentials go, and how that host's certificate is looked at.
func TestS3AKeptSecretGoesToNoOtherReceiver(t *testing.T) {
	own := s3.Static{Of: s3.Account{ID: "123456789012"}, With: s3.Keys{ID: "AKIAOWN", Secret: "own"}}
	c := catalogue.Default(s3.New(s3.Platform{Identity: own}))
	examples, _ := destinationtest.Examples(t)
	for _, entry := range c.All() {
		system := entry.System
		if system.Personal {
			continue
		}
		t.Run(system.Name, func(t *testing.T) {
			d, _ := c.Destination(system.Name)
			name := system.Name
			example := examples[name]
			require.NotEmpty(t, example.Parameters, "a new system needs testdata/example.json")
			present, err := system.Parameters.Complete(example.Parameters)
			require.NoError(t, err)
			before := target(t, d, present)
			var secret bool
			for _, f := range system.Parameters.Fields() {
				secret = secret || f.Secret
			}
			for _, f := range system.Parameters.Fields() {
				if f.Secret && !f.URL || f.ReadOnly {
					continue
				}
				for _, value := range changes(t, system.Parameters, present, f, example.Changes) {
					for how, patch := range map[string]json.RawMessage{"left out": change(t, `{}`, f.Name, value),
						"masked": change(t, masked(t, system.Parameters, present), f.Name, value)} {
						merged, err := system.Parameters.Merge(present, patch)
						require.NoError(t, err)
						refused := system.Parameters.Misdirected(present, patch, merged)
						moved := !slices.Equal(before, target(t, d, merged))
						if others := secret && !(f.Secret && onlySecret(system.Parameters, f)); !others {
							require.Empty(t, refused)
							continue
						}
						require.Equal(t, moved || slices.Contains(example.AskedAgain, f.Name), len(refused) > 0,
							"%s of %s to %s, the secrets %s: %v", f.Name, name, value, how, refused)
					}
					// With every secret entered again the change is fine.
					patch := change(t, string(secretsOf(t, system.Parameters, present)), f.Name, value)
					merged, err := system.Parameters.Merge(present, patch)
					require.NoError(t, err)
					require.Empty(t, system.Parameters.Misdirected(present, patch, merged))
				}
			}
		})
	}
}

func onlySecret(p destination.Parameters, f destination.Field) bool {
	return !slices.ContainsFunc(p.Fields(), func(g destination.Field) bool { return g.Secret && g.Name != f.Name })
}

func masked(t *testing.T, p destination.Parameters, full json.RawMessage) string {
	shown, secret, err := p.Split(full)
	require.NoError(t, err)
	m, err := p.Masked(shown, secret)
	require.NoError(t, err)
	return string(m)
}

func secretsOf(t *testing.T, p destination.Parameters, full json.RawMessage) json.RawMessage {
	_, secret, err := p.Split(full)
	require.NoError(t, err)
	return secret
}

func change(t *testing.T, of, name, value string) json.RawMessage {
	var m map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(of), &m))
	m[name] = json.RawMessage(value)
	out, err := json.Marshal(m)
	require.NoError(t, err)
	return out
}

// changes are other values of a parameter, as JSON.
func changes(t *testing.T, p destination.Parameters, present json.RawMessage, f destination.Field,
	others map[string][]string) []string {
	var schema struct {
		Properties map[string]struct {
			Type string
			Enum []any
		}
	}
	require.NoError(t, json.Unmarshal(p.Schema(), &schema))
	var now map[string]any
	require.NoError(t, json.Unmarshal(present, &now))
	var out []string
	add := func(v any) {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		out = append(out, string(raw))
	}
	switch s := schema.Properties[f.Name]; {
	case f.URL:
		u, err := url.Parse(now[f.Name].(string))
		require.NoError(t, err)
		for _, other := range []url.URL{
			{Scheme: "http", Host: u.Host, Path: u.Path}, {Scheme: u.Scheme, Host: "evil.example.com", Path: u.Path},
			{Scheme: u.Scheme, Host: u.Hostname() + ":444", Path: u.Path},
			{Scheme: u.Scheme, Host: u.Hostname() + ".evil.example.com", Path: u.Path},
			{Scheme: u.Scheme, Host: u.Host, Path: "/other"},
			{Scheme: u.Scheme, Host: strings.ToUpper(u.Host), Path: u.Path},
		} {
			add(other.String())
		}
	case len(s.Enum) > 0:
		for _, v := range s.Enum {
			if v != now[f.Name] {
				add(v)
			}
		}
	case s.Type == "boolean":
		add(now[f.Name] != true)
	case s.Type == "integer":
		add(7)
	case s.Type == "array":
		add([]string{"eve@example.com"})
	default:
		require.Contains(t, others, f.Name, "testdata/example.json needs another value of this parameter")
		for _, v := range others[f.Name] {
			add(v)
		}
	}
	return out
}

// target is where everything goes.
func target(t *testing.T, d destination.Destination, full json.RawMessage) []string {
	system := d.System()
	opened, err := system.Parameters.Open(full)
	require.NoError(t, err)
	at := time.Unix(1677628800, 0)
	var out []string
	add := func(r destination.Request) {
		u, err := url.Parse(r.URL)
		require.NoError(t, err)
		port := u.Port()
		if port == "" && u.Scheme == "https" {
			port = "443"
		}
		out = append(out, fmt.Sprint(u.Scheme, " ", strings.ToLower(u.Hostname()), " ", port, " ", r.Transport.CA, " ",
			r.Transport.SkipVerify))
	}
	for _, n := range notification.Samples(system.Class, notification.Platform{Name: "Tocsin"}, "42", "Acme", "test",
		at) {
		rs, err := d.Encode(destination.Target{Parameters: opened, Delivery: "d", Now: at, Test: true},
			[]notification.Notification{n})
		if notReady := (*destination.NotReady)(nil); errors.As(err, &notReady) {
			continue
		}
		require.NoError(t, err)
		for _, r := range rs {
			if r.Mail != nil {
				continue
			}
			add(r)
			if r.Authorizer != nil {
				q, err := r.Authorizer.Ask(t.Context(), at)
				require.NoError(t, err)
				add(q)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
