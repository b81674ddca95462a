package destination

import (
	"encoding/json"
	"net/http"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/notification"
)

// Destination turns notifications into requests of one system and judges its answers.
// It holds no state between calls and does no I/O: delivery sends, so that limits, redirects, addresses,
// deadlines and logging are decided in one place.
type Destination interface {
	// System is data for the catalogue and the form. Its name, events and parameters do not change; a default or a text
	// can, with what the deployment has.
	System() System
	// Encode splits the notifications into requests within the system's limits. The same input gives the same requests
	// in the same order, but for signatures over Target.Now: a retry sends the requests again that did not arrive. It
	// is also asked for a part of a delivery's notifications alone, under an id of its own in Target.Delivery.
	Encode(Target, []notification.Notification) ([]Request, error)
	// Judge says what an answer means. It is called for every answer; a request that got none (refused
	// connection, timeout, TLS, DNS) has failed already.
	Judge(Response) Verdict
}

// System describes a system that the customer's team works in.
type System struct {
	// Name is the literal of the product facts, 1.1: `web_hooks`, `pager_duty`, …
	Name  string
	Title string
	Group Group
	// Class picks the notifications of the test button.
	Class notification.Class
	// Events are the types that the system can subscribe to, in the order of the form (facts, 1.5).
	Events []event.Type
	// Triggered are the kinds that triggers can send to the system (facts, 4.6); none for a system without.
	Triggered []event.Kind
	// Parameters is the zero value for a system that is not available yet.
	Parameters Parameters
	Batch      Batch
	// Folder is what the system's folder holds: set-up text, icon, texts in further languages.
	Folder
	// Missing tells an administrator what the deployment lacks for the system, "" for nothing: integrations can be
	// made, and nothing is delivered until its operator mends it.
	Missing string
	// Personal systems are set in each person's profile: no integration is made for them.
	Personal bool
	// SetUpFor replaces SetUp and SetUpIn where the steps hold what is the tenant's own (an external id); nil
	// otherwise.
	SetUpFor func(tenant, language string) string
	// NamesOne says that the title names one integration (`Email report`); else one is called `Slack integration`.
	NamesOne bool
	// BoundThere says that a place at the system is bound to an integration from there, by links (make-telegram-link).
	BoundThere bool
	// Choosable names the parameters whose values the customer's system can list (see OptionLister), in the order in
	// which they can be chosen: a later one may depend on an earlier one.
	Choosable []string
	// Labels are event types that this system's form calls by another name than event.Type.Title.
	Labels map[event.Type]string
}

// English is the language of SetUp, and of all texts in code.
const English = "en"

// Steps is the Markdown of the set-up page for a tenant in English or a language of SetUpIn.
func (s System) Steps(tenant, language string) string {
	switch {
	case s.SetUpFor != nil:
		return s.SetUpFor(tenant, language)
	case language == English:
		return s.SetUp
	}
	return s.SetUpIn[language]
}

// Admits reports whether the customer may have to admit our addresses for it: the platform's documents list them on
// each system's page but those of mail and messengers (facts, 1.13), which take messages from everywhere.
func (s System) Admits() bool { return s.Group != Messengers }

// Templated reports whether people see a title or a text of what the system is sent, so that an integration can have
// its own: messengers, mails and incident managers. What SIEMs and the like are sent is for machines.
func (s System) Templated() bool { return s.Class.Read() || s.Group == Incidents }

// Label is what the form calls an event type.
func (s System) Label(t event.Type) string {
	if label, ok := s.Labels[t]; ok {
		return label
	}
	return t.Title()
}

// Batch bounds what one delivery to a system carries. The zero value is one notification a request.
type Batch struct {
	Count int // notifications in one request, at most
	Bytes int // of their envelopes in all, at most
	// Every is the batch window: the notifications of each such span of the clock travel as one delivery, which is sent
	// when the window closes. 0 sends at once. File is the one batch in use with a window.
	Every time.Duration
}

// File is the batch of systems that take files (facts, section 8: a file every 10 minutes). The bounds keep one
// delivery small enough to be held in memory: a busy span makes several files.
var File = Batch{Count: 5000, Bytes: 8 << 20, Every: 10 * time.Minute}

// Limit is Count, at least 1.
func (b Batch) Limit() int { return max(b.Count, 1) }

// Group is a heading of the catalogue (facts, 1.4: seed order, held as data).
type Group string

