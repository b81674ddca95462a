package delivery

import (
	"context"
	"errors"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
)

// TestResult says what a system answered to the test button.
type TestResult struct {
	Messages []TestMessage
}

// TestMessage is one test notification and its answer.
type TestMessage struct {
	Summary   string
	Delivered bool
	Status    int    // 0 when there was no answer
	Answer    string // the start of the answer's body, secrets masked
	Reason    string // why it failed and what to do
	Took      time.Duration
}

// testLimit bounds a whole test: an administrator is waiting.
const testLimit = 60 * time.Second

// Test sends the class's test notifications (facts, 1.12), each as a record of its own, and reports on each. It
// stops at the first failure: the others would fail likewise. A test is neither retried nor counted.
func (c *Courier) Test(ctx context.Context, opened integration.Opened, who integration.Person, id string) (TestResult, error) {
	d, ok := c.Destinations.Destination(opened.System.Name)
	if !ok {
		return TestResult{}, &unavailableError{opened.System.Name}
	}
	ctx, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	route := &Route{Integration: integration.Integration{Tenant: who.Tenant}, opened: opened, destination: d, redact: redactor(d, opened.Secrets)}
	if opened.Saved != nil {
		route.Integration = *opened.Saved
	}
	var result TestResult
	for _, n := range notification.Samples(opened.System.Class, c.Platform, who.Tenant, who.ClientName, id, c.Now().UTC()) {
		m, err := c.testOne(ctx, route, n)
		if err != nil {
			return result, err
		}
		result.Messages = append(result.Messages, m)
		if !m.Delivered {
			break
		}
	}
	return result, nil
}

func (c *Courier) testOne(ctx context.Context, r *Route, n notification.Notification) (TestMessage, error) {
	start := c.Now()
	m := TestMessage{Summary: n.Summary()}
	target := destination.Target{Parameters: r.opened.Parameters, Delivery: n.Event.ID, Now: start, Test: true}
	requests, err := r.destination.Encode(target, []notification.Notification{n})
	var notReady *destination.NotReady
	if errors.As(err, &notReady) {
		m.Reason = notReady.Reason
		return m, nil
	}
	if err != nil {
		return m, err
	}
	var a Attempt
	verdict := destination.Delivered()
	for _, q := range requests {
		if verdict, err = c.request(ctx, r, q, &a); err != nil {
			verdict, err = destination.Verdict{Reason: "the test took longer than " + testLimit.String()}, nil
		}
		if !verdict.Delivered {
			break
		}
	}
	m.Delivered, m.Status, m.Answer, m.Took = verdict.Delivered, a.Status, a.Answer, c.Now().Sub(start)
	if !verdict.Delivered {
		m.Reason = clip(r.redact.Replace(verdict.Reason), maxReason)
	}
	return m, nil
}

type unavailableError struct{ system string }

func (e *unavailableError) Error() string {
	return "test: the system " + e.system + " is not available in this release"
}
