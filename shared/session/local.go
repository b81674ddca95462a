package session

import (
	"net/url"
	"strings"
)

// maxLocal is the length of an address to return to, in bytes: it travels in a cookie, of which browsers keep 4096
// (RFC 6265, 6.1).
const maxLocal = 1024

// Home is where somebody goes who signs in and came from nowhere.
const Home = "/"

// Local is the address to return to after signing in, a path of ours with its query: anything else is Home. What a
// browser might read as another host is refused in every spelling, decoded once and twice: two slashes, a backslash
// (which browsers take for a slash: WHATWG URL, "special authority slashes state"), a control character (which they
// drop).
func Local(address string) string {
	if len(address) > maxLocal || !strings.HasPrefix(address, "/") {
		return Home
	}
	path, _, _ := strings.Cut(address, "?")
	for range 3 {
		if strings.Contains(path, "//") || strings.Contains(path, "/.") || strings.ContainsFunc(path, unfit) {
			return Home
		}
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return Home
		}
		path = decoded
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || strings.ContainsFunc(address,
		unfit) {
		return Home
	}
	for _, own := range []string{"/sign-in", "/v1", "/v2"} { // to come back there would be of no use to a person
		if u.Path == own || strings.HasPrefix(u.Path, own+"/") {
			return Home
		}
	}
	return address
}

// unfit reports a character that has no place in an address as browsers write it.
func unfit(c rune) bool {
	return c <= ' ' || c == '\\' || c == '#' || c >= 0x7f && c < 0xa0 || c == 0xfffd
}
