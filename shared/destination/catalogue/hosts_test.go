package catalogue_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http/httpguts"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/s3"
	"tocsin/shared/egress"
	"tocsin/shared/notification"
)

// hostile are values that lead inside, or somewhere else, where they become a host or a part of an address.
func hostile() []string {
	out := []string{
		"..", "../../evil", "a/../../b", "a/b", "/etc", "a?b", "a#b", "a@b", "@127.0.0.1", "evil.com/", "evil.com#",
		"evil.com?", "evil.com\\", "a\\b", "a b", " a", "a\n", "a\r\nHost: evil",
		"a\x00b", "a\tb", "a%2fb", "a%00b", "%2e%2e", "a:b", "a:80", "evil.com:443", "...", ".", "-", "_", "*", "$(id)",
		"{}", "a;b", "１２７.０.０.１", "evil。com", "xn--", "\u202ea", "é",
		"localhost", "127.0.0.1", "127.1", "0x7f.1", "2130706433", "017700000001", "169.254.169.254", "[::1]", "::1",
		"metadata.google.internal", strings.Repeat("a", 300), strings.Repeat("a.", 150),
	}
	for _, host := range []string{
		"127.0.0.1", "169.254.169.254", "127.1", "0x7f.1", "2130706433", "017700000001", "localhost", "LOCALHOST.",
		"a.localhost", "[::1]", "[::ffff:7f00:1]", "[::ffff:0:7f00:1]", "[fe80::1%25eth0]",
		"10.0.0.1", "metadata.google.internal", "１２７.0.0.1", "127。0。0。1", "evil.com@127.0.0.1", "user:pass@evil.com",
		"evil.com#", "evil.com/#a", "evil.com\\@127.0.0.1", "evil.com\n", "a b", "..", "", "intranet",
		"evil.com:0", "evil.com:99999", strings.Repeat("a", 300) + ".com", "evil.com?", "evil.com/?", "evil.com/a?b=c",
		"evil.com/../../x", "evil.com/a", "127.0.0.1:8080/",
	} {
		out = append(out, "https://"+host, "http://"+host)
	}
	return append(out, "ftp://evil.com", "file:///etc/passwd", "//evil.com", "javascript:alert(1)", "https:evil.com",
		"https:/evil.com", "gopher://127.0.0.1:6379/_x", " https://evil.com", "\thttps://evil.com")
}

// Either a value is refused when it is saved, and the field is named; or whatever is sent goes where the policy allows,
// and to the vendor where the vendor is fixed.
func TestS12NoParameterLeadsInside(t *testing.T) {
	own := s3.Static{Of: s3.Account{ID: "123456789012"}, With: s3.Keys{ID: "AKIAOWN", Secret: "own"}}
	c := catalogue.Default(s3.New(s3.Platform{Identity: own}))
	examples, _ := destinationtest.Examples(t)
	for _, entry := range c.All() {
		if entry.System.Personal {
			continue
		}
		t.Run(entry.System.Name, func(t *testing.T) {
			d, _ := c.Destination(entry.System.Name)
			p := entry.System.Parameters
			var schema struct {
				Properties map[string]struct{ Type string }
			}
			require.NoError(t, json.Unmarshal(p.Schema(), &schema))
			for _, f := range p.Fields() {
				if f.ReadOnly || schema.Properties[f.Name].Type != "string" {
					continue
				}
				refused := 0
				for _, v := range hostile() {
					raw, err := json.Marshal(v)
					require.NoError(t, err)
					full, problems := saved(t, p, change(t, string(examples[entry.System.Name].Parameters), f.Name,
						string(raw)))
					if len(problems) > 0 {
						require.Contains(t, problems, "parameters."+f.Name, "%s of %q: the field is named", f.Name, v)
						refused++
						continue
					}
					for _, q := range requests(t, d, full) {
						require.NoError(t, egress.Policy{}.CheckURL(q.URL), "%s of %q was saved", f.Name, v)
						u, err := url.Parse(q.URL)
						require.NoError(t, err)
						if of := examples[entry.System.Name].Hosts; of != nil {
							require.True(t, under(u.Hostname(), of), "%s of %q leads to %s", f.Name, v, u.Host)
						}
						if f.Name == "instance" && !strings.Contains(v, "://") {
							require.True(t, under(u.Hostname(), []string{".service-now.com"}), "%q leads to %s", v,
								u.Host)
						}
						if q.Authorizer == nil && entry.System.Name == "sentinel" && strings.Contains(q.URL, "oauth2") {
							require.True(t, under(u.Hostname(),
								[]string{"login.microsoftonline.com", "login.microsoftonline.us",
									"login.partner.microsoftonline.cn"}))
						}
						for name, values := range q.Header {
							for _, value := range values {
								require.True(t, httpguts.ValidHeaderFieldValue(value), "%s of %q: header %s", f.Name, v,
									name)
							}
						}
					}
				}
				if f.Receiver {
					require.Greater(t, refused, 50, f.Name)
				}
			}
		})
	}
}

func under(host string, domains []string) bool {
	for _, d := range domains {
		if strings.HasSuffix(strings.ToLower(host), d) {
			return true
		}
	}
	return false
}

// saved is what saving says, as the integration service asks it.
func saved(t *testing.T, p destination.Parameters, raw json.RawMessage) (full json.RawMessage, fields []string) {
	t.Helper()
	full, err := p.Complete(raw)
	var invalid destination.InvalidParameters
	if errors.As(err, &invalid) {
		for _, problem := range invalid {
			fields = append(fields, problem.Field)
		}
		return full, fields
	}
	require.NoError(t, err)
	for field, address := range p.URLs(full) {
		if (egress.Policy{}).CheckURL(address) != nil {
			fields = append(fields, field)
		}
	}
	return full, fields
}

// requests are all that a system asks for: what is sent, what gets its credential, what lists its choices.
func requests(t *testing.T, d destination.Destination, full json.RawMessage) []destination.Request {
	t.Helper()
	system := d.System()
	opened, err := system.Parameters.Open(full)
	require.NoError(t, err)
	at := time.Unix(1677628800, 0)
	var out []destination.Request
	for _, n := range notification.Samples(system.Class, notification.Platform{Name: "Tocsin"}, "42", "Acme", "test",
		at) {
		rs, err := d.Encode(destination.Target{Parameters: opened, Delivery: "d", Now: at},
			[]notification.Notification{n})
		var waits *destination.NotReady
		if errors.As(err, &waits) {
			continue
		}
		require.NoError(t, err)
		for _, r := range rs {
			if r.Mail != nil {
				continue
			}
			out = append(out, r)
			if r.Authorizer != nil {
				q, err := r.Authorizer.Ask(t.Context(), at)
				require.NoError(t, err)
				out = append(out, q)
			}
		}
	}
	if chooser, ok := d.(destination.OptionLister); ok {
		for _, field := range system.Choosable {
			q, err := chooser.Options(opened, field, "")
			require.NoError(t, err)
			out = append(out, q)
		}
	}
	return out
}
