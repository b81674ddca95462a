package event

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
)

// HitData is the data of NewHits. The hit itself travels on as upstream wrote it (facts, 1.9: two generations
// of fields are in use); only what routing and texts need is named here.
type HitData struct {
	Hit Hit `json:"hit" required:"true"`
	// Experimental hits come from a custom regular expression on trial: they are recorded and never sent.
	Experimental bool `json:"experimental"`
	// SampledOut hits were dropped by upstream's sampling: recorded, never sent.
	SampledOut bool `json:"sampled_out"`
}

// Hit is one malicious request.
type Hit struct {
	Type          string   `json:"type" required:"true"` // attack code (facts, 4.7)
	Domain        string   `json:"domain"`
	Host          string   `json:"host"` // generation 2's name of Domain
	Method        string   `json:"method"`
	Path          string   `json:"path"`
	Parameter     string   `json:"parameter"`
	Payloads      []string `json:"payloads"`
	Applications  []string `json:"applications"` // generation 2
	RemoteAddr4   string   `json:"remote_addr4"`
	RemoteAddr6   *string  `json:"remote_addr6"`
	RemoteCountry *string  `json:"remote_country"`
	// ResponseStatus is the status that the protected application answered.
	ResponseStatus int     `json:"response_status"`
	BlockStatus    string  `json:"block_status"`
	Target         string  `json:"target"` // server, client or database, where upstream says so
	RequestTime    Seconds `json:"request_time"`
}

// Site is the attacked host, in either generation's member.
func (h Hit) Site() string {
	if h.Host != "" {
		return h.Host
	}
	return h.Domain
}

// Source is the attacker's address, "" when upstream knows none.
func (h Hit) Source() string {
	if h.RemoteAddr4 == "" && h.RemoteAddr6 != nil {
		return *h.RemoteAddr6
	}
	return h.RemoteAddr4
}

func (d HitData) check() error {
	if d.Hit.Type == "" {
		return invalid("data.hit.type", "is missing")
	}
	return nil
}

// asType is the subscription of a hit.
func (d HitData) asType() Type {
	if d.Experimental || d.SampledOut {
		return ""
	}
	return Hits
}

// Assault is what an attack and an incident share.
type Assault struct {
	ID           string    `json:"id" required:"true"`
	Type         string    `json:"type" required:"true"` // attack code (facts, 4.7)
	Host         string    `json:"host"`
	Path         string    `json:"path"`
	Method       string    `json:"method"`
	Parameter    string    `json:"parameter"`
	Hits         int64     `json:"hits" minimum:"0"`
	Applications []string  `json:"applications"`
	Sources      []string  `json:"sources"` // addresses, the most active first
	BlockStatus  string    `json:"block_status"`
	Target       string    `json:"target"` // server, client or database, where upstream says so
	Status       int       `json:"response_status"`
	First        Timestamp `json:"first_time"`
	Last         Timestamp `json:"last_time"`
}

func (a Assault) check(field string) error {
	switch {
	case a.ID == "":
		return invalid(field+".id", "is missing")
	case a.Type == "":
		return invalid(field+".type", "is missing")
	case a.Hits < 0:
		return invalid(field+".hits", "must be a count of 0 or more")
	}
	return nil
}

// AttackData is the data of NewAttack. An attack that grows is published again, under its old ID and with all of its
// hits; the hits themselves may be published beside it.
type AttackData struct {
	ObjectID int64   `json:"object_id"`
	Attack   Assault `json:"attack" required:"true"`
}

func (d AttackData) check() error { return d.Attack.check("data.attack") }

// IncidentData is the data of NewIncident: an attack on a vulnerability that is known to be open (facts, 1.7).
type IncidentData struct {
	ObjectID int64 `json:"object_id"`
	Incident struct {
		Assault
		Vulnerability string `json:"vulnerability"` // its id
		Threat        string `json:"threat"`
	} `json:"incident" required:"true"`
}

func (d IncidentData) check() error { return d.Incident.check("data.incident") }

// ReportData is the data of Report.
type ReportData struct {
	Report      string `json:"report" required:"true"` // the id of the stored report
	Frequency   string `json:"frequency" required:"true" enum:"daily,weekly,monthly,once"`
	Integration string `json:"integration" required:"true"` // who receives it
	Address     string `json:"address,omitempty"`
}

func (d ReportData) check() error {
	switch {
	case d.Report == "":
		return invalid("data.report", "is missing")
	case d.Integration == "":
		return invalid("data.integration", "is missing")
	case reportTypes[d.Frequency] == "":
		return invalid("data.frequency", "must be daily, weekly, monthly or once, is %q", clip(d.Frequency))
	}
	return nil
}

