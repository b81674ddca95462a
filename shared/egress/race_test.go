package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// end is a connection that counts itself.
type end struct {
	net.Conn
	open *atomic.Int64
}

func (e end) Close() error {
	e.open.Add(-1)
	return nil
}

// door is how one address behaves: it takes the connection after `takes` (never, if 0), then TLS is done after
// `secures` (never, if 0); or it fails after `takes`.
type door struct {
	takes, secures time.Duration
	fails          error
}

var (
	hole    = door{}
	refuses = door{takes: time.Millisecond, fails: syscall.ECONNREFUSED}
	mute    = door{takes: 10 * time.Millisecond}
	near    = door{takes: 10 * time.Millisecond, secures: 20 * time.Millisecond}
	far     = door{takes: 200 * time.Millisecond, secures: 400 * time.Millisecond}
)

// many are n doors of a kind, and others after them.
func many(d door, n int, after ...door) []door { return append(slices.Repeat([]door{d}, n), after...) }

// wait waits for d, or for the end of the context, which is all there is for 0.
func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// answer is a dial to the door.
func (a door) answer(ctx context.Context, open *atomic.Int64, connected func()) (net.Conn, error) {
	if err := wait(ctx, a.takes); err != nil || a.fails != nil {
		return nil, errors.Join(err, a.fails)
	}
	connected()
	open.Add(1)
	if err := wait(ctx, a.secures); err != nil {
		open.Add(-1)
		return nil, err
	}
	return end{open: open}, nil
}

// raceCases are addresses of one name, by how each behaves.
var raceCases = map[string]struct {
	doors []door
	open  time.Duration
	took  time.Duration // at most
	tried int64
	err   string
}{
	"one good address": {many(near, 1), 10 * time.Second, 30 * time.Millisecond, 1, ""},
	"the first is black-holed": {[]door{hole, near}, 10 * time.Second, 280 * time.Millisecond, 2,
		""},
	"the first refuses: the next at once": {[]door{refuses, near}, 10 * time.Second, 31 * time.Millisecond, 2,
		""},
	"eight dead and one good": {many(hole, 8, near), 10 * time.Second, 2100 * time.Millisecond, 9,
		""},
	"eight dead, one good, a second": {many(hole, 8, near), time.Second, 850 * time.Millisecond, 9, ""},
	"fifteen that refuse and one good": {many(refuses, 15, near), 10 * time.Second, 50 * time.Millisecond,
		16, ""},
	"the first takes and never does TLS": {[]door{mute, near}, 10 * time.Second, 2050 * time.Millisecond, 2,
		""},
	"the same within a second": {[]door{mute, near}, time.Second, 400 * time.Millisecond, 2, ""},
	"fifteen never do TLS and one is good": {many(mute, 15, near), 10 * time.Second, 9500 * time.Millisecond, 16,
		""},
	"a far system is connected to once": {many(far, 4), 10 * time.Second, 600 * time.Millisecond, 1, ""},
	"a good one wins over a slow first one": {[]door{{takes: 3 * time.Second, secures: time.Second}, near},
		10 * time.Second, 280 * time.Millisecond, 2, ""},
	"all are black-holed": {many(hole, 3), time.Second, time.Second, 3,
		"no connection in time"},
	"all never do TLS": {many(mute, 3), time.Second, time.Second, 3,
		"no connection in time"},
	"all refuse": {many(refuses, 3), 10 * time.Second, 3 * time.Millisecond, 3,
		"connection refused"},
	"no way to one family, the other refuses": {
		[]door{{takes: time.Microsecond, fails: syscall.ENETUNREACH}, refuses}, time.Second, 2 * time.Millisecond,
		2, "connection refused"},
	"one refuses and one is black-holed": {[]door{refuses, hole}, time.Second, time.Second, 2,
		"no connection in time"},
}

