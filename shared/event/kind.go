package event

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// Kind says what happened: the `notification_type` of the product facts, 1.8.
type Kind string

// The kinds with a name in the product facts.
const (
	NewHits       Kind = "new_hits"
	Vuln          Kind = "vuln"
	SecurityIssue Kind = "security_issue"

	// NewAttack and NewIncident are recorded for reports and sent to nobody (facts, 1.5: no subscription asks for
	// them). Named after NewHits: the facts are silent. An upstream that sends hits alone has its attacks made of
	// those.
	NewAttack   Kind = "new_attack"
	NewIncident Kind = "new_incident"

	NewScopeIPs      Kind = "new_scope_object_ips"
	NewScopeDomains  Kind = "new_scope_object_domains"  // named after NewScopeIPs: the facts are silent
	NewScopeServices Kind = "new_scope_object_services" // likewise

	CreateUser Kind = "create_user"
	UpdateUser Kind = "update_user"
	DeleteUser Kind = "delete_user"

	CreateIntegration  Kind = "create_integration" // this and the next two named after their siblings
	UpdateIntegration  Kind = "update_integration"
	EnableIntegration  Kind = "enable_integration"
	DisableIntegration Kind = "disable_integration"
	DeleteIntegration  Kind = "delete_integration"
	// IntegrationBroken: the platform itself switched the integration off.
	IntegrationBroken Kind = "integration_broken"
	// IntegrationFailing: most of its requests fail, and it is still enabled; IntegrationWorking: that is over. Both
	// are named after IntegrationBroken: the facts are silent.
	IntegrationFailing Kind = "integration_failing"
	IntegrationWorking Kind = "integration_working"

	CreateApplication Kind = "create_application"
	UpdateApplication Kind = "update_application"
	DeleteApplication Kind = "delete_application"

	// APISpecUpdateFailed: the scheduled update of an API specification failed. The facts (1.5) know the event and are
	// silent about its name and its body.
	APISpecUpdateFailed Kind = "api_spec_update_failed"

	RuleCreate    Kind = "rule_create"
	RuleUpdate    Kind = "rule_update"
	RuleDelete    Kind = "rule_delete"
	TriggerCreate Kind = "trigger_create"
	TriggerUpdate Kind = "trigger_update"
	TriggerDelete Kind = "trigger_delete"

	RequestsPerHour Kind = "number_of_requests_per_hour"

	// Report: a report is ready for one receiver. It is our own and reaches the receiver that its data names.
	Report Kind = "report"
	// ScheduledDigest sums a day, a week or an hour up for one receiver. It is our own and reaches the receiver that
	// its data names, which subscribes to one of Digests.
	ScheduledDigest Kind = "scheduled_digest"
	// AddressUndeliverable: an e-mail address bounced or complained, and is sent to no more.
	AddressUndeliverable Kind = "address_undeliverable"
	// APITokenExpiring: an API token expires in three days. It reaches the person that its data names, who can not
	// switch it off (facts, 5.3).
	APITokenExpiring Kind = "api_token_expiring"
	// CommandNotTaken: nobody acknowledged a command of a trigger within its time.
	CommandNotTaken Kind = "command_not_taken"

	// The next kinds reach integrations through triggers only (facts, 4.6): upstream publishes the last four, and a
	// trigger that one of them sets off publishes it again with a Reaction.
	AttacksExceeded     Kind = "attacks_exceeded"
	IncidentsExceeded   Kind = "incidents_exceeded"
	IPBlocked           Kind = "ip_blocked"
	APIStructureChanged Kind = "api_structure_changed"
	APIComparisonResult Kind = "api_comparison_result"
	CompromisedLogins   Kind = "compromised_logins"

	// Counts of requests by source for the triggers of these names; the facts are silent about how they arrive.
	BruteForceRequests      Kind = "brute_force_requests"
	ForcedBrowsingResponses Kind = "forced_browsing_responses"
	BOLARequests            Kind = "bola_requests"

	// Commands of triggers to the platform, which owns the traffic.
	IPDenylistRequested Kind = "ip_denylist_requested"
	IPGraylistRequested Kind = "ip_graylist_requested"
	IPMarkRequested     Kind = "ip_mark_requested"
	HitsGroupRequested  Kind = "hits_group_requested"
)

