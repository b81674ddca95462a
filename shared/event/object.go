package event

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// Object is what an event and later ones tell of: one vulnerability, one security issue, the health of one
// integration. Systems that keep what they were sent open file all of its events as one.
type Object struct {
	// Key names it within its tenant, for ever: at most maxObjectKey bytes of printable ASCII.
	Key  string
	Step Step
}

// Step is what an event says became of its object.
type Step int

// The steps. Of events that say nothing of one the object is new.
const (
	Opened Step = iota
	// Worsened: what was told is still so, and more.
	Worsened
	Reopened
	Closed
)

// Statuses of a finding. The facts (1.5) name new and re-opened ones and are silent about the member.
const (
	StatusOpen     = "open"
	StatusReopened = "reopened"
	StatusClosed   = "closed"
)

var steps = map[string]Step{StatusOpen: Opened, StatusReopened: Reopened, StatusClosed: Closed}

// Step is what the finding's status says.
func (f Finding) Step() Step {
	if f.Status == nil {
		return Opened
	}
	return steps[*f.Status]
}

func (f Finding) check(field string) error {
	if f.Status == nil {
		return nil
	}
	if _, ok := steps[*f.Status]; !ok {
		return invalid(field+".status", "must be open, reopened or closed, is %q", clip(*f.Status))
	}
	return nil
}

// PortText is the port as a message shows it, "" where it is not known.
func (f Finding) PortText() string {
	if f.Port == nil {
		return ""
	}
	return f.Port.String()
}

// Object is what the event tells of; ok is false for one that stands for itself.
func (e Event) Object() (o Object, ok bool) {
	switch e.Kind {
	case Vuln:
		d := Data[VulnData](e)
		return finding(e.Kind, d.Vuln.Finding, d.ObjectID)
	case SecurityIssue:
		d := Data[IssueData](e)
		return finding(e.Kind, d.Issue.Finding, d.ObjectID)
	case IntegrationFailing, IntegrationBroken, IntegrationWorking:
		id := Data[IntegrationData](e).Integration.ID
		return Object{Key: objectKey("integration_health", id), Step: health[e.Kind]}, true
	}
	return Object{}, false
}

// Openings are the kinds of events that open what an event of a kind can close; none where it closes nothing.
func Openings(k Kind) []Kind {
	switch k {
	case Vuln, SecurityIssue:
		return []Kind{k}
	case IntegrationWorking:
		return []Kind{IntegrationFailing, IntegrationBroken}
	}
	return nil
}

var health = map[Kind]Step{IntegrationFailing: Opened, IntegrationBroken: Worsened, IntegrationWorking: Closed}

// finding is known by its id, else by its number in the Console; one without either stands for itself.
func finding(k Kind, f Finding, number int64) (Object, bool) {
	switch {
	case f.ID != nil && *f.ID != "":
		return Object{objectKey(string(k), *f.ID), f.Step()}, true
	case number != 0:
		return Object{objectKey(string(k), "#"+strconv.FormatInt(number, 10)), f.Step()}, true
	}
	return Object{Step: f.Step()}, false
}

// maxObjectKey bounds Object.Key: with a tenant's id before it, it is within the key of every system.
const maxObjectKey = 128

// objectKey joins what an object is and its id. An id that is long, or not plain, becomes a digest.
func objectKey(what, id string) string {
	key := what + ":" + id
	if len(key) <= maxObjectKey && plain(id) {
		return key
	}
	sum := sha256.Sum256([]byte(id))
	return what + ":~" + hex.EncodeToString(sum[:])
}

// plain is printable ASCII without spaces.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