// AddressData is the data of AddressUndeliverable.
type AddressData struct {
	Address string `json:"address" required:"true"`
	Reason  string `json:"reason"`
}

func (d AddressData) check() error {
	if d.Address == "" {
		return invalid("data.address", "is missing")
	}
	return nil
}

// TokenData is the data of APITokenExpiring.
type TokenData struct {
	Token struct {
		ID   string `json:"id" required:"true"`
		Name string `json:"name"`
		Kind string `json:"kind"` // personal or shared
	} `json:"token" required:"true"`
	ExpiresAt Timestamp `json:"expires_at" required:"true"`
	Receiver  string    `json:"receiver" required:"true"` // the id of the person who is told
}

func (d TokenData) check() error {
	switch {
	case d.Token.ID == "":
		return invalid("data.token.id", "is missing")
	case d.Receiver == "":
		return invalid("data.receiver", "is missing")
	case d.ExpiresAt.IsZero():
		return invalid("data.expires_at", "is missing")
	}
	return nil
}

// Direct is the one receiver that an event is for; ok is false of one that goes to all who want its type.
func (e Event) Direct() (receiver string, ok bool) {
	switch e.Kind {
	case Report:
		return Data[ReportData](e).Integration, true
	case ScheduledDigest:
		return Data[DigestData](e).Integration, true
	case APITokenExpiring:
		return Data[TokenData](e).Receiver, true
	}
	return "", false
}

// Finding is what a vulnerability and a security issue share. Members that upstream does not know are null.
type Finding struct {
	ID           *string `json:"id"`
	Title        *string `json:"title"`
	Path         *string `json:"path"`
	Method       *string `json:"method"`
	DiscoveredBy *string `json:"discovered_by"`
	Parameter    *string `json:"parameter"`
	Type         *string `json:"type"`
	// Port and URL are of those lines of the text that the facts have in brackets (1.10).
	Port *json.Number `json:"port"`
	URL  *string      `json:"url"`
	// Status says what became of the finding; null is open.
	Status *string `json:"status" enum:"open,reopened,closed"`
}

// VulnData is the data of Vuln (facts, 1.10).
type VulnData struct {
	// ObjectID is the vulnerability's number in the Console, for its link; 0 = none.
	ObjectID int64 `json:"object_id"`
	Vuln     struct {
		Finding
		Domain *string `json:"domain"`
		Threat string  `json:"threat" required:"true" enum:"High,Medium,Low"`
	} `json:"vuln" required:"true"`
}

func (d VulnData) check() error {
	if _, ok := vulnTypes[d.Vuln.Threat]; !ok {
		return invalid("data.vuln.threat", "must be High, Medium or Low, is %q", clip(d.Vuln.Threat))
	}
	return d.Vuln.check("data.vuln")
}

// IssueData is the data of SecurityIssue (facts, 1.10).
type IssueData struct {
	ObjectID int64 `json:"object_id"`
	Issue    struct {
		Finding
		Host *string `json:"host"`
		Risk string  `json:"risk" required:"true" enum:"Critical,High,Medium,Low,Info"`
	} `json:"security_issue" required:"true"`
}

func (d IssueData) check() error {
	if _, ok := issueTypes[d.Issue.Risk]; !ok {
		return invalid("data.security_issue.risk", "must be Critical, High, Medium, Low or Info, is %q",
			clip(d.Issue.Risk))
	}
	return d.Issue.check("data.security_issue")
}

// ScopeData is the data of the NewScope kinds (facts, 1.11).
type ScopeData struct {
	Data []ScopeObject `json:"data" required:"true" minItems:"1"`
}

// ScopeObject is one host, domain or service that came into view.
type ScopeObject struct {
	Action     string `json:"action"`
	ObjectType string `json:"object_type"`
	Entity     struct {
		IP     string `json:"ip"`
		Domain string `json:"domain"`
		Port   int    `json:"port"`
		Name   string `json:"name"`
	} `json:"entity"`
}

func (d ScopeData) check() error {
	if len(d.Data) == 0 {
		return invalid("data.data", "must list at least one object")
	}
	return nil
}

// Person is somebody named in an event.
type Person struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	Role  string `json:"role,omitempty"`
}

// UserData is the data of CreateUser, UpdateUser and DeleteUser.
type UserData struct {
	User        Person  `json:"user" required:"true" anyOf:"name,email"`
	OldRole     string  `json:"old_role,omitempty"`
	By          *Person `json:"by,omitempty"`
	TriggerName string  `json:"trigger_name,omitempty"` // of the trigger that caused the event
}

