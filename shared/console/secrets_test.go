package console_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/console"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/egress"
	"tocsin/shared/notification"
	"tocsin/shared/sending"
)

// echoes are receivers that repeat what they got, each in its own way.
var echoes = map[string]func(q *http.Request, got string) string{
	"as it is":  func(_ *http.Request, got string) string { return got },
	"in a page": func(_ *http.Request, got string) string { return "<pre>" + html.EscapeString(got) + "</pre>" },
	"in JSON": func(_ *http.Request, got string) string {
		raw, _ := json.Marshal(map[string]string{"error": "invalid_client", "error_description": got, "message": got,
			"text": got})
		return string(raw)
	},
	"in JSON in a form": func(_ *http.Request, got string) string {
		raw, _ := json.Marshal(got)
		return url.Values{"got": {string(raw)}}.Encode()
	},
	"in a query": func(_ *http.Request, got string) string { return url.QueryEscape(got) },
	"in base64":  func(_ *http.Request, got string) string { return base64.StdEncoding.EncodeToString([]byte(got)) },
	"in hex":     func(_ *http.Request, got string) string { return hex.EncodeToString([]byte(got)) },
	"the path alone": func(q *http.Request, _ string) string {
		return "Cannot " + q.Method + " " + q.URL.EscapedPath() + " ?" + q.URL.RawQuery
	},
	"in upper case": func(_ *http.Request, got string) string { return strings.ToUpper(got) },
	"cut at 4 KiB": func(_ *http.Request, got string) string {
		return (strings.Repeat("x", 4096-len(got)/2) + got)[:4096]
	},
	"cut at 1 KiB": func(_ *http.Request, got string) string {
		return strings.Repeat("x", max(0, 1024-len(got)/2)) + got
	},
	"an unknown trigger of AADSTS": func(_ *http.Request, got string) string {
		raw, _ := json.Marshal(map[string]string{"error": got, "error_description": "AADSTS7000215: " + got})
		return string(raw)
	},
}

// Secrets of the systems below: with characters that forms, JSON and HTML escape, and plain ones.
const secret, other, plain = `s3cr3t&"<V>/alue+1`, "an0ther-s3cr3t", "pl4in-s3cr3t-token"

// secretive are systems with parameters that hold secrets, and these.
var secretive = map[string]func(base string) (parameters string, secrets []string){
	"slack": func(b string) (string, []string) {
		return `{"webhook_url":"` + b + `/services/T1/SECRETpart"}`, []string{"SECRETpart"}
	},
	"ms_teams": func(b string) (string, []string) {
		return `{"webhook_url":"` + b + `/workflows/SECRETpart/invoke?sig=SIGNature-of-it"}`,
			[]string{"SECRETpart", "SIGNature-of-it"}
	},
	"sumo_logic": func(b string) (string, []string) {
		return `{"source_url":"` + b + `/receiver/v1/http/SECRETpart=="}`, []string{"SECRETpart"}
	},
	"insight_connect": func(b string) (string, []string) {
		return `{"api":"` + b + `/connect/v1/workflows/SECRETpart/events/execute","token":"` + plain + `"}`,
			[]string{"SECRETpart", plain}
	},
	"splunk": func(b string) (string, []string) {
		return `{"api":"` + b + `","token":"11111111-2222-3333-4444-555555555555"}`,
			[]string{"11111111-2222-3333-4444-555555555555"}
	},
	"jira": func(b string) (string, []string) {
		return `{"url":"` + b + `","email":"sec@example.com","token":"` + plain +
			`","project":"SEC","issue_type":"Bug"}`, []string{plain}
	},
	"servicenow": func(b string) (string, []string) {
		raw, _ := json.Marshal(secret)
		return `{"instance":"` + b + `","username":"tocsin","password":` + string(raw) +
			`,"client_id":"c0ffee","client_secret":"` + other + `"}`, []string{secret, other}
	},
	"web_hooks": func(b string) (string, []string) {
		raw, _ := json.Marshal("Bearer " + secret)
		return `{"url":"` + b + `/x","headers":{"Authorization":` + string(raw) + `,"X-Key":"` + other + `"}}`,
			[]string{secret, other}
	},
	"fluentd": func(b string) (string, []string) {
		return `{"url":"` + b + `/x","headers":{"X-Key":"` + other + `"}}`, []string{other}
	},
	"logstash": func(b string) (string, []string) {
		return `{"url":"` + b + `/x","headers":{"Authorization":"Basic YWRhOmFuMHRoZXItczNjcjN0"}}`,
			[]string{other, "YWRhOmFuMHRoZXItczNjcjN0"}
	},
	"minio": func(b string) (string, []string) {
		return `{"endpoint":"` + b + `","bucket":"hits","access_key":"tocsin","secret_key":"` + plain + `"}`,
			[]string{plain}
	},
}

