package webhook

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// The bodies are what Batched makes of each one joined, whatever their sizes.
func TestEnvelopesAreBatchedAsTheirCopiesAre(t *testing.T) {
	type sent struct {
		body  string
		holds int
	}
	for range 300 {
		b := destination.Batch{Count: rand.IntN(5), Bytes: []int{0, 1, 500, 1000, 2000}[rand.IntN(5)]}
		most := 300 + rand.IntN(1000)
		ns := make([]notification.Notification, rand.IntN(12))
		each := make([][]byte, len(ns))
		for k := range ns {
			data := `{"hit":{"type":"` + strings.Repeat("x", rand.IntN(1500)) + `"}}`
			ns[k] = notification.Notification{Event: event.Event{ID: "1", Tenant: "42", Kind: event.NewHits,
				Data: []byte(data)}}
			each[k] = ijson.Fit(ns[k].Envelope(), most)
		}
		for name, c := range map[string]struct {
			form form
			join func([][]byte) []byte
		}{"array": {array, destination.JoinArray}, "lines": {lines, destination.JoinLines}} {
			var want, got []sent
			for _, r := range destination.Batched(each, b, func(part [][]byte) destination.Request {
				return destination.Request{Body: c.join(part)}
			}) {
				want = append(want, sent{string(r.Body), r.Holds})
			}
			for _, r := range envelopes(ns, b, c.form, most, func(body []byte) destination.Request {
				return destination.Request{Body: body}
			}) {
				got = append(got, sent{string(r.Body), r.Holds})
			}
			require.Equal(t, want, got, name)
		}
	}
}