// The groups of the seed page, in page order: see Groups.
const (
	Messengers Group = "Email and messengers"
	Incidents  Group = "Incident and task management systems"
	SIEM       Group = "SIEM and SOAR systems"
	Logs       Group = "Log management systems"
	Collectors Group = "Data collectors"
	Universal  Group = "Universal systems"
)

// Groups lists the groups in page order.
func Groups() []Group {
	return []Group{Messengers, Incidents, SIEM, Logs, Collectors, Universal}
}

// Target is where and when one delivery goes.
type Target struct {
	// Parameters is a pointer to the system's parameters struct.
	Parameters any
	// Delivery is the stable id that every request of this delivery carries.
	Delivery string
	// Now is the time of the attempt: signatures use it.
	Now time.Time
	// TraceParent names the span of the attempt, as the header traceparent has it; "" = none is recorded. It leaves
	// only where the integration asks for it.
	TraceParent string
	// Test asks for the form of the test button (facts, 1.12: a webhook's test is always an array).
	Test bool
	// Asked is who asked for a test, an e-mail address or a name: test mails say so. "" where it is not known.
	Asked string
	// Unsubscribe makes the link by which an address leaves this integration; nil = there is none.
	Unsubscribe func(address string) string
}

// Request is one message to a system: over HTTP, or as mail when Mail is set.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
	Mail   *Mail
	// Transport holds what the integration says about its connection.
	Transport Transport
	// Authorizer gives the request a short-lived credential; nil when it carries all that it needs.
	Authorizer Authorizer
	// Spare makes the request again without a feature that the system turns out not to take; nil when every part is
	// needed.
	Spare Spare
	// Secrets are values made of the parameters' secrets (a Basic authorization), which no text may show either.
	Secrets []string
	// Keep is how many bytes of the answer are wanted, if more than the few KiB that judging takes; see MaxKeep.
	Keep int
	// Part names what this request is of its delivery where that is not its notifications: the receiver of a mail. A
	// part that is done is not sent again, whatever else changes of the integration; so the name must not change with
	// anything but who gets what. "" for a request that holds notifications of its own.
	Part string
	// Where names the place that the request goes to where its URL does not say that, or says more: a chat, a bucket.
	// What arrived at one place did not arrive at another. "" = URL.
	Where string
	// Once says that the request is not sent again before its sender has looked whether it arrived.
	Once bool
	// Newest says that the request sets how the thing of an object stands (Follower): an event that is not the object's
	// newest does not send it.
	Newest bool
	// Judge says what the answer means where it is not the answer to a request of Encode; nil = Destination.Judge.
	Judge func(Response) Verdict
	// Holds is how many notifications this request carries, in the order in which Encode got them; the requests before
	// it carry those before. 0 where a request is not a run of them (a mail to each of several people).
	Holds int
}

// MaxKeep bounds Request.Keep, in bytes.
const MaxKeep = 1 << 20

// Transport is the zero value for a publicly trusted https server and the usual deadlines.
type Transport struct {
	CA          string        // PEM, trusted beside the system's roots
	SkipVerify  bool          // do not verify the server's certificate
	Identity    Identity      // is shown to a server that asks for a client certificate
	OpenTimeout time.Duration // to connect, TLS included; 0 = DefaultOpenTimeout
	Timeout     time.Duration // from the connection to the whole answer; 0 = DefaultTimeout
}

// Deadlines of a request whose parameters give none (design: 10 s).
const (
	DefaultOpenTimeout = 10 * time.Second
	DefaultTimeout     = 10 * time.Second
)

// Mail is one message to one person; the sending address and the transport are the deployment's.
type Mail struct {
	To      string
	Subject string
	Text    string
	HTML    string
	// ID makes the Message-ID, so that a repeat of a delivery is recognised by a mail client.
	ID     string
	Header map[string]string
	// Unsubscribe is the link for List-Unsubscribe (RFC 8058), "" = none.
	Unsubscribe string
	Attachments []Attachment
	// Tenant and Integration say on whose account it is sent: what bounces is filed under the tenant.
	Tenant      string
	Integration string
}

// Attachment is a file of a mail.
type Attachment struct {
	Name string // ASCII
	Type string // media type
	Data []byte
}

// MailAccepted is the status of a mail that the mail service took (RFC 5321: 250).
const MailAccepted = 250

// MailNotSent is the status of a mail that is settled without being sent: its address is undeliverable or has
// unsubscribed, or there is no mail server and it is kept in the mail log. The body says why, for a person. It is no
// failure: trying again would not help. No mail server uses it.
const MailNotSent = 299

