// Package egress is the one way out to customers' systems. It decides, for every request alike: https only; never
// a redirect; never a private, loopback, link-local, multicast or metadata address, judged on the address that is
// dialled and not on the name; deadlines; how much of an answer is read. What goes wrong becomes a sentence for
// an administrator that names host and port at most, because the rest of an address can be a secret.
//
// Three faults of the way are no fault of a system, and are mended here instead of being counted. A dead address of a
// name: the addresses are raced, TLS included (dialer.first). A connection that something on the way forgot: HTTP/2 is
// pinged, and after a request got no answer in time, later ones go on new connections (Client.leave). A used connection
// that the server had closed: the request is sent once more on a new one (exchange.lost).
//
// Through a proxy (Proxy) the proxy makes the last connection. The names are still resolved and checked here, and what
// the proxy is asked for is a checked IP address.
package egress
