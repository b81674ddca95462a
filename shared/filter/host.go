package filter

import (
	"strings"

	"golang.org/x/net/idna"
)

// names are mapped as browsers look them up (UTS #46), and may have an underscore.
var names = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false))

// hostOf is a host as filters compare it, and its port with the colon before it, "" where none is named. Case, a dot at
// the end and the spelling of an international name make no other host.
func hostOf(s string) (host, port string) {
	host = s
	if n := strings.LastIndexByte(s, ':'); n >= 0 && n == strings.IndexByte(s, ':') { // not an IPv6 address
		host, port = s[:n], s[n:]
	}
	for i := range len(host) {
		if host[i] >= 0x80 {
			if ascii, err := names.ToASCII(host); err == nil {
				host = ascii
			}
			break
		}
	}
	return strings.TrimSuffix(strings.ToLower(host), "."), port
}

// amongHosts looks for an event's host among values. A port counts where both name one: most events name none.
func amongHosts(values []string) func(*Subject) bool {
	exact, bare := make([]string, len(values)), make([]string, len(values))
	for n, v := range values {
		host, port := hostOf(v)
		exact[n], bare[n] = host+port, host
	}
	hasExact, hasBare := among(exact), among(bare)
	return func(s *Subject) bool {
		switch host, port := hostOf(s.Domain); {
		case host == "":
			return false
		case port == "":
			return hasBare(host)
		default:
			return hasExact(host+port) || hasExact(host)
		}
	}
}
