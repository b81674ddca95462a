package sending_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/memory"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
)

// pager is PagerDuty and Opsgenie as their documentation says that they answer: what they have open, by key.
type pager struct {
	mu     sync.Mutex
	open   map[string]bool
	calls  int
	refuse func() (before, after bool) // the request fails; it fails after it did its work
}

func (p *pager) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	before, after := p.refuse()
	if before {
		return destination.Response{Status: http.StatusBadGateway}, nil
	}
	var e struct {
		Action string `json:"event_action"`
		Dedup  string `json:"dedup_key"`
		Alias  string `json:"alias"`
	}
	if err := json.Unmarshal(q.Body, &e); err != nil {
		return destination.Response{Status: http.StatusTeapot}, nil
	}
	key := e.Dedup + e.Alias
	switch path, closes := strings.CutSuffix(q.URL, "/close?identifierType=alias"); {
	case closes:
		p.open[path[strings.LastIndexByte(path, '/')+1:]] = false
	default:
		p.open[key] = e.Action != "resolve"
	}
	if after {
		return destination.Response{Status: http.StatusBadGateway}, nil
	}
	return destination.Response{Status: http.StatusAccepted, Header: http.Header{"Content-Type": {"application/json"}},
		Body: []byte(`{"status":"success","message":"Event processed","dedup_key":"x","result":"Request will be processed",` +
			`"requestId":"r","took":0.1}`)}, nil
}

// keeper is a system that keeps one thing of an object.
type keeper struct {
	*customer
	stands func() string // open, closed, or none where nothing was made
}

// keepers make a customer of each, whose requests fail at random where that is possible.
var keepers = map[string]func(t *testing.T, random *rand.Rand) keeper{
	"Jira": func(t *testing.T, random *rand.Rand) keeper {
		s := track(t)
		s.lose = random.IntN(2)
		return keeper{set(t, s, "Jira Cloud", map[string]string{"on_closed": "Done", "on_reopened": "To Do"}),
			s.stands(func(made *thing) bool { return made.status == "Done" })}
	},
	"ServiceNow": func(t *testing.T, random *rand.Rand) keeper {
		s := track(t)
		s.lose = random.IntN(2)
		return keeper{set(t, s, "ServiceNow", map[string]string{"on_closed": "6", "on_reopened": "2"}),
			s.stands(func(made *thing) bool { return made.status == "6" })}
	},
	"PagerDuty": func(t *testing.T, random *rand.Rand) keeper {
		return paged(t, random, "pager_duty", `{"integration_key":"0123456789abcdef0123456789abcdef"}`)
	},
	"Opsgenie": func(t *testing.T, random *rand.Rand) keeper {
		return paged(t, random, "opsgenie", `{"token":"12345678-1234-1234-1234-123456789abc"}`)
	},
	"Slack": func(t *testing.T, random *rand.Rand) keeper {
		s := &channel{lose: random.IntN(2)}
		return keeper{slackApp(t, s), func() string {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, m := range s.messages {
				switch {
				case m.Thread != "":
				case strings.Contains(m.Text, "Security issue was closed"):
					return "closed"
				default:
					return "open"
				}
			}
			return "none"
		}}
	},
}

func (s *tracker) stands(closed func(*thing) bool) func() string {
	return func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case len(s.things) == 0:
			return "none"
		case len(s.things) > 1:
			return fmt.Sprint(len(s.things), " of them")
		case closed(s.things[0]):
			return "closed"
		}
		return "open"
	}
}

func paged(t *testing.T, random *rand.Rand, system, parameters string) keeper {
	p := &pager{open: map[string]bool{}, refuse: func() (before, after bool) {
		return random.IntN(5) == 0, random.IntN(8) == 0
	}}
	return keeper{at(t, p, system, parameters), func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, open := range p.open {
			if open {
				return "open"
			}
			return "closed"
		}
		return "none"
	}}
}

// at is a customer whose system is behind a way out.
func at(t *testing.T, way sending.Transport, system, parameters string) *customer {
	t.Helper()
	c := &customer{t: t}
	c.now.Store(time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	now := func() time.Time { return time.Unix(0, c.now.Load()).UTC() }
	known, _, ok := catalogue.Default().Lookup(system)
	require.True(t, ok)
	full, err := known.Parameters.Complete(json.RawMessage(parameters))
	require.NoError(t, err)
	opened, err := known.Parameters.Open(full)
	require.NoError(t, err)
	c.sender = &sending.Sender{Destinations: catalogue.Default(), Now: now, Log: slog.New(slog.DiscardHandler),
		References: memory.New(now).References(), Transport: way}
	c.opener = fixed{known, opened}
	c.target, err = c.sender.Open(t.Context(), c.opener,
		integration.Integration{ID: "i", Tenant: "42", System: known.Name, Revision: 1})
	require.NoError(t, err)
	return c
}

// history is what becomes of one object, a second from one to the next, or all at once.
func (c *customer) history(random *rand.Rand) (all []delivery.Delivery, last string) {
	apart := time.Duration(random.IntN(2)) * time.Second
	statuses := []string{"open", "closed", "reopened"}
	if apart > 0 {
		statuses = append(statuses, "closed", "reopened")
	}
	statuses = statuses[:2+random.IntN(len(statuses)-1)]
	for n, status := range statuses {
		d := c.about("S-1", status)
		d.Events[0].Time = time.Unix(1677628800, 0).UTC().Add(time.Duration(n) * apart)
		all = append(all, d)
	}
	return all, map[string]string{"open": "open", "reopened": "open", "closed": "closed"}[statuses[len(statuses)-1]]
}

// insist sends until it has arrived, while others send.
func (c *customer) insist(d delivery.Delivery) {
	for range 1000 {
		if d = c.send(d).Delivery; d.State == delivery.Delivered {
			return
		}
		c.now.Add(int64(100 * time.Millisecond))
		time.Sleep(time.Millisecond)
	}
	c.t.Errorf("delivery %s did not arrive: %s", d.ID, d.Reason)
}

// In whatever order the events of an object are sent, and however often a request fails: the thing stands as the newest
// says. Nothing is made of what is closed by then.
func TestTheThingOfAnObjectStandsAsTheNewestEventSays(t *testing.T) {
	for name, make := range keepers {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(30) {
				random := rand.New(rand.NewPCG(seed, 1))
				k := make(t, random)
				all, last := k.history(random)
				order := fmt.Sprint(name, ", seed ", seed, ": ")
				for waits := all; len(waits) > 0; {
					n := random.IntN(len(waits))
					order += waits[n].ID[20:] + " " + string(waits[n].State) + "; "
					out := k.send(waits[n])
					require.NotEqual(t, delivery.Dead, out.State, order)
					waits[n] = out.Delivery
					if out.State == delivery.Delivered {
						waits = append(waits[:n:n], waits[n+1:]...)
					}
					k.now.Add(int64(time.Duration(1+random.IntN(20)) * time.Second))
				}
				if is := k.stands(); is != "none" || last == "open" {
					require.Equal(t, last, is, order)
				}
			}
		})
	}
}

func TestEventsOfAnObjectThatAreSentAtOnceAreSentOneAfterTheOther(t *testing.T) {
	for name, make := range keepers {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(6) {
				random := rand.New(rand.NewPCG(seed, 2))
				k := make(t, random)
				all, last := k.history(random)
				var work sync.WaitGroup
				for _, d := range all {
					work.Go(func() { k.insist(d) })
				}
				work.Wait()
				if is := k.stands(); is != "none" || last == "open" {
					require.Equal(t, last, is, "seed %d", seed)
				}
			}
		})
	}
}
