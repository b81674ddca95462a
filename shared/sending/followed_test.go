package sending_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/sending"
)

// wire is a way out that notes what was sent and taken, or may have been taken.
type wire struct {
	sending.Transport
	sent []string
}

func (w *wire) Do(ctx context.Context, q destination.Request) (destination.Response, error) {
	r, err := w.Transport.Do(ctx, q)
	if q.Method == http.MethodGet || strings.Contains(q.URL, "/oauth_token.do") {
		return r, err // it changes nothing there
	}
	if err != nil || r.Status < http.StatusMultipleChoices && !strings.Contains(string(r.Body), `"ok":false`) {
		w.sent = append(w.sent, shownAs(q.Method, q.URL, string(q.Body)))
	}
	return r, err
}

func shownAs(method, url, body string) string { return method + " " + url + " " + body }

func (c *customer) preview(d delivery.Delivery) (out []string) {
	c.t.Helper()
	all, err := c.sender.Preview(c.t.Context(), c.opener, c.target.Integration, d)
	require.NoError(c.t, err)
	for _, v := range all {
		if v.Method == http.MethodGet {
			continue
		}
		out = append(out, shownAs(v.Method, v.URL, v.Body))
	}
	return out
}

// everyFollower tells of a test to each system that calls what it makes by an id of its own: to one that only adds, and
// to one that moves as well. gone removes what was made, lose loses the next answer to a request that makes something.
func everyFollower(t *testing.T, test func(t *testing.T, c *customer, gone, lose func())) {
	moves := map[string][]map[string]string{
		"Jira Cloud":      {nil, {"on_closed": "done", "on_reopened": "To Do"}},
		"Jira on premise": {nil, {"on_closed": "Resolve issue"}},
		"ServiceNow": {nil, {"on_closed": "resolved", "on_reopened": "In Progress"},
			{"on_closed": "6", "close_code": "Solved", "on_reopened": "2"}},
	}
	for name := range trackers {
		for n, settings := range moves[name] {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				s := track(t)
				test(t, set(t, s, name, settings), func() {
					for _, made := range s.things {
						made.gone = true
					}
				}, func() { s.lose = 1 })
			})
		}
	}
	t.Run("Slack", func(t *testing.T) {
		s := &channel{}
		test(t, slackApp(t, s), func() {
			for _, m := range s.messages {
				m.gone = true
			}
		}, func() { s.lose = 1 })
	})
}

func TestThePageOfADeliveryShowsWhatTheSystemWasSent(t *testing.T) {
	everyFollower(t, func(t *testing.T, c *customer, gone, lose func()) {
		w := &wire{Transport: c.sender.Transport}
		c.sender.Transport = w
		random := rand.New(rand.NewPCG(19, 19))
		type sent struct {
			delivery delivery.Delivery
			requests []string
		}
		var all []sent
		for range 60 {
			switch random.IntN(8) {
			case 0:
				gone()
			case 1:
				lose()
			}
			w.sent = nil
			d := c.about(fmt.Sprint("S-", random.IntN(3)), []string{"open", "closed", "reopened"}[random.IntN(3)])
			for d = c.send(d).Delivery; d.State != delivery.Delivered; d = c.send(d).Delivery {
				c.now.Add(int64(10 * time.Second))
			}
			all = append(all, sent{d, w.sent})
			c.now.Add(int64(time.Hour))
		}
		for n, s := range all { // the pages are looked at later, when much has become of the objects
			shown := c.preview(s.delivery)
			if len(s.delivery.Attempts) > 1 { // a message says that it is late
				for _, list := range []*[]string{&shown, &s.requests} {
					for k, text := range *list {
						(*list)[k] = strings.Join(strings.Fields(text)[:2], " ")
					}
					*list = slices.Compact(*list)
				}
			}
			require.Equal(t, s.requests, shown, "delivery %d: %s", n, s.delivery.Events[0].Data)
		}
	})
}

func TestThePageOfADeliveryThatWasNotTriedShowsWhatItWouldSendNow(t *testing.T) {
	everyFollower(t, func(t *testing.T, c *customer, _, _ func()) {
		w := &wire{Transport: c.sender.Transport}
		c.sender.Transport = w
		c.finish(c.about("S-1", "open"))
		next := c.about("S-1", "reopened")
		shown := c.preview(next)
		w.sent = nil
		c.finish(next)
		require.Subset(t, w.sent, shown, "all but what is made of answers")
		require.NotEmpty(t, shown)
	})
}

func TestThePageOfADeliveryOfAnOlderVersion(t *testing.T) {
	everyFollower(t, func(t *testing.T, c *customer, _, _ func()) {
		opened, closed := c.finish(c.about("S-1", "open")).Delivery, c.finish(c.about("S-1", "closed")).Delivery
		var now [2][]string
		for n, d := range []delivery.Delivery{opened, closed} {
			now[n] = c.preview(d)
			for k := range d.Attempts {
				d.Attempts[k].Followed.Then = nil
			}
			without := c.preview(d)
			for k := range d.Attempts {
				d.Attempts[k].Followed = nil
			}
			require.Equal(t, without, c.preview(d))
			require.Subset(t, now[n], without)
		}
		require.NotEqual(t, now[0][0], now[1][0])
	})
}
