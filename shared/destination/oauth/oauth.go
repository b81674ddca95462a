// Package oauth is the destination.Authorizer of systems that take an OAuth 2.0 access token (RFC 6749): a form posted
// to the token endpoint, a bearer token in every request.
package oauth

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"tocsin/shared/destination"
)

// usualLife is taken for a token whose answer does not say how long it lives (RFC 6749, 5.1: it should).
const usualLife = 10 * time.Minute

// maxLife bounds what an answer may say, so that a nonsensical number keeps no token for ever.
const maxLife = 24 * time.Hour

// keep is how much of a token's answer is read: a token with many claims has several KiB.
const keep = 64 << 10

// ClientCredentials asks for an access token. Form holds the credentials, encoded (url.Values.Encode), or Basic does;
// Who names the server in reasons; Mend says what to do when the credentials are refused, Mends the same by the code of
// the refusal.
type ClientCredentials struct {
	URL       string
	Form      string
	Basic     string // the Authorization header, "" for none: see Basic
	Who       string
	Mend      string
	Mends     map[string]string
	Transport destination.Transport
}

// Key is the endpoint: an integration has one token there.
func (g ClientCredentials) Key() string { return g.URL }

// Ask posts the form.
func (g ClientCredentials) Ask(context.Context, time.Time) (destination.Request, error) {
	q := destination.Request{
		Method: http.MethodPost, URL: g.URL, Body: []byte(g.Form), Transport: g.Transport, Keep: keep,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}},
	}
	if g.Basic != "" {
		q.Header.Set("Authorization", g.Basic)
	}
	return q, nil
}

// Basic is how a client authenticates itself by a header (client_secret_basic). RFC 6749, 2.3.1: both halves are
// encoded as in a form.
func Basic(client, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(client)+":"+url.QueryEscape(secret)))
}

// Form encodes pairs of names and values.
func Form(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

// answer is RFC 6749, 5.1 and 5.2. expires_in is a number; some servers write it as a text.
type answer struct {
	Token       string      `json:"access_token"`
	Type        any         `json:"token_type"`
	ExpiresIn   json.Number `json:"expires_in"`
	Error       string      `json:"error"`
	Description string      `json:"error_description"`
}

// unfit says why a token can not be sent as Bearer, "" when it can. It is of printable characters (RFC 6749, A.12); one
// of another type is sent in another way (7.1). Some servers leave the type out.
func unfit(a answer) string {
	kind, _ := a.Type.(string)
	switch {
	case strings.ContainsFunc(a.Token, func(c rune) bool { return c < ' ' || c > '~' }):
		return " holds one with characters that no header can carry: have that server mended"
	case kind != "" && !strings.EqualFold(kind, "bearer"):
		return " holds one that is not of the type Bearer: have that server give such tokens"
	}
	return ""
}

// codes are the errors of a token endpoint (RFC 6749, 5.2; the last two of 4.1.2.1 are used as well).
var codes = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
	"invalid_scope", "access_denied", "server_error", "temporarily_unavailable",
}

// entra is the code that Microsoft Entra begins its description with. "Microsoft Entra authentication and authorization
// error codes".
var entra = regexp.MustCompile(`^AADSTS[0-9]{1,8}`)

// codes are all that is taken over of a refusal. Its other words can repeat the form, and with it the credentials,
// however they like.
func (a answer) codes() (out []string) {
	if slices.Contains(codes, a.Error) {
		out = append(out, a.Error)
	}
	if c := entra.FindString(a.Description); c != "" {
		out = append(out, c)
	}
	return out
}

// Read takes the token out of the answer: RFC 6749, 5.1, asks for 200 with access_token.
func (g ClientCredentials) Read(r destination.Response, now time.Time) (destination.Credential, destination.Verdict) {
	var a answer
	broken := json.Unmarshal(r.Body, &a) != nil
	if r.Status < 200 || r.Status > 299 {
		return destination.Credential{}, destination.Failed(r, "no access token: "+g.Who+" answered "+
			destination.StatusText(r.Status)+g.why(r.Status, cmp.Or(destination.Redirected(r), "check the address"), a))
	}
	if broken && r.Broken {
		return destination.Credential{}, destination.Failed(r, "no access token: the answer of "+g.Who+
			" broke off before its end")
	}
	if broken || a.Token == "" {
		what := "the answer of " + g.Who + " holds none" + g.why(0, "", a) + ": check the address"
		if destination.WebPage(r) {
			what += ": a web page is there, to sign in at, or of a proxy or a captive portal"
		}
		return destination.Credential{}, destination.Failed(r, "no access token: "+what)
	}
	if what := unfit(a); what != "" {
		return destination.Credential{}, destination.Failed(r, "no access token: the answer of "+g.Who+what)
	}
	life := usualLife
	if s, err := a.ExpiresIn.Float64(); err == nil && s > 0 {
		life = time.Duration(min(s, maxLife.Seconds()) * float64(time.Second))
	}
	return destination.Credential{Secret: a.Token, Expires: now.Add(life)}, destination.Delivered()
}

// why is the server's reason, and what to do about it: other where the status does not say.
func (g ClientCredentials) why(status int, other string, a answer) string {
	out := ""
	mend := g.Mend
	if said := a.codes(); len(said) > 0 {
		out = " (" + strings.Join(said, ", ") + ")"
		for _, code := range said { // the last one says the most
			mend = cmp.Or(g.Mends[code], mend)
		}
	}
	switch {
	case status == http.StatusBadRequest, status == http.StatusUnauthorized, status == http.StatusForbidden:
		out += ": " + mend
	case status == http.StatusTooManyRequests:
		out += ": it asks to slow down"
	case status >= 500:
		out += ": it has a fault of its own"
	case status != 0:
		out += ": " + other
	}
	return out
}

// Apply adds the token.
func (g ClientCredentials) Apply(q destination.Request, c destination.Credential, _ time.Time) (destination.Request,
	error) {
	if q.Header = q.Header.Clone(); q.Header == nil {
		q.Header = http.Header{}
	}
	q.Header.Set("Authorization", "Bearer "+c.Secret)
	return q, nil
}
