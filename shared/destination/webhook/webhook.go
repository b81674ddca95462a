// Package webhook sends envelopes to any https address of the customer's (product facts, 2.11), signed as Standard
// Webhooks asks when the administrator sets a secret. Its parameters and requests also serve the collectors that
// take the same (Fluentd, Logstash).
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"embed"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"tocsin/shared/destination"
	"tocsin/shared/destination/oauth"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

// Limits of one request; no receiver publishes its own. The facts leave both to us (section 9).
const (
	maxEvents     = 100
	maxBytes      = 1 << 20
	envelopeLimit = maxBytes - 2 // of one in an array; a longer one is cut
)

// Parameters of a webhook (facts, 2.11; names of 1.2).
type Parameters struct {
	URL            string            `json:"url" jsonschema:"required,title=Webhook URL,format=uri,minLength=1,maxLength=2048" jsonschema_description:"The https address that takes the notifications. It must be public and answer with a 2xx status."`
	Method         string            `json:"http_method" form:"advanced" jsonschema:"title=Request method,enum=POST,enum=PUT,default=POST" jsonschema_description:"POST unless the receiver asks for PUT."`
	Headers        map[string]string `json:"headers,omitempty" form:"advanced" jsonschema:"title=Request headers,writeOnly=true" jsonschema_description:"Headers sent with every request, such as Authorization. Values are kept secret."`
	CA             string            `json:"ca_file,omitempty" form:"advanced" receiver:"true" jsonschema:"title=CA certificate,maxLength=65536" jsonschema_description:"In PEM form, when the server's certificate is not signed by a public authority."`
	Verify         bool              `json:"ca_verify" form:"advanced" receiver:"true" jsonschema:"title=Verify TLS certificate,default=true" jsonschema_description:"Leave this on in production: without it anyone on the way can read the notifications."`
	Timeout        int               `json:"timeout" form:"advanced" jsonschema:"title=Request timeout (seconds),minimum=1,maximum=60,default=15" jsonschema_description:"No answer within this time is a failed request."`
	OpenTimeout    int               `json:"open_timeout" form:"advanced" jsonschema:"title=Connection timeout (seconds),minimum=1,maximum=60,default=20" jsonschema_description:"No connection within this time is a failed request."`
	Format         string            `json:"format" jsonschema:"title=Format,enum=json,enum=jsonl,default=json" jsonschema_description:"A JSON array of notifications, or one notification a line (NDJSON)."`
	MaxEvents      int               `json:"max_events" form:"advanced" jsonschema:"title=Events in one request,minimum=1,maximum=100,default=100" jsonschema_description:"Set 1 when the receiver expects a request for each event."`
	Secret         string            `json:"signing_secret,omitempty" form:"advanced generated" jsonschema:"title=Signing secret,writeOnly=true,maxLength=256" jsonschema_description:"Signs every request as Standard Webhooks asks: whsec_ and 24 to 64 bytes in base64."`
	PreviousSecret string            `json:"previous_signing_secret,omitempty" form:"advanced" jsonschema:"title=Previous signing secret,writeOnly=true,maxLength=256" jsonschema_description:"While a secret is being replaced both sign; remove the old one when every receiver knows the new one."`
	PrivateKey     string            `json:"signing_key,omitempty" form:"advanced made" jsonschema:"title=Signing key pair,writeOnly=true,maxLength=256" jsonschema_description:"Signs every request with Ed25519 (v1a of Standard Webhooks): receivers verify with the public key, and none of them could sign. Write generate for a pair of ours, rotate for a new one, or whsk_ and a key in base64. The private key is never shown."`
	PublicKey      string            `json:"public_key,omitempty" form:"copied" jsonschema:"title=Public key,readOnly=true" jsonschema_description:"Receivers verify the signatures of the key pair with it."`
	PreviousKey    string            `json:"previous_signing_key,omitempty" jsonschema:"title=Previous signing key,writeOnly=true,readOnly=true,maxLength=256" jsonschema_description:"Signs beside a new key for 7 days. null ends that at once."`
	PreviousPublic string            `json:"previous_public_key,omitempty" form:"copied" jsonschema:"title=Previous public key,readOnly=true" jsonschema_description:"Of the key pair before, which signs beside the new one for a time."`
	PreviousUntil  string            `json:"previous_key_until,omitempty" jsonschema:"title=Previous key signs until,format=date-time,readOnly=true" jsonschema_description:"7 days after the key pair was changed."`
	Trace          bool              `json:"trace_context,omitempty" form:"advanced" jsonschema:"title=Trace context,default=false" jsonschema_description:"Sends the header traceparent (W3C Trace Context) with requests whose events are traced, so that the receiver's spans join the trace."`
	TokenURL       string            `json:"token_url,omitempty" form:"advanced" jsonschema:"title=OAuth token URL,format=uri,maxLength=2048" jsonschema_description:"Where an access token is asked for with client credentials (OAuth 2.0), which every request then carries. Leave it empty when the receiver wants none."`
	Client         string            `json:"client_id,omitempty" form:"advanced when=token_url:" jsonschema:"title=OAuth client ID,maxLength=256" jsonschema_description:"Of a client for this integration alone."`
	ClientSecret   string            `json:"client_secret,omitempty" form:"advanced when=token_url:" jsonschema:"title=OAuth client secret,writeOnly=true,maxLength=1024" jsonschema_description:"Of that client. It goes to the token URL and nowhere else."`
	ClientAuth     string            `json:"token_auth,omitempty" form:"advanced when=token_url:" jsonschema:"title=How the client secret is sent,enum=client_secret_basic,enum=client_secret_post" jsonschema_description:"client_secret_basic in a header, which every server takes; client_secret_post in the form."`
	Scope          string            `json:"scope,omitempty" form:"advanced when=token_url:" jsonschema:"title=OAuth scope,maxLength=1024" jsonschema_description:"What the token is to be good for, words with spaces between them. Leave it empty for the server's default."`
	Audience       string            `json:"audience,omitempty" form:"advanced when=token_url:" jsonschema:"title=OAuth audience,maxLength=1024" jsonschema_description:"For whom the token is, where the server asks for that."`
	Certificate    string            `json:"client_certificate,omitempty" form:"advanced" jsonschema:"title=Client certificate,maxLength=32768" jsonschema_description:"In PEM form, when the receiver asks for one (mutual TLS); the certificates of its issuers may follow it. The token URL is shown it, too, if it asks."`
	Key            string            `json:"client_key,omitempty" form:"advanced when=client_certificate:" jsonschema:"title=Key of the client certificate,writeOnly=true,maxLength=16384" jsonschema_description:"Its private key, in PEM form and without a passphrase."`
	Ends           string            `json:"client_certificate_ends,omitempty" form:"ends" jsonschema:"title=Client certificate ends,format=date-time,readOnly=true" jsonschema_description:"When it, or that of an issuer, ends. Replace it before."`
}

