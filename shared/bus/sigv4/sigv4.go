// Package sigv4 verifies requests that are signed with AWS Signature Version 4 in their Authorization header, as the
// aws CLI, the SDKs and curl sign them. AWS, IAM User Guide, "Create a signed AWS API request". The SDK has a signer
// alone; the tests let it, curl and botocore judge what is accepted here.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/cut"
)

// Algorithm begins the header.
const Algorithm = "AWS4-HMAC-SHA256"

// Skew is how far a request's time may be from ours: the five minutes that EventBridge allows. A signed request that
// somebody recorded is of no use after it.
const Skew = 5 * time.Minute

const (
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"
	dateFormat = "20060102"
)

// Error is a refusal as AWS words it.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func incomplete(format string, args ...any) *Error {
	return &Error{http.StatusBadRequest, "IncompleteSignatureException", fmt.Sprintf(format, args...)}
}

func invalid(message string) *Error {
	return &Error{http.StatusForbidden, "InvalidSignatureException", message}
}

// ErrMissing refuses a request without a signature.
var ErrMissing = &Error{http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token"}

// Signature is what a request says about who signed it, and how. It proves nothing before Verify.
type Signature struct {
	AccessKey string
	Region    string

	date, service string
	at            string // as it was signed
	headers       []string
	value         []byte
}

// Signed reports whether a request carries, or means to carry, a signature.
func Signed(r *http.Request) bool {
	q := r.URL.RawQuery
	return r.Header.Get("Authorization") != "" || strings.Contains(strings.ToLower(q), "x-amz-signature") ||
		strings.Contains(strings.ToLower(q), "x-amz-credential")
}

// Parse reads the signature of a request for the service and checks its time against now. Errors: *Error.
func Parse(r *http.Request, service string, now time.Time) (Signature, error) {
	var s Signature
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		if Signed(r) {
			return s, incomplete("A signature in the query is not taken here: sign in the Authorization header.")
		}
		return s, ErrMissing
	}
	if len(values) > 1 {
		return s, incomplete("Authorization header is there more than once.")
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(values[0]), Algorithm)
	if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
		return s, incomplete("Authorization header must begin with %s.", Algorithm)
	}
	if err := s.fields(rest); err != nil {
		return s, err
	}
	if s.service != service {
		return s, invalid("Credential should be scoped to correct service: '" + service + "'.")
	}
	if r.Header.Get("X-Amz-Security-Token") != "" {
		return s, &Error{http.StatusForbidden, "UnrecognizedClientException",
			"The security token included in the request is invalid."}
	}
	return s, s.time(r, now)
}

// fields reads Credential, SignedHeaders and Signature.
func (s *Signature) fields(text string) error {
	found := map[string]string{}
	for _, part := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := found[name]; !ok || twice {
			return incomplete("Authorization header can not be read at a part that begins with %q.", short(name))
		}
		found[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if found[name] == "" {
			return incomplete("Authorization header requires '%s' parameter.", name)
		}
	}
	scope := strings.Split(found["Credential"], "/")
	if len(scope) != 5 || scope[4] != terminator {
		return incomplete(
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request.")
	}
	s.AccessKey, s.date, s.Region, s.service = scope[0], scope[1], scope[2], scope[3]
	s.headers = strings.Split(found["SignedHeaders"], ";")
	if !slices.IsSorted(s.headers) || len(slices.Compact(slices.Clone(s.headers))) != len(s.headers) {
		return incomplete("SignedHeaders must be sorted, each name once.")
	}
	var err error
	if s.value, err = hex.DecodeString(found["Signature"]); err != nil || len(s.value) != sha256.Size {
		return incomplete("Signature must be %d hexadecimal digits.", 2*sha256.Size)
	}
	return nil
}

// time checks when the request was made, and that what says so is signed.
func (s *Signature) time(r *http.Request, now time.Time) error {
	s.at = r.Header.Get("X-Amz-Date")
	name := "x-amz-date"
	at, err := time.Parse(timeFormat, s.at)
	if s.at == "" {
		name = "date"
		if at, err = http.ParseTime(r.Header.Get("Date")); err == nil {
			at = at.UTC()
			s.at = at.Format(timeFormat)
		}
	}
	if err != nil {
		return incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	// AWS asks for host and, of some services, for every x-amz-* header; older curls sign no header of the user's. The
	// one that matters here, x-amz-target, has one value that is served.
	for _, needed := range []string{"host", name} {
		if !slices.Contains(s.headers, needed) {
			return invalid("'" + needed + "' must be a 'SignedHeader' in the AWS Authorization.")
		}
	}
	if s.date != at.Format(dateFormat) {
		return invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	}
	now = now.UTC()
	switch {
	case at.Before(now.Add(-Skew)):
		return invalid(fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)", s.at,
			now.Add(-Skew).Format(timeFormat), now.Format(timeFormat)))
	case at.After(now.Add(Skew)):
		return invalid(fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)", s.at,
			now.Add(Skew).Format(timeFormat), now.Format(timeFormat)))
	}
	return nil
}

// Verify checks the signature of the request that it was parsed from: body is the SHA-256 of the body as it came over
// the wire. Errors: *Error.
func (s Signature) Verify(r *http.Request, body [sha256.Size]byte, secret string) error {
	hash := hex.EncodeToString(body[:])
	// S3's clients name the hash in a header, and may sign one that says "unsigned" instead; here only the body counts.
	if given := r.Header.Get("X-Amz-Content-Sha256"); given != "" && !strings.EqualFold(given, hash) {
		return invalid("The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	canonical := strings.Join([]string{r.Method, path(r.URL), query(r.URL), s.canonicalHeaders(r),
		strings.Join(s.headers, ";"), hash}, "\n")
	digest := sha256.Sum256([]byte(canonical))
	toSign := strings.Join([]string{Algorithm, s.at,
		strings.Join([]string{s.date, s.Region, s.service, terminator}, "/"), hex.EncodeToString(digest[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.date, s.Region, s.service, terminator} {
		key = mac(key, part)
	}
	if !hmac.Equal(mac(key, toSign), s.value) {
		return invalid("The request signature we calculated does not match the signature you provided. Check your " +
			"AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// canonicalHeaders has a line for each signed header, and an empty one behind them.
func (s Signature) canonicalHeaders(r *http.Request) string {
	var b strings.Builder
	for _, name := range s.headers {
		b.WriteString(name + ":" + header(r, name) + "\n")
	}
	return b.String()
}

// header is a header's values; net/http keeps some of them elsewhere.
func header(r *http.Request, name string) string {
	values := r.Header.Values(name)
	switch name {
	case "host":
		values = []string{r.Host}
	case "content-length":
		if r.ContentLength >= 0 {
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
	case "transfer-encoding":
		values = r.TransferEncoding
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(trimmed, ",")
}

// path is encoded twice, as for every service but S3.
func path(u *url.URL) string {
	p := u.EscapedPath()
	if p == "" {
		return "/"
	}
	return escape(p, true)
}

func query(u *url.URL) string {
	var pairs []string
	for name, values := range u.Query() {
		for _, v := range values {
			pairs = append(pairs, escape(name, false)+"="+escape(v, false))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape encodes every byte but RFC 3986's unreserved ones, and the slash of a path.
func escape(s string, slash bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~", c) >= 0 ||
			slash && c == '/' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func short(s string) string { return cut.Runes(strings.ToValidUTF8(s, "?"), 32) }
