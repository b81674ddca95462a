package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"tocsin/shared/step"
)

// How the addresses of a name are tried. RFC 8305 ("Happy Eyeballs"), sections 4, 5 and 8.
const (
	// headStart is what an address has before the next one is tried beside it: the section's recommended value.
	headStart = 250 * time.Millisecond
	// secureStart is what an address has that took the connection, for TLS: the section's upper bound. TLS takes round
	// trips more, and a system that is only far away is not to be connected to twice.
	secureStart = 2 * time.Second
	// maxAddresses bounds the addresses of one name that are tried: a name must not make us knock at a thousand doors.
	maxAddresses = 16
)

var errForbidden = errors.New("forbidden address")

// openTimeout is a connection that did not come about in time.
type openTimeout struct {
	connected bool // an address took the connection, and TLS did not get done
}

func (*openTimeout) Error() string { return "no connection in time" }

// handshakeError is why TLS did not come about on a connection. What TLS says of a later time is another failure.
type handshakeError struct{ cause error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.cause.Error() }

func (e *handshakeError) Unwrap() error { return e.cause }

// dialer opens the connections of one setting.
type dialer struct {
	policy Policy
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	proxy  *Proxy
	open   time.Duration // for a connection, from the lookup to the end of TLS
	tls    *tls.Config
}

// plain is the http.Transport's DialContext: a host that may be spoken to over http, or the proxy that leads to it.
func (d *dialer) plain(ctx context.Context, _, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.open)
	defer cancel()
	if d.proxy != nil && address == d.proxy.address {
		return d.proxy.dial(ctx)
	}
	ways, err := d.ways(ctx, address, false)
	if err != nil {
		return nil, err
	}
	return d.first(ctx, ways, func(ctx context.Context, way string, _ func()) (net.Conn, error) {
		conn, err := d.direct(ctx, address, way)
		if err == nil {
			step.Done(ctx, step.Connected)
		}
		return conn, err
	})
}

// secure is the http.Transport's DialTLSContext. TLS is part of the race: an address that takes the connection and
// never answers is as dead as one that takes none.
func (d *dialer) secure(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.open)
	defer cancel()
	through := d.direct
	var taken atomic.Bool // the proxy took a connection
	proxied := d.proxy.leadsTo(address)
	if proxied {
		through = func(ctx context.Context, _, way string) (net.Conn, error) {
			return d.proxy.connect(ctx, way, func() { taken.Store(true) })
		}
	}
	ways, err := d.ways(ctx, address, proxied)
	if err != nil {
		return nil, err
	}
	conn, err := d.first(ctx, ways, func(ctx context.Context, way string, connected func()) (net.Conn, error) {
		conn, err := through(ctx, address, way)
		if err != nil {
			return nil, err
		}
		connected()
		step.Done(ctx, step.Connected)
		config := d.tls.Clone()
		config.ServerName = host
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, &handshakeError{err}
		}
		step.Done(ctx, step.TLS)
		return secured, nil
	})
	var late *openTimeout
	if proxied && errors.As(err, &late) && !late.connected { // the tunnel is what did not come about
		err = &proxyError{proxy: d.proxy.address, cause: context.DeadlineExceeded, dialling: !taken.Load()}
	}
	return conn, err
}

// ways are the ip:port at which an address is reached, those that the policy forbids left out. A proxy is given the
// name where we do not have to check what it resolves to.
func (d *dialer) ways(ctx context.Context, address string, proxied bool) ([]string, error) {
	free := d.policy.allows(address)
	if proxied && (free || d.proxy.Resolves) {
		return []string{address}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var ways []string
	for _, a := range alternate(addrs) {
		if (free || Public(a)) && len(ways) < maxAddresses {
			ways = append(ways, net.JoinHostPort(a.String(), port))
		}
	}
	if len(ways) == 0 {
		return nil, errForbidden
	}
	step.Done(ctx, step.Address)
	return ways, nil
}

// direct connects to one ip:port of an address. The socket itself refuses what the policy forbids: what is checked is
// what is dialled.
func (d *dialer) direct(ctx context.Context, address, way string) (net.Conn, error) {
	var one net.Dialer
	if !d.policy.allows(address) {
		one.Control = func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || !Public(at.Addr()) {
				return errForbidden
			}
			return nil
		}
	}
	return one.DialContext(ctx, "tcp", way)
}

// first races the ways: the next one starts when the one before failed, or when its head start is over; the first that
// is open wins, and the others are given up. The head starts are so short that each way has a share of the time.
func (d *dialer) first(
	ctx context.Context, ways []string, open func(ctx context.Context, way string, connected func()) (net.Conn, error),
) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the losers
	type result struct {
		conn net.Conn
		err  error
	}
	results, connected := make(chan result), make(chan struct{}, len(ways))
	share := d.open / time.Duration(len(ways)+1)
	next, running := 0, 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	start := func() {
		way := ways[next]
		next, running = next+1, running+1
		timer.Reset(min(headStart, share))
		go func() {
			conn, err := open(ctx, way, func() { connected <- struct{}{} })
			select {
			case results <- result{conn, err}:
			case <-ctx.Done(): // another has won, or the time is up
				if conn != nil {
					conn.Close()
				}
			}
		}()
	}
	start()
	var failed error
	late := &openTimeout{}
	for {
		select {
		case r := <-results:
			if running--; r.err == nil {
				return r.conn, nil
			}
			if failed == nil || noRoute(failed) {
				failed = r.err // the first that tells more than that we have no way to its family
			}
			if next < len(ways) {
				start()
			} else if running == 0 && ctx.Err() == nil {
				return nil, failed
			}
		case <-connected:
			late.connected = true
			timer.Reset(min(secureStart, share))
		case <-timer.C:
			if next < len(ways) {
				start()
			}
		case <-ctx.Done():
			return nil, late
		}
	}
}

// noRoute is the error of a family that this machine does not have.
func noRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) ||
		errors.Is(err, syscall.EADDRNOTAVAIL)
}

func (d *dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	addrs, err := d.lookup(ctx, host)
	if ctx.Err() != nil {
		err = &net.DNSError{Err: "no answer in time", Name: host, IsTimeout: true}
	}
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	if err == nil {
		step.Done(ctx, step.Name)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap() // a resolver's way to write an IPv4 address; Public judges what it is
	}
	return addrs, err
}

// alternate keeps the resolver's order within each family (RFC 6724) and takes the families in turn, beginning with the
// first one's: RFC 8305, section 4, with a First Address Family Count of 1.
func alternate(addrs []netip.Addr) []netip.Addr {
	var families [2][]netip.Addr
	for _, a := range addrs {
		family := 0
		if a.Is4() != addrs[0].Is4() {
			family = 1
		}
		families[family] = append(families[family], a)
	}
	var out []netip.Addr
	for i := range max(len(families[0]), len(families[1])) {
		for _, f := range families {
			if i < len(f) {
				out = append(out, f[i])
			}
		}
	}
	return out
}
