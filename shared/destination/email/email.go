// Package email sends notifications as mails, one to each address (product facts, 2.1): nobody learns who else
// receives them. How a mail is built and carried is package mail's affair.
package email

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/mail/address"
	"tocsin/shared/mail/reply"
	"tocsin/shared/notification"
	"tocsin/shared/plaintext"
	"tocsin/shared/wording"
)

// subjectLimit is in characters: RFC 5322, 2.1.1 asks for lines of at most 78 and allows 998 bytes.
const subjectLimit = 200

// valueLimit bounds one fact in a mail, in characters: the Console shows the rest.
const valueLimit = 2000

// Parameters of an Email report integration.
type Parameters struct {
	Addresses []string `json:"addresses" jsonschema:"required,title=Email addresses,minItems=1,maxItems=50,uniqueItems=true" jsonschema_description:"Who receives the mails, besides your own address: that one is set in your profile."`
}

// MailAddresses are the receivers: each mailbox once, however it is written.
func (p *Parameters) MailAddresses() []string { return address.Unique(p.Addresses) }

// Check looks at each address.
func (p *Parameters) Check() []destination.FieldProblem {
	var out destination.InvalidParameters
	for i, a := range p.Addresses {
		if _, err := address.Parse(a); err != nil {
			out.Add(fmt.Sprintf("addresses.%d", i), err.Error())
		}
	}
	return out
}

//go:embed icon.svg *.json
var files embed.FS

// Destination is mail.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "email", Title: "Email report", NamesOne: true, Group: destination.Messengers, Class: notification.Mail,
		Events: event.Mailed(), Triggered: event.TriggeredMail(), Parameters: destination.ParametersOf[Parameters](),
		Folder: destination.ReadFolder(files),
	}}
}

// Personal makes the destination of each person's own notifications: mail to the address of the profile (facts, 5.3).
func Personal() Destination {
	return Destination{destination.System{
		Name: PersonalName, Title: "Personal email", Group: destination.Messengers, Class: notification.Mail,
		Personal: true,
		Events:   event.Mailed(), Parameters: destination.ParametersOf[Parameters](),
		Folder: destination.ReadFolder(files),
	}}
}

// PersonalName is the name of the system of personal notifications.
const PersonalName = "personal_email"

// System describes mail.
func (d Destination) System() destination.System { return d.system }

// Encode makes one mail for each notification and address; a report goes to the address that it names.
func (d Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	var out []destination.Request
	for _, n := range ns {
		for _, to := range p.MailAddresses() {
			if n.Report != nil && address.Canonical(n.Report.Address) != address.Canonical(to) {
				continue
			}
			m := d.compose(t, n, to)
			m.ID = t.Delivery + "." + n.Event.ID + "." + mailbox(to)
			out = append(out, destination.Request{Mail: m, Part: address.Canonical(to) + " " + n.Event.ID})
		}
	}
	return out, nil
}

// mailbox names a receiver in the id of a mail, which stays the same when other receivers come or go.
func mailbox(to string) string {
	sum := sha256.Sum256([]byte(address.Canonical(to)))
	return hex.EncodeToString(sum[:6])
}

func (d Destination) compose(t destination.Target, n notification.Notification, to string) *destination.Mail {
	m := &destination.Mail{
		To: address.Wire(to), Subject: cut.Runes(n.Subject(), subjectLimit),
		Header: map[string]string{"Auto-Submitted": "auto-generated", "X-Delivery-Id": t.Delivery,
			"Content-Language": string(n.Language.Or(wording.English))},
	}
	if t.Unsubscribe != nil && !n.Test && n.Event.Kind != event.APITokenExpiring {
		m.Unsubscribe = t.Unsubscribe(to)
	}
	if n.Report != nil {
		a := notification.Around{Unsubscribe: m.Unsubscribe, Late: n.LateNote()}
		m.Text, m.HTML = n.Report.Text(a), n.Report.HTML(a)
		for _, f := range n.Report.Files {
			m.Attachments = append(m.Attachments, destination.Attachment(f))
		}
		return m
	}
	m.Text = plain(n)
	if n.Test {
		m.Text += "\n" + asked(n, t.Asked) + "\n"
	}
	if m.Unsubscribe != "" {
		m.Text += "\n" + n.Label("Unsubscribe") + m.Unsubscribe + "\n"
	}
	m.HTML = render(n, d.why(t, n), m.Unsubscribe)
	return m
}

// why says why the receiver gets this.
func (d Destination) why(t destination.Target, n notification.Notification) string {
	switch {
	case n.Test:
		return asked(n, t.Asked)
	case n.Event.Kind == event.APITokenExpiring:
		return n.Say("You receive this mail because of an API token at " + n.Platform.Name +
			". Such notices can not be switched off.")
	case d.system.Personal:
		return n.Say("You receive this mail because of the notifications in your profile at " + n.Platform.Name + ".")
	}
	return n.Say("You receive this mail because an administrator of " + n.Client() +
		" added your address to an integration of " + n.Platform.Name + ".")
}

// asked says who has had a test sent: whoever gets it and did not expect it knows whom to ask.
func asked(n notification.Notification, who string) string {
	return n.Say("You receive this test because " + plaintext.Line(cmp.Or(who, "an administrator")) + " of " +
		n.Client() + " tested an integration of " + n.Platform.Name + " with your address.")
}

func plain(n notification.Notification) string {
	return n.Say("Hello,") + "\n\n" + n.Summary() + "\n\n" + n.PlainText()
}

// Judge goes by what the mail service answered: 250 is taken, and a mail that is settled without being sent says why.
// A refusal of the receiver is that receiver's alone; a server that asks to slow down, or that refuses the platform's
// own client or sender, is no failure of the integration.
func (Destination) Judge(r destination.Response) destination.Verdict {
	switch {
	case r.Status == destination.MailNotSent:
		return destination.Verdict{Delivered: true, Reason: string(r.Body)}
	case r.Status/100 == 2:
		return destination.Delivered()
	}
	said := reply.Read(r.Status, string(r.Body))
	v := destination.Verdict{Reason: strings.TrimSpace(fmt.Sprintf("the mail server answered %d %s", r.Status, r.Body))}
	switch {
	case r.Recipient:
		v.Apart = true
		if v.Permanent = r.Status/100 == 5; v.Permanent {
			v.Reason += ": it does not take mails for this address"
		} else {
			v.Reason += ": it does not take mails for this address now"
		}
	case said.SlowDown():
		v.Pace = true
		v.Reason += ": the platform's mail server asks to wait or to send less at a time; that is no fault of this " +
			"integration"
	case r.Ours || said.AboutUs():
		v.Ours = true
		v.Reason += ": the platform's mail server refuses the platform (how it signs in, its host or its sending " +
			"address); that is no fault of this integration: tell the deployment's operator"
	}
	return v
}
