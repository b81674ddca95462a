package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
)

// incidents is a system that keeps one thing of an object.
type incidents struct{ array }

func (incidents) Keyed() {}

// slowly answers after a second, and notes when each began and ended.
type slowly struct {
	mu  sync.Mutex
	did []string
}

func (s *slowly) note(what string, q destination.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var of []struct {
		Issue struct{ ID, Status string } `json:"security_issue"`
	}
	if err := json.Unmarshal(q.Body, &of); err != nil {
		panic(err)
	}
	s.did = append(s.did, what+of[0].Issue.ID+" "+of[0].Issue.Status)
}

func (s *slowly) Do(ctx context.Context, q destination.Request) (destination.Response, error) {
	s.note("", q)
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return destination.Response{}, ctx.Err()
	}
	s.note("end of ", q)
	return destination.Response{Status: http.StatusOK}, nil
}

func issue(n int, at time.Time, id, status string) delivery.Delivery {
	return delivery.Delivery{ID: fmt.Sprintf("01GTD8R40000000000000000%02d", n), Tenant: "42", Integration: "i",
		State: delivery.Pending, CreatedAt: at, Count: 1, Kinds: []event.Kind{event.SecurityIssue},
		Events: []event.Event{{ID: fmt.Sprint("e-", n), Tenant: "42", Kind: event.SecurityIssue, Time: at,
			Data: json.RawMessage(`{"security_issue":{"id":"` + id + `","title":"x","risk":"High","host":"h","status":"` +
				status + `"}}`)}}}
}

// Of an object that is found and closed in one call the closing was sent beside the opening, and as often before it.
func TestEventsOfAnObjectAreSentOneAfterTheOtherInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		way := &slowly{}
		w := newWorld(t, setup{destination: incidents{}, transport: way, rule: atOnce})
		stop := beginPool(w)
		at := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
		w.send(issue(1, at.Add(time.Minute), "A", "closed"), issue(2, at, "A", "open"), issue(3, at, "B", "closed"),
			issue(4, at, "B", "open"), issue(5, at, "C", "open"), issue(6, at.Add(time.Hour), "A", "reopened"))
		for w.memory.count(delivery.Delivered) < 6 {
			time.Sleep(time.Second)
		}
		stop()
		var of []string
		for _, did := range way.did {
			if strings.Contains(did, "A ") {
				of = append(of, did)
			}
		}
		require.Equal(t, []string{"A open", "end of A open", "A closed", "end of A closed", "A reopened",
			"end of A reopened"}, of)
		did := func(what string) int { return slices.Index(way.did, what) }
		require.Less(t, did("end of B open"), did("B closed"))
		require.Less(t, did("C open"), did("B closed"), "what waits for nothing is first")
	})
}
