package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxURL is the length of an address in bytes; no receiver is known to need more.
const maxURL = 2048

// Policy says where requests may go. The zero value allows the public internet over https and nothing else.
type Policy struct {
	// Allow names hosts (`host` or `host:port`) that may be private and may be spoken to over plain http. It is for
	// the embedded mode, where the operator and the customer are one.
	Allow []string
}

// CheckURL says whether an integration may name the address. It looks at the text only: what a name resolves to is
// judged when it is dialled. The error tells an administrator what to mend and quotes the host at most.
func (p Policy) CheckURL(address string) error {
	if len(address) > maxURL {
		return fmt.Errorf("must be at most %d bytes long", maxURL)
	}
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("is not a valid address")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must begin with https://")
	case u.Hostname() == "":
		return errors.New("has no host")
	case u.User != nil:
		return errors.New("must not hold a user name or password: use a header")
	case u.Fragment != "":
		return errors.New("must not hold a fragment (#…): it is never sent")
	}
	if p.allows(hostPort(u)) {
		return nil
	}
	if u.Scheme == "http" {
		return errors.New("must begin with https://")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !Public(ip) {
		return fmt.Errorf("names %s, which is not a public address", ip)
	}
	if name := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return errors.New("names localhost, which is not a public address")
	}
	return nil
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
	return err == nil && (slices.Contains(p.Allow, hostport) || slices.Contains(p.Allow, host))
}

// forbidden are the ranges that no request may reach: the special-purpose registries of IANA (RFC 6890 and its
// successors), where netip has no predicate of its own.
var forbidden = func() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", // reserved, the broadcast address with it
		"::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// Ranges that carry an IPv4 address inside: the inner one decides too.
var (
	nat64 = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the last four bytes
	sixTo = netip.MustParsePrefix("2002::/16")    // RFC 3056: bytes 2 to 5
)

// Public reports whether an address is one of the public internet. Cloud metadata services live at link-local and
// unique-local addresses and are refused with them.
func Public(ip netip.Addr) bool {
	ip = ip.WithZone("")
	if ip.Is4In6() {
		return false // an IPv4-mapped address is only ever a way round a filter
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
		return false
	}
	for _, p := range forbidden {
		if p.Contains(ip) {
			return false
		}
	}
	if ip.Is6() {
		b := ip.As16()
		switch {
		case nat64.Contains(ip):
			return Public(netip.AddrFrom4([4]byte(b[12:16])))
		case sixTo.Contains(ip):
			return Public(netip.AddrFrom4([4]byte(b[2:6])))
		}
	}
	return true
}
