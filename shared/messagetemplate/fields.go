package messagetemplate

import (
	"reflect"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/notification"
	"tocsin/shared/plaintext"
)

// maxValue bounds one value, in bytes. Details has all of the others.
const (
	maxValue   = 2 << 10
	maxDetails = 8 << 10
)

// values are what a template reads of an event. It has no methods: a template can call none. What an event does not say
// is "".
type values struct {
	Summary, Headline, Sentence, Details          string
	Kind, Severity, Symbol, State, Time, Link, ID string
	Client, Cloud, Platform                       string
	Title, Type, Host, Port, Path, URL, Method    string
	Parameter, Payload, Source, Country           string
	Status, Application, Hits                     string
	User, By, Integration, Trigger, Rule          string
	Reason                                        string
}

// states are what became of what an event tells of, as findings have it.
var states = map[event.Step]string{event.Opened: event.StatusOpen, event.Reopened: event.StatusReopened,
	event.Closed: event.StatusClosed}

// Fields are the names of what a template can read, in the order of the documents.
func Fields() []string {
	of := reflect.TypeFor[values]()
	out := make([]string, of.NumField())
	for n := range out {
		out[n] = of.Field(n).Name
	}
	return out
}

// valuesOf reads an event. Each value but Details is on one line.
func valuesOf(n notification.Notification) *values {
	by := n.Labelled()
	first := func(labels ...string) string {
		for _, l := range labels {
			if by[l] != "" {
				return by[l]
			}
		}
		return ""
	}
	v := &values{
		Summary: n.Summary(), Headline: n.Headline(), Sentence: n.Sentence(),
		Kind: string(n.Event.Kind), Severity: n.Severity().String(), Symbol: n.Severity().Symbol(),
		State: states[n.Step()],
		Time:  n.When(), Link: n.Link(), ID: n.Event.ID,
		Client: n.Client(), Cloud: n.Platform.Cloud, Platform: n.Platform.Name,
		Title: by["Title"], Type: by["Type"], Host: first("Host", "Domain"), Port: by["Port"], URL: by["URL"],
		Path:   first("Path", "Endpoint"),
		Method: by["Method"], Parameter: by["Parameter"], Payload: by["Payload"],
		Source: first("Source", "Sources", "IP"), Country: by["Country"], Status: by["Response status"],
		Application: by["Application"], Hits: by["Hits"],
		User: by["User"], By: by["By"], Integration: by["Integration"], Trigger: by["Trigger"], Rule: by["Rule"],
		Reason: by["Reason"],
	}
	if v.Application == "" {
		v.Application = strings.Join(filter.See(n.Event).Applications, ", ")
	}
	var details strings.Builder
	for k, f := range n.Facts() {
		if k > 0 {
			details.WriteByte('\n')
		}
		details.WriteString(n.Mark(f.Label) + cut.Bytes(f.Value, maxValue))
	}
	all := reflect.ValueOf(v).Elem()
	for k := range all.NumField() {
		all.Field(k).SetString(cut.Bytes(plaintext.Line(all.Field(k).String()), maxValue))
	}
	v.Details = cut.Bytes(details.String(), maxDetails)
	return v
}
