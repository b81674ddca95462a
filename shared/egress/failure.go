package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"tocsin/shared/step"
)

// Kind says at which step a request failed.
type Kind string

// The kinds.
const (
	DNS         Kind = "dns"
	Refused     Kind = "refused"
	Unreachable Kind = "unreachable"
	OpenTimeout Kind = "open_timeout"
	TLS         Kind = "tls"
	Identity    Kind = "client_certificate" // the other side wants a client certificate, or another one
	Timeout     Kind = "timeout"
	Closed      Kind = "closed"
	Forbidden   Kind = "forbidden_address"
	Protocol    Kind = "protocol"
	ByProxy     Kind = "proxy" // the deployment's proxy can not be used, or makes no tunnel
	Mail        Kind = "mail"
)

// Failure is a request that got no answer. Reason tells an administrator what happened and what to do.
type Failure struct {
	Kind   Kind
	Reason string
	// Ours says that it is certainly a fault of this deployment: the integration's settings can be right, and its
	// system was asked nothing.
	Ours bool
}

func (f *Failure) Error() string { return f.Reason }

// CertainlyOurs reports whether only the deployment's operator can do something about it.
func (f *Failure) CertainlyOurs() bool { return f.Ours }

// MaybeOurs reports whether this deployment's own network can be the reason: DNS, the way out, its proxy.
func (f *Failure) MaybeOurs() bool {
	switch f.Kind {
	case DNS, Unreachable, OpenTimeout, ByProxy:
		return true
	}
	return false
}

// step is the one that a failure of the kind ends.
func (k Kind) step() step.Kind {
	switch k {
	case DNS:
		return step.Name
	case Forbidden:
		return step.Address
	case Refused, Unreachable, OpenTimeout, ByProxy:
		return step.Connected
	case TLS:
		return step.TLS
	case Identity:
		return step.Certificate
	}
	return step.Answered
}

// explain turns an error of the network into a Failure. host is `host` or `host:port`.
func explain(ctx context.Context, err error, host string, open, timeout time.Duration) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	fail := func(k Kind, format string, args ...any) error {
		return &Failure{Kind: k, Reason: fmt.Sprintf(format, args...)}
	}
	var dns *net.DNSError
	var late *openTimeout
	var proxy *proxyError
	switch {
	case errors.Is(err, errMalformed):
		return fail(Protocol, "the request could not be made: check the URL and the headers")
	case errors.As(err, &proxy):
		return byProxy(host, proxy)
	case errors.As(err, &late) && late.connected:
		return fail(OpenTimeout,
			"%s took the connection and did not finish the TLS handshake within %s: check scheme and port", host, open)
	case errors.As(err, &late):
		return fail(OpenTimeout, "no connection to %s within %s: a firewall may drop our packets", host, open)
	case errors.Is(err, errForbidden):
		return fail(Forbidden,
			"%s leads to an address that is not public: private, loopback and link-local addresses are not allowed",
			host)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fail(DNS, "no such host: the name of %s is not known to DNS: check the spelling, where you entered it, "+
			"or ask this deployment's operator about its DNS", host)
	case errors.As(err, &dns):
		return fail(DNS, "the name of %s could not be looked up: DNS gave no answer", host)
	}
	if why := refusedIdentity(err); why != "" {
		return fail(Identity, "no secure connection to %s: it asks for a client certificate, and takes none of ours "+
			"(%s): set the one that it knows", host, why)
	}
	var handshake *handshakeError
	switch tls := certificate(err); {
	case errors.As(err, &handshake) && closed(err):
		return fail(TLS, "no secure connection to %s: %s: check scheme and port", host, closedHandshake)
	case tls != "" && handshake != nil:
		return fail(TLS, "no secure connection to %s: %s", host, tls)
	case tls != "":
		return fail(Closed, "the secure connection to %s broke before an answer came", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fail(Refused, "connection refused: nothing listens at %s, or a firewall turns us away", host)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fail(Unreachable, "%s can not be reached: there is no way to its network", host)
	case timedOut(err):
		return fail(Timeout, "%s took the connection and gave no answer within %s", host, timeout)
	case closed(err):
		return fail(Closed, "%s closed the connection without an answer", host)
	case unreadable(err):
		return cutOff(host)
	case strings.Contains(err.Error(), "malformed HTTP"), strings.Contains(err.Error(), "server gave HTTP response"):
		return fail(Protocol, "%s does not speak HTTP in the way that the address says: check scheme and port", host)
	default:
		return fail(Protocol, "the request to %s failed: check host and port", host)
	}
}

