package main_test

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/patience"
)

var (
	killed = flag.Int("kills", 24, "how often the program is killed while it takes, fans out, delivers and retries")
	taken  = flag.Int("events", 0, "how many events it takes in all; 0 = as many as come in a moment before each kill")
)

// detector is what the program is built with beside, when the tests look for races.
var detector []string

// build makes the program once for the tests of this package.
var build = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(folder, "tocsin")
	args := append([]string{"build"}, detector...)
	out, err := exec.Command("go", append(args, "-o", binary, ".")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
})

// seen is what a receiver got.
type seen struct {
	mu         sync.Mutex
	deliveries map[string]map[string]bool // by event, the ids of the deliveries that brought it
	requests   int
}

var eventID = regexp.MustCompile(`"seq":"(k-\d+-\d+)"`)

// ServeHTTP takes what arrives and turns every seventh request away, so that retries are under way at any moment.
func (s *seen) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests++; s.requests%7 == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	for _, m := range eventID.FindAllSubmatch(body, -1) {
		id := string(m[1])
		if s.deliveries[id] == nil {
			s.deliveries[id] = map[string]bool{}
		}
		s.deliveries[id][q.Header.Get("Webhook-Id")] = true
	}
}

func (s *seen) missing(ids []string) (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if s.deliveries[id] == nil {
			out = append(out, id)
		}
	}
	return out
}

func TestKillsUnderLoadLoseNothing(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	l, host, err := embedded.Listen()
	require.NoError(t, err)
	got := &seen{deliveries: map[string]map[string]bool{}}
	server := &http.Server{Handler: got}
	go func() { _ = server.Serve(l) }()
	defer server.Close()

	state := t.TempDir()
	start := func() *embedded.Process {
		p, err := embedded.Start(binary, state, "-allow", host, "-faster", "100", "-log-level", "error")
		require.NoError(t, err)
		return p
	}
	p := start()
	for _, most := range []int{1, 100} { // with and without batching
		require.NoError(t, p.Call(http.MethodPost, "/v1/integrations", map[string]any{
			"system": "web_hooks", "name": fmt.Sprint(most), "events": []map[string]any{{"event": "siem"}},
			"parameters": map[string]any{"url": "http://" + host + "/", "max_events": most},
		}, nil))
	}
	var acknowledged []string
	for round := range *killed {
		acknowledged = append(acknowledged, load(p, round, *taken / *killed,
			time.Duration(30+rand.IntN(150))*time.Millisecond)...)
		p = start()
	}
	least, bound := 100**killed/10, 2*patience.Long
	if *taken > 0 {
		least, bound = *taken, time.Hour
	}
	defer func() {
		_, err := p.Stop()
		require.NoError(t, err)
	}()
	require.GreaterOrEqual(t, len(acknowledged), least, "the kills were under load")
	require.Eventually(t, func() bool { return len(got.missing(acknowledged)) == 0 }, bound,
		50*time.Millisecond, "accepted events that never arrived")

	got.mu.Lock()
	defer got.mu.Unlock()
	for id, by := range got.deliveries {
		require.LessOrEqual(t, len(by), 2, "event %s came under other ids than those of its two deliveries", id)
	}
	t.Logf("%d events acknowledged over %d kills, %d requests", len(acknowledged), *killed, got.requests)
}

// load publishes from several places at once until the program is killed, in the middle of it: when it has taken as
// many events, or where they are 0 after a time. It returns the ids of the events that were acknowledged.
func load(p *embedded.Process, round, events int, after time.Duration) (acknowledged []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	stop, enough := make(chan struct{}), make(chan struct{})
	if events == 0 {
		time.AfterFunc(after, func() { close(enough) })
	}
	for w := range 4 {
		wg.Go(func() {
			for n := 0; ; n += 5 {
				select {
				case <-stop:
					return
				default:
				}
				var ids []string
				var entries []embedded.Entry
				for k := range 5 {
					id := fmt.Sprintf("k-%d-%d", round, w*1_000_000+n+k)
					ids = append(ids, id)
					entries = append(entries, embedded.Entry{Source: "platform.test", DetailType: "new_hits",
						Detail: fmt.Sprintf(
							`{"version":1,"id":%q,"tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z","data":{"hit":{"type":"sqli","seq":%q}}}`, id, id)})
				}
				if p.Publish(entries...) != nil {
					return // the program is gone
				}
				mu.Lock()
				before := len(acknowledged)
				if acknowledged = append(acknowledged, ids...); before < events && len(acknowledged) >= events {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-enough:
	case <-done: // it ended by itself: there are too few events
	}
	p.Kill()
	close(stop)
	<-done
	return acknowledged
}
