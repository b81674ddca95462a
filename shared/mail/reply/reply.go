// Package reply reads what mail servers answer (RFC 5321, 4.2; RFC 3463; the registry of enhanced status codes, RFC
// 5248): whom a refusal is about, and whether it only asks to slow down.
package reply

import (
	"regexp"
	"strings"
)

// Reply is a mail server's answer. Subject and Detail are the second and third part of its enhanced status, -1 when
// it has none.
type Reply struct {
	Code            int
	Subject, Detail int
	Text            string
}

// enhanced is an enhanced status at the beginning of a reply's text. RFC 2034, 4.
var enhanced = regexp.MustCompile(`^([245])\.(\d{1,3})\.(\d{1,3})(?:[ :\r\n]|$)`)

// Read takes a reply apart. An enhanced status of another class than the code's is none (RFC 2034, 4).
func Read(code int, text string) Reply {
	r := Reply{Code: code, Subject: -1, Detail: -1, Text: text}
	m := enhanced.FindStringSubmatch(strings.TrimSpace(text))
	if m != nil && int(m[1][0]-'0') == code/100 {
		r.Subject, r.Detail = number(m[2]), number(m[3])
	}
	return r
}

// number is at most three digits.
func number(digits string) (n int) {
	for _, d := range []byte(digits) {
		n = 10*n + int(d-'0')
	}
	return n
}

// ours are words by which servers say that they refuse us, and not the receiver, although they wait for RCPT to say it
// (Postfix, smtpd_delay_reject: what it has against the client, the greeting or the sender is answered there).
var ours = regexp.MustCompile(`(?i)\brelay|authenticat|\bauth\b|client host|client was not|` +
	`sender (address|domain|verify|rejected)|\bhelo\b|\behlo\b|reverse (dns|hostname|lookup)|\bptr\b|blocked using|blocklist|` +
	`blacklist|spamhaus|your (ip|host|server|domain|reputation)|\bstarttls\b`)

// slow are words by which servers, whatever code they choose, ask for less at a time.
var slow = regexp.MustCompile(`(?i)too (many|much|fast|frequent)|\brate\b|ratelimit|throttl|quota exceeded|` +
	`exceeded .*(quota|limit)|(sending|message|hourly|daily|connection) (quota|limit)|slow down|try again later|\bbusy\b|` +
	`congest|overload|temporarily deferred|insufficient system|concurren|resources? (temporarily )?unavailable`)

// greylisted are words by which a server puts off the first mail of a sender to a receiver (RFC 6647): it is about that
// receiver, whatever code stands with it.
var greylisted = regexp.MustCompile(`(?i)\bgr[ae]y[- ]?list`)

// mailbox are words about one mailbox's own room, or the size of one mail, which are no pace.
var mailbox = regexp.MustCompile(`(?i)mailbox|inbox|over ?quota|recipient'?s? (address|is)\b|\bsize\b`)

// AboutRecipient reports whether a refusal is about the receiver alone. atRCPT says that it answered RCPT TO;
// elsewhere only an enhanced status can say so: addresses (x.1.z) and mailboxes (x.2.z).
func (r Reply) AboutRecipient(atRCPT bool) bool {
	switch {
	case r.Code < 400 || r.Code == 421:
		return false
	case r.Subject == 1:
		// the sender's address; 5.1.90 is Microsoft's "too many a day"
		return r.Detail != 7 && r.Detail != 8 && r.Detail < 20
	case r.Subject == 2 || r.closed():
		return true
	case !atRCPT:
		return false
	case r.Code/100 == 4 && greylisted.MatchString(r.Text):
		return true
	case r.Subject == 3 || r.Subject == 5: // the mail system; the protocol
		return false
	}
	switch r.Code {
	case 500, 502, 503, 504, 530, 534, 535, 538, 454, 455, 555:
		return false
	}
	return !ours.MatchString(r.Text) && !r.SlowDown()
}

// closed reports whether the receiver is one that takes mails of its own organization alone, or of senders that it
// names: a setting of that group or mailbox. They are Exchange's own details of 5.7 ("NDR error codes in Exchange
// Online"), whose words say that the sender is not authenticated.
func (r Reply) closed() bool {
	switch r.Detail {
	case 12, 124, 133, 134, 135, 136:
		return r.Subject == 7
	}
	return false
}

// AboutUs reports whether a refusal that is not about the receiver is about whoever sends: signing in, the client's
// host, the sender's address.
func (r Reply) AboutUs() bool {
	if r.Code < 400 || r.SlowDown() || r.closed() {
		return false
	}
	switch r.Code {
	case 530, 534, 535, 538, 454: // RFC 4954, 6, and its predecessor; 454 is also RFC 3207's: no TLS for now
		return true
	}
	return r.Subject == 1 && (r.Detail == 7 || r.Detail == 8) || ours.MatchString(r.Text)
}

// SlowDown reports whether the server asks for less at a time, or says that our quota is used up: 421 (RFC 5321,
// 3.8), its own troubles (4.3.z), congestion (4.4.5), too many receivers (4.5.3), a policy of the moment (4.7.z), or
// its words.
func (r Reply) SlowDown() bool {
	if r.Code == 421 {
		return true
	}
	said := slow.MatchString(r.Text) && !mailbox.MatchString(r.Text)
	switch r.Code {
	case 450, 451, 452:
		switch r.Subject {
		case 3, 7:
			return !ours.MatchString(r.Text)
		case 4:
			return r.Detail == 5 || said
		case 5:
			return r.Detail == 3 || said
		}
		return said
	}
	// 454 is what Amazon SES answers above the sending rate and the daily quota, 550 5.4.5 what Gmail does.
	return said && (r.Code >= 400)
}

// NoSuchMailbox reports whether the receiver does not exist: 550, 551 or 553 with the enhanced status for it (RFC
// 3463, 3.2), and never for a policy.
func (r Reply) NoSuchMailbox() bool {
	switch r.Code {
	case 550, 551, 553:
		switch r.Detail {
		case 1, 2, 3, 6, 10:
			return r.Subject == 1
		}
	}
	return false
}
