package egress_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/egress"
)

// receiverFor names the variable with the protocol that this program is to receive, for a benchmark in another process.
const receiverFor = "TOCSIN_BENCH_RECEIVER"

// TestReceiver is a receiver for benchmarks: in a process of its own, so that what it takes is not the sender's.
func TestReceiver(t *testing.T) {
	protocol := os.Getenv(receiverFor)
	if protocol == "" {
		t.Skip("it is for benchmarks")
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
	}))
	s.EnableHTTP2 = protocol == "h2"
	s.StartTLS()
	defer s.Close()
	fmt.Println(s.URL)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark has ended
}

// receiver starts one and returns its address.
func receiver(b *testing.B, protocol string) string {
	cmd := exec.Command(os.Args[0], "-test.run=^TestReceiver$")
	cmd.Env = append(os.Environ(), receiverFor+"="+protocol)
	stdin, err := cmd.StdinPipe()
	require.NoError(b, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(b, err)
	return strings.TrimSpace(address)
}

// BenchmarkProtocols sends posts over TLS to a receiver in a process of its own, over connections that serve again: as
// HTTP/1.1 and as HTTP/2 by the Client, and as HTTP/2 by net/http alone. cpu-µs/op is the sender's, user and system.
func BenchmarkProtocols(b *testing.B) {
	for _, inFlight := range []int{1, 32} {
		for _, way := range []string{"http/1.1", "h2", "h2 by net/http alone"} {
			b.Run(fmt.Sprintf("%s, %d in flight", way, inFlight), func(b *testing.B) {
				protocol, _, _ := strings.Cut(way, " ")
				q := post(receiver(b, protocol))
				q.Body, q.Transport.SkipVerify = []byte(long[:232]), true
				c := egress.New(egress.Policy{Allow: []string{"127.0.0.1"}}, egress.Options{})
				send := func() error {
					_, err := c.Do(b.Context(), q)
					return err
				}
				switch {
				case way != protocol:
					send = alone(q)
				case protocol != "h2":
					c.Learn(b, q)
				}
				parallel(b, inFlight, send)
			})
		}
	}
}

// alone sends a request by net/http with nothing around it.
func alone(q destination.Request) func() error {
	t := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	return func() error {
		r, err := http.NewRequest(q.Method, q.URL, bytes.NewReader(q.Body))
		if err != nil {
			return err
		}
		answer, err := t.RoundTrip(r)
		if err != nil {
			return err
		}
		if answer.ProtoMajor != 2 {
			return fmt.Errorf("it speaks %s", answer.Proto)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		return answer.Body.Close()
	}
}

// parallel sends b.N requests, so many at once, after some that open the connections.
func parallel(b *testing.B, inFlight int, send func() error) {
	var left atomic.Int64
	all := func(n int) {
		left.Store(int64(n))
		var senders sync.WaitGroup
		for range inFlight {
			senders.Go(func() {
				for left.Add(-1) >= 0 {
					if err := send(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		senders.Wait()
	}
	all(20 * inFlight)
	b.ReportAllocs()
	b.ResetTimer()
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	all(b.N)
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/1e3/float64(b.N), "cpu-µs/op")
}
