package catalogue_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/email"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/notification"
	"tocsin/shared/wording"
)

// written is what a request sends, comparable.
type written struct{ method, url, body, text, html string }

// writes encodes each notification for itself, with a target that all share.
func writes(t *testing.T, d destination.Destination, target destination.Target,
	all []notification.Notification) (out []written) {
	for k := range all {
		rs, err := d.Encode(target, all[k:k+1])
		if !assert.NoError(t, err) {
			return nil
		}
		for _, r := range rs {
			w := written{method: r.Method, url: r.URL, body: string(destinationtest.Plain(r))}
			if r.Mail != nil {
				w.text, w.html = r.Mail.Text, r.Mail.HTML
			}
			out = append(out, w)
		}
	}
	return out
}

// TestEverySystemIsUsedBySeveralAtOnce: one destination and one set of opened parameters serve all workers. It is what
// the race detector has to see of the systems, whose folders it leaves out: see scripts/test-race.
func TestEverySystemIsUsedBySeveralAtOnce(t *testing.T) {
	examples, _ := destinationtest.Examples(t)
	all := catalogue.Default(telegram.New(telegram.Bot{Token: "123456:not-a-real-token-but-long-enough"}))
	for _, e := range all.All() {
		system := e.System
		if !e.Available {
			continue
		}
		t.Run(system.Name, func(t *testing.T) {
			d, ok := all.Destination(system.Name)
			require.True(t, ok)
			example := examples[system.Name]
			switch system.Name {
			case "telegram":
				example.Parameters = []byte(`{"chat_id":-1001557912345}`)
			case email.PersonalName:
				example = examples["email"]
			}
			require.NotEmpty(t, example.Parameters, "testdata/example.json")
			var ns []notification.Notification
			for _, language := range wording.Languages() {
				for _, n := range destinationtest.Notifications(system) {
					n.Language, n.Zone = language, time.UTC
					ns = append(ns, n)
				}
			}
			target := destination.Target{Delivery: "01GTD8R400000000000000TEST", Now: destinationtest.Now,
				Parameters: destinationtest.Open(t, destinationtest.Case{Destination: d,
					Parameters: string(example.Parameters)})}
			want := writes(t, d, target, ns)
			require.NotEmpty(t, want)
			var workers sync.WaitGroup
			for range 4 {
				workers.Go(func() {
					assert.Equal(t, want, writes(t, d, target, ns))
					for _, a := range slices.Concat(example.Successes, example.Answers) {
						d.Judge(destination.Response{Status: a.Status, Header: a.Header(), Body: []byte(a.Body),
							At: destinationtest.Now})
					}
				})
			}
			workers.Wait()
		})
	}
}
