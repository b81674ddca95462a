package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// resolutionDelay is how long the other family's addresses are waited for once one family's are there. RFC 8305,
// section 3: a name server that never answers for AAAA must not stand before an A record that is there.
const resolutionDelay = 50 * time.Millisecond

// lookup asks for both families at once. one is net.Resolver.LookupNetIP.
func lookup(
	ctx context.Context, host string, one func(ctx context.Context, network, host string) ([]netip.Addr, error),
) ([]netip.Addr, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		addrs []netip.Addr
		err   error
	}
	six, four := make(chan answer, 1), make(chan answer, 1)
	ask := func(network string, into chan<- answer) {
		addrs, err := one(ctx, network, host)
		into <- answer{addrs, err}
	}
	go ask("ip6", six)
	go ask("ip4", four)
	var found6, found4, failed answer
	var enough <-chan time.Time
	for open := 2; open > 0; open-- {
		var a answer
		select {
		case a = <-six:
			found6 = a
		case a = <-four:
			found4 = a
		case <-enough:
			open = 1
			continue
		}
		if len(a.addrs) > 0 {
			enough = time.After(resolutionDelay)
		}
		var dns *net.DNSError
		if a.err != nil && (failed.err == nil || errors.As(failed.err, &dns) && dns.IsNotFound) {
			failed = a // that a family is not there says less than that it could not be asked for
		}
	}
	if addrs := append(found6.addrs, found4.addrs...); len(addrs) > 0 {
		return addrs, nil
	}
	return nil, failed.err
}
