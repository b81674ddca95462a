package browser

import (
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/destination/destinationtest/authority"
)

// vendors are PagerDuty and Opsgenie under their own names: a proxy leads there, and their certificate is of an
// authority that the program trusts.
type vendors struct {
	proxy, authority string

	mu    sync.Mutex
	calls []call
	wrong []string
}

type call struct {
	Host, Path, Query, Key string
	Body                   map[string]any
}

func incidentManagers(t *testing.T) *vendors {
	t.Helper()
	v := &vendors{authority: filepath.Join(t.TempDir(), "authority.pem")}
	issuer := authority.New(t, "vendors")
	require.NoError(t, os.WriteFile(v.authority, []byte(issuer.PEM), 0o600))
	own, err := issuer.Identity(t, x509.Certificate{
		DNSNames: []string{"events.pagerduty.com", "api.opsgenie.com"}}).TLS()
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(v)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
	s.StartTLS()
	proxy := httptest.NewServer(tunnels(s.Listener.Addr().String()))
	v.proxy = proxy.URL
	t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
		s.CloseClientConnections()
		s.Close()
		require.Empty(t, v.wrong, "requests that neither documents")
	})
	return v
}

// tunnels is a proxy that leads to one address, whatever host is asked for.
func tunnels(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		to, err := net.Dial("tcp", address)
		if err != nil || r.Method != http.MethodConnect {
			http.Error(w, fmt.Sprint(r.Method, err), http.StatusBadGateway)
			return
		}
		defer to.Close()
		from, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(to, from)
			_ = to.Close()
		}()
		_, _ = io.Copy(from, to)
	}
}

// ServeHTTP answers as the vendors do. PagerDuty, Events API v2, "Send an event"; Opsgenie, Alert API.
func (v *vendors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := call{Host: r.Host, Path: r.URL.Path, Query: r.URL.RawQuery, Key: r.Header.Get("Authorization")}
	sent := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		sent = unpacked
	}
	err := json.NewDecoder(sent).Decode(&c.Body)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls = append(v.calls, c)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	switch {
	case err == nil && r.Method == http.MethodPost && c.Host == "events.pagerduty.com" && c.Path == "/v2/enqueue":
		_, _ = fmt.Fprintf(w, `{"status":"success","message":"Event processed","dedup_key":%q}`, c.Body["dedup_key"])
	case err == nil && r.Method == http.MethodPost && c.Host == "api.opsgenie.com" &&
		strings.HasPrefix(c.Path, "/v2/alerts"):
		_, _ = io.WriteString(w, `{"result":"Request will be processed","took":0.1,"requestId":"43a29c5c-3dbf"}`)
	default:
		v.wrong = append(v.wrong, fmt.Sprint(r.Method, c, err))
	}
}

func (v *vendors) got() []call {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.calls)
}

// vulnerability publishes what became of one, waits until the integration's system has it, and returns the delivery.
func vulnerability(t *testing.T, p *embedded.Process, id, status string) (delivery string) {
	t.Helper()
	event := "evt-" + id + "-" + status
	require.NoError(t, p.Publish(embedded.Entry{Source: "platform.vulnerabilities", DetailType: "vuln",
		Detail: fmt.Sprintf(`{"version":1,"id":%q,"tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z",`+
			`"data":{"object_id":555,"vuln":{"domain":"shop.example.com","id":%q,"method":"GET","path":"/search",`+
			`"title":"Reflected XSS","discovered_by":"scanner","threat":"High","type":"XSS","status":%q}}}`,
			event, id, status)}))
	eventually(t, event+" is delivered", func() (bool, error) {
		items := found(t, p, "event="+event+"&state=delivered").Items
		if len(items) == 1 {
			delivery = items[0].ID
		}
		return len(items) == 1, nil
	})
	return delivery
}

func TestPagerDutyTriggersAndResolvesTheIncidentOfAVulnerability(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef"
	for name, l := range map[string]look{"en": desk, "ja": phone("ja")} {
		v := incidentManagers(t)
		p := programWith(t, []string{"SSL_CERT_FILE=" + v.authority}, "-proxy", v.proxy, "-proxy-resolves")
		b := open(t, p, l, "/add/pager_duty")
		b.fill(word(l, "Integration Key", "インテグレーションキー"), key)
		b.act("clickIn", "form", word(l, "Add integration", "連携を追加"))
		b.sees(word(l, "Added.", "追加しました。"))
		on := onlyIntegration(t, p)
		opened, closed := vulnerability(t, p, "V-1", "open"), vulnerability(t, p, "V-1", "closed")
		calls := v.got()
		require.Len(t, calls, 2)
		made := calls[0].Body
		require.Equal(t, "trigger", made["event_action"])
		require.NotEmpty(t, made["dedup_key"])
		require.Contains(t, made["payload"].(map[string]any)["summary"], "vulnerability")
		require.Equal(t, map[string]any{"routing_key": key, "event_action": "resolve", "dedup_key": made["dedup_key"]},
			calls[1].Body)
		for step, delivery := range map[string]string{"trigger": opened, "resolve": closed} {
			b.follow("/integrations/" + on + "/deliveries/" + delivery)
			b.sees(`"event_action": "` + step + `"`)
			b.sees(fmt.Sprintf(`"dedup_key": %q`, made["dedup_key"]))
			require.NotContains(t, b.text(), key)
			b.judgeWhole("pagerduty-"+step+"-"+name, l)
		}
		vulnerability(t, p, "V-1", "reopened")
		again := v.got()[2].Body
		require.Equal(t, []any{"trigger", made["dedup_key"]}, []any{again["event_action"], again["dedup_key"]})
	}
}

func TestOpsgenieMakesAndClosesTheAlertOfAVulnerability(t *testing.T) {
	t.Parallel()
	const key = "11111111-1111-1111-1111-111111111111"
	for name, l := range map[string]look{"en": phone("en"), "ja": everyLook()["ja-wide"]} {
		v := incidentManagers(t)
		p := programWith(t, []string{"SSL_CERT_FILE=" + v.authority}, "-proxy", v.proxy, "-proxy-resolves")
		b := open(t, p, l, "/add/opsgenie")
		b.fill(word(l, "API key", "API キー"), key)
		b.act("clickIn", "form", word(l, "Add integration", "連携を追加"))
		b.sees(word(l, "Added.", "追加しました。"))
		on := onlyIntegration(t, p)
		opened, closed := vulnerability(t, p, "V-1", "open"), vulnerability(t, p, "V-1", "closed")
		calls := v.got()
		require.Len(t, calls, 2)
		alias, ok := calls[0].Body["alias"].(string)
		require.True(t, ok)
		require.NotEmpty(t, alias)
		require.Equal(t, "/v2/alerts", calls[0].Path)
		require.Equal(t, "/v2/alerts/"+alias+"/close", calls[1].Path)
		require.Equal(t, "identifierType=alias", calls[1].Query)
		require.Equal(t, "GenieKey "+key, calls[1].Key)
		b.follow("/integrations/" + on + "/deliveries/" + opened)
		b.sees(fmt.Sprintf(`"alias": %q`, alias))
		b.judgeWhole("opsgenie-create-"+name, l)
		b.follow("/integrations/" + on + "/deliveries/" + closed)
		b.sees("/close?identifierType=alias")
		b.sees(`"note": "`)
		require.NotContains(t, b.text(), key)
		b.judgeWhole("opsgenie-close-"+name, l)
	}
}
