package httpserver_test

import (
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/httpserver"
)

func TestWhatIsSaidOfAnAddressThatCanNotBeListenedAtIsSoOfIt(t *testing.T) {
	l, err := httpserver.Listen("127.0.0.1:0", "listen")
	require.NoError(t, err)
	defer l.Close()
	for at, want := range map[string]string{
		l.Addr().String():   "stop what uses the port, or choose another with -listen",
		"192.0.2.1:0":       "this machine has no such address: name one of its own with -listen", // RFC 5737
		"no.invalid:0":      "this machine has no such address: name one of its own with -listen",
		"127.0.0.1:1000000": "name another address with -listen",
	} {
		_, err := httpserver.Listen(at, "listen")
		require.ErrorContains(t, err, "listen on "+at)
		require.ErrorContains(t, err, want)
	}
	// Who runs this may have the right.
	refused := &net.OpError{Op: "listen", Err: syscall.EACCES}
	require.Equal(t, httpserver.NotAllowed, httpserver.RefusalOf(refused))
}