// Type is what an integration subscribes to (facts, 1.5).
type Type string

// The event types of the product facts. Vulnerabilities and security issues have one type for each level.
const (
	Hits             Type = "siem"
	System           Type = "system"
	VulnHigh         Type = "vuln_high"
	VulnMedium       Type = "vuln_medium"
	VulnLow          Type = "vuln_low"
	IssueCritical    Type = "security_issue_critical"
	IssueHigh        Type = "security_issue_high"
	IssueMedium      Type = "security_issue_medium"
	IssueLow         Type = "security_issue_low"
	IssueInfo        Type = "security_issue_info"
	RulesAndTriggers Type = "rules_and_triggers"
	Scope            Type = "scope"
	Requests         Type = "number_of_requests_per_hour"
	ReportDaily      Type = "report_daily"
	ReportWeekly     Type = "report_weekly"
	ReportMonthly    Type = "report_monthly"
	// ReportOnce is a report on demand: no form offers it.
	ReportOnce Type = "report_once"
	// The next five are the digests of the product facts, 5.3. The names of the first two are ours: the facts are
	// silent.
	IssuesDaily   Type = "daily_security_issues"
	CriticalDaily Type = "daily_critical_security_issues"
	SurfaceWeekly Type = "aasm_report"
	APIHourly     Type = "api_discovery_hourly_changes_report"
	APIDaily      Type = "api_discovery_daily_changes_report"
	// TokenExpiry is the notice of an API token that expires: no form offers it, and every person has it.
	TokenExpiry Type = "api_token_expiry"
	// Command is what triggers ask of the platform (see Commands). The facts know no such subscription: without it a
	// deployment whose platform reads no EventBridge bus could not carry a reaction out.
	Command Type = "commands"
)

var titles = map[Type]string{
	Hits:             "Hits detected",
	System:           "System related",
	VulnHigh:         "Vulnerabilities detected: high risk",
	VulnMedium:       "Vulnerabilities detected: medium risk",
	VulnLow:          "Vulnerabilities detected: low risk",
	IssueCritical:    "Security issues detected: critical risk",
	IssueHigh:        "Security issues detected: high risk",
	IssueMedium:      "Security issues detected: medium risk",
	IssueLow:         "Security issues detected: low risk",
	IssueInfo:        "Security issues detected: informational",
	RulesAndTriggers: "Rules and triggers changed",
	Scope:            "Scope changed",
	Requests:         "Number of requests processed in 1 hour",
	ReportDaily:      "Daily report",
	ReportWeekly:     "Weekly report",
	ReportMonthly:    "Monthly report",
	ReportOnce:       "Report on demand",
	IssuesDaily:      "Daily security issues",
	CriticalDaily:    "Daily critical security issues",
	SurfaceWeekly:    "Weekly attack-surface statistics",
	APIHourly:        "Hourly changes of APIs",
	APIDaily:         "Daily changes of APIs",
	TokenExpiry:      "API token expires",
	Command:          "Commands of triggers",
}

// Severity is that of all events of the type, in small letters; "" where they have several, or none.
func (t Type) Severity() string { return severities[t] }

// Title is the type's label in a form.
func (t Type) Title() string { return titles[t] }

// Basic are the types that messengers and incident managers are offered, in the form's order (facts, 1.5). Security
// issues, which newer releases of the platform publish in place of vulnerabilities, come last.
func Basic() []Type {
	return []Type{System, VulnHigh, VulnMedium, VulnLow, RulesAndTriggers, Scope,
		IssueCritical, IssueHigh, IssueMedium, IssueLow, IssueInfo}
}

// Advanced are the types that SIEMs, log stores, collectors and webhooks are offered.
func Advanced() []Type {
	return []Type{Hits, System, VulnHigh, VulnMedium, VulnLow, RulesAndTriggers, Scope, Requests,
		IssueCritical, IssueHigh, IssueMedium, IssueLow, IssueInfo}
}

