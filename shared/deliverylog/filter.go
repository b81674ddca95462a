package deliverylog

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/notification"
	"tocsin/shared/wording"
)

// Status selects deliveries by the answers to their attempts: one of HTTP or of a mail server ("404"), a class of them
// ("5xx"), or none at all (NoAnswer).
type Status string

// NoAnswer is an attempt that was not answered: no connection, no answer in time.
const NoAnswer Status = "none"

// StatusPattern is what a Status looks like.
const StatusPattern = `^([1-9][0-9][0-9]|[1-5]xx|none)$`

var statusForm = regexp.MustCompile(StatusPattern)

// Validate says what is wrong with it.
func (s Status) Validate() error {
	if s != "" && !statusForm.MatchString(string(s)) {
		return fmt.Errorf("is %q, must be a status such as 404, a class such as 5xx, or none", string(s))
	}
	return nil
}

// of reports whether an attempt was answered so.
func (s Status) of(a delivery.Attempt) bool {
	if s == NoAnswer {
		return a.Status <= 0 && !a.Delivered
	}
	if class, ok := strings.CutSuffix(string(s), "xx"); ok {
		return strconv.Itoa(a.Status/100) == class
	}
	return strconv.Itoa(a.Status) == string(s)
}

// takes looks at all that is told without the events.
func (q Query) takes(d delivery.Delivery) bool {
	return (len(q.States) == 0 || slices.Contains(q.States, d.State)) &&
		(len(q.Kinds) == 0 ||
			slices.ContainsFunc(d.Kinds, func(k event.Kind) bool { return slices.Contains(q.Kinds, k) })) &&
		(q.Status == "" || slices.ContainsFunc(d.Attempts, q.Status.of))
}

// within looks at the range of time and the place to go on from.
func (q Query) within(d delivery.Delivery) bool {
	return d.ID >= delivery.FirstID(q.From) && (q.To.IsZero() || d.ID < delivery.FirstID(q.To)) &&
		(q.Before == "" || d.ID < q.Before)
}

// says finds the first event of a delivery that holds the text.
func (q Query) says(d delivery.Delivery) (summary string, holds bool) {
	if q.Text == "" {
		return "", true
	}
	text := strings.ToLower(q.Text)
	for _, e := range d.Events {
		for _, l := range wording.Languages() {
			n := notification.Notification{Event: e, Language: l}
			if strings.Contains(strings.ToLower(read(n)), text) {
				return Says(e), true
			}
		}
	}
	return "", false
}

// read is what people read of an event in all systems, in a language.
func read(n notification.Notification) string {
	if n.Event.Kind == event.Report {
		return n.Headline() // the rest of it is made when it is sent
	}
	parts := []string{n.Headline(), n.Sentence()}
	for _, f := range n.Facts() {
		parts = append(parts, f.Value)
	}
	return strings.Join(parts, "\n")
}

// Says is an event in one sentence for a person, in English, as wording.In reads it.
func Says(e event.Event) string {
	n := notification.Notification{Event: e}
	if e.Kind == event.Report {
		return n.Headline()
	}
	return cmp.Or(n.Sentence(), n.Headline())
}
