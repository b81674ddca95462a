package egress

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// family is how DNS answers for one family of addresses.
type family struct {
	after time.Duration
	addrs []netip.Addr
	err   error
}

var (
	six, four = addresses("2a00::1", "2a00::2"), addresses("8.8.8.8")
	missing   = &net.DNSError{Err: "no such host", IsNotFound: true}
	broken    = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
)

const never = time.Hour

// families are the answers of DNS for the two families, and what is made of them.
var families = map[string]struct {
	six, four family
	want      []netip.Addr
	err       error
	took      time.Duration
}{
	"both": {family{10 * time.Millisecond, six, nil},
		family{20 * time.Millisecond, four, nil}, addresses("2a00::1", "2a00::2", "8.8.8.8"), nil,
		20 * time.Millisecond},
	"AAAA is never answered": {family{never, nil, nil}, family{20 * time.Millisecond, four, nil}, four,
		nil, 70 * time.Millisecond},
	"A is never answered": {family{20 * time.Millisecond, six, nil}, family{never, nil, nil}, six,
		nil, 70 * time.Millisecond},
	"there is no AAAA": {family{5 * time.Millisecond, nil, missing},
		family{20 * time.Millisecond, four, nil}, four, nil, 20 * time.Millisecond},
	"there is no AAAA, said late": {family{60 * time.Millisecond, nil, missing},
		family{20 * time.Millisecond, four, nil}, four, nil, 60 * time.Millisecond},
	"there is no such name": {family{5 * time.Millisecond, nil, missing},
		family{20 * time.Millisecond, nil, missing}, nil, missing, 20 * time.Millisecond},
	"one is not there, the other broken": {family{5 * time.Millisecond, nil, missing},
		family{20 * time.Millisecond, nil, broken}, nil, broken, 20 * time.Millisecond},
	"one is broken, the other not there": {family{5 * time.Millisecond, nil, broken},
		family{20 * time.Millisecond, nil, missing}, nil, broken, 20 * time.Millisecond},
	"neither is answered": {family{never, nil, nil}, family{never, nil, nil}, nil,
		context.DeadlineExceeded, time.Second},
}

func TestH6AFamilyThatDNSDoesNotAnswerForHidesNotTheOther(t *testing.T) {
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begun := time.Now()
				got, err := lookup(ctx, "a.example",
					func(ctx context.Context, network, _ string) ([]netip.Addr, error) {
						of := f.four
						if network == "ip6" {
							of = f.six
						}
						select {
						case <-time.After(of.after):
							return of.addrs, of.err
						case <-ctx.Done():
							return nil, ctx.Err()
						}
					})
				require.Equal(t, f.took, time.Since(begun))
				require.Equal(t, f.want, got)
				if f.err == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, f.err)
				}
			})
		})
	}
}
