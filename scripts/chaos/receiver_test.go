//go:build awslocal

package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/scripts/awslocal/sim"
	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/event"
	"tocsin/shared/integration"
)

// receiver is a customer's system with an integration that leads to it.
type receiver struct {
	name, system, parameters, id string
	seed                         uint64
	// fails is the share of requests that it refuses; it is down in a time of the storm, or for good.
	fails    float64
	from, to time.Duration
	down     bool
	paced    bool // it answers 429 at times
	// fallback gets what it can not be sent; off: somebody disables it for a while.
	fallback *receiver
	off      bool
	single   bool // it takes one event in a request
	// draft has what is set of it beside its parameters.
	draft integration.Draft

	mu    sync.Mutex
	count int
	got   []taken
}

// taken is a request that it took.
type taken struct {
	id    string // of the delivery; of a file its address
	fell  bool   // it came by fallback
	marks []string
}

func (r *receiver) draw(g *rand.Rand, during time.Duration) {
	switch x := g.Float64(); {
	case x < 0.35:
	case x < 0.6:
		r.fails = 0.3
	case x < 0.92:
		r.from = time.Duration(g.Int64N(int64(during)))
		r.to = r.from + time.Duration(1+g.IntN(40))*time.Minute
	default:
		r.down = true
	}
	r.paced = g.Float64() < 0.1
}

// takes is the kind of the events that it is sent.
func (r *receiver) takes() (kind string, as event.Type) {
	if r.system == "slack" {
		return finding, event.VulnHigh
	}
	return hit, event.Hits
}

// asked is the integration that leads to it.
func (r *receiver) asked() integration.Draft {
	d := r.draft
	_, as := r.takes()
	d.System, d.Name, d.Parameters = r.system, r.name, json.RawMessage(r.parameters)
	d.Subscriptions = []integration.Subscription{{Event: as}}
	return d
}

var marks = regexp.MustCompile(`mark-[a-z0-9-]+`)

// take is a request that comes in.
func (r *receiver) take(q destination.Request, since time.Duration) destination.Response {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	g := sim.Random(r.seed, "receiver", r.name, r.count)
	answer := destination.Response{Status: http.StatusOK, Header: http.Header{}, At: time.Now(), Body: []byte("ok")}
	switch {
	case r.down || since >= r.from && since < r.to || g.Float64() < r.fails:
		answer.Status = http.StatusServiceUnavailable
		return answer
	case r.paced && g.Float64() < 0.3:
		answer.Status, answer.Header = http.StatusTooManyRequests, http.Header{"Retry-After": {"2"}}
		return answer
	}
	id := q.Header.Get("Webhook-Id")
	if id == "" {
		id = q.URL
	}
	body := string(destinationtest.Plain(q))
	t := taken{id: id, fell: q.Header.Get("X-Amz-Meta-Fallback-Of") != "" || strings.Contains(body, `"fallback":`)}
	seen := map[string]bool{}
	for _, m := range marks.FindAllString(body, -1) {
		// The name of a user stands in a notice twice, a hit once.
		if r.system == "minio" && !t.fell || !seen[m] {
			t.marks = append(t.marks, m)
		}
		seen[m] = true
	}
	r.got = append(r.got, t)
	return answer
}

// transport is a sandbox's way to customers' systems.
type transport struct {
	w *world
	*sim.Sandbox
}

// timeout is that of a request.
const timeout = 10 * time.Second

func (c transport) Do(ctx context.Context, q destination.Request) (answer destination.Response, err error) {
	u, err := url.Parse(q.URL)
	if err != nil {
		return answer, err
	}
	r := c.w.receiver(u.Host)
	if r == nil {
		return answer, errors.New("no such host: " + u.Host)
	}
	inside, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	kind, _, _ := strings.Cut(r.system, " ")
	err = c.Request(inside, kind, func() error {
		answer = r.take(q, time.Since(c.w.began))
		if n := len(r.got); c.w.shuffled && n%2 == 0 && n > 0 {
			slices.Reverse(r.got[n-1].marks)
		}
		return nil
	})
	switch {
	case err == nil:
		answer.At = c.Now()
		return answer, nil
	case ctx.Err() != nil || errors.Is(err, sim.ErrKilled):
		return destination.Response{}, context.Canceled
	case inside.Err() != nil:
		return destination.Response{}, errors.New("no answer within 10 s")
	}
	return destination.Response{}, errors.New("the connection broke")
}

func (w *world) receiver(host string) *receiver {
	for _, t := range w.plan.tenants {
		for _, r := range t.receivers {
			if r.name == host {
				return r
			}
		}
	}
	return nil
}
