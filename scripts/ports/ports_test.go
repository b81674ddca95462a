package ports_test

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/ports"
)

func TestAFreePortIsNoneThatTheSystemGivesAway(t *testing.T) {
	lowest := 32768
	if said, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		lowest, err = strconv.Atoi(strings.Fields(string(said))[0])
		require.NoError(t, err)
	}
	for range 100 {
		free, err := ports.Free()
		require.NoError(t, err)
		port, err := strconv.Atoi(free)
		require.NoError(t, err)
		require.Less(t, port, lowest)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", free))
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
	}
}