// BatchLimit is how many events one request may carry.
func (p *Parameters) BatchLimit() int { return p.MaxEvents }

// reserved headers are made by us or by HTTP itself (RFC 9110, 7.6.1 for those of one connection; a body that is not
// compressed must not say that it is; an answer that is compressed could not be read), in canonical form.
var reserved = map[string]bool{
	"Host": true, "Content-Length": true, "Content-Encoding": true, "Transfer-Encoding": true, "Accept-Encoding": true,
	"Expect":     true,
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authorization": true, "Upgrade": true,
	"Http2-Settings": true, "Te": true, "Trailer": true,
}

// Limits of the headers, in bytes: what common servers take (nginx and Apache httpd: 8 KiB a line).
const (
	nameLimit    = 256
	valueLimit   = 8 << 10
	headersLimit = 16 << 10 // of all names and values
	headersMost  = 50       // how many
)

// headerProblems looks at the headers in the order of their names, so that the same ones get the same words. No
// sentence quotes a name that is none: a person may have put the value there, and the value is a secret.
func headerProblems(headers map[string]string) (out destination.InvalidParameters) {
	spelt := map[string]string{}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value, canonical := headers[name], http.CanonicalHeaderKey(name)
		size += len(name) + len(value)
		switch {
		case !httpguts.ValidHeaderFieldName(name) || len(name) > nameLimit:
			out.Add("headers", "holds a name that is no header name: letters, digits and hyphens, without a colon and "+
				"without the value")
			continue
		case spelt[canonical] != "":
			out.Add("headers."+name, "is there already as "+spelt[canonical]+
				": upper and lower case make no difference in header names")
			continue
		case strings.HasPrefix(canonical, "Webhook-") || reserved[canonical]:
			out.Add("headers."+name, "is written by us")
		case strings.TrimSpace(value) != value:
			out.Add("headers."+name, "has a value with a space before or after it")
		case !headerValue(value) || len(value) > valueLimit:
			out.Add("headers."+name, "has a value that no header can carry: only printable ASCII, 8 KiB at most")
		}
		spelt[canonical] = name
	}
	if len(headers) > headersMost {
		out.Add("headers", "are too many: 50 at most")
	}
	if size > headersLimit {
		out.Add("headers", "are too long in all: 16 KiB at most")
	}
	return out
}

