// Package opsgenie opens and closes alerts in Opsgenie, and in Jira Service Management, which takes the same requests
// (product facts, 2.5). All events of one object (notification.Dedup) have the same alias for ever: a repeat counts up
// the open alert and opens no second one, that the object was closed closes the alert, and that it was opened again
// opens a new one, since Opsgenie looks for an alias among open alerts alone.
//
// The alias makes one alert, however many workers send at once. It does not put events in order: an opening that was
// sent behind its closing would open an alert that nothing closes. So it is not sent any more (destination.Keyed).
package opsgenie

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
	"tocsin/shared/plaintext"
)

// Limits of an alert in characters, taken as UTF-16 units, the stricter reading. Opsgenie, Alert API, "Create Alert"
// and "Close Alert".
const (
	messageLimit     = 130
	descriptionLimit = 15_000
	sourceLimit      = 100
	entityLimit      = 512
	tagLimit         = 50
	detailsLimit     = 8_000 // of all names and values together
	noteLimit        = 25_000
)

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Parameters of an Opsgenie integration (facts, 1.2 and 2.5). Opsgenie's support ends in 2027; the third address is
// that of Jira Service Management, to which Atlassian moves its customers (Integration Events API, "Create alert").
type Parameters struct {
	API string `json:"api" receiver:"true" jsonschema:"title=API endpoint,enum=https://api.opsgenie.com/v2/alerts,enum=https://api.eu.opsgenie.com/v2/alerts,enum=https://api.atlassian.com/jsm/ops/integration/v2/alerts,default=https://api.opsgenie.com/v2/alerts" jsonschema_description:"The second one for an account in the EU; the third one for Jira Service Management, where Opsgenie's accounts move to."`
	Key string `json:"token" jsonschema:"required,title=API key,minLength=8,maxLength=128,pattern=^[!-~]*$,writeOnly=true" jsonschema_description:"The key of an API integration of the team that is to be alerted. It needs the right to create and update alerts."`
}

// KeepsObjects says that Opsgenie keeps an alert of an object: see integration.Keeper.
func (*Parameters) KeepsObjects() bool { return true }

// Destination is Opsgenie.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "opsgenie", Title: "Opsgenie", Group: destination.Incidents, Class: notification.Basic,
		Events: event.Basic(), Triggered: event.Triggered(), Parameters: destination.ParametersOf[Parameters](),
		Folder: destination.ReadFolder(files),
	}}
}

// System describes Opsgenie.
func (d Destination) System() destination.System { return d.system }

type alert struct {
	Message     string            `json:"message"`
	Alias       string            `json:"alias"`
	Description string            `json:"description"`
	Tags        []string          `json:"tags"`
	Details     map[string]string `json:"details"`
	Entity      string            `json:"entity,omitempty"`
	Source      string            `json:"source"`
	Priority    string            `json:"priority"`
}

var priorities = map[notification.Severity]string{
	notification.Critical: "P1", notification.High: "P2", notification.Medium: "P3", notification.Low: "P4",
	notification.Info: "P5",
}

// closing closes the alert of an alias.
type closing struct {
	Note   string `json:"note"`
	Source string `json:"source"`
}

// Keyed says that Opsgenie keeps alerts by their alias.
func (Destination) Keyed() {}

// Encode makes one request of each notification: Opsgenie takes no two in one.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	out := make([]destination.Request, 0, len(ns))
	for _, n := range ns {
		address, message := p.API, any(render(n))
		if n.Step() == event.Closed {
			// Jira Service Management, "Integration events", has the same call, by alias too.
			address = destination.URL(p.API, n.Dedup(), "close") + "?identifierType=alias"
			message = closing{Note: destination.Escaped(n.Summary()+"\n\n"+n.PlainText(), noteLimit),
				Source: cut.UTF16(n.Platform.Name, sourceLimit)}
		}
		one, err := destination.Each([]notification.Notification{n},
			func(notification.Notification) any { return message },
			func(body []byte) destination.Request {
				q := destination.Post(address, body, "Authorization", "GenieKey "+p.Key)
				q.Where = p.API
				return q
			})
		if err != nil {
			return nil, err
		}
		out = append(out, one...)
	}
	return out, nil
}

func render(n notification.Notification) alert {
	tags := []string{string(n.Event.Kind), n.Severity().String()}
	if n.Test {
		tags = append(tags, "test")
	}
	for i := range tags {
		tags[i] = cut.UTF16(tags[i], tagLimit)
	}
	return alert{
		Message:     destination.Escaped(n.Summary(), messageLimit),
		Description: destination.Escaped(n.PlainText(), descriptionLimit),
		Alias:       n.Dedup(), // Opsgenie's pages say 250 and 512 characters
		Tags:        tags, Details: details(n), Entity: cut.UTF16(entity(n), entityLimit),
		Source: cut.UTF16(n.Platform.Name, sourceLimit), Priority: priorities[n.Urgency()],
	}
}

