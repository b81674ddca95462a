package notification

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/event/brief"
	"tocsin/shared/plaintext"
	"tocsin/shared/wording"
)

// text is the human side of a notification. Headlines and line labels are the platform's (facts, 1.9 to 1.11 and
// 4.6); the sentences are ours.
type text struct {
	headline string
	sentence string
	facts    []Fact
	link     string
	// linkTitle names the link in plain text, "" = More details.
	linkTitle string
	links     []Link // further ones, which have titles of their own
	severity  Severity
	// published has the facts of plain English text in a line, as the body that is published has them.
	published bool
}

// text is as the notification's reader wants it.
func (n Notification) text() text {
	if n.Digest != nil {
		return n.digestText()
	}
	if n.Zone == nil && n.Language.Or(wording.English) == wording.English {
		return n.english()
	}
	return n.english().in(n.locale())
}

func (n Notification) locale() wording.Locale {
	return wording.Locale{Language: n.Language, Zone: n.Zone}
}

// forMachines is the notification as machines read it.
func (n Notification) forMachines() Notification {
	n.Language, n.Zone = wording.English, nil
	return n
}

// Say words a text of ours as the notification's reader wants it.
func (n Notification) Say(english string) string { return n.locale().Say(english) }

// Label words a text of ours as what stands before a value.
func (n Notification) Label(english string) string { return n.Mark(n.Say(english)) }

// Mark sets a label apart from its value.
func (n Notification) Mark(label string) string {
	if n.Language == wording.Japanese {
		return label + "："
	}
	return label + ": "
}

// told are the facts whose values are texts of ours, timed those whose values are times.
var (
	told = map[string]bool{"Reason": true, "Last answer": true, "Deliveries that wait": true,
		"Deliveries not sent": true, "Events missed": true, "Happened": true, "And": true,
		"Fallback": true, "Left out": true}
	timed = map[string]bool{"Asked at": true, "Expires": true, "Failing since": true, "From": true, "To": true,
		"Last update": true}
)

// in is the text as its reader wants it. What upstream or a person wrote stays as it is.
func (t text) in(l wording.Locale) text {
	t.headline, t.sentence = l.Say(t.headline), l.Say(t.sentence)
	facts := make([]Fact, len(t.facts))
	for i, f := range t.facts {
		if told[f.Label] {
			f.Value = l.Say(f.Value)
		} else if timed[f.Label] {
			if at, err := time.Parse(time.RFC3339, f.Value); err == nil {
				f.Value = l.Time(at)
			}
		}
		facts[i] = Fact{l.Say(f.Label), f.Value}
	}
	t.facts = facts
	return t
}

func (n Notification) english() text {
	if n.Digest != nil {
		n.Language = wording.English
		return n.digestText()
	}
	compose, ok := texts[n.Event.Kind]
	if !ok {
		compose = unknown
	}
	t := compose(n)
	t.headline, t.sentence, t.link = plaintext.Line(t.headline), plaintext.Line(t.sentence), plaintext.Link(t.link)
	lines := t.facts[:0]
	for _, f := range t.facts {
		if f.Value = plaintext.Line(f.Value); f.Value != "" {
			lines = append(lines, f)
		}
	}
	t.facts = append(n.first(), lines...)
	return t
}

// first are the facts that stand before the event's own, where no limit cuts them: how it came here.
func (n Notification) first() (out []Fact) {
	if n.FellBack != nil {
		out = append(out, n.FellBack.fact())
	}
	if n.Late {
		out = append(out, Fact{"Happened", n.delay()})
	}
	return append(out, n.leftOut()...)
}

// leftOut tells what the copy that a trigger made of a large event does not have.
func (n Notification) leftOut() (out []Fact) {
	if !bytes.Contains(n.Event.Data, []byte(`"`+brief.Member+`"`)) {
		return nil
	}
	for _, o := range brief.LeftOut(n.Event.Data) {
		value := plaintext.Line(o.Member)
		if o.More > 0 {
			value = fmt.Sprintf("%s: and %d more", value, o.More)
		}
		out = append(out, Fact{"Left out", value})
	}
	return out
}

func unknown(n Notification) text {
	return text{headline: string(n.Event.Kind), sentence: "The platform reports an event.", severity: Info}
}

const hitHeadline = "New hit detected"

