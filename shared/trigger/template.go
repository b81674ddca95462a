package trigger

import (
	"slices"

	"tocsin/shared/event"
)

// TemplateID is what a trigger watches for: `template_id` of the product facts, 4.2.
type TemplateID string

// The conditions. Weak JWT is left out: newer releases of the platform have it no more, and the facts give it no name.
const (
	BruteForce     TemplateID = "bruteforce_started"
	ForcedBrowsing TemplateID = "forced_browsing_started"
	BOLA           TemplateID = "bola_search_started"
	Payloads       TemplateID = "vector_attack"
	Attacks        TemplateID = "attacks_exceeded"
	Hits           TemplateID = "hits_exceeded"
	Incidents      TemplateID = "incidents_exceeded"
	Denylisted     TemplateID = "blacklist_ip_added"
	APIChanged     TemplateID = "api_structure_changed"
	HitsFromIP     TemplateID = "attack_ip_grouping"
	UserAdded      TemplateID = "user_created"
	Compromised    TemplateID = "compromised_logins"
	RogueAPI       TemplateID = "rogue_api_detected"
)

// ActionID is a reaction: `id` of the product facts, 4.5.
type ActionID string

// The reactions.
const (
	Notify   ActionID = "send_notification"
	Denylist ActionID = "block_ips"
	Graylist ActionID = "add_to_graylist"
	Mark     ActionID = "mark_as_brute"
	Group    ActionID = "group_attack_by_ip"
)

// FilterID is a filter: `id` of the product facts, 4.4. The filter `hint_tag` binds a trigger to a counter inside
// upstream and is not offered: upstream's counts arrive with their URL.
type FilterID string

// The filters.
const (
	ByURL         FilterID = "url"
	ByType        FilterID = "attack_type"
	ByApplication FilterID = "pool"
	ByIP          FilterID = "ip_address"
	ByDomain      FilterID = "domain"
	ByStatus      FilterID = "response_status"
	ByTarget      FilterID = "target"
	ByRole        FilterID = "role" // the facts give it no name
	ByChange      FilterID = "change_type"
	ByPII         FilterID = "pii"
	ByDeviation   FilterID = "deviation_type"
	BySpec        FilterID = "api_spec_ids"
)

// Operators of a filter.
const (
	Equal    = "eq"
	NotEqual = "ne"
)

// Template is a condition with all that a trigger of it can have: a form is drawn from it.
type Template struct {
	ID          TemplateID
	Title       string
	Description string
	Threshold   *ThresholdRule // nil: it takes none
	Filters     []FilterID
	Actions     []ActionID
	Kinds       []event.Kind // what it looks at
	Notice      event.Kind   // what it sends
	mark        string       // what Mark marks requests as
}

// ThresholdRule says what a condition counts and in which bounds.
type ThresholdRule struct {
	Subject   string // what is counted: hits
	PerSource bool   // apart for each address
	// Distinct counts different ones, each once for a window.
	Distinct bool
	Default  Threshold
	// MaxCount bounds what a window keeps: see window.
	MaxCount int64
	// MinPeriod, MaxPeriod and Step are in seconds (facts, 4.3: a second to a day; brute force in steps of 30 s).
	MinPeriod, MaxPeriod, Step int64
}

// FilterRule describes a filter for a form.
type FilterRule struct {
	ID      FilterID
	Title   string
	Kind    string // choice, text or integer
	Choices []Option
	Help    string
}

// Option is a value with its name.
type Option struct{ Value, Title string }

// Kinds of values.
const (
	KindChoice  = "choice"
	KindText    = "text"
	KindInteger = "integer"
)

// Bounds of what a window keeps.
const (
	maxDistinct       = 10_000 // attacks or incidents
	maxPayloads       = 10_000 // of one source
	anyCount    int64 = 1_000_000_000
	dayPeriod         = 86_400
)

var counts = []FilterID{ByType, ByApplication, ByIP, ByDomain, ByStatus}

var requestsOf = []FilterID{ByURL, ByApplication, ByIP}

func rate(subject string, count, period int64) *ThresholdRule {
	return &ThresholdRule{
		Subject: subject, PerSource: true, Default: Threshold{Period: period, Count: count}, MaxCount: anyCount,
		MinPeriod: 30, MaxPeriod: dayPeriod, Step: 30,
	}
}

func number(subject string, count int64, distinct bool) *ThresholdRule {
	r := &ThresholdRule{Subject: subject, Distinct: distinct, Default: Threshold{Period: 3600, Count: count},
		MaxCount: anyCount, MinPeriod: 1, MaxPeriod: dayPeriod, Step: 1}
	if distinct {
		r.MaxCount = maxDistinct
	}
	return r
}