// Response is a system's answer. Body holds its first bytes only.
//
// The answer to a mail is that of the mail service in the words of SMTP (RFC 5321, 4.2): Status is its reply code (250
// taken; 421, 450, 451, 452, 550, 552, 554, …), Body the text of the reply. A mail that was not to be sent has
// MailNotSent. No answer at all (dial, TLS, sign-in, timeout) is an error and no Response.
type Response struct {
	Status int
	Header http.Header // is only read: answers share it
	Body   []byte
	// At is when the answer came, by our own clock: a wait that the system names as a time is measured from it.
	At time.Time
	// Recipient says that the answer to a mail is about its receiver alone (a reply to RCPT TO, or what SES says of
	// that address), Ours that it is about us (signing in, MAIL FROM), and neither that it is the mail service's.
	Recipient, Ours bool
	// Broken: the connection ended, or the time was up, before the whole answer came, and Body holds what came of it.
	// The status stands. Where the words of a success decide they are not known: see BrokenOff.
	Broken bool
}

// Verdict is what an answer means.
type Verdict struct {
	Delivered bool
	// Reason tells a person why it failed and what to do, or what is to be known of a success. It carries no secret.
	Reason string
	// RetryAfter is how long the system asked to be left alone, 0 when it did not say.
	RetryAfter time.Duration
	// Stale says that the credential of the request's Authorizer was refused: it is dropped and asked for anew. Status
	// 401 says so without it.
	Stale bool
	// Pace says that the system asked to be sent less: 429, 503 with Retry-After, SMTP 421 or 45x that say so,
	// throttling of a provider. The part is tried again as any failed one. The lane's pace learns from it, and it
	// counts neither for nor against the system's health. RetryAfter says how long, 0 when the system did not say.
	Pace bool
	// Ours says that the failure is the deployment's own (it has no credentials to ask with): it counts as Pace does.
	Ours bool
	// Apart says that the failure is about this part alone (a receiver's mailbox, one record) and not about the system:
	// the other parts are tried in the same attempt, and it counts neither for nor against the system's health. Without
	// it a failure ends the attempt: what was not tried then waits for the next one.
	Apart bool
	// Permanent says that this part can never arrive and is not tried again. Only for a part that is a receiver whom
	// the mail system refuses for good (a 5xx reply to RCPT TO); the failures of HTTP systems keep the cycles of the
	// facts, section 3. It implies Apart.
	Permanent bool
	// Unread says that the receiver refused this request for what it holds or for its size: 400, 413, 422, and what the
	// vendor documents as that (Splunk 400 with code 5, 6, 12 or 13). Delivery halves a request of several
	// notifications until the bad one stands alone. Not for refusals that say that settings are wrong (a key, a path,
	// an index): no half would fare better.
	Unread bool
	// Gone says that what the request was sent to does not exist any more, in words that leave no doubt: 410, or the
	// vendor's own (Slack's no_service, a deleted Telegram chat). The cycles are kept, as for every failure; the
	// Console offers to disable the integration.
	Gone bool
	// Reference is what the system calls the thing that the request made or found, "" where it says nothing of that.
	// See Follower.
	Reference string
	// Missing says that what the request was to be added to is not at the system any more. See Follower.
	Missing bool
	// Next is the request that goes on from a success, where it is made of the answer; nil = there is none. See
	// Follower.
	Next *Request
	// Without names a feature that the system did not take, "" for none: the request goes once more without it (Spare).
	Without Feature
	// Adapt is what the answer changes in the read-only parameters of the integration, as a merge patch (RFC 7396); nil
	// for nothing: a Telegram group that became another chat.
	Adapt json.RawMessage
}

// NotReady is the error of Encode when nothing can be sent before something is done at the system's side or in the
// deployment (Ours). Reason tells an administrator what.
type NotReady struct {
	Reason string
	Ours   bool
}

func (e *NotReady) Error() string { return e.Reason }

// SecretHolder is a destination with secrets of the deployment's own. Like those of an integration they are masked in
// every text that comes from outside.
type SecretHolder interface{ Secrets() []string }

// ExternalKeyer is a parameters struct that names an account or a place at the system's side, from where the
// integration is found again.
type ExternalKeyer interface {
	// ExternalKey is that name, "" while nothing is bound.
	ExternalKey() string
}

// Delivered is the verdict on a success.
func Delivered() Verdict { return Verdict{Delivered: true} }