// headerValue reports a value that every server reads alike: RFC 9110, 5.5, wants ASCII and no control characters.
func headerValue(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f })
}

// Check finds what the schema can not say.
func (p *Parameters) Check() []destination.FieldProblem {
	out := headerProblems(p.Headers)
	if p.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(p.CA)) {
		out.Add("ca_file", "is not a certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	if _, ok := key(p.Secret); p.Secret != "" && !ok {
		out.Add("signing_secret", secretForm)
	}
	if _, ok := key(p.PreviousSecret); p.PreviousSecret != "" && !ok {
		out.Add("previous_signing_secret", secretForm)
	}
	if k, ok := privateKey(p.PrivateKey); p.PrivateKey != "" && (!ok || !whole(k)) {
		out.Add("signing_key", keyForm)
	}
	if p.Trace {
		out = append(out, p.writes("Traceparent")...)
	}
	out = append(out, p.tokenProblems()...)
	out = append(out, p.identity().Problems("client_certificate", "client_key")...)
	if p.Certificate != "" && strings.HasPrefix(p.URL, "http://") {
		out.Add("client_certificate", "needs an https address: without TLS nobody is shown it")
	}
	return out
}

const secretForm = "must be whsec_ followed by 24 to 64 bytes in base64"

// key decodes a secret. Standard Webhooks, specification, "Symmetric signatures".
func key(secret string) ([]byte, bool) {
	rest, ok := strings.CutPrefix(secret, "whsec_")
	k, err := base64.StdEncoding.DecodeString(rest)
	return k, ok && err == nil && len(k) >= 24 && len(k) <= 64
}

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Destination is the webhook, and under other names the collectors that take the same requests.
type Destination struct{ system destination.System }

// New makes the webhook.
func New() Destination {
	return As(destination.System{Name: "web_hooks", Title: "Webhook", Group: destination.Universal,
		Folder: destination.ReadFolder(files)})
}

// As makes a system of another name, group and set-up page that takes the same requests.
func As(s destination.System) Destination {
	s.Class = notification.Advanced
	s.Events, s.Triggered = event.Machine(), event.Triggered()
	s.Parameters = destination.ParametersOf[Parameters]().Retitled("url", s.Title+" URL")
	s.Batch = destination.Batch{Count: maxEvents, Bytes: maxBytes}
	return Destination{s}
}

// System describes the webhook.
func (d Destination) System() destination.System { return d.system }

// Encode writes the notifications as one array, or as lines, into as few requests as the limits allow.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	written, kind := array, typeJSON
	if p.Format == "jsonl" && !t.Test { // facts, 1.12: a test is always an array
		written, kind = lines, typeLines
	}
	limit := destination.Batch{Count: max(1, min(p.MaxEvents, maxEvents)), Bytes: maxBytes}
	requests := 0
	return envelopes(ns, limit, written, envelopeLimit, func(body []byte) destination.Request {
		id := t.Delivery
		if requests++; requests > 1 {
			id += "-" + strconv.Itoa(requests) // a further message: the receiver must not take it for a repeat
		}
		return destination.Request{
			Method: p.Method, URL: p.URL, Body: body, Header: p.header(id, &t, body, kind),
			Transport: p.transport(), Authorizer: p.authorizer(),
		}
	}), nil
}

func (p *Parameters) identity() destination.Identity {
	return destination.Identity{Certificate: p.Certificate, Key: p.Key}
}

func (p *Parameters) transport() destination.Transport {
	return destination.Transport{
		CA: p.CA, SkipVerify: !p.Verify, Identity: p.identity(),
		Timeout:     time.Duration(p.Timeout) * time.Second,
		OpenTimeout: time.Duration(p.OpenTimeout) * time.Second,
	}
}