var texts = map[event.Kind]func(Notification) text{
	event.NewHits:       hit,
	event.Vuln:          vuln,
	event.SecurityIssue: issue,

	event.NewScopeIPs:      scope("These IP addresses are new in the perimeter."),
	event.NewScopeDomains:  scope("These domains are new in the perimeter."),
	event.NewScopeServices: scope("These services are new in the perimeter."),

	event.CreateUser: created,
	event.UpdateUser: user("User role was changed", "A user's role was changed."),
	event.DeleteUser: user("User was deleted from the company account", "A user was deleted."),

	event.CreateIntegration: integration("Integration was created", "An integration was created.", Info),
	event.UpdateIntegration: integration("Integration was changed", "The settings of an integration were changed.",
		Info),
	event.EnableIntegration: integration("Integration was enabled", "An integration was enabled.", Info),
	event.DisableIntegration: integration("Integration was disabled",
		"An integration was disabled: it sends nothing until it is enabled.", Low),
	event.DeleteIntegration: integration("Integration was deleted",
		"An integration was deleted with all its settings.", Low),
	event.IntegrationBroken: integration("Integration was disabled: it keeps failing",
		"The platform disabled an integration because too many of its requests failed. Mend its settings or its "+
			"receiver, then enable it again.", High),
	event.IntegrationFailing: integration("Integration is failing",
		"Most requests of an integration fail. They are sent again, and the integration is disabled if this goes on. "+
			"Look at its last answer.", High),
	event.IntegrationWorking: integration("Integration works again", "An integration that was failing works again.",
		Info),

	event.CreateApplication: application("New application was added", "An application was added."),
	event.UpdateApplication: application("Application was renamed", "An application was renamed."),
	event.DeleteApplication: application("Application was deleted", "An application was deleted."),

	event.APISpecUpdateFailed: spec,

	event.RuleCreate:    rule("Rule was created", "A rule was created."),
	event.RuleUpdate:    rule("Rule was changed", "A rule was changed."),
	event.RuleDelete:    rule("Rule was deleted", "A rule was deleted."),
	event.TriggerCreate: trigger("Trigger was created", "A trigger was created."),
	event.TriggerUpdate: trigger("Trigger was changed", "A trigger was changed."),
	event.TriggerDelete: trigger("Trigger was deleted", "A trigger was deleted."),

	event.RequestsPerHour: requests,

	event.NewAttack:            assault("New attack detected", "An attack was detected."),
	event.NewIncident:          assault("New incident detected", "An open vulnerability was attacked."),
	event.Report:               ready,
	event.ScheduledDigest:      scheduled,
	event.AddressUndeliverable: address,
	event.APITokenExpiring:     expiring,
	event.CommandNotTaken:      notTaken,

	event.AttacksExceeded:     threshold("Trigger: The number of detected hits exceeded the threshold", "attacks"),
	event.IncidentsExceeded:   threshold("Trigger: The number of incidents exceeded the threshold", "incidents"),
	event.IPBlocked:           blocked,
	event.APIStructureChanged: endpoint,
	event.APIComparisonResult: endpoint,
	event.CompromisedLogins:   logins,

	event.BruteForceRequests:      count("Requests that may be brute force"),
	event.ForcedBrowsingResponses: count("Answers that may be forced browsing"),
	event.BOLARequests:            count("Requests that may be BOLA"),

	event.IPDenylistRequested: command,
	event.IPGraylistRequested: command,
	event.IPMarkRequested:     command,
	event.HitsGroupRequested:  command,
}

// facts keeps the lines that have a value.
func facts(pairs ...Fact) []Fact {
	kept := pairs[:0]
	for _, f := range pairs {
		if f.Value != "" {
			kept = append(kept, f)
		}
	}
	return kept
}

