package worker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/health"
	"tocsin/shared/worker"
)

// far is a system that answers each request after a second. It keeps when requests began.
type far struct {
	answer func(n, try int) (status int, retryAfter string) // of the n-th request, and which of its event; from 1

	mu    sync.Mutex
	began time.Time
	first []float64 // seconds; of each event
	all   []float64
	n     int
	tries map[string]int
}

func (f *far) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	f.mu.Lock()
	key := string(q.Body)
	if q.Mail != nil {
		key = q.Mail.ID
	}
	f.n++
	at := time.Since(f.began).Seconds()
	if f.tries[key]++; f.tries[key] == 1 {
		f.first = append(f.first, at)
	}
	f.all = append(f.all, at)
	status, wait := f.answer(f.n, f.tries[key])
	f.mu.Unlock()
	time.Sleep(time.Second)
	if status == 0 {
		return destination.Response{}, errors.New("no answer within a second")
	}
	r := destination.Response{Status: status, Header: http.Header{}}
	if wait != "" {
		r.Header.Set("Retry-After", wait)
	}
	if q.Mail != nil && status >= 300 {
		r.Recipient = true
	}
	return r, nil
}

// manners is how a system answers, and what follows for eight deliveries that come at once.
type manners struct {
	destination destination.Destination
	answer      func(n, try int) (status int, retryAfter string)
	begin       []float64    // of the first requests of the deliveries
	all         []float64    // of all requests; nil where only the first ones are told
	counted     health.Tally // of all attempts
}

func always(status int) func(int, int) (int, string) {
	return func(int, int) (int, string) { return status, "" }
}

var allManners = map[string]manners{
	"it takes what it is sent: the requests in flight double with each answer": {
		answer: always(200), begin: []float64{0, 1, 1, 2, 2, 2, 2, 2}, counted: health.Tally{Attempts: 8}},
	"each event fails once: two at a time": {
		answer: func(_, try int) (int, string) { return map[bool]int{true: 500, false: 200}[try == 1], "" },
		begin:  []float64{0, 1, 1, 2, 2, 3, 3, 4}, counted: health.Tally{Attempts: 16, Failures: 8}},
	"it fails once and then works: it opens again": {
		answer: func(n, _ int) (int, string) { return map[bool]int{true: 500, false: 200}[n == 1], "" },
		begin:  []float64{0, 1, 1, 2, 2, 2, 2, 2}, counted: health.Tally{Attempts: 9, Failures: 1}},
	"it wants to be left alone for five seconds: nothing is sent meanwhile, and no failure is counted": {
		answer: func(n, _ int) (int, string) {
			if n == 1 {
				return 503, "5"
			}
			return 200, ""
		},
		begin: []float64{0, 6, 6, 7, 7, 7, 7, 7}, counted: health.Tally{Attempts: 8}},
	"it asks for a lower rate: one after another, and no failure is counted": {
		answer: func(n, _ int) (int, string) {
			if n == 1 {
				return 429, "2"
			}
			return 200, ""
		},
		// Later ones come a little sooner from a Pool: it books one request at a time, and a Handler several, because
		// each booking is a write to the row that all processes share.
		all: []float64{0, 3, 5, 7}, counted: health.Tally{Attempts: 8}},
	"it gives no answer: two at a time until three in a row are silent, then a probe": {
		answer: func(n, _ int) (int, string) { return map[bool]int{true: 0, false: 200}[n <= 3], "" },
		begin:  []float64{0, 1, 1}, counted: health.Tally{Attempts: 11, Failures: 3}},
	"a mail service refuses single receivers: two at a time, and nothing is counted": {
		destination: letters{}, answer: always(550), begin: []float64{0, 1, 1, 2, 2, 3, 3, 4}},
}

// TestBothWorkersAskTheOneLimiterAndTheOneCounting: the same answers make requests begin at the same times, and are
// counted alike, whichever worker drives them.
func TestBothWorkersAskTheOneLimiterAndTheOneCounting(t *testing.T) {
	for name, m := range allManners {
		t.Run(name, func(t *testing.T) {
			f := &far{answer: m.answer, tries: map[string]int{}}
			s := setup{destination: m.destination, parameters: partsParameters{URL: "u", Addresses: []string{"a@x"}},
				transport: f, limits: worker.Limits{PerLane: 8, Failing: 2}}
			if s.destination == nil {
				s.destination = array{}
			}
			bothWith(t, s, func(w *world) {
				f.began, f.first, f.all, f.n, f.tries = time.Now(), nil, nil, 0, map[string]int{}
				var all []delivery.Delivery
				for n := range 8 {
					all = append(all, made(fmt.Sprintf("d%d", n), fmt.Sprintf("e%d", n)))
				}
				w.send(all...)
				pass(10 * time.Minute)
				f.mu.Lock()
				defer f.mu.Unlock()
				require.Len(w.t, f.first, 8)
				require.InDeltaSlice(w.t, m.begin, f.first[:len(m.begin)], 0.1, "%v", f.first)
				require.InDeltaSlice(w.t, m.all, f.all[:len(m.all)], 0.1, "%v", f.all)
				require.Equal(w.t, m.counted, w.counters.tally("i"))
			})
		})
	}
}
