// Package provider starts a real OpenID Connect provider on this machine, for tests: see provider.mjs.
package provider

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tocsin/scripts/ports"
)

// ModulesVariable is the variable with the folder of npm's oidc-provider, which scripts/independent/provider/install
// makes.
const ModulesVariable = "TOCSIN_PROVIDER"

// startLimit is how long one may take until it listens. Then it is started anew.
const (
	startLimit = 30 * time.Second
	startTries = 3
)

//go:embed provider.mjs
var script string

// Client is a relying party.
type Client struct {
	ID           string   `json:"client_id"`
	Secret       string   `json:"client_secret,omitempty"`
	Method       string   `json:"token_endpoint_auth_method"` // client_secret_basic, client_secret_post or none
	RedirectURIs []string `json:"redirect_uris"`
	AfterLogout  []string `json:"post_logout_redirect_uris"`
	Logout       string   `json:"backchannel_logout_uri,omitempty"`
	NamesSession bool     `json:"backchannel_logout_session_required"`
	Grants       []string `json:"grant_types,omitempty"` // nil: of signing in
	Responses    []string `json:"response_types,omitzero"`
	Scope        string   `json:"scope,omitempty"`
}

// Machine is a client that asks for tokens for itself (RFC 6749, 4.4).
func Machine(id, secret, method, scope string) Client {
	return Client{ID: id, Secret: secret, Method: method, RedirectURIs: []string{}, AfterLogout: []string{},
		Grants: []string{"client_credentials"}, Responses: []string{}, Scope: scope}
}

// At is a client of a Console at an address.
func At(base, id, secret, method string) Client {
	return Client{ID: id, Secret: secret, Method: method, RedirectURIs: []string{base + "/sign-in/callback"},
		AfterLogout: []string{base + "/sign-in"}, Logout: base + "/sign-in/logout", NamesSession: method != "none"}
}

// Options of a provider.
type Options struct {
	Clients  []Client
	Accounts map[string]map[string]any // claims by the name that a person signs in with
	InToken  bool                      // the ID token holds the claims; else UserInfo tells them
}

// Provider is one that runs.
type Provider struct {
	Issuer string

	options Options
	port    string
	cmd     *exec.Cmd
}

// Start starts one.
func Start(ctx context.Context, o Options) (*Provider, error) {
	port, err := ports.Free()
	if err != nil {
		return nil, err
	}
	p := &Provider{Issuer: "http://127.0.0.1:" + port, options: o, port: port}
	return p, p.Run(ctx)
}

// Run starts one again that was stopped, at the same address and with new keys. It knows nobody who was signed in.
func (p *Provider) Run(ctx context.Context) error {
	modules, err := filepath.Abs(os.Getenv(ModulesVariable))
	if err != nil || os.Getenv(ModulesVariable) == "" {
		return errors.New(ModulesVariable + " is not set: run scripts/independent/provider/run")
	}
	folder, err := os.MkdirTemp("", "tocsin-provider-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "provider.mjs")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return err
	}
	clients, err := json.Marshal(p.options.Clients)
	if err != nil {
		return err
	}
	accounts, err := json.Marshal(p.options.Accounts)
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	env := append(os.Environ(), "PROVIDER_MODULES="+modules, "PROVIDER_PORT="+p.port,
		"PROVIDER_CLIENTS="+string(clients), "PROVIDER_ACCOUNTS="+string(accounts), "PROVIDER_KEY="+key)
	if p.options.InToken {
		env = append(env, "PROVIDER_CLAIMS_IN=token")
	}
	for range startTries {
		if err = p.start(ctx, file, env); err == nil {
			return nil
		}
	}
	return err
}

// start is one try at it.
func (p *Provider) start(ctx context.Context, file string, env []string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "node", file)
	cmd.Env = env
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	hangs := time.AfterFunc(startLimit, func() { _ = cmd.Process.Kill() })
	defer hangs.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "ready" {
			p.cmd = cmd
			go func() {
				for lines.Scan() { // so that it never waits for a reader
				}
			}()
			return nil
		}
	}
	_ = cmd.Wait()
	return fmt.Errorf("the provider did not start: %s", said.String())
}

// newKey is a key to sign with, as a JWK (RFC 7518, 6.3). Each start has its own, so that a restart rotates them. It is
// not made by Node, which was seen to hang when it had loaded the provider and had a key to make.
func newKey() (string, error) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	text := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	raw, err := json.Marshal(map[string]string{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": rand.Text(),
		"n": text(k.N), "e": text(big.NewInt(int64(k.E))), "d": text(k.D),
		"p": text(k.Primes[0]), "q": text(k.Primes[1]),
		"dp": text(k.Precomputed.Dp), "dq": text(k.Precomputed.Dq), "qi": text(k.Precomputed.Qinv),
	})
	return string(raw), err
}

// Stop ends it.
func (p *Provider) Stop() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}