func value(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func hit(n Notification) text {
	h := event.Data[event.HitData](n.Event).Hit
	status := ""
	if h.ResponseStatus != 0 {
		status = strconv.Itoa(h.ResponseStatus)
	}
	return text{
		headline: hitHeadline,
		sentence: "A malicious request was detected.",
		severity: Medium,
		link:     n.page("/attacks"),
		facts: facts(Fact{"Type", h.Type}, Fact{"Domain", h.Site()}, Fact{"Path", h.Path}, Fact{"Method", h.Method},
			Fact{"Parameter", h.Parameter}, Fact{"Payload", strings.Join(h.Payloads, ", ")}, Fact{"Source", h.Source()},
			Fact{"Country", value(h.RemoteCountry)}, Fact{"Response status", status},
			Fact{"Block status", h.BlockStatus}),
	}
}

var threats = map[string]Severity{"Critical": Critical, "High": High, "Medium": Medium, "Low": Low, "Info": Info}

// findingStep words what became of a finding.
type findingStep struct {
	headline, sentence string
	over               bool
}

// severity is that of the finding while it is open: that it was closed must wake nobody.
func (s findingStep) severity(level string) Severity {
	if s.over {
		return Info
	}
	return threats[level]
}

var (
	vulnSteps = map[event.Step]findingStep{
		event.Opened: {"New vulnerability detected", "A vulnerability was found in a protected system.", false},
		event.Reopened: {"Vulnerability was re-opened",
			"A vulnerability that was closed was found again in a protected system.", false},
		event.Closed: {"Vulnerability was closed", "A vulnerability in a protected system was closed.", true},
	}
	issueSteps = map[event.Step]findingStep{
		event.Opened: {"New security issue detected", "A security issue was found in a protected system.", false},
		event.Reopened: {"Security issue was re-opened",
			"A security issue that was closed was found again in a protected system.", false},
		event.Closed: {"Security issue was closed", "A security issue in a protected system was closed.", true},
	}
)

func vuln(n Notification) text {
	d := event.Data[event.VulnData](n.Event)
	v := d.Vuln
	t := vulnSteps[v.Step()]
	return text{
		headline: t.headline,
		sentence: t.sentence,
		severity: t.severity(v.Threat),
		link:     n.object(d.ObjectID),
		facts: facts(Fact{"ID", value(v.ID)}, Fact{"Title", value(v.Title)}, Fact{"Domain", value(v.Domain)},
			Fact{"Path", value(v.Path)}, Fact{"Port", v.PortText()}, Fact{"URL", value(v.URL)},
			Fact{"Method", value(v.Method)}, Fact{"Discovered by", value(v.DiscoveredBy)},
			Fact{"Parameter", value(v.Parameter)},
			Fact{"Type", value(v.Type)}, Fact{"Threat", v.Threat}),
	}
}

func issue(n Notification) text {
	d := event.Data[event.IssueData](n.Event)
	i := d.Issue
	t := issueSteps[i.Step()]
	return text{
		headline: t.headline,
		sentence: t.sentence,
		severity: t.severity(i.Risk),
		link:     n.object(d.ObjectID),
		facts: facts(Fact{"ID", value(i.ID)}, Fact{"Title", value(i.Title)}, Fact{"Host", value(i.Host)},
			Fact{"Path", value(i.Path)}, Fact{"Port", i.PortText()}, Fact{"URL", value(i.URL)},
			Fact{"Method", value(i.Method)}, Fact{"Discovered by", value(i.DiscoveredBy)},
			Fact{"Parameter", value(i.Parameter)},
			Fact{"Type", value(i.Type)}, Fact{"Risk", i.Risk}),
	}
}

func assault(headline, sentence string) func(Notification) text {
	return func(n Notification) text {
		a, id := event.Data[event.AttackData](n.Event).Attack, event.Data[event.AttackData](n.Event).ObjectID
		if n.Event.Kind == event.NewIncident {
			a = event.Data[event.IncidentData](n.Event).Incident.Assault
		}
		return text{
			headline: headline, sentence: sentence, severity: High, link: n.object(id),
			facts: facts(Fact{"ID", a.ID}, Fact{"Type", a.Type}, Fact{"Host", a.Host}, Fact{"Path", a.Path},
				Fact{"Parameter", a.Parameter},
				Fact{"Hits", strconv.FormatInt(a.Hits, 10)}, Fact{"Sources", strings.Join(a.Sources, ", ")}),
		}
	}
}

func ready(n Notification) text {
	t := text{headline: "Report", sentence: "A report is ready."}
	if n.Report != nil {
		t.headline, t.sentence = n.Report.Title, n.Report.Sentence
	}
	return t
}

// scheduledDigests are the headline and the sentence of each.
var scheduledDigests = map[event.Type][2]string{
	event.IssuesDaily:   {"Daily security issues", "These security issues were found for the first time."},
	event.CriticalDaily: {"Daily critical security issues", "These critical issues were found for the first time."},
	event.SurfaceWeekly: {"Weekly attack-surface statistics", "This is what changed in the attack surface."},
	event.APIHourly:     {"Hourly changes of APIs", "These changes of your APIs were seen."},
	event.APIDaily:      {"Daily changes of APIs", "These changes of your APIs were seen."},
}

func scheduled(n Notification) text {
	d := event.Data[event.DigestData](n.Event)
	said := scheduledDigests[d.Digest]
	t := text{headline: said[0], sentence: said[1], facts: []Fact{{"Period", period(d)}}}
	for _, one := range d.Totals {
		t.facts = append(t.facts, Fact{one.Name, strconv.FormatInt(one.N, 10)})
	}
	for _, line := range d.Lines {
		t.facts = append(t.facts, Fact{line.Label, line.Text})
		t.severity = max(t.severity, threats[line.Label])
	}
	if d.More > 0 {
		t.facts = append(t.facts, Fact{"And", fmt.Sprintf("%d more", d.More)})
	}
	if d.Digest == event.SurfaceWeekly {
		t.link = n.page("/scope")
	}
	return t
}

// period is the days or the hours of a digest.
func period(d event.DigestData) string {
	said := d.From
	from, err := time.Parse(time.RFC3339, d.From)
	to, wrong := time.Parse(time.RFC3339, d.To)
	switch {
	case err == nil && wrong == nil:
		const layout = "2006-01-02 15:04 -07:00"
		said = from.Format(layout) + " – " + to.Format(layout)
	case d.To != d.From:
		said += " – " + d.To
	}
	if d.Zone != "" {
		said += " (" + d.Zone + ")"
	}
	return said
}

func address(n Notification) text {
	d := event.Data[event.AddressData](n.Event)
	return text{
		headline: "An e-mail address is undeliverable", severity: Low,
		sentence: "Mails to an address came back, or its owner complained about them: nothing more is sent to it " +
			"until an administrator allows it again.",
		facts: facts(Fact{"Address", d.Address}, Fact{"Reason", d.Reason}),
	}
}

func expiring(n Notification) text {
	d := event.Data[event.TokenData](n.Event)
	whose := "Your API token"
	if d.Token.Kind == "shared" {
		whose = "A shared API token"
	}
	return text{
		headline: "API token expires", severity: Medium, link: n.own("/tokens"),
		sentence: whose + " expires: what uses it will be refused from then on. Make a new one, and put it in its " +
			"place.",
		facts: facts(Fact{"Token", d.Token.Name}, Fact{"Expires", d.ExpiresAt.UTC().Format(time.RFC3339)}),
	}
}

// scopeLines is how many objects a message lists; the data of the envelope has them all.
const scopeLines = 20

func scope(sentence string) func(Notification) text {
	return func(n Notification) text {
		var lines []Fact
		for i, o := range event.Data[event.ScopeData](n.Event).Data {
			if i == scopeLines {
				more := len(event.Data[event.ScopeData](n.Event).Data) - scopeLines
				lines = append(lines, Fact{"And", fmt.Sprintf("%d more", more)})
				break
			}
			lines = append(lines, Fact{scopeLabel(o), scopeName(o)})
		}
		return text{
			headline: "Network perimeter has changed", sentence: sentence, facts: facts(lines...),
			link: n.page("/scope"), severity: Low,
		}
	}
}

func scopeLabel(o event.ScopeObject) string {
	switch {
	case o.Entity.Port != 0:
		return "Service"
	case o.Entity.Domain != "":
		return "Domain"
	default:
		return "IP"
	}
}

func scopeName(o event.ScopeObject) string {
	name := o.Entity.IP
	if name == "" {
		name = o.Entity.Domain
	}
	if name == "" {
		name = o.Entity.Name
	}
	if o.Entity.Port != 0 {
		name += ":" + strconv.Itoa(o.Entity.Port)
	}
	return name
}

func person(p *event.Person) string {
	switch {
	case p == nil:
		return ""
	case p.Name == "":
		return p.Email
	case p.Email == "":
		return p.Name
	default:
		return p.Name + " <" + p.Email + ">"
	}
}

func user(headline, sentence string) func(Notification) text {
	return func(n Notification) text {
		d := event.Data[event.UserData](n.Event)
		return text{
			headline: headline, sentence: sentence, link: n.page("/settings/users"),
			facts: facts(Fact{"User", person(&d.User)}, Fact{"Role", d.User.Role}, Fact{"Old role", d.OldRole},
				Fact{"By", person(d.By)}),
		}
	}
}

func integration(headline, sentence string, s Severity) func(Notification) text {
	return func(n Notification) text {
		d := event.Data[event.IntegrationData](n.Event)
		waiting := d.Waiting
		if n.Event.Kind == event.IntegrationBroken && d.NotSent != nil {
			waiting = nil // it is dead from now on, and one of those not sent
		}
		return text{
			headline: headline, sentence: sentence, severity: s,
			link: n.own("/integrations/" + url.PathEscape(d.Integration.ID)),
			facts: facts(Fact{"Integration", d.Integration.Name}, Fact{"System", d.Integration.System},
				Fact{"Reason", d.Reason},
				Fact{"Last answer", d.Answer}, Fact{"Failing since", d.Since},
				Fact{"Deliveries that wait", figure(waiting, d.WaitingMore)},
				Fact{"Deliveries not sent", figureWith(d.NotSent, d.NotSentMore, "they can be sent again on its page")},
				Fact{"Events missed", figureWith(d.Missed, d.MissedMore, "they can be recovered on its page")},
				Fact{"By", person(d.By)}),
		}
	}
}

// figure writes a number that may be unknown, or a floor.
func figure(n *int, more bool) string {
	switch {
	case n == nil:
		return ""
	case more:
		return strconv.Itoa(*n) + " or more"
	}
	return strconv.Itoa(*n)
}

// figureWith says what can be done where there is something to do.
func figureWith(n *int, more bool, remedy string) string {
	if n == nil || *n == 0 {
		return figure(n, more)
	}
	return figure(n, more) + "; " + remedy
}

func application(headline, sentence string) func(Notification) text {
	return func(n Notification) text {
		d := event.Data[event.ApplicationData](n.Event)
		return text{
			headline: headline, sentence: sentence, link: n.page("/settings/applications"),
			facts: facts(Fact{"Application", d.Application.Name}, Fact{"Old name", d.Application.OldName},
				Fact{"ID", d.Application.ID.String()}, Fact{"By", person(d.By)}),
		}
	}
}

func spec(n Notification) text {
	d := event.Data[event.SpecData](n.Event)
	last := ""
	if !d.UpdatedAt.IsZero() {
		last = d.UpdatedAt.UTC().Format(time.RFC3339)
	}
	return text{
		headline: "API specification could not be updated", severity: Medium, link: d.Link,
		sentence: "The scheduled update of an API specification failed. Look at its address and at the reason.",
		facts: facts(Fact{"Specification", d.Specification.Name}, Fact{"ID", d.Specification.ID.String()},
			Fact{"URL", d.Specification.URL}, Fact{"Reason", d.Error}, Fact{"Last update", last}),
	}
}

func rule(headline, sentence string) func(Notification) text {
	return func(n Notification) text {
		d := event.Data[event.RuleData](n.Event)
		return text{
			headline: headline, sentence: sentence, link: n.page("/rules"),
			facts: facts(Fact{"Rule", d.Rule.ID.String()}, Fact{"Type", d.Rule.Type},
				Fact{"Description", d.Rule.Description}, Fact{"By", person(d.By)}),
		}
	}
}

func trigger(headline, sentence string) func(Notification) text {
	return func(n Notification) text {
		d := event.Data[event.TriggerData](n.Event)
		return text{
			headline: headline, sentence: sentence, link: n.own("/triggers"),
			facts: facts(Fact{"Trigger", d.Trigger.Name}, Fact{"By", person(d.By)}),
		}
	}
}

func requests(n Notification) text {
	d := event.Data[event.RequestsData](n.Event)
	var count int64
	if d.Requests != nil {
		count = *d.Requests
	}
	return text{
		headline: "Number of requests processed in 1 hour",
		sentence: "The platform counted the requests of the past hour.",
		facts: facts(Fact{"Requests", strconv.FormatInt(count, 10)}, Fact{"From", d.From.UTC().Format(time.RFC3339)},
			Fact{"To", d.From.Add(time.Hour).UTC().Format(time.RFC3339)}),
	}
}

// created tells of a new user; a trigger's message says so, and whose (facts, 4.6).
func created(n Notification) text {
	d := event.Data[event.UserData](n.Event)
	t := user("New user was added to the company account", "A user was added.")(n)
	if d.TriggerName != "" {
		t.headline = "Trigger: " + t.headline
		t.facts = append(t.facts, Fact{"Trigger", d.TriggerName})
	}
	return t
}

// threshold tells of a number that was exceeded: how many in which time, by which trigger and its filters (facts, 4.6).
func threshold(headline, what string) func(Notification) text {
	return func(n Notification) text {
		d := event.Data[event.ThresholdData](n.Event)
		title, counted := headline, cmp.Or(d.Counted, what)
		if counted == "payloads" {
			title, counted = "Trigger: The number of malicious payloads exceeded the threshold", "malicious payloads"
		}
		sentence := fmt.Sprintf("The number of %s exceeded %d in %s.", counted, d.Count, span(d.Period))
		if d.IP != "" {
			sentence = fmt.Sprintf("The number of %s from %s exceeded %d in %s.", counted, d.IP, d.Count,
				span(d.Period))
		}
		return text{
			headline: title, severity: High, link: n.events(d), linkTitle: "View events", sentence: sentence,
			facts: facts(Fact{"Trigger", d.TriggerName}, Fact{"Additional trigger's clauses", clauses(d.Clauses)},
				Fact{"IP", d.IP}),
		}
	}
}

// span writes seconds in the largest unit that they are a whole number of: 1 minute.
func span(seconds int64) string {
	for _, u := range []struct {
		seconds int64
		name    string
	}{{86_400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}} {
		if n := seconds / u.seconds; n > 0 && seconds%u.seconds == 0 {
			if n == 1 {
				return "1 " + u.name
			}
			return strconv.FormatInt(n, 10) + " " + u.name + "s"
		}
	}
	return "0 seconds"
}

func clauses(list []event.Clause) string {
	var out []string
	for _, c := range list {
		is := ": "
		if c.Operator == "ne" {
			is = " is not: "
		}
		out = append(out, c.Filter+is+strings.Join(c.Values, ", ")+".")
	}
	return strings.Join(out, " ")
}

// events is the link to the events of a window.
func (n Notification) events(d event.ThresholdData) string {
	if d.To == 0 {
		return n.page("/attacks")
	}
	q := url.Values{"time_from": {strconv.FormatInt(d.From, 10)}, "time_to": {strconv.FormatInt(d.To, 10)},
		"q": {"attacks"}}
	if d.Counted == "incidents" || n.Event.Kind == event.IncidentsExceeded {
		q.Set("q", "incidents")
	}
	words := append([]string{q.Get("q")}, searched(d.Clauses)...)
	if d.IP != "" {
		words = append(words, "ip:"+d.IP)
	}
	q.Set("q", strings.Join(words, " "))
	return n.page("/attacks?" + q.Encode())
}

// searches are what stands before a filter's values where the platform's events are searched. The facts have no more
// than `q` (4.6); the words are those of its documentation, "Event Search and Filters". Applications are searched by
// names there, which a trigger does not know: then more is shown than was counted.
var searches = map[string]string{"attack_type": "", "target": "", "ip_address": "ip:", "domain": "d:",
	"response_status": "statuscode:"}

// searched are filters as a search has them: any of the values of one, all of the filters; ! is not.
func searched(list []event.Clause) (out []string) {
	for _, c := range list {
		before, ok := searches[c.ID]
		if !ok {
			continue
		}
		if c.Operator == "ne" {
			before = "!" + before
		}
		for _, v := range c.Codes {
			out = append(out, before+v)
		}
	}
	return out
}

func blocked(n Notification) text {
	d := event.Data[event.BlockedData](n.Event)
	sentence := d.IP + " is on the denylist"
	if d.ExpireAt != "" {
		sentence += " until " + d.ExpireAt
	}
	sentence += "."
	if d.Reason != "" {
		sentence += " Reason: " + strings.TrimSuffix(d.Reason, ".") + "."
	}
	return text{
		headline: "Trigger: New IP address was denylisted", severity: Medium, link: n.page("/ip-lists"),
		sentence: sentence,
		facts:    facts(Fact{"Trigger", d.TriggerName}, Fact{"Application", d.Application}), published: true,
	}
}

// endpoint tells of a change of an API, or of an endpoint that its specification does not have.
func endpoint(n Notification) text {
	d := event.Data[event.EndpointData](n.Event)
	headline := "Your API has news of an endpoint" // of a change that has no name here
	switch change := d.Change(); {
	case n.Event.Kind == event.APIComparisonResult:
		headline = "A new " + cmp.Or(d.EndpointType, "rogue") + " endpoint has been discovered in your API"
	case change == "added", change == "":
		headline = "A new endpoint has been discovered in your API"
	case change == "changed":
		headline = "An endpoint of your API has changed"
	case change == "unused":
		headline = "An endpoint of your API is not used any more"
	}
	return text{
		headline: headline, severity: Low, link: d.Link, sentence: d.HTTPMethod + " " + d.EndpointPath,
		facts: facts(Fact{"Trigger", d.TriggerName}, Fact{"Application", d.Application}, Fact{"Domain", d.Site()},
			Fact{"Endpoint", d.EndpointPath}, Fact{"Method", d.HTTPMethod},
			Fact{"Change", d.Change()}, Fact{"Type", d.EndpointType}, Fact{"Parameters", parameters(n.Event.Data)},
			Fact{"Sensitive data", strings.Join(d.SensitiveData, ", ")}, Fact{"Specification", d.SpecName}),
	}
}

// parameters are those of an endpoint that are new or have changed: the name of each, where it is, of which class, and
// what happened to it. The facts (4.6) name what they have, and not how it is written: what is not there is left out.
func parameters(data json.RawMessage) string {
	var d struct {
		Parameters []map[string]any `json:"parameters"`
	}
	if json.Unmarshal(data, &d) != nil {
		return ""
	}
	var out []string
	for _, p := range d.Parameters {
		of := func(names ...string) string {
			for _, name := range names {
				if s, ok := p[name].(string); ok && s != "" {
					return s
				}
			}
			return ""
		}
		name := cmp.Or(of("name", "parameter_name"), of("path", "location_path"))
		var more []string
		for _, s := range []string{of("class", "location"), of("path", "location_path"), of("change", "change_type")} {
			if s != "" && s != name {
				more = append(more, s)
			}
		}
		if name != "" && len(more) > 0 {
			name += " (" + strings.Join(more, ", ") + ")"
		}
		if name != "" {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

// count is not sent to anybody: it is what triggers count.
func count(headline string) func(Notification) text {
	return func(n Notification) text {
		d := event.Data[event.CountData](n.Event)
		return text{headline: headline, sentence: "Requests of one address were counted.",
			facts: facts(Fact{"IP", d.IP}, Fact{"Number", strconv.FormatInt(d.Count, 10)}, Fact{"URL", d.URL})}
	}
}

// command is for upstream; the Console's preview of a trigger shows it.
func command(n Notification) text {
	d := event.Data[event.CommandData](n.Event)
	return text{headline: asked[n.Event.Kind], sentence: "A trigger went off.",
		facts: facts(Fact{"IP", d.IP}, Fact{"Trigger", d.TriggerName})}
}

// asked is what each command is about, in words.
var asked = map[event.Kind]string{
	event.IPDenylistRequested: "A trigger asks to denylist an IP address",
	event.IPGraylistRequested: "A trigger asks to graylist an IP address",
	event.IPMarkRequested:     "A trigger asks to mark requests as an attack",
	event.HitsGroupRequested:  "A trigger asks to group hits into one attack",
}

func notTaken(n Notification) text {
	d := event.Data[event.NotTakenData](n.Event)
	return text{
		headline: "Nobody takes the commands of triggers", severity: High,
		link: n.own("/triggers/" + url.PathEscape(d.Trigger.ID)),
		sentence: "Nobody acknowledged in time what a trigger asked of the platform. A trigger can only ask: see " +
			"that a program takes such commands and acknowledges them. There is no further notice about commands of " +
			"this kind for 30 days, unless one is taken.",
		facts: facts(Fact{"Command", asked[d.Command.Kind]}, Fact{"IP", d.IP}, Fact{"Trigger", d.Trigger.Name},
			Fact{"Asked at", d.Command.AskedAt.UTC().Format(time.RFC3339)}),
	}
}

func logins(n Notification) text {
	d := event.Data[event.LoginsData](n.Event)
	return text{
		headline: "Stolen credentials detected", severity: High, link: d.Link,
		sentence: "Credentials of your users were seen in a leak.",
		facts: facts(Fact{"Trigger", d.TriggerName}, Fact{"Accounts", strings.Join(d.Accounts, ", ")},
			Fact{"URL", d.URL}),
	}
}