// post is the value of ClientAuth for credentials in the form. RFC 6749, 2.3.1.
const post = "client_secret_post"

// authorizer asks for an access token (RFC 6749, 4.4); nil when the receiver wants none. audience is no parameter of
// the RFC, but Auth0, Okta and others ask for it.
func (p *Parameters) authorizer() destination.Authorizer {
	if p.TokenURL == "" {
		return nil
	}
	g := oauth.ClientCredentials{
		URL: p.TokenURL, Who: destination.Host(p.TokenURL), Transport: p.transport(),
		Mend: "check the client ID, the client secret and how it is sent, the scope and the audience",
		Mends: map[string]string{
			"invalid_client": "check the client ID, the client secret and how it is sent",
			"invalid_scope":  "check the scope and the audience",
			"unauthorized_client": "the client may get no tokens this way: allow it client credentials at " +
				"that server",
			"unsupported_grant_type": "that server gives no tokens for client credentials: check the address",
		},
	}
	form := []string{"grant_type", "client_credentials"}
	if p.Scope != "" {
		form = append(form, "scope", p.Scope)
	}
	if p.Audience != "" {
		form = append(form, "audience", p.Audience)
	}
	if p.ClientAuth == post {
		form = append(form, "client_id", p.Client, "client_secret", p.ClientSecret)
	} else {
		g.Basic = oauth.Basic(p.Client, p.ClientSecret)
	}
	g.Form = oauth.Form(form...)
	return g
}

// tokenProblems are those of the client credentials.
func (p *Parameters) tokenProblems() (out destination.InvalidParameters) {
	if p.TokenURL == "" {
		if p.Client+p.ClientSecret != "" {
			out.Add("token_url", "is required")
		}
		return out
	}
	if p.Client == "" {
		out.Add("client_id", "is required")
	}
	if p.ClientSecret == "" {
		out.Add("client_secret", "is required")
	}
	return append(out, p.writes("Authorization")...)
}

// writes says that a header is written by us, where the administrator set it too.
func (p *Parameters) writes(header string) (out destination.InvalidParameters) {
	for name := range p.Headers {
		if http.CanonicalHeaderKey(name) == header {
			out.Add("headers."+name, "is written by us")
		}
	}
	return out
}

var (
	typeJSON  = []string{"application/json"}
	typeLines = []string{"application/x-ndjson"}
)

func (p *Parameters) header(id string, t *destination.Target, body []byte, kind []string) http.Header {
	h := make(http.Header, 5+len(p.Headers))
	h["Content-Type"] = kind
	if len(p.Headers) > 0 {
		for _, name := range slices.Sorted(maps.Keys(p.Headers)) { // in one order, should two of them mean the same
			h[http.CanonicalHeaderKey(name)] = []string{p.Headers[name]}
		}
	}
	if p.Trace && t.TraceParent != "" {
		h["Traceparent"] = []string{t.TraceParent}
	}
	at := strconv.FormatInt(t.Now.Unix(), 10)
	own := []string{id, at}
	h["Webhook-Id"], h["Webhook-Timestamp"] = own[:1:1], own[1:]
	if s := p.signatures(id, t.Now, at, body); s != "" {
		h["Webhook-Signature"] = []string{s}
	}
	return h
}

// signatures signs with each secret and each key pair that is set. Standard Webhooks, specification: `v1,` and the
// base64 of HMAC-SHA256 over `id.timestamp.body`, `v1a,` and that of Ed25519; several are parted by spaces.
func (p *Parameters) signatures(id string, now time.Time, at string, body []byte) string {
	if p.Secret+p.PreviousSecret+p.PrivateKey == "" {
		return ""
	}
	prefix := id + "." + at + "."
	var out []string
	for _, s := range []string{p.Secret, p.PreviousSecret} {
		if k, ok := key(s); ok {
			mac := hmac.New(sha256.New, k)
			mac.Write([]byte(prefix))
			mac.Write(body)
			out = append(out, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		}
	}
	return strings.Join(append(out, p.signedByPairs(prefix, body, now)...), " ")
}

// Judge takes any 2xx for a success.
func (Destination) Judge(r destination.Response) destination.Verdict {
	return destination.JudgeStatus(r, nil)
}
