package mail

import (
	"cmp"
	"encoding/json"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/event"
)

// Notice says that an address is undeliverable or complained.
type Notice struct {
	Tenant  string // "" when the mail did not tell
	Address string
	Why     Why
	Reason  string
}

// UnreadableError: what came in is no event of SES.
type UnreadableError struct{ Reason string }

func (e *UnreadableError) Error() string { return "read an event of SES: " + e.Reason }

// sesEvent is what SES publishes. Amazon SES, "Contents of event data that Amazon SES publishes": eventType at event
// publishing, notificationType at identity notifications.
type sesEvent struct {
	EventType        string `json:"eventType"`
	NotificationType string `json:"notificationType"`
	Bounce           *struct {
		BounceType        string `json:"bounceType"` // Undetermined, Permanent or Transient
		BounceSubType     string `json:"bounceSubType"`
		BouncedRecipients []struct {
			EmailAddress   string `json:"emailAddress"`
			DiagnosticCode string `json:"diagnosticCode"`
			Status         string `json:"status"`
		} `json:"bouncedRecipients"`
	} `json:"bounce"`
	Complaint *struct {
		ComplainedRecipients []struct {
			EmailAddress string `json:"emailAddress"`
		} `json:"complainedRecipients"`
		FeedbackType     string  `json:"complaintFeedbackType"`
		ComplaintSubType *string `json:"complaintSubType"`
	} `json:"complaint"`
	Mail struct {
		Tags    map[string][]string `json:"tags"`
		Headers []struct {
			Name  string `json:"name"`
			Value string `json:"value"`
		} `json:"headers"`
	} `json:"mail"`
}

// envelope is what may be around it: SNS holds it as a text, EventBridge as `detail`.
type envelope struct {
	Type    string          `json:"Type"` // SNS
	Message *string         `json:"Message"`
	Detail  json.RawMessage `json:"detail"` // EventBridge
}

// ParseSES reads one event of SES. Deliveries, transient bounces and all else that blocks nobody give no notice; that
// is no error. Every error is an *UnreadableError.
func ParseSES(raw []byte) ([]Notice, error) {
	var around envelope
	if err := json.Unmarshal(raw, &around); err != nil {
		return nil, &UnreadableError{"it is not JSON"}
	}
	switch {
	case around.Message != nil:
		raw = []byte(*around.Message)
	case len(around.Detail) > 0:
		raw = around.Detail
	}
	var e sesEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, &UnreadableError{"its message is not an event"}
	}
	switch kind := cmp.Or(e.EventType, e.NotificationType); kind {
	case "":
		return nil, &UnreadableError{"it has no eventType and no notificationType"}
	case "Bounce":
		return e.bounces()
	case "Complaint":
		return e.complaints()
	}
	return nil, nil
}

func (e sesEvent) bounces() (out []Notice, err error) {
	if e.Bounce == nil {
		return nil, &UnreadableError{"it is a bounce without its details"}
	}
	if e.Bounce.BounceType != "Permanent" {
		return nil, nil // a full mailbox is not for ever
	}
	for _, r := range e.Bounce.BouncedRecipients {
		reason := cmp.Or(r.DiagnosticCode, r.Status, e.Bounce.BounceSubType)
		out = append(out, Notice{e.tenant(), bare(r.EmailAddress), Bounced, reason})
	}
	return out, nil
}

func (e sesEvent) complaints() (out []Notice, err error) {
	if e.Complaint == nil {
		return nil, &UnreadableError{"it is a complaint without its details"}
	}
	for _, r := range e.Complaint.ComplainedRecipients {
		out = append(out, Notice{e.tenant(), bare(r.EmailAddress), Complained,
			cmp.Or(e.Complaint.FeedbackType, "complaint")})
	}
	return out, nil
}

// tenant is what TagHeader said.
func (e sesEvent) tenant() string {
	if t := e.Mail.Tags["tenant"]; len(t) > 0 {
		return untag(t[0])
	}
	for _, h := range e.Mail.Headers {
		if !strings.EqualFold(h.Name, TagHeader) {
			continue
		}
		for part := range strings.SplitSeq(h.Value, ",") {
			if name, value, ok := strings.Cut(strings.TrimSpace(part), "="); ok && name == "tenant" {
				return untag(value)
			}
		}
	}
	return ""
}

// bare takes the address out of a name and an address.
func bare(address string) string {
	if at := strings.LastIndexByte(address, '<'); at >= 0 {
		address = strings.TrimSuffix(address[at+1:], ">")
	}
	return strings.TrimSpace(address)
}

// reasonLimit of what is kept of a mail server's words, in bytes.
const reasonLimit = 300

// clean keeps a stranger's words short and on one line.
func clean(s string) string {
	return cut.Keep(oneLine(s), reasonLimit)
}

func addressData(b Suppression) (json.RawMessage, error) {
	return json.Marshal(event.AddressData{Address: b.Address, Reason: string(b.Why) + ": " + b.Reason})
}
