//go:build provider

package provider_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/x509"
	_ "embed"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/provider"
	"tocsin/shared/activity"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/destinationtest/authority"
	"tocsin/shared/destination/webhook"
	"tocsin/shared/egress"
	"tocsin/shared/engine/memory"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/sending"
)

//go:embed receiver.mjs
var receiver string

// The secrets that the receiver has.
const (
	signing       = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	introspecting = "a-secret-of-the-receiver"
)

// hooked is a webhook with all that secures it, and what judges it.
type hooked struct {
	t          *testing.T
	provider   *provider.Provider
	authority  authority.Authority
	host       string
	service    *integration.Service
	said       *bufio.Scanner
	parameters map[string]any
}

var ada = activity.Actor{Tenant: "42", Email: "ada@example.com"}

func free(t *testing.T) *net.TCPAddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr)
}

func newHooked(t *testing.T, method string) *hooked {
	t.Helper()
	secret := secretOf(method)
	p, err := provider.Start(t.Context(), provider.Options{Clients: []provider.Client{
		provider.Machine("tocsin", secret, method, "events.write"),
		provider.Machine("soc", introspecting, "client_secret_basic", "")}})
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	keys, err := keyring.Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	h := &hooked{t: t, provider: p, authority: authority.New(t, "acme"), host: free(t).String()}
	id := h.authority.Client(t, "tocsin.example.com")
	h.service = &integration.Service{Store: memory.New(nil).Integrations(), Keys: keys, Systems: catalogue.Default(),
		Addresses: h.policy(), Now: time.Now, NewID: func() string { return ulid.Make().String() }, Random: rand.Reader,
		Log: slog.New(slog.DiscardHandler)}
	h.parameters = map[string]any{"url": "https://" + h.host + "/hook", "ca_file": h.authority.PEM,
		"signing_secret": signing, "signing_key": "generate", "token_url": p.Issuer + "/token", "client_id": "tocsin",
		"client_secret": secret, "token_auth": method, "scope": "events.write",
		"client_certificate": id.Certificate, "client_key": id.Key}
	return h
}

func (h *hooked) policy() egress.Policy {
	return egress.Policy{Allow: []string{h.host, h.provider.Issuer[len("http://"):]}}
}

// rotated stores the webhook, makes a second key pair for it, and starts the receiver that knows both.
func (h *hooked) rotated() integration.Integration {
	h.t.Helper()
	raw, err := json.Marshal(h.parameters)
	require.NoError(h.t, err)
	i, err := h.service.Create(h.t.Context(), ada, integration.Draft{System: "web_hooks", Name: "SOC", Parameters: raw})
	require.NoError(h.t, err)
	i, err = h.service.Update(h.t.Context(), ada, i.ID, 0,
		integration.Patch{Parameters: json.RawMessage(`{"signing_key":"rotate"}`)})
	require.NoError(h.t, err)
	var shown webhook.Parameters
	require.NoError(h.t, json.Unmarshal(i.Parameters, &shown))
	h.start(shown.PublicKey, shown.PreviousPublic)
	return i
}

// start starts the receiver.
func (h *hooked) start(keys ...string) {
	h.t.Helper()
	modules, err := filepath.Abs(os.Getenv(provider.ModulesVariable))
	require.NoError(h.t, err)
	own := h.authority.Identity(h.t, x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	_, port, err := net.SplitHostPort(h.host)
	require.NoError(h.t, err)
	settings, err := json.Marshal(map[string]any{"port": port, "key": own.Key, "cert": own.Certificate,
		"ca": h.authority.PEM, "secret": signing, "keys": keys, "modules": modules,
		"introspection": h.provider.Issuer + "/token/introspection", "client": "soc",
		"client_secret": introspecting})
	require.NoError(h.t, err)
	file := filepath.Join(h.t.TempDir(), "receiver.mjs")
	require.NoError(h.t, os.WriteFile(file, []byte(receiver), 0o600))
	bounded, end := context.WithTimeout(context.Background(), 2*time.Minute) // who waits for it is told when it hangs
	cmd := exec.CommandContext(bounded, "node", file)
	cmd.Env = append(os.Environ(), "RECEIVER="+string(settings))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(h.t, err)
	require.NoError(h.t, cmd.Start())
	h.t.Cleanup(func() {
		end()
		_ = cmd.Wait()
	})
	h.said = bufio.NewScanner(out)
	require.True(h.t, h.said.Scan())
	require.Equal(h.t, "ready", h.said.Text())
}

func (h *hooked) sender() *sending.Sender {
	return &sending.Sender{Destinations: catalogue.Default(), Transport: egress.New(h.policy(), egress.Options{}),
		Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

// tested is what the test of an integration came to.
func (h *hooked) tested(i integration.Integration) []sending.TestMessage {
	h.t.Helper()
	opened, err := h.service.Open(h.t.Context(), i)
	require.NoError(h.t, err)
	result, err := h.sender().Test(h.t.Context(), opened, ada, i.ID, nil)
	require.NoError(h.t, err)
	return result.Messages
}

func TestAWebhookWithAllThatSecuresItIsTakenByReceiversThatAreNotOurs(t *testing.T) {
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			h := newHooked(t, method)
			for _, m := range h.tested(h.rotated()) {
				require.True(t, m.Delivered, m.Reason+": "+m.Answer)
				require.True(t, h.said.Scan())
				require.Equal(t, "tocsin.example.com tocsin events.write", h.said.Text())
			}
		})
	}
}

func TestWhatAReceiverDoesNotTakeIsSaid(t *testing.T) {
	h := newHooked(t, "client_secret_basic")
	i := h.rotated()
	other := authority.New(t, "other").Client(t, "x")
	// OpenSSL closes the connection behind its alert, which is lost when our request meets that.
	for says, patch := range map[string]map[string]any{
		`\(invalid_client\): check the client ID, the client secret`: {"client_secret": "another"},
		`\(invalid_scope\): check the scope and the audience`:        {"scope": "email"},
		`takes none of ours \(unknown certificate authority\)|it may not take our client certificate`: {
			"client_certificate": other.Certificate, "client_key": other.Key},
		`takes none of ours \(certificate required\)|closed the connection`: {
			"client_certificate": nil, "client_key": nil},
		`answered 400`: {"signing_key": "rotate", "previous_signing_key": nil},
	} {
		raw, err := json.Marshal(patch)
		require.NoError(t, err)
		opened, err := h.service.OpenUnsaved(t.Context(), "42", i.ID, "", raw)
		require.NoError(t, err)
		result, err := h.sender().Test(t.Context(), opened, ada, i.ID, nil)
		require.NoError(t, err)
		require.False(t, result.Messages[0].Delivered, says)
		require.Regexp(t, says, result.Messages[0].Reason)
	}
}