// templates in the order of a form.
var templates = []Template{
	{
		ID: BruteForce, Title: "Brute force", Threshold: rate("requests", 30, 30), Filters: requestsOf,
		Actions:     []ActionID{Mark, Denylist, Graylist},
		Description: "Requests from one IP address. Only requests without signs of other attacks count.",
		Kinds:       []event.Kind{event.BruteForceRequests}, mark: "brute",
	},
	{
		ID: ForcedBrowsing, Title: "Forced browsing", Threshold: rate("responses", 30, 30), Filters: requestsOf,
		Actions: []ActionID{Mark, Denylist, Graylist},
		Description: "Answers with the status 404 to one IP address. Only requests without signs of other attacks " +
			"count.", Kinds: []event.Kind{event.ForcedBrowsingResponses}, mark: "dirbust",
	},
	{
		ID: BOLA, Title: "BOLA", Threshold: rate("requests", 30, 30), Filters: requestsOf,
		Actions: []ActionID{Mark, Denylist, Graylist},
		Description: "Requests from one IP address to objects of others. Only requests without signs of other " +
			"attacks count.", Kinds: []event.Kind{event.BOLARequests}, mark: "bola",
	},
	{
		ID: Payloads, Title: "Number of malicious payloads", Filters: append(slices.Clone(counts), ByTarget),
		Actions: []ActionID{Notify, Denylist, Graylist},
		Threshold: &ThresholdRule{Subject: "payloads", PerSource: true, Distinct: true,
			Default: Threshold{Period: 3600, Count: 3}, MaxCount: maxPayloads, MinPeriod: 1, MaxPeriod: dayPeriod,
			Step: 1},
		Description: "Different malicious payloads from one IP address. Payloads that an experimental rule found do " +
			"not count.", Kinds: []event.Kind{event.NewHits}, Notice: event.AttacksExceeded,
	},
	{
		ID: Attacks, Title: "Number of attacks", Threshold: number("attacks", 10, true),
		Filters: append(slices.Clone(counts), ByTarget), Actions: []ActionID{Notify},
		Description: "Different attacks: hits of one type on one parameter of one address. Experimental attacks do " +
			"not count.", Kinds: []event.Kind{event.NewAttack, event.NewHits}, Notice: event.AttacksExceeded,
	},
	{
		ID: Hits, Title: "Number of hits", Threshold: number("hits", 100, false), Filters: counts,
		Actions:     []ActionID{Notify},
		Description: "Malicious requests. Experimental hits and those that sampling dropped do not count.",
		Kinds:       []event.Kind{event.NewHits}, Notice: event.AttacksExceeded,
	},
	{
		ID: Incidents, Title: "Number of incidents", Threshold: number("incidents", 0, true),
		Filters: append(slices.Clone(counts), ByTarget), Actions: []ActionID{Notify},
		Description: "Attacks on vulnerabilities that are known to be open.", Kinds: []event.Kind{event.NewIncident},
		Notice: event.IncidentsExceeded,
	},
	{
		ID: Denylisted, Title: "Denylisted IP", Filters: []FilterID{ByApplication}, Actions: []ActionID{Notify},
		Description: "An IP address was put on the denylist.", Kinds: []event.Kind{event.IPBlocked},
		Notice: event.IPBlocked,
	},
	{
		ID: APIChanged, Title: "Changes in API", Filters: []FilterID{ByApplication, ByDomain, ByChange, ByPII},
		Actions:     []ActionID{Notify},
		Description: "An endpoint of your API is new, has changed or is not used any more.",
		Kinds:       []event.Kind{event.APIStructureChanged}, Notice: event.APIStructureChanged,
	},
	{
		ID: HitsFromIP, Title: "Hits from the same IP", Actions: []ActionID{Group},
		Threshold: &ThresholdRule{Subject: "hits", PerSource: true, Default: Threshold{Period: 900, Count: 50},
			MaxCount: anyCount, MinPeriod: 1, MaxPeriod: dayPeriod, Step: 1},
		Description: "Hits from one IP address. Not counted: brute force, forced browsing, BOLA, resource overlimit, " +
			"data bomb, virtual patch.", Kinds: []event.Kind{event.NewHits},
	},
	{
		ID: UserAdded, Title: "User added", Filters: []FilterID{ByRole}, Actions: []ActionID{Notify},
		Description: "A user was added to the company account.", Kinds: []event.Kind{event.CreateUser},
		Notice: event.CreateUser,
	},
	{
		ID: Compromised, Title: "Compromised user account", Actions: []ActionID{Notify},
		Description: "Credentials of your users were seen in a leak.", Kinds: []event.Kind{event.CompromisedLogins},
		Notice: event.CompromisedLogins,
	},
	{
		ID: RogueAPI, Title: "Rogue API detected", Filters: []FilterID{ByDeviation, BySpec},
		Actions:     []ActionID{Notify},
		Description: "An endpoint differs from the API's specification: shadow, orphan or zombie.",
		Kinds:       []event.Kind{event.APIComparisonResult}, Notice: event.APIComparisonResult,
	},
}

