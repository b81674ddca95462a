// Package activity is the activity log: who changed what of a tenant, when, through what, and from which value to which
// (product facts, section 7). A change of what is kept is written in one transaction with its entry, so there is never
// one without the other. What has no such transaction, such as a sign-in or a test, is told to a Recorder.
//
// Secrets are never in an entry, in no encoding: a change of one is a Change with Secret, which says that it changed.
package activity

import (
	"cmp"
	"context"
	"time"

	"tocsin/shared/access"
)

// Actor is who does something, through what, and in which tenant.
type Actor struct {
	Tenant     string        `json:"tenant"`         // the one that it is done in
	ClientName string        `json:"-"`              // the company name of that tenant
	Home       string        `json:"home,omitempty"` // of the credentials: another one where a global role acts
	Email      string        `json:"email,omitempty"`
	Name       string        `json:"name,omitempty"`
	Subject    string        `json:"subject,omitempty"` // names a caller without an address
	Source     access.Source `json:"source"`            // "" = access.FromConsole
	Token      string        `json:"token,omitempty"`   // the name of the API token, where Source is FromAPIToken
	RequestID  string        `json:"request_id,omitempty"`
}

// ActorOf is the caller of a request.
func ActorOf(p access.Principal) Actor {
	return Actor{
		Tenant: p.Tenant, ClientName: p.ClientName, Home: p.Home, Email: p.Email, Name: p.Name, Subject: p.Subject,
		Source: cmp.Or(p.Source, access.FromConsole), Token: p.Token, RequestID: p.RequestID,
	}
}

// System is Tocsin itself.
func System(tenant string) Actor { return Actor{Tenant: tenant, Source: access.FromSystem} }

// Who names the actor: the address, else what there is.
func (a Actor) Who() string {
	return cmp.Or(a.Email, a.Subject, a.Name, a.Token, string(a.Source))
}

// Object is a type of what is changed.
type Object string

// The types. The first three are the platform's (product facts, section 7).
const (
	Integration      Object = "Integration"
	EmailIntegration Object = "Email integration"
	Trigger          Object = "Trigger"
	Report           Object = "Report"
	ReportSettings   Object = "Report settings"
	Profile          Object = "Personal notifications"
	Suppression      Object = "Suppressed address"
	Command          Object = "Command"
	DeadLetter       Object = "Dead letter"
	APIToken         Object = "API token"
	Session          Object = "Session"
	User             Object = "User"
	LinkedTenant     Object = "Linked tenant"
	Tenant           Object = "Tenant"
)

// Action is what is done with an object.
type Action string

// The actions. Create, Update and Delete are the platform's (product facts, section 7).
const (
	Create      Action = "create"
	Update      Action = "update"
	Delete      Action = "delete"
	Enable      Action = "enable"
	Disable     Action = "disable"
	Fail        Action = "fail" // most requests of an integration fail
	Work        Action = "work" // they do no more
	Mute        Action = "mute"
	Unmute      Action = "unmute"
	Test        Action = "test"
	Replay      Action = "replay"
	Recover     Action = "recover"
	Acknowledge Action = "acknowledge"
	Revoke      Action = "revoke"
	SignIn      Action = "sign in"
	SignOut     Action = "sign out"
	Refuse      Action = "refuse sign-in" // of a person who is known
	Link        Action = "link"
	Unlink      Action = "unlink"
	Erase       Action = "erase"
	Export      Action = "export"
)

// Entry is one line of the log.
type Entry struct {
	ID string    `json:"id"` // "" = Recorder makes one
	At time.Time `json:"at"` // zero = Recorder says now
	Actor
	Object     Object   `json:"object"`
	ObjectID   string   `json:"object_id,omitempty"`
	ObjectName string   `json:"object_name,omitempty"` // as it was called then
	Action     Action   `json:"action"`
	Changes    []Change `json:"changes,omitempty"`
	More       int      `json:"more,omitempty"` // changes that are not listed: see Bounded
}

// Change is that of one field. A field that there was not, or is not any more, has no value.
type Change struct {
	Field  string `json:"field"` // with dots, such as parameters.region
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Secret bool   `json:"secret,omitempty"` // After is Changed, and nothing else is said
}

// Changed stands for a secret's new value.
const Changed = "changed"

// SecretChange says that a secret changed.
func SecretChange(field string) Change { return Change{Field: field, After: Changed, Secret: true} }

// Recorder takes entries of what has no transaction of a kept object.
type Recorder interface {
	Record(ctx context.Context, e Entry) error
}