// TestS6NoReceiverShowsASecretToAnybody tests every system whose address a tenant can choose against receivers that
// repeat the whole request, and looks at the answer of the API and at the log.
func TestS6NoReceiverShowsASecretToAnybody(t *testing.T) {
	var echo func(q *http.Request, got string) string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		got := fmt.Sprintf("%s %s %v %s", q.Method, q.URL.RequestURI(), q.Header, body)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, echo(q, got))
	}))
	defer receiver.Close()
	host := receiver.Listener.Addr().String()
	r := start(t, host)
	var lines bytes.Buffer
	log := slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.config.Log = log
	r.config.Tester = &sending.Sender{
		Destinations: catalogue.Default(), Transport: egress.New(egress.Policy{Allow: []string{host}},
			egress.Options{}),
		Now: r.config.Now, Log: log, Platform: notification.Platform{Name: "Tocsin"},
	}
	r.handler = console.New(r.config)
	for system, make := range secretive {
		for how, e := range echoes {
			t.Run(system+" "+how, func(t *testing.T) {
				echo = e
				lines.Reset()
				parameters, secrets := make("http://" + host)
				a := r.call("POST", "/v1/integrations/test", `{"system":"`+system+`","parameters":`+parameters+`}`)
				require.Equal(t, 200, a.status, a.raw)
				require.Equal(t, false, a.body["delivered"])
				m := a.body["messages"].([]any)[0].(map[string]any)
				for _, s := range secrets {
					for _, text := range []string{fmt.Sprint(m["answer"]), fmt.Sprint(m["reason"]), lines.String()} {
						require.False(t, shows(text, s), "%q shows %q", text, s)
					}
				}
				require.Contains(t, lines.String(), `msg="test sent" tenant=42 integration="" system=`+system+` host=`+
					host+" by=ada@example.com", "a test is logged with who and where to")
				if system == "servicenow" {
					require.NotContains(t, m, "answer", "what answers a request for a credential is never kept")
				}
			})
		}
	}
	// A list of choices too.
	for how, e := range echoes {
		echo = e
		lines.Reset()
		parameters, _ := secretive["jira"]("http://" + host)
		a := r.call("POST", "/v1/integrations/choices", `{"system":"jira","parameter":"project","parameters":`+
			parameters+`}`)
		require.Equal(t, 200, a.status, a.raw)
		require.False(t, shows(a.raw, plain), "%s: %s", how, a.raw)
		require.Contains(t, lines.String(), `msg="choices asked for" tenant=42 integration="" system=jira host=`+host+
			" by=ada@example.com")
	}
}

// shows looks for a secret in a text and in what it decodes to, by the decoders of others.
func shows(text, secret string) bool {
	level := []string{text}
	for range 3 {
		var next []string
		for _, s := range level {
			if strings.Contains(strings.ToLower(s), strings.ToLower(secret)) {
				return true
			}
			next = append(next, html.UnescapeString(s))
			if v, err := url.QueryUnescape(s); err == nil {
				next = append(next, v)
			}
			next = append(next, strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\/`, `/`, `\u0026`, "&", `\u003c`, "<",
				`\u003e`, ">").Replace(s))
			for _, word := range strings.FieldsFunc(s,
				func(r rune) bool { return strings.ContainsRune(" \"'<>{}:,;&*=…", r) }) {
				for cut := range 4 {
					if len(word) > cut {
						if raw, err := base64.RawStdEncoding.DecodeString(word[:len(word)-cut]); err == nil {
							next = append(next, string(raw))
						}
					}
				}
				if raw, err := hex.DecodeString(word[:len(word)&^1]); err == nil {
					next = append(next, string(raw))
				}
			}
		}
		level = next
	}
	return false
}
