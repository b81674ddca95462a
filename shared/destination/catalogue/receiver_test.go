package catalogue_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/s3"
	"tocsin/shared/notification"
)

// kept are parameters of every system with each of its secrets set.
var kept = map[string]string{
	"email":           `{"addresses":["ada@example.com"]}`,
	"slack":           `{"webhook_url":"https://hooks.slack.com/services/T0/B0/s3cr3t"}`,
	"telegram":        `{}`,
	"ms_teams":        `{"webhook_url":"https://prod.example.com/workflows/s3cr3t"}`,
	"insight_connect": `{"api":"https://eu.api.insight.rapid7.com/connect/v1/workflows/s3cr3t/events/execute","token":"s3cr3t-key"}`,
	"opsgenie":        `{"token":"s3cr3t-key"}`,
	"pager_duty":      `{"integration_key":"0123456789abcdef0123456789abcdef"}`,
	"jira":            `{"url":"https://acme.atlassian.net/","email":"sec@example.com","token":"s3cr3t-token","project":"SEC","issue_type":"Bug"}`,
	"servicenow":      `{"instance":"acme","username":"tocsin","password":"s3cr3t","client_id":"c0ffee","client_secret":"s3cr3t-of-client"}`,
	"sumo_logic":      `{"source_url":"https://endpoint1.collection.sumologic.com/receiver/v1/http/s3cr3t"}`,
	"sentinel": `{"tenant_id":"00000000-0000-0000-0000-000000000001","client_id":"00000000-0000-0000-0000-000000000002","client_secret":"s3cr3t-of-client",
		"endpoint":"https://rule.westeurope-1.ingest.monitor.azure.com","dcr_immutable_id":"dcr-0123456789abcdef0123456789abcdef","stream_name":"Custom-Tocsin_CL"}`,
	"splunk":    `{"api":"https://hec.example.com:8088","token":"11111111-2222-3333-4444-555555555555"}`,
	"data_dog":  `{"token":"0123456789abcdef0123456789abcdef"}`,
	"fluentd":   `{"url":"https://a.example.com/x","headers":{"Authorization":"s3cr3t"},"signing_secret":"` + signing + `","previous_signing_secret":"` + signing + `"}`,
	"logstash":  `{"url":"https://a.example.com/x","headers":{"Authorization":"s3cr3t"},"signing_secret":"` + signing + `"}`,
	"s3":        `{"region":"eu-west-1","bucket":"acme-hits","authorization":"key","access_key_id":"AKIAEXAMPLE","secret_access_key":"s3cr3t"}`,
	"minio":     `{"endpoint":"https://minio.example.com:9000","bucket":"hits","access_key":"tocsin","secret_key":"s3cr3t-key"}`,
	"web_hooks": `{"url":"https://a.example.com/x","headers":{"Authorization":"s3cr3t","X-Key":"k"},"signing_secret":"` + signing + `"}`,
	"personal":  ``,
}

const signing = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// others are values that the texts without a rule of their own can be changed to.
var others = map[string][]string{
	"email": {"eve@example.com"}, "project": {"OPS"}, "issue_type": {"Task"}, "username": {"eve"}, "client_id": {"00000000-0000-0000-0000-00000000000e"},
	"instance":  {"evil", "https://evil.example.com", "https://acme.service-now.com:444"},
	"tenant_id": {"00000000-0000-0000-0000-00000000000e"}, "dcr_immutable_id": {"dcr-fedcba9876543210fedcba9876543210"}, "stream_name": {"Custom-Other_CL"},
	"source_category": {"other"}, "region": {"us-east-1"}, "bucket": {"evil-hits"}, "role_arn": {"arn:aws:iam::123456789012:role/evil"},
	"access_key_id": {"AKIAEVIL"}, "access_key": {"evil"}, "ca_file": {"-----BEGIN CERTIFICATE-----"},
}

// askedAgain are parameters that decide who receives the secrets in a way that the address does not show: Microsoft's token endpoint is one
// host for all of its customers.
var askedAgain = []string{"tenant_id"}

// TestS3AKeptSecretGoesToNoOtherReceiver changes each parameter that is no secret, of every system, and looks at where the
// requests and the questions for credentials go, and how that host's certificate is looked at.
func TestS3AKeptSecretGoesToNoOtherReceiver(t *testing.T) {
	own := s3.Static{Of: s3.Account{ID: "123456789012"}, With: s3.Keys{ID: "AKIAOWN", Secret: "own"}}
	c := catalogue.Default(s3.New(s3.Platform{Identity: own}))
	for _, entry := range c.All() {
		system := entry.System
		if system.Personal {
			continue
		}
		t.Run(system.Name, func(t *testing.T) {
			d, _ := c.Destination(system.Name)
			name := system.Name
			if _, ok := kept[name]; !ok {
				require.Fail(t, "a new system needs parameters here", name)
			}
			present, err := system.Parameters.Complete(json.RawMessage(kept[name]))
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
				for _, value := range changes(t, system.Parameters, present, f) {
					for how, patch := range map[string]json.RawMessage{"left out": change(t, `{}`, f.Name, value), "masked": change(t, masked(t, system.Parameters, present), f.Name, value)} {
						merged, err := system.Parameters.Merge(present, patch)
						require.NoError(t, err)
						refused := system.Parameters.Misdirected(present, patch, merged)
						moved := !slices.Equal(before, target(t, d, merged))
						if others := secret && !(f.Secret && onlySecret(system.Parameters, f)); !others {
							require.Empty(t, refused)
							continue
						}
						require.Equal(t, moved || slices.Contains(askedAgain, f.Name), len(refused) > 0, "%s of %s to %s, the secrets %s: %v", f.Name, name, value, how, refused)
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
func changes(t *testing.T, p destination.Parameters, present json.RawMessage, f destination.Field) []string {
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
			{Scheme: "http", Host: u.Host, Path: u.Path}, {Scheme: u.Scheme, Host: "evil.example.com", Path: u.Path}, {Scheme: u.Scheme, Host: u.Hostname() + ":444", Path: u.Path},
			{Scheme: u.Scheme, Host: u.Hostname() + ".evil.example.com", Path: u.Path}, {Scheme: u.Scheme, Host: u.Host, Path: "/other"}, {Scheme: u.Scheme, Host: strings.ToUpper(u.Host), Path: u.Path},
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
		require.Contains(t, others, f.Name, "another value of this parameter is needed here")
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
		out = append(out, fmt.Sprint(u.Scheme, " ", strings.ToLower(u.Hostname()), " ", port, " ", r.Transport.CA, " ", r.Transport.SkipVerify))
	}
	for _, n := range notification.Samples(system.Class, notification.Platform{Name: "Tocsin"}, "42", "Acme", "test", at) {
		rs, err := d.Encode(destination.Target{Parameters: opened, Delivery: "d", Now: at, Test: true}, []notification.Notification{n})
		if _, waits := err.(*destination.NotReady); waits {
			continue
		}
		require.NoError(t, err)
		for _, r := range rs {
			if r.Mail != nil {
				continue
			}
			add(r)
			if r.Grant != nil {
				q, err := r.Grant.Ask(t.Context(), at)
				require.NoError(t, err)
				add(q)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
