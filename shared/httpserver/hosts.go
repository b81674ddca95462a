package httpserver

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// IsLoopback reports whether the value of a Host header, or a listener's address, is this machine by a name that no DNS
// server decides on: localhost, 127.0.0.0/8 or ::1, with a port or without.
func IsLoopback(hostport string) bool {
	host := Hostname(hostport)
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Hostname is the name or address of a Host header or URL's host, in small letters, without a port.
func Hostname(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// Named lets only requests at h whose Host header is this machine's loopback, the address that was dialled, or one of
// the names: hosts or URLs; empty ones are left out. A page of another site whose name was pointed at this machine (DNS
// rebinding) is answered 421 (RFC 9110, 15.5.20).
func Named(h http.Handler, names ...string) http.Handler {
	known := map[string]bool{}
	for _, n := range names {
		if u, err := url.Parse(n); err == nil && u.Host != "" {
			n = u.Host
		}
		if n = Hostname(n); n != "" {
			known[n] = true
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := Hostname(r.Host); !known[host] && !IsLoopback(r.Host) && !dialled(r, host) {
			misdirected(w, host)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// dialled reports whether host is the address at which the request came in.
func dialled(r *http.Request, host string) bool {
	ip, err := netip.ParseAddr(host)
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if err != nil || !ok {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	return err == nil && at.Addr().Unmap().WithZone("") == ip.Unmap().WithZone("")
}

func misdirected(w http.ResponseWriter, host string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusMisdirectedRequest)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the caller has gone away if this fails
		"type": "about:blank", "title": http.StatusText(http.StatusMisdirectedRequest),
		"status": http.StatusMisdirectedRequest,
		"detail": "this program does not answer to the name " + host +
			": if people are to reach it by that name, start it with -public-url and the address that they open",
	})
}
