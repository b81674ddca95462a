package plaintext

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// LinkLimit is in bytes: what browsers, mail clients and messengers are sure to open.
const LinkLimit = 2048

// Link returns a link that may be offered to be opened, "" when a text is none. It is an absolute address of http or
// https with a host and without user information, of printable ASCII: what is not ASCII is written in percent encoding,
// a host name as its A-label (RFC 3987, 3.1; RFC 5891). Nothing is guessed or completed: `/api/1`, `//host` and
// `http:host` are no links.
func Link(s string) string {
	if s == "" || len(s) > LinkLimit || strings.ContainsFunc(s, unsafe) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "" || u.User != nil ||
		strings.Contains(u.Host, "@") {
		return ""
	}
	host, ok := hostOf(u)
	if !ok {
		return ""
	}
	u.Host = host
	out := strings.ReplaceAll(escapeRest(u.String()), "'", "%27")
	if len(out) > LinkLimit {
		return ""
	}
	return out
}

// unsafe characters end a link, quote it, or make readers disagree on its host.
func unsafe(r rune) bool {
	return r <= ' ' || r >= 0x7f && r <= 0xa0 || r == 0xfffd || strings.ContainsRune("<>\"{}|\\^`", r) || breaks(r) ||
		unseen(r)
}

// hostOf is the host with its port as it is to be written; ok false when it is none.
func hostOf(u *url.URL) (host string, ok bool) {
	name, port := u.Hostname(), u.Port()
	if strings.HasSuffix(u.Host, ":") {
		return "", false
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", false
		}
		port = ":" + port
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Is6() {
			return "[" + ip.WithZone("").String() + "]" + port, ip.Zone() == ""
		}
		return name + port, true
	}
	ascii, err := names.ToASCII(name)
	if err != nil || !hostName.MatchString(ascii) || len(ascii) > 253 {
		return "", false
	}
	return ascii + port, true
}

// names are looked up as browsers do (UTS #46), and may have an underscore, which servers in a network of one's own
// have.
var (
	names    = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false))
	hostName = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$`)
)

// escapeRest encodes what url.URL leaves as it was written: a query that is not ASCII.
func escapeRest(s string) string {
	if simple(s) {
		return s
	}
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(s) {
		if c := s[i]; c > '~' {
			out.Write([]byte{'%', digits[c>>4], digits[c&15]})
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}