// Machine are the types that the webhook and its kin are offered: those of Advanced, and commands, which are for a
// program that carries them out and never for people.
func Machine() []Type { return append(Advanced(), Command) }

// Digests are the types of which a mail sums a day, a week or an hour up.
func Digests() []Type { return []Type{IssuesDaily, CriticalDaily, SurfaceWeekly, APIHourly, APIDaily} }

// Mailed are the types that Email report is offered; reports and digests come first.
func Mailed() []Type {
	return []Type{ReportDaily, ReportWeekly, ReportMonthly, IssuesDaily, CriticalDaily, SurfaceWeekly, APIHourly,
		APIDaily, System, VulnHigh, VulnMedium, VulnLow, Scope, IssueCritical, IssueHigh, IssueMedium, IssueLow,
		IssueInfo}
}

// Commands are the kinds that triggers publish for the platform's own systems.
func Commands() []Kind {
	return []Kind{IPDenylistRequested, IPGraylistRequested, IPMarkRequested, HitsGroupRequested}
}

// Command reports whether the kind is one of Commands.
func (k Kind) Command() bool { return commands[k] }

var commands = func() map[Kind]bool {
	out := map[Kind]bool{}
	for _, k := range Commands() {
		out[k] = true
	}
	return out
}()

// Triggered are the kinds that a trigger can send to most systems; TriggeredChats those for Telegram and Teams,
// TriggeredMail those for Email report (facts, 4.6).
func Triggered() []Kind { return append(TriggeredChats(), IPBlocked) }

// reacting are the same for a look at every event.
var reacting = func() map[Kind]bool {
	out := map[Kind]bool{}
	for _, k := range Triggered() {
		out[k] = true
	}
	return out
}()

// TriggeredChats are the kinds that a trigger can send to messengers other than Slack.
func TriggeredChats() []Kind { return append(TriggeredMail(), APIComparisonResult) }

// TriggeredMail are the kinds that a trigger can send by mail.
func TriggeredMail() []Kind {
	return []Kind{AttacksExceeded, IncidentsExceeded, APIStructureChanged, CreateUser, CompromisedLogins}
}

// Valid reports whether the type is one that an integration can name.
func (t Type) Valid() bool { _, ok := titles[t]; return ok }

// Report reports whether it is a scheduled report.
func (t Type) Report() bool { return t == ReportDaily || t == ReportWeekly || t == ReportMonthly }

// Digest reports whether it is one of Digests.
func (t Type) Digest() bool { return slices.Contains(Digests(), t) }

type kind struct {
	check  func(json.RawMessage) error
	typeOf func(json.RawMessage) Type
	data   reflect.Type
}

// of is a kind whose data is a T.
func of[T checker](typeOf func(json.RawMessage) Type) kind {
	return kind{checked[T], typeOf, reflect.TypeFor[T]()}
}