func TestH6ADeadAddressHidesNoLiveOne(t *testing.T) {
	for name, f := range raceCases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tried, open atomic.Int64
				var ways []string
				for i := range f.doors {
					ways = append(ways, fmt.Sprint(i))
				}
				d := &dialer{open: f.open}
				ctx, cancel := context.WithTimeout(t.Context(), f.open)
				defer cancel()
				begun := time.Now()
				conn, err := d.first(ctx, ways, func(ctx context.Context, way string, connected func()) (net.Conn,
					error) {
					tried.Add(1)
					var at int
					_, _ = fmt.Sscan(way, &at)
					return f.doors[at].answer(ctx, &open, connected)
				})
				took := time.Since(begun)
				require.LessOrEqual(t, took, f.took)
				require.Equal(t, f.tried, tried.Load())
				if f.err == "" {
					require.NoError(t, err)
					require.NotNil(t, conn)
					conn.Close()
				} else {
					require.ErrorContains(t, err, f.err)
				}
				synctest.Wait()
				// and synctest fails when a goroutine stays
				require.Zero(t, open.Load(), "a connection that lost is closed")
			})
		})
	}
}

func TestH6AConnectionThatComesTooLateIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int64
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := (&dialer{open: time.Second}).first(ctx, []string{"a", "b"},
			func(context.Context, string, func()) (net.Conn, error) {
				time.Sleep(5 * time.Second) // deaf to its context
				open.Add(1)
				return end{open: &open}, nil
			})
		require.Error(t, err)
		time.Sleep(10 * time.Second)
		require.Zero(t, open.Load())
	})
}

func addresses(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestH6TheFamiliesTakeTurns(t *testing.T) {
	require.Equal(t, addresses("2a00::1", "8.8.8.8", "2a00::2", "9.9.9.9", "2a00::3"),
		alternate(addresses("2a00::1", "2a00::2", "2a00::3", "8.8.8.8", "9.9.9.9")))
	require.Equal(t, addresses("8.8.8.8", "2a00::1", "9.9.9.9"), alternate(addresses("8.8.8.8", "9.9.9.9", "2a00::1")))
	require.Empty(t, alternate(nil))
}

func TestH6ForbiddenAddressesAmongOthersAreLeftOut(t *testing.T) {
	var found []netip.Addr
	d := &dialer{lookup: func(context.Context, string) ([]netip.Addr, error) { return found, nil }, open: time.Second}
	found = addresses("10.0.0.1", "8.8.8.8", "::1", "::ffff:127.0.0.1", "2606:4700::1111", "169.254.169.254")
	ways, err := d.ways(t.Context(), "a.example:443", false)
	require.NoError(t, err)
	require.Equal(t, []string{"8.8.8.8:443", "[2606:4700::1111]:443"}, ways)

	found = addresses("10.0.0.1", "::1")
	_, err = d.ways(t.Context(), "a.example:443", false)
	require.ErrorIs(t, err, errForbidden)

	found = nil
	for i := range 1000 {
		found = append(found, netip.AddrFrom4([4]byte{8, 8, byte(i >> 8), byte(i)}))
	}
	ways, err = d.ways(t.Context(), "a.example:443", false)
	require.NoError(t, err)
	require.Len(t, ways, maxAddresses)
}

// The list of ways is checked, and the socket checks again: what another hand put into the list is not dialled.
func TestH6EachSocketRefusesWhatIsForbidden(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	d := &dialer{open: time.Second}
	_, err = d.direct(t.Context(), "a.example:443", l.Addr().String())
	require.ErrorIs(t, err, errForbidden)
	_, err = d.first(t.Context(), []string{l.Addr().String(), l.Addr().String()},
		func(ctx context.Context, way string, _ func()) (net.Conn, error) {
			return d.direct(ctx, "a.example:443", way)
		})
	require.ErrorIs(t, err, errForbidden)
}

func TestH6ALookupThatHangsEndsWithTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{open: time.Second, lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		_, err := d.secure(t.Context(), "tcp", "a.example:443")
		var dns *net.DNSError
		require.ErrorAs(t, err, &dns)
		require.True(t, dns.IsTimeout)
	})
}
