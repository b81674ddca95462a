package configuration

import "tocsin/shared/configuration/tree"

// Version is that of the document's form.
const Version = 1

// Document is what is to be. A section that is nil is not there, which is another thing than an empty one.
type Document struct {
	Integrations []Integration
	Triggers     []Trigger
	Reports      *ReportSettings

	root tree.Value // what was read, for the lines of problems
}

// Integration is an integration by its name.
type Integration struct {
	Name string
	Was  string // its name until now
	Line int
	// System is its name in the catalogue.
	System string
	// Language is "" for the tenant's.
	Language string
	// Rate bounds what is sent, such as 10/minute; "" = nothing does.
	Rate string
	// Grouping makes one message of the events of some minutes, such as 50/5m; "" = each is its own.
	Grouping string
	// StormGuard bounds the messages of a minute, such as 60/minute; "none" = nothing does; "" = the usual guard.
	StormGuard string
	// Fallback is the name of the integration that gets what can not be delivered to this one; "" = none does.
	Fallback string
	// MessageTemplate is the title and the text of its messages.
	MessageTemplate MessageTemplate
	// Enabled is nil for: as it is; a new one is enabled.
	Enabled    *bool
	Events     []Subscription
	Filters    []Filter
	Hold       Hold
	Parameters []tree.Member
}

// Subscription is an event type that an integration receives.
type Subscription struct {
	Event       string
	WithHeaders bool
}

// Trigger is a trigger by its name.
type Trigger struct {
	Name      string
	Was       string
	Line      int
	Comment   string
	Template  string
	Enabled   *bool
	Threshold *Threshold
	Filters   []Filter
	Actions   []Action
}

// Threshold is that of a trigger. The period is in seconds.
type Threshold struct{ Count, Period int64 }

// Filter narrows a condition, or what an integration receives.
type Filter struct {
	ID       string
	Operator string
	Values   []string
}

// Action is a reaction.
type Action struct {
	ID string
	// Integrations are names of integrations, or the id of one that was deleted.
	Integrations []string
	// LockTime is in seconds; 0 for ever.
	LockTime int64
	Line     int
}

// ReportSettings are those of an account's reports, and the language of what is sent.
type ReportSettings struct {
	TimeZone string
	Hour     int    // of the day, in the zone
	Language string // "" = English
	Hold     Hold
	// Retention is how long events and deliveries are kept.
	Retention Retention
	Line      int
}

// Retention is in days; 0 = as long as the installation.
type Retention struct{ Events, Deliveries int64 }

// Hold is when what is sent waits. The zero value is for: never.
type Hold struct {
	Quiet []Quiet
	Then  string // "" = send
	// Pass is nil for the default.
	Pass    *[]string
	OwnOnly bool
}

// Quiet are quiet hours.
type Quiet struct {
	Days                        []string
	First, Last, From, To, Zone string
}
