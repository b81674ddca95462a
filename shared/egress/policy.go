package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxURL is the length of an address in bytes; no receiver is known to need more.
const maxURL = 2048

// Policy says where requests may go. The zero value allows the public internet over https and nothing else.
type Policy struct {
	// Allow names hosts (`host` or `host:port`) that may be private and may be spoken to over plain http. It is for
	// the embedded mode, where the operator and the customer are one.
	Allow []string
	// Local: whoever runs the program can name hosts in Allow, so that what is refused says so. On AWS nobody can.
	Local bool
}

// CheckURL says whether an integration may name the address. It looks at the text only: what a name resolves to is
// judged when it is dialled. The error tells an administrator what to mend and quotes the host at most.
func (p Policy) CheckURL(address string) error {
	_, err := p.parse(address)
	return err
}

func (p Policy) parse(address string) (*url.URL, error) {
	if len(address) > maxURL {
		return nil, fmt.Errorf("must be at most %d bytes long", maxURL)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("is not a valid address")
	}
	if err := p.check(u); err != nil {
		return nil, err
	}
	if strings.Contains(address, "#") {
		return nil, errors.New("must not hold a fragment (#…): it is never sent")
	}
	return u, nil
}

func (p Policy) check(u *url.URL) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must begin with https://")
	case u.Hostname() == "":
		return errors.New("has no host")
	case u.User != nil:
		return errors.New("must not hold a user name or password: use a header")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return errors.New("has a port that is none: 1 to 65535")
		}
	}
	if p.allows(hostPort(u)) {
		return nil
	}
	err := checkHost(u.Hostname())
	var inside *insideError
	switch {
	case p.Local && errors.As(err, &inside) && inside.name == "":
		return fmt.Errorf("has a host without a dot, which is not a public address: write the full name, or Tocsin "+
			"has to be started with -allow %s", hostPort(u))
	case p.Local && inside != nil:
		return fmt.Errorf("names %s, which is not a public address: to send there, Tocsin has to be started with "+
			"-allow %s", inside.name, hostPort(u))
	case u.Scheme == "http":
		return errors.New("must begin with https://")
	}
	return err
}

// insideError is about a host that no public address has; the name is "" where it has no dot.
type insideError struct {
	name string
	error
}

func notPublic(what string) error {
	return &insideError{what, fmt.Errorf("names %s, which is not a public address", what)}
}

// private are the names that no public DNS holds: RFC 6761 and 6762 (localhost, local), RFC 8375 (home.arpa), ICANN's
// resolution 2024.07.29.06 (internal), and what Unix systems call themselves (localdomain).
var private = []string{"localhost", "local", "localdomain", "internal", "home.arpa"}

// checkHost judges the host of an address in whatever spelling. A client, a proxy or the system's resolver may read
// `0x7f.1`, `2130706433` and `１２７。０。０。１` as 127.0.0.1, so that none of them is let through as a name.
func checkHost(host string) error {
	if ip, err := netip.ParseAddr(host); err == nil {
		if !Public(ip) {
			return notPublic(ip.String())
		}
		return nil
	}
	name := strings.TrimSuffix(asciiHost(host), ".")
	if !hostname(name) {
		return errors.New("has a host that is no valid host name")
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		if !Public(ip) {
			return notPublic(ip.String())
		}
		return nil
	}
	// A host whose last label is a number is an IPv4 address (WHATWG URL, "ends in a number checker").
	last := name[strings.LastIndex(name, ".")+1:]
	if isNumber(last) {
		return errors.New(
			"has an IP address for its host in a spelling of its own: write it as four decimal numbers with dots")
	}
	for _, p := range private {
		if above, ok := strings.CutSuffix(name, p); ok && (above == "" || strings.HasSuffix(above, ".")) {
			return notPublic(p)
		}
	}
	if !strings.Contains(name, ".") {
		return &insideError{"",
			errors.New("has a host without a dot, which is not a public address: write the full name")}
	}
	return nil
}

// hostname reports whether a name is labels of 63 bytes at most, 253 in all (RFC 1035, 2.3.4). Underscores are in use
// though no standard has them.
func hostname(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// isNumber reports whether a label is decimal, octal or hexadecimal (0x…).
func isNumber(label string) bool {
	digits := "0123456789"
	if strings.HasPrefix(label, "0x") {
		label, digits = label[2:], "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}

// mapping is how a client maps a name before it is looked up (UTS 46): fullwidth digits and dots, upper case.
var mapping = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false))

// asciiHost is the host as it is looked up, "" for one that can not be.
func asciiHost(host string) string {
	host = strings.ToLower(host)
	if !strings.Contains(host, "xn--") && !strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }) {
		return host // there is nothing to map
	}
	name, err := mapping.ToASCII(host)
	if err != nil {
		return ""
	}
	return name
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		if port = "443"; u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// allows reports whether host:port is named by Allow.
func (p Policy) allows(hostport string) bool {
	if len(p.Allow) == 0 {
		return false
	}
	host, _, err := net.SplitHostPort(hostport)
	return err == nil && slices.ContainsFunc(p.Allow, func(a string) bool {
		return strings.EqualFold(a, hostport) || strings.EqualFold(a, host)
	})
}

// forbidden are the ranges inside the unicast space that no request may reach: the special-purpose registries of IANA
// (RFC 6890 and its successors), where netip has no predicate of its own. A test holds Public against the registries.
var forbidden = func() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", // reserved, the broadcast address with it
		"2001::/23" /* Teredo, benchmarking, ORCHID … */, "2001:db8::/32", "3fff::/20",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// unicast is all of IPv6 that is given out for the internet; the rest is reserved (IANA, "Internet Protocol Version 6
// Address Space"). What is not given out is refused, so that a new way to write an IPv4 address inside an IPv6 one is
// refused before we know of it: IPv4-mapped (::ffff:0:0/96), IPv4-compatible (::/96), IPv4-translated
// (::ffff:0:0:0/96, RFC 2765), local NAT64 (64:ff9b:1::/48, RFC 8215).
var unicast = netip.MustParsePrefix("2000::/3")

// Ranges that carry an IPv4 address inside and are used on the internet: the inner one decides too.
var (
	nat64 = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the last four bytes
	sixTo = netip.MustParsePrefix("2002::/16")    // RFC 3056: bytes 2 to 5
)

// Public reports whether an address is one of the public internet. Cloud metadata services live at link-local and
// unique-local addresses and are refused with them. An address with a zone is on a link of ours.
func Public(ip netip.Addr) bool {
	if ip.Zone() != "" || !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range forbidden {
		if p.Contains(ip) {
			return false
		}
	}
	if ip.Is4() {
		return true
	}
	b := ip.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case nat64.Contains(ip):
		return Public(last)
	case !unicast.Contains(ip):
		return false
	case sixTo.Contains(ip) && !Public(netip.AddrFrom4([4]byte(b[2:6]))):
		return false
	case b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe:
		// ISATAP, RFC 5214, 6.1: ::0:5efe:a.b.c.d or ::200:5efe:…
		return Public(last)
	}
	return true
}