func (d UserData) check() error {
	if d.User.Email == "" && d.User.Name == "" {
		return invalid("data.user", "must have a name or an email")
	}
	return nil
}

// IntegrationData is the data of the kinds about integrations.
type IntegrationData struct {
	Integration struct {
		ID     string `json:"id" required:"true"`
		Name   string `json:"name"`
		System string `json:"type"`
	} `json:"integration" required:"true"`
	Reason string  `json:"reason,omitempty"`
	By     *Person `json:"by,omitempty"`
	// Answer is what its system said last, in words; of the kinds that tell how an integration does.
	Answer string `json:"last_answer,omitempty"`
	// Since is when it began to fail (RFC 3339), Waiting the number of deliveries that wait for it; WaitingMore says
	// that there are more. NotSent is the number of those that are dead and can be replayed; at IntegrationBroken it
	// holds what waited. Missed is the number of events that came while it was disabled and can be recovered. A number
	// is a floor where its More says so.
	Since       string `json:"failing_since,omitempty"`
	Waiting     *int   `json:"waiting,omitempty"`
	WaitingMore bool   `json:"waiting_more,omitempty"`
	NotSent     *int   `json:"not_sent,omitempty"`
	NotSentMore bool   `json:"not_sent_more,omitempty"`
	Missed      *int   `json:"missed,omitempty"`
	MissedMore  bool   `json:"missed_more,omitempty"`
}

func (d IntegrationData) check() error {
	if d.Integration.ID == "" {
		return invalid("data.integration.id", "is missing")
	}
	return nil
}

// ApplicationData is the data of the kinds about applications.
type ApplicationData struct {
	Application struct {
		ID      json.Number `json:"id"`
		Name    string      `json:"name" required:"true"`
		OldName string      `json:"old_name,omitempty"`
	} `json:"application" required:"true"`
	By *Person `json:"by,omitempty"`
}

func (d ApplicationData) check() error {
	if d.Application.Name == "" {
		return invalid("data.application.name", "is missing")
	}
	return nil
}

// SpecData is the data of APISpecUpdateFailed.
type SpecData struct {
	Specification struct {
		ID   json.Number `json:"id"`
		Name string      `json:"name" required:"true"`
		URL  string      `json:"url,omitempty"` // that it is read from
	} `json:"specification" required:"true"`
	Error string `json:"error" required:"true"`
	// UpdatedAt is when an update last succeeded.
	UpdatedAt Timestamp `json:"updated_at,omitzero"`
	Link      string    `json:"link,omitempty"`
}

func (d SpecData) check() error {
	switch {
	case d.Specification.Name == "":
		return invalid("data.specification.name", "is missing")
	case d.Error == "":
		return invalid("data.error", "is missing")
	}
	return nil
}

// RuleData is the data of the kinds about rules.
type RuleData struct {
	Rule struct {
		ID          json.Number `json:"id" required:"true"`
		Type        string      `json:"type"`
		Description string      `json:"description,omitempty"`
	} `json:"rule" required:"true"`
	By *Person `json:"by,omitempty"`
}

func (d RuleData) check() error {
	if d.Rule.ID == "" {
		return invalid("data.rule.id", "is missing")
	}
	return nil
}

// TriggerData is the data of the kinds about triggers.
type TriggerData struct {
	Trigger struct {
		ID   string `json:"id"`
		Name string `json:"name" required:"true"`
	} `json:"trigger" required:"true"`
	By *Person `json:"by,omitempty"`
}

func (d TriggerData) check() error {
	if d.Trigger.Name == "" {
		return invalid("data.trigger.name", "is missing")
	}
	return nil
}

// RequestsData is the data of RequestsPerHour: the count of the hour [From, From+1h).
type RequestsData struct {
	Requests *int64    `json:"requests" required:"true" minimum:"0"`
	From     Timestamp `json:"from" required:"true"`
}

func (d RequestsData) check() error {
	switch {
	case d.Requests == nil || *d.Requests < 0:
		return invalid("data.requests", "must be a count of 0 or more")
	case d.From.IsZero():
		return invalid("data.from", "is missing")
	}
	return nil
}

// Reaction is the member `reaction` in the data of an event that a trigger caused: who is to be told.
type Reaction struct {
	Trigger      string   `json:"trigger"` // its id
	Integrations []string `json:"integrations"`
}

// Reaction tells whom a trigger caused the event for; ok is false for an event of another origin.
func (e Event) Reaction() (r Reaction, ok bool) {
	if reacting[e.Kind] {
		return reaction(e.Data)
	}
	return r, false
}