// InWords says what an error of the network means, of a server at host (`host:port`) that speaks another protocol than
// HTTP, in sentences that a Failure has too; "" for any other error.
func InWords(err error, host string) string {
	var dns *net.DNSError
	var op *net.OpError
	why := certificate(err)
	switch {
	case errors.Is(err, context.Canceled): // nobody waits for it any more
		return ""
	case errors.As(err, &dns):
	case errors.As(err, &op) && op.Op == "dial" && op.Timeout():
		return "no connection to " + host + " in time: a firewall may drop our packets"
	case why != "":
		return "no secure connection to " + host + ": " + why
	case timedOut(err):
		return host + " gave no answer in time"
	}
	var f *Failure
	if errors.As(explain(context.Background(), err, host, 0, 0), &f) {
		switch f.Kind {
		case DNS, Refused, Unreachable, Closed:
			return f.Reason
		}
	}
	return ""
}

// byProxy is a connection that the deployment's proxy does not make.
func byProxy(host string, e *proxyError) *Failure {
	return &Failure{Kind: ByProxy, Reason: "no connection to " + host + ": " + e.reason(), Ours: e.ours()}
}

// closedHandshake are words for the other side's end of a connection before TLS came about.
const closedHandshake = "it closed the connection during the TLS handshake"

// cutOff is an answer of which only something came.
func cutOff(host string) *Failure {
	return &Failure{Kind: Protocol, Reason: host + " gave an answer that can not be read: it was cut off in its " +
		"first lines, or breaks the rules of HTTP"}
}

// errMalformed is a request that net/http does not take; its own text can quote the address.
var errMalformed = errors.New("malformed request")

// closed reports whether the other side, or HTTP/2's pings, closed the connection. net/http has no names for some of
// these.
func closed(err error) bool {
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED,
		net.ErrClosed} {
		if errors.Is(err, known) {
			return true
		}
	}
	for _, words := range []string{"server closed idle connection", "client connection lost",
		"http2: server sent GOAWAY", "http2: client conn"} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

// unreadable reports whether an answer began as HTTP and could not be read to the end of its header. net/http has no
// names for these.
func unreadable(err error) bool {
	var protocol textproto.ProtocolError
	if errors.As(err, &protocol) || errors.Is(err, errTooLong) {
		return true
	}
	for _, words := range []string{"malformed HTTP status code", "Content-Length", "transfer encoding",
		"response headers exceeded"} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

func timedOut(err error) bool {
	var n net.Error
	// Canceled: by our own deadline, since the caller's context has not ended.
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// identityAlerts are what a server says that misses a client certificate, or does not take the one that it was shown.
// RFC 8446, 6.2; TLS 1.2 has no certificate_required, and servers say bad_certificate or handshake_failure there.
var identityAlerts = []string{"certificate required", "bad certificate", "unsupported certificate",
	"revoked certificate", "expired certificate", "unknown certificate authority", "unknown certificate",
	"access denied"}

// refusedIdentity is what the other side said of our client certificate, "" for anything else. crypto/tls has no type
// for the alerts of the other side.
func refusedIdentity(err error) string {
	_, alert, ok := strings.Cut(err.Error(), "remote error: tls: ")
	if !ok {
		return ""
	}
	n := slices.IndexFunc(identityAlerts, func(a string) bool { return strings.HasPrefix(alert, a) })
	if n < 0 {
		return ""
	}
	return identityAlerts[n]
}

// certificate explains errors of TLS, "" for any other.
func certificate(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	var alert tls.AlertError
	switch {
	case errors.As(err, &authority):
		return "its certificate is not signed by a known authority: give the CA certificate of its issuer, where " +
			"this integration has a field for it, or have a public authority sign it"
	case errors.As(err, &name):
		return "its certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired, or is not valid yet"
	case errors.As(err, &invalid), errors.As(err, &verify):
		return "its certificate is not valid"
	case errors.As(err, &record):
		return "it does not speak TLS at that port: check scheme and port"
	case errors.As(err, &alert):
		return "it broke off the TLS handshake (" + alert.Error() + ")"
	case strings.Contains(err.Error(), "tls: "):
		return "the TLS handshake failed: it may speak an old version (TLS 1.2 is the least), or ask for a client " +
			"certificate"
	}
	return ""
}