var kinds = map[Kind]kind{
	NewHits: of[HitData](func(d json.RawMessage) Type { return decode[HitData](d).asType() }),
	Vuln: of[VulnData](func(d json.RawMessage) Type {
		return vulnTypes[decode[VulnData](d).Vuln.Threat]
	}),
	SecurityIssue: of[IssueData](func(d json.RawMessage) Type {
		return issueTypes[decode[IssueData](d).Issue.Risk]
	}),

	NewAttack:   of[AttackData](always("")),
	NewIncident: of[IncidentData](always("")),

	NewScopeIPs:      of[ScopeData](always(Scope)),
	NewScopeDomains:  of[ScopeData](always(Scope)),
	NewScopeServices: of[ScopeData](always(Scope)),

	CreateUser: of[UserData](func(d json.RawMessage) Type {
		if _, ok := reaction(d); ok {
			return "" // the same user's event of upstream is for the subscribers
		}
		return System
	}),
	UpdateUser: of[UserData](always(System)),
	DeleteUser: of[UserData](always(System)),

	CreateIntegration:  of[IntegrationData](always(System)),
	UpdateIntegration:  of[IntegrationData](always(System)),
	EnableIntegration:  of[IntegrationData](always(System)),
	DisableIntegration: of[IntegrationData](always(System)),
	DeleteIntegration:  of[IntegrationData](always(System)),
	IntegrationBroken:  of[IntegrationData](always(System)),
	IntegrationFailing: of[IntegrationData](always(System)),
	IntegrationWorking: of[IntegrationData](always(System)),

	CreateApplication: of[ApplicationData](always(System)),
	UpdateApplication: of[ApplicationData](always(System)),
	DeleteApplication: of[ApplicationData](always(System)),

	APISpecUpdateFailed: of[SpecData](always(System)),

	RuleCreate:    of[RuleData](always(RulesAndTriggers)),
	RuleUpdate:    of[RuleData](always(RulesAndTriggers)),
	RuleDelete:    of[RuleData](always(RulesAndTriggers)),
	TriggerCreate: of[TriggerData](always(RulesAndTriggers)),
	TriggerUpdate: of[TriggerData](always(RulesAndTriggers)),
	TriggerDelete: of[TriggerData](always(RulesAndTriggers)),

	RequestsPerHour: of[RequestsData](always(Requests)),

	Report: of[ReportData](func(d json.RawMessage) Type {
		return reportTypes[decode[ReportData](d).Frequency]
	}),
	ScheduledDigest:      of[DigestData](func(d json.RawMessage) Type { return decode[DigestData](d).Digest }),
	AddressUndeliverable: of[AddressData](always(System)),
	APITokenExpiring:     of[TokenData](always(TokenExpiry)),
	CommandNotTaken:      of[NotTakenData](always(System)),

	AttacksExceeded:     of[ThresholdData](always("")),
	IncidentsExceeded:   of[ThresholdData](always("")),
	IPBlocked:           of[BlockedData](always("")),
	APIStructureChanged: of[EndpointData](always("")),
	APIComparisonResult: of[EndpointData](always("")),
	CompromisedLogins:   of[LoginsData](always("")),

	BruteForceRequests:      of[CountData](always("")),
	ForcedBrowsingResponses: of[CountData](always("")),
	BOLARequests:            of[CountData](always("")),

	IPDenylistRequested: of[CommandData](always(Command)),
	IPGraylistRequested: of[CommandData](always(Command)),
	IPMarkRequested:     of[CommandData](always(Command)),
	HitsGroupRequested:  of[CommandData](always(Command)),
}

// Kinds lists every known kind, in the order of their names.
func Kinds() []Kind {
	all := make([]Kind, 0, len(kinds))
	for k := range kinds {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// Types are those by which events of the kind are subscribed to, none for a kind that only triggers send: one for each
// level of a vulnerability or security issue, one for each digest, and the one type of any other.
func (k Kind) Types() []Type {
	switch k {
	case Vuln:
		return []Type{VulnHigh, VulnMedium, VulnLow}
	case SecurityIssue:
		return []Type{IssueCritical, IssueHigh, IssueMedium, IssueLow, IssueInfo}
	case ScheduledDigest:
		return Digests()
	}
	if t := k.Example().Type(); t != "" {
		return []Type{t}
	}
	return nil
}

// Known reports whether the kind is one of Kinds.
func (k Kind) Known() bool { _, ok := kinds[k]; return ok }

var vulnTypes = map[string]Type{"High": VulnHigh, "Medium": VulnMedium, "Low": VulnLow}

var issueTypes = map[string]Type{
	"Critical": IssueCritical, "High": IssueHigh, "Medium": IssueMedium, "Low": IssueLow, "Info": IssueInfo,
}

var severities = func() map[Type]string {
	out := map[Type]string{}
	for _, of := range []map[string]Type{vulnTypes, issueTypes} {
		for severity, t := range of {
			out[t] = strings.ToLower(severity)
		}
	}
	return out
}()

var reportTypes = map[string]Type{"daily": ReportDaily, "weekly": ReportWeekly, "monthly": ReportMonthly,
	"once": ReportOnce}

func always(t Type) func(json.RawMessage) Type { return func(json.RawMessage) Type { return t } }