// ungrouped are the attack types whose hits HitsFromIP does not count (facts, 4.2).
var ungrouped = []string{"brute", "dirbust", "bola", "overlimit_res", "data_bomb", "vpatch"}

// Templates are all conditions in the order of a form.
func Templates() []Template { return templates }

// Find finds a template.
func Find(id TemplateID) (Template, bool) {
	n := slices.IndexFunc(templates, func(t Template) bool { return t.ID == id })
	if n < 0 {
		return Template{}, false
	}
	return templates[n], true
}

func choices(pairs ...string) []Option {
	var out []Option
	for pair := range slices.Chunk(pairs, 2) {
		out = append(out, Option{pair[0], pair[1]})
	}
	return out
}

var filterRules = map[FilterID]FilterRule{
	ByURL: {Title: "URI", Kind: KindText, Help: "A full URI without its query, such as example.com/login. * stands " +
		"for one part of the path, ** for any number of them; a value that begins with ~ is a regular expression. " +
		"The first 2,048 bytes of a URI are looked at."},
	ByType: {Title: "Attack type", Kind: KindChoice,
		Choices: choices("sqli", "SQLi", "xss", "XSS", "rce", "RCE", "xxe", "XXE", "ptrav", "Path traversal", "crlf",
			"CRLF injection",
			"nosqli", "NoSQL injection", "ldapi", "LDAP injection", "ssti", "SSTI", "ssi", "SSI", "mail_injection",
			"Mail injection", "ssrf", "SSRF", "redir", "Open redirect", "csrf", "CSRF",
			"brute", "Brute force", "dirbust", "Forced browsing", "bola", "BOLA", "scanner", "Scanner", "data_bomb",
			"Data bomb", "overlimit_res", "Resource overlimit",
			"vpatch", "Virtual patch", "invalid_xml", "Invalid XML", "mass_assignment", "Mass assignment", "weak_auth",
			"Weak JWT", "api_abuse", "API abuse", "infoleak", "Information exposure",
			"vuln_component", "Vulnerable component", "auth", "Authentication bypass")},
	ByApplication: {Title: "Application", Kind: KindInteger,
		Help: "The application's number; -1 is the default application."},
	ByIP:     {Title: "IP", Kind: KindText, Help: "A single IPv4 or IPv6 address, no subnet."},
	ByDomain: {Title: "Domain", Kind: KindText, Help: "A host name, such as shop.example.com."},
	ByStatus: {Title: "Response status", Kind: KindText,
		Help: "An exact status such as 404, or a class such as 5xx."},
	ByTarget: {Title: "Target", Kind: KindChoice,
		Choices: choices("server", "Server", "client", "Client", "database", "Database")},
	ByRole: {Title: "User's role", Kind: KindChoice,
		Choices: choices("admin", "Administrator", "analytic", "Analyst", "auditor", "Read only", "api_developer",
			"API developer", "deploy", "Deploy",
			"partner_admin", "Global administrator", "partner_analytic", "Global analyst", "partner_auditor",
			"Global read only")},
	ByChange: {Title: "Endpoint change type", Kind: KindChoice,
		Choices: choices("added", "New", "changed", "Changed", "unused", "Unused")},
	ByPII: {Title: "Sensitive data", Kind: KindText,
		Help: "A kind of sensitive data, as the API inventory names it."},
	ByDeviation: {Title: "Deviation", Kind: KindChoice,
		Choices: choices("shadow", "Shadow", "orphan", "Orphan", "zombie", "Zombie")},
	BySpec: {Title: "Specification", Kind: KindInteger, Help: "The specification's number."},
}

// Rule describes the filter for a form.
func (id FilterID) Rule() FilterRule {
	r := filterRules[id]
	r.ID = id
	return r
}

// Operators are what the filter takes.
func (id FilterID) Operators() []string { return []string{Equal, NotEqual} }

var actionTitles = map[ActionID]string{
	Notify: "Send a notification", Denylist: "Denylist the IP address", Graylist: "Graylist the IP address",
	Mark: "Mark the requests as an attack of this kind", Group: "Group the next hits into one attack",
}

// Title is the action's label in a form.
func (id ActionID) Title() string { return actionTitles[id] }

// Lists reports whether the action puts an address on a list, for a lock time.
func (id ActionID) Lists() bool { return id == Denylist || id == Graylist }

// Sends reports whether a system that takes notices of the given kinds can be told of the condition (facts, 4.6).
func (t Template) Sends(taken []event.Kind) bool {
	return t.Notice != "" && slices.Contains(taken, t.Notice)
}
