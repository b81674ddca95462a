package sending

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/integration"
	"tocsin/shared/mail/address"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/notification"
)

// TestResult says what a system answered to the test button.
type TestResult struct {
	Messages []TestMessage
	// Hosts are those that the messages went to, for the log; of mails the domains of their receivers.
	Hosts []string
}

// TestMessage is one test notification and its answer.
type TestMessage struct {
	Summary   string
	Delivered bool
	Status    int    // 0 when there was no answer, or nobody to give one: a mail that was not sent
	Answer    string // the start of the answer's body, secrets masked
	Reason    string // why it did not arrive and what to do
	Took      time.Duration
}

// testLimit bounds a whole test: an administrator is waiting.
const testLimit = 60 * time.Second

// Test sends the class's test notifications (facts, 1.12), each as a record of its own, and reports on each. It stops
// at the first failure: the others would fail likewise. A test is neither retried nor counted. The error may be that
// of MailQuota, and then nothing was sent. tell is told each step as it ends, one at a time, and must not block; nil =
// nobody asks.
func (s *Sender) Test(ctx context.Context, opened integration.Opened, who activity.Actor, id string,
	tell func(TestStep)) (TestResult, error) {
	d, ok := s.Destinations.Destination(opened.System.Name)
	if !ok {
		return TestResult{}, &unavailableError{opened.System.Name}
	}
	ctx, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	target := &Target{Integration: integration.Integration{Tenant: who.Tenant, System: opened.System.Name},
		opened: opened, destination: d, template: messagetemplate.New(opened.MessageTemplate),
		redact: redactor(d, opened.Secrets)}
	if opened.Saved != nil {
		target.Integration = *opened.Saved
	}
	var result TestResult
	var tests []written
	mails, l := 0, s.locale(ctx, target)
	for _, n := range notification.Samples(opened.System.Class, s.Platform, who.Tenant, who.ClientName, id,
		s.Now().UTC()) {
		n.Language, n.Zone = l.Language, l.Zone
		w, err := s.write(target, n, who)
		if err != nil {
			return result, err
		}
		mails += w.mailsToOthers(who.Email)
		tests = append(tests, w)
	}
	if s.MailQuota != nil && mails > 0 {
		if err := s.MailQuota.Spend(ctx, who.Tenant, mails); err != nil {
			return result, err
		}
	}
	for n, w := range tests {
		result.Hosts = w.hosts(result.Hosts)
		way := &steps{tell: tell, now: s.Now, at: TestStep{Message: n, Of: len(tests), Summary: w.summary}}
		m, goOn := s.testOne(way.begin(ctx), target, w)
		way.end(m.Delivered)
		if result.Messages = append(result.Messages, m); !goOn {
			break
		}
	}
	return result, nil
}

// written is one test notification as requests, or why there are none.
type written struct {
	summary  string
	requests []destination.Request
	notReady string
	said     []string // why it has our words
}

func (s *Sender) write(r *Target, n notification.Notification, who activity.Actor) (written, error) {
	as := destination.Target{
		Parameters: r.opened.Parameters, Delivery: n.Event.ID, Now: s.Now(), Test: true,
		Asked: cmp.Or(who.Email, who.Name),
	}
	var w written
	if r.template != nil {
		w.said = r.word(&n, nil)
	}
	w.summary = n.Summary()
	var err error
	var notReady *destination.NotReady
	if w.requests, err = r.destination.Encode(as, []notification.Notification{n}); errors.As(err, &notReady) {
		w.notReady, err = notReady.Reason, nil
	}
	return w, err
}

// hosts adds those that the requests go to.
func (w written) hosts(to []string) []string {
	for _, q := range w.requests {
		host := destination.Host(q.URL)
		if q.Mail != nil {
			_, host, _ = strings.Cut(q.Mail.To, "@")
		}
		if host != "" && !slices.Contains(to, host) {
			to = append(to, host)
		}
	}
	return to
}

// mailsToOthers counts the mails to addresses other than the given one.
func (w written) mailsToOthers(own string) (n int) {
	for _, q := range w.requests {
		if q.Mail != nil && address.Canonical(q.Mail.To) != address.Canonical(own) {
			n++
		}
	}
	return n
}

// testOne sends one test notification. goOn says that the next is worth sending: this one arrived, or its mail server
// or the mail log settled it without sending it.
func (s *Sender) testOne(ctx context.Context, r *Target, w written) (m TestMessage, goOn bool) {
	start := s.Now()
	m = TestMessage{Summary: w.summary, Reason: w.notReady}
	if w.notReady != "" {
		return m, false
	}
	m.Delivered, goOn = true, true
	var reasons []string
	for _, q := range w.requests {
		var a attempt
		verdict, err := s.request(ctx, r, q, &a)
		if err != nil {
			verdict = destination.Verdict{Reason: "the test took longer than " + testLimit.String()}
		}
		settled := verdict.Delivered && a.Status == destination.MailNotSent // for its own reason, and not by an answer
		if settled {
			a.Status = 0
		}
		if m.Delivered || !verdict.Delivered {
			m.Status, m.Answer = a.Status, a.Answer
		}
		if verdict.Delivered && !settled {
			continue
		}
		m.Delivered, goOn = false, goOn && settled
		reason := verdict.Reason
		if q.Mail != nil && verdict.Apart {
			reason = q.Mail.To + ": " + reason
		}
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
		if !settled && !verdict.Apart {
			break
		}
	}
	m.Took = s.Now().Sub(start)
	m.Reason = cut.Keep(r.redact.Text(joined(strings.Join(reasons, "; "), w.said)), maxReason)
	return m, goOn
}

type unavailableError struct{ system string }

func (e *unavailableError) Error() string {
	return "test: the system " + e.system + " is not available in this release"
}
