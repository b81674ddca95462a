package bus

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"tocsin/shared/bus/sigv4"
	"tocsin/shared/httpserver"
	"tocsin/shared/publisher"
)

// Service is the name that a signature's scope has. Amazon EventBridge, "Service endpoints".
const Service = "events"

// Publishers finds the key pairs that calls are signed with.
type Publishers interface {
	// Secret returns whose key it is, and its secret. Error: publisher.ErrUnknown.
	Secret(ctx context.Context, accessKey string) (name, secret string, err error)
}

// caller is who makes a call.
type caller struct {
	signature *sigv4.Signature // nil for a program of this machine that does not sign
	secret    string
}

// admit decides by a call's head whether its body is read at all. A call that is signed is judged by its signature,
// wherever it comes from.
func (h *handler) admit(r *http.Request) (caller, error) {
	if !sigv4.Signed(r) && !h.SignedOnly && local(r) {
		return caller{}, nil
	}
	s, err := sigv4.Parse(r, Service, h.Now())
	if errors.Is(err, sigv4.ErrMissing) {
		return caller{}, &sigv4.Error{Status: sigv4.ErrMissing.Status, Code: sigv4.ErrMissing.Code,
			Message: sigv4.ErrMissing.Message +
				": sign the call with a key pair that `tocsin publisher-key add` makes; only a program on this machine " +
				"that calls " +
				"a loopback address itself, without a browser or a proxy, may leave it out"}
	}
	if err != nil {
		return caller{}, err
	}
	if h.Region != "" && s.Region != h.Region {
		return caller{}, &sigv4.Error{Status: http.StatusForbidden, Code: "InvalidSignatureException",
			Message: "Credential should be scoped to a valid region."}
	}
	unknown := &sigv4.Error{Status: http.StatusForbidden, Code: "UnrecognizedClientException",
		Message: "The security token included in the request is invalid: " +
			"no publisher here has this access key; `tocsin publisher-key add` makes one, and on this machine a call " +
			"may " +
			"be unsigned (aws --no-sign-request)"}
	if h.Publishers == nil {
		return caller{}, unknown
	}
	_, secret, err := h.Publishers.Secret(r.Context(), s.AccessKey)
	if errors.Is(err, publisher.ErrUnknown) {
		return caller{}, unknown
	}
	return caller{signature: &s, secret: secret}, err
}

// verify checks the signature of a call whose body was read.
func (c caller) verify(r *http.Request, d *decoder) error {
	if c.signature == nil {
		return nil
	}
	sum, err := d.rest()
	if err != nil {
		return err
	}
	return c.signature.Verify(r, sum, c.secret)
}

// local reports whether a call was made by a program of this machine itself. The peer's address alone does not say so:
// a proxy on this machine has a local address too, and so has a browser on it, for a page whose name was pointed here
// (DNS rebinding). Both show themselves: by HTTP/1.0 (nginx, unless it is told otherwise), and by headers that no
// program that publishes writes.
func local(r *http.Request) bool {
	if !httpserver.IsLoopback(r.RemoteAddr) || !httpserver.IsLoopback(r.Host) || !r.ProtoAtLeast(1, 1) {
		return false
	}
	for name := range r.Header {
		if !publishes(strings.ToLower(name)) {
			return false
		}
	}
	return true
}

// publishes reports a header that curl, the aws CLI and the SDKs send, and those that trace for them. What proxies add
// has no end of names, so these are listed and not those.
func publishes(name string) bool {
	return own[name] || slices.ContainsFunc(families, func(begin string) bool { return strings.HasPrefix(name, begin) })
}

var families = []string{"content-", "x-amz-", "x-amzn-", "amz-sdk-", "aws-sdk-", "x-b3-"}

var own = map[string]bool{
	"accept": true, "accept-charset": true, "accept-encoding": true, "user-agent": true, "date": true, "expect": true,
	"connection": true, "keep-alive": true,
	"te": true, "trailer": true, "cache-control": true, "pragma": true, "traceparent": true, "tracestate": true,
	"baggage": true, "b3": true,
}