func reaction(d json.RawMessage) (Reaction, bool) {
	if !bytes.Contains(d, []byte(`"reaction"`)) {
		return Reaction{}, false
	}
	r := decode[struct {
		Reaction Reaction `json:"reaction"`
	}](d).Reaction
	return r, r.Trigger != ""
}

// Clause is a filter of a trigger as its messages tell it.
type Clause struct {
	ID       string   `json:"id,omitempty"`
	Filter   string   `json:"filter"` // its title: Attack type
	Operator string   `json:"operator"`
	Values   []string `json:"values"` // their titles
	// Codes are the values themselves; none where there are too many to travel.
	Codes []string `json:"codes,omitempty"`
}

// ThresholdData is the data of AttacksExceeded and IncidentsExceeded (facts, 4.6).
type ThresholdData struct {
	TriggerName string   `json:"trigger_name" required:"true"`
	Counted     string   `json:"counted,omitempty"` // hits, attacks, incidents or payloads
	Count       int64    `json:"count"`             // the threshold
	Period      int64    `json:"period"`            // seconds
	Clauses     []Clause `json:"clauses,omitempty"`
	IP          string   `json:"ip,omitempty"`        // whose payloads they are
	From        int64    `json:"time_from,omitempty"` // Unix seconds, of the window that was full
	To          int64    `json:"time_to,omitempty"`
}

func (d ThresholdData) check() error { return triggerName(d.TriggerName) }

// BlockedData is the data of IPBlocked (facts, 1.11). Upstream's own event has no trigger's name.
type BlockedData struct {
	TriggerName   string      `json:"trigger_name"`
	Application   string      `json:"application"`
	ApplicationID json.Number `json:"application_id,omitempty"` // none: the number that Application ends with
	Reason        string      `json:"reason"`
	ExpireAt      string      `json:"expire_at"` // YYYY-MM-DD hh:mm:ss +hhmm
	IP            string      `json:"ip" required:"true" format:"ip"`
}

// Applications are the numbers of the applications that the address is denylisted for: the published body names one as
// "Application #8". None = it is the default application, or all; a name without a number stands for itself.
func (d BlockedData) Applications() []string {
	if id := d.ApplicationID.String(); id != "" {
		return []string{id}
	}
	name := strings.TrimSpace(d.Application)
	if _, number, ok := strings.Cut(name, "#"); ok {
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			return []string{strconv.FormatInt(n, 10)}
		}
	}
	if name == "" {
		return nil
	}
	return []string{name}
}

func (d BlockedData) check() error {
	if _, err := netip.ParseAddr(d.IP); err != nil {
		return invalid("data.ip", "must be an IP address, is %q", clip(d.IP))
	}
	return nil
}

// EndpointData is the data of APIStructureChanged and APIComparisonResult (facts, 4.6).
type EndpointData struct {
	TriggerName   string      `json:"trigger_name"`
	Application   string      `json:"application"`
	ApplicationID json.Number `json:"application_id"` // none: the default application
	Domain        string      `json:"domain"`
	APIHost       string      `json:"api_host"` // APIComparisonResult's name of Domain
	EndpointPath  string      `json:"endpoint_path" required:"true"`
	HTTPMethod    string      `json:"http_method"`
	ChangeType    string      `json:"change_type"` // added, changed or unused
	EndpointType  string      `json:"type_of_endpoint"`
	SensitiveData []string    `json:"sensitive_data"` // kinds of it
	SpecID        json.Number `json:"api_spec_id"`
	SpecName      string      `json:"specification_name"`
	Link          string      `json:"link"`
}

// Site is the host, in either kind's member.
func (d EndpointData) Site() string {
	if d.Domain != "" {
		return d.Domain
	}
	return d.APIHost
}

// Change is what happened to the endpoint in one of the words that filters take: added, changed or unused. The facts
// have others for these (4.4, 4.6). A word that is none of them stays as it is, in small letters.
func (d EndpointData) Change() string {
	switch word := strings.ToLower(strings.TrimSpace(d.ChangeType)); word {
	case "new":
		return "added"
	case "excluded", "removed":
		return "unused"
	default:
		return word
	}
}

func (d EndpointData) check() error {
	if d.EndpointPath == "" {
		return invalid("data.endpoint_path", "is missing")
	}
	return nil
}

// LoginsData is the data of CompromisedLogins (facts, 4.6).
type LoginsData struct {
	TriggerName string   `json:"trigger_name"`
	Accounts    []string `json:"accounts" required:"true" minItems:"1"`
	URL         string   `json:"url"`
	Link        string   `json:"link"`
}