// entity is what the alert is about: the protected host of a finding, "" where there is none.
func entity(n notification.Notification) string {
	for _, f := range n.Facts() {
		if f.Label == n.Say("Domain") || f.Label == n.Say("Host") {
			return f.Value
		}
	}
	return ""
}

// details flattens those of the envelope: `vuln.domain` becomes `vuln_domain`, every value a text, what is null or
// empty left out (facts, 2.5).
func details(n notification.Notification) map[string]string {
	var flat []property
	for _, m := range ijson.Members(n.Details()) {
		flat = flatten(flat, plaintext.Line(m.Name), m.Value, 1)
	}
	return fit(flat)
}

type property struct{ name, value string }

// flatten goes down the given number of levels; what is nested deeper stays JSON.
func flatten(out []property, name string, value json.RawMessage, levels int) []property {
	var s string
	switch {
	case string(value) == "null":
		return out
	case json.Unmarshal(value, &s) == nil:
		if s = plaintext.Lines(s); strings.TrimSpace(s) == "" {
			return out
		}
		return append(out, property{name, s})
	case value[0] == '{' && levels > 0:
		for _, m := range ijson.Members(value) {
			out = flatten(out, name+"_"+plaintext.Line(m.Name), m.Value, levels-1)
		}
		return out
	default:
		return append(out, property{name, string(ijson.Map(value, plaintext.Lines))})
	}
}

// Bounds of one property, so that the many of a finding keep room beside a huge one.
const (
	nameLimit = 100
	leastText = 16 // below this a value says nothing any more
	moreName  = "more"
)

// fit cuts the longest values, all to the same length, until the whole keeps to detailsLimit.
func fit(flat []property) map[string]string {
	for most := detailsLimit; ; most /= 2 {
		out, size := map[string]string{}, 0
		for i, p := range flat {
			name, value := cut.UTF16(p.name, nameLimit), cut.UTF16(p.value, most)
			if size += cut.LenUTF16(name) + cut.LenUTF16(value); size > detailsLimit-nameLimit &&
				most < 2*leastText {
				out[moreName] = fmt.Sprintf("%s %d more", cut.Mark, len(flat)-i)
				return out
			}
			out[name] = value
		}
		if size <= detailsLimit {
			return out
		}
	}
}

// reasons of Opsgenie. Alert API, "Response"; and "Response codes".
var reasons = map[int]string{
	400: "Opsgenie does not accept the alert",
	401: "Opsgenie does not know the API key: enter the key of an API integration",
	402: "the plan of this Opsgenie account does not include this",
	403: "the API key may not create or update alerts, or its integration is switched off: check both, and that the " +
		"endpoint is of the account's region",
	404: "Opsgenie knows no such address: choose the endpoint of the account's region",
	422: "Opsgenie does not accept the alert, or the API key is not one of an API integration",
	429: "Opsgenie throttles this account: too many alerts at a time",
}

// Judge takes a 2xx with the id of the request for a success: Opsgenie files the alert later and tells nobody of it.
// Opsgenie, Alert API, "Create Alert": 202 with result, took and requestId.
func (Destination) Judge(r destination.Response) destination.Verdict {
	if destination.Success(r.Status) {
		return destination.Proved(r, ijson.Fields(r.Body)["requestid"] != "",
			"Opsgenie answers 202 with the id of the request")
	}
	var answer struct {
		Message string            `json:"message"`
		Errors  map[string]string `json:"errors"`
	}
	_ = json.Unmarshal(r.Body, &answer) // what is not Opsgenie's JSON says nothing
	if r.Status == http.StatusNotFound && noAlert.MatchString(answer.Message) {
		v := destination.Delivered() // a person closed it before
		v.Reason = "there was no open alert to close"
		return v
	}
	words := []string{answer.Message}
	for _, field := range slices.Sorted(maps.Keys(answer.Errors)) {
		words = append(words, field+": "+answer.Errors[field])
	}
	v := destination.JudgeSaid(r, reasons, destination.Said(words...))
	// Opsgenie, "Response codes": 422 is also the answer to a key that is none of an API integration.
	v.Unread = v.Unread && !aboutKey.MatchString(answer.Message)
	return v
}

// noAlert finds that there is no alert to close, which most accounts say of no request: they answer 202 all the same.
var noAlert = regexp.MustCompile(`(?i)alert.*(not exist|not found|could not be found)|no (open )?alert`)

var aboutKey = regexp.MustCompile(`(?i)api ?key|genie ?key|integration|could not authenticate`)
