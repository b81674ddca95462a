package trigger

import (
	"slices"

	"tocsin/shared/event"
	"tocsin/shared/filter"
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

// Template is a condition with all that a trigger of it can have: a form is drawn from it.
type Template struct {
	ID          TemplateID
	Title       string
	Description string
	Threshold   *ThresholdRule // nil: it takes none
	Filters     []filter.ID
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

// Bounds of what a window keeps.
const (
	maxDistinct       = 10_000 // attacks or incidents
	maxPayloads       = 10_000 // of one source
	anyCount    int64 = 1_000_000_000
	dayPeriod         = 86_400
)

var counts = []filter.ID{filter.ByType, filter.ByApplication, filter.ByIP, filter.ByDomain, filter.ByStatus}

var requestsOf = []filter.ID{filter.ByURL, filter.ByApplication, filter.ByIP}

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
		ID: Payloads, Title: "Number of malicious payloads", Filters: append(slices.Clone(counts), filter.ByTarget),
		Actions: []ActionID{Notify, Denylist, Graylist},
		Threshold: &ThresholdRule{Subject: "payloads", PerSource: true, Distinct: true,
			Default: Threshold{Period: 3600, Count: 3}, MaxCount: maxPayloads, MinPeriod: 1, MaxPeriod: dayPeriod,
			Step: 1},
		Description: "Different malicious payloads from one IP address. Payloads that an experimental rule found do " +
			"not count.", Kinds: []event.Kind{event.NewHits}, Notice: event.AttacksExceeded,
	},
	{
		ID: Attacks, Title: "Number of attacks", Threshold: number("attacks", 10, true),
		Filters: append(slices.Clone(counts), filter.ByTarget), Actions: []ActionID{Notify},
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
		Filters: append(slices.Clone(counts), filter.ByTarget), Actions: []ActionID{Notify},
		Description: "Attacks on vulnerabilities that are known to be open.", Kinds: []event.Kind{event.NewIncident},
		Notice: event.IncidentsExceeded,
	},
	{
		ID: Denylisted, Title: "Denylisted IP", Filters: []filter.ID{filter.ByApplication}, Actions: []ActionID{Notify},
		Description: "An IP address was put on the denylist.", Kinds: []event.Kind{event.IPBlocked},
		Notice: event.IPBlocked,
	},
	{
		ID: APIChanged, Title: "Changes in API",
		Filters:     []filter.ID{filter.ByApplication, filter.ByDomain, filter.ByChange, filter.ByPII},
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
		ID: UserAdded, Title: "User added", Filters: []filter.ID{filter.ByRole}, Actions: []ActionID{Notify},
		Description: "A user was added to the company account.", Kinds: []event.Kind{event.CreateUser},
		Notice: event.CreateUser,
	},
	{
		ID: Compromised, Title: "Compromised user account", Actions: []ActionID{Notify},
		Description: "Credentials of your users were seen in a leak.", Kinds: []event.Kind{event.CompromisedLogins},
		Notice: event.CompromisedLogins,
	},
	{
		ID: RogueAPI, Title: "Rogue API detected", Filters: []filter.ID{filter.ByDeviation, filter.BySpec},
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
