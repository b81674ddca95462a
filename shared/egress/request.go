package egress

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"

	"tocsin/shared/destination"
)

// route is what an address says. It is made once for many requests.
type route struct {
	url     *url.URL
	address string // host:port
	line    string // of a request behind its method, and its first header: the host
	plain   bool   // no proxy is on the way, and the host is written as it is
}

func newRoute(u *url.URL, p *Proxy) *route {
	at := &route{url: u, address: hostPort(u)}
	at.line = " " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host
	at.plain = !p.leadsTo(at.address) && asciiHost(u.Host) == strings.ToLower(u.Host) &&
		!strings.Contains(u.Host, "%") && !strings.HasSuffix(u.Host, ":")
	return at
}

// requests are the buffers that requests are written to, so that each is one call of the system.
var requests = sync.Pool{New: func() any { return new([]byte) }}

// appendRequest writes what http.Request.Write does. It says false for a request that net/http has to judge or to do
// more for.
func appendRequest(out []byte, r *destination.Request, at *route, agent string) ([]byte, bool) {
	content := len(r.Body) > 0
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		content = true // RFC 9110, 8.6: the methods that mean content say also that there is none
	case http.MethodGet, http.MethodDelete:
	default:
		return out, false
	}
	out = append(append(out, r.Method...), at.line...)
	if own := r.Header.Get("User-Agent"); own != "" {
		agent = own
	}
	if !httpguts.ValidHeaderFieldValue(agent) {
		return out, false
	}
	if agent = strings.TrimSpace(agent); agent != "" {
		out = append(append(out, "\r\nUser-Agent: "...), agent...)
	}
	if content {
		out = strconv.AppendInt(append(out, "\r\nContent-Length: "...), int64(len(r.Body)), 10)
	}
	out = append(out, "\r\n"...)
	var few [16]string
	names := few[:0]
	for name, values := range r.Header {
		switch name {
		case "Connection", "Upgrade", "Expect":
			return out, false
		case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer": // apart from these, or not at all
		default:
			names = append(names, name)
		}
		if !httpguts.ValidHeaderFieldName(name) ||
			slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			return out, false
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range r.Header[name] {
			out = append(append(append(out, name...), ": "...), strings.Trim(v, " \t")...)
			out = append(out, "\r\n"...)
		}
	}
	return append(append(out, "\r\n"...), r.Body...), true
}