func (d LoginsData) check() error {
	if len(d.Accounts) == 0 {
		return invalid("data.accounts", "must list at least one account")
	}
	return nil
}

// CountData is the data of BruteForceRequests, ForcedBrowsingResponses and BOLARequests: the requests of one source
// until the event's time, each counted in one event. Requests with signs of other attacks are not counted (facts, 4.2).
type CountData struct {
	IP           string   `json:"ip" required:"true" format:"ip"`
	Count        int64    `json:"count" required:"true" minimum:"1"`
	URL          string   `json:"url"`
	Applications []string `json:"applications"`
	Domain       string   `json:"domain"`
}

func (d CountData) check() error {
	if _, err := netip.ParseAddr(d.IP); err != nil {
		return invalid("data.ip", "must be an IP address, is %q", clip(d.IP))
	}
	if d.Count < 1 {
		return invalid("data.count", "must be a count of 1 or more")
	}
	return nil
}

// Forever is the lock time of an address that stays on a list (facts, 4.5), in seconds.
const Forever = 315360000

// CommandData is the data of the commands of triggers.
type CommandData struct {
	TriggerID   string `json:"trigger_id"`
	TriggerName string `json:"trigger_name"`
	IP          string `json:"ip" required:"true" format:"ip"`
	// LockTime is how long the address stays on the list, in seconds; for IPDenylistRequested and IPGraylistRequested.
	LockTime int64 `json:"lock_time,omitempty"`
	// Mark is brute, dirbust or bola; for IPMarkRequested.
	Mark string `json:"mark,omitempty"`
	// From and To bound the requests that the command is about, in Unix seconds; To is 0 for those to come.
	From int64 `json:"time_from,omitempty"`
	To   int64 `json:"time_to,omitempty"`
}

func (d CommandData) check() error {
	if _, err := netip.ParseAddr(d.IP); err != nil {
		return invalid("data.ip", "must be an IP address, is %q", clip(d.IP))
	}
	return nil
}

// NotTakenData is the data of CommandNotTaken: the first command of its kind that nobody acknowledged in time.
type NotTakenData struct {
	Command struct {
		ID      string    `json:"id" required:"true"`
		Kind    Kind      `json:"kind" required:"true"`
		AskedAt Timestamp `json:"asked_at" required:"true"`
	} `json:"command" required:"true"`
	Trigger struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"trigger"`
	IP     string `json:"ip"`
	Waited int64  `json:"waited"` // seconds that it had waited
}

func (d NotTakenData) check() error {
	switch {
	case d.Command.ID == "":
		return invalid("data.command.id", "is missing")
	case !d.Command.Kind.Command():
		return invalid("data.command.kind", "must be that of a command, is %q", clip(string(d.Command.Kind)))
	case d.Command.AskedAt.IsZero():
		return invalid("data.command.asked_at", "is missing")
	}
	return nil
}

func triggerName(name string) error {
	if name == "" {
		return invalid("data.trigger_name", "is missing")
	}
	return nil
}

type checker interface{ check() error }

// hitReading is what was read of a hit's data, and of which: hits are most of what comes, and triggers, reports and
// filters ask for the same.
type hitReading struct {
	of   json.RawMessage
	data HitData
}

// checkHit is checked for a hit.
func (e *Event) checkHit() error {
	d, ok := scanHit(e.Data)
	if !ok {
		d = HitData{}
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return decodeError("data", err)
		}
	}
	e.hit = &hitReading{e.Data, d}
	return d.check()
}

// Lean is the event without what was read of its data: for who keeps it.
func (e Event) Lean() Event {
	e.hit = nil
	return e
}

func checked[T checker](raw json.RawMessage) error {
	var d T
	if err := json.Unmarshal(raw, &d); err != nil {
		return decodeError("data", err)
	}
	return d.check()
}

// Data reads the event's data as the type that belongs to its kind. It is for data that Validate accepted:
// what does not fit stays zero. Its lists are for reading: who asks again gets the same.
func Data[T any](e Event) (d T) {
	if hit, ok := any(&d).(*HitData); ok && e.hit != nil && same(e.hit.of, e.Data) {
		*hit = e.hit.data
		return d
	}
	return decode[T](e.Data)
}

// same reports whether two texts are one.
func same(a, b json.RawMessage) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

func decode[T any](raw json.RawMessage) T {
	var d T
	if hit, ok := any(&d).(*HitData); ok {
		if *hit, ok = scanHit(raw); ok {
			return d
		}
		*hit = HitData{}
	}
	// The data passed Validate when it was accepted; a mismatch here can only leave members zero.
	_ = json.Unmarshal(raw, &d)
	return d
}
