package egress_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"tocsin/shared/egress"
)

// BenchmarkHotPathRequest sends requests to a server in the same process, over HTTP/1.1, with 16 in flight for each
// core. cpu-µs/op is what both ends take, of user and system.
func BenchmarkHotPathRequest(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
	}))
	defer s.Close()
	for name, c := range map[string]*egress.Client{
		"own":      egress.New(egress.Policy{Allow: []string{"127.0.0.1"}}, egress.Options{}),
		"net-http": egress.New(egress.Policy{Allow: []string{"127.0.0.1"}}, egress.Options{}).Standard(),
	} {
		b.Run(name, func(b *testing.B) {
			q := post(s.URL)
			q.Body = []byte(long[:232])
			b.SetParallelism(16)
			b.ReportAllocs()
			var before, after syscall.Rusage
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.Do(b.Context(), q); err != nil {
						b.Error(err)
						return
					}
				}
			})
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
			used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			b.ReportMetric(float64(used)/1e3/float64(b.N), "cpu-µs/op")
		})
	}
}
