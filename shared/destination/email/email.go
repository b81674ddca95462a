// Package email sends notifications as mails, one to each address (product facts, 2.1): nobody learns who else
// receives them. How a mail is built and carried is package mail's affair.
package email

import (
	"fmt"
	"net/mail"
	"strings"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

// subjectLimit is in characters: RFC 5322, 2.1.1 asks for lines of at most 78 and allows 998 bytes.
const subjectLimit = 200

// valueLimit bounds one fact in a mail, in characters: the Console shows the rest.
const valueLimit = 2000

// Parameters of an Email report integration.
type Parameters struct {
	Addresses []string `json:"addresses" jsonschema:"required,title=Email addresses,minItems=1,maxItems=50,uniqueItems=true" jsonschema_description:"Who receives the mails, besides your own address: that one is set in your profile."`
}

// MailAddresses are the receivers of reports.
func (p *Parameters) MailAddresses() []string { return p.Addresses }

// Check looks at each address.
func (p *Parameters) Check() []destination.FieldProblem {
	var out []destination.FieldProblem
	for i, a := range p.Addresses {
		parsed, err := mail.ParseAddress(a)
		if err != nil || parsed.Address != a || len(a) > 254 || !strings.Contains(a[strings.LastIndex(a, "@")+1:], ".") {
			out = append(out, destination.FieldProblem{Field: fmt.Sprintf("addresses.%d", i), Reason: "is not an e-mail address"})
		}
	}
	return out
}

// Destination is mail.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "email", Title: "Email report", Group: destination.Messengers, Class: notification.Mail,
		Events: event.Mailed(), Triggered: event.TriggeredMail(), Parameters: destination.ParametersOf[Parameters](),
	}}
}

// Personal makes the destination of each person's own notifications: mail to the address of the profile (facts, 5.3).
func Personal() Destination {
	return Destination{destination.System{
		Name: PersonalName, Title: "Personal email", Group: destination.Messengers, Class: notification.Mail, Personal: true,
		Events: event.Mailed(), Parameters: destination.ParametersOf[Parameters](),
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
		for _, to := range p.Addresses {
			if n.Report != nil && n.Report.Address != to {
				continue
			}
			m, err := d.compose(t, n, to)
			if err != nil {
				return nil, fmt.Errorf("write a mail: %w", err)
			}
			m.ID = fmt.Sprintf("%s.%s.%d", t.Delivery, n.Event.ID, len(out))
			out = append(out, destination.Request{Mail: m})
		}
	}
	return out, nil
}

func (d Destination) compose(t destination.Target, n notification.Notification, to string) (*destination.Mail, error) {
	m := &destination.Mail{
		To: to, Subject: destination.Cut(line(n.Summary()), subjectLimit),
		Header: map[string]string{"Auto-Submitted": "auto-generated", "X-Delivery-Id": t.Delivery},
	}
	if t.Unsubscribe != nil && !n.Test {
		m.Unsubscribe = t.Unsubscribe(to)
	}
	if n.Report != nil {
		m.Text, m.HTML = n.Report.Text(m.Unsubscribe), n.Report.HTML(m.Unsubscribe)
		for _, f := range n.Report.Files {
			m.Attachments = append(m.Attachments, destination.Attachment(f))
		}
		return m, nil
	}
	m.Text = plain(n)
	if m.Unsubscribe != "" {
		m.Text += "\nUnsubscribe: " + m.Unsubscribe + "\n"
	}
	var err error
	m.HTML, err = render(n, d.system.Personal, m.Unsubscribe)
	return m, err
}

// line keeps a subject on one line.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}

func plain(n notification.Notification) string {
	return "Hello,\n\n" + n.Summary() + "\n\n" + strings.ToValidUTF8(n.PlainText(), "�")
}

// Judge takes a mail that the mail server accepted for delivered; a refusal never gets here. A mail that is settled
// without being sent says why.
func (Destination) Judge(r destination.Response) destination.Verdict {
	v := destination.JudgeStatus(r, nil)
	if v.Delivered {
		v.Reason = string(r.Body)
	}
	return v
}
