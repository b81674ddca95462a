package reply_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/mail/reply"
)

// refusals are replies to RCPT TO (rcpt) or to anything else, and what each is about.
var refusals = []struct {
	code        int
	text        string
	rcpt        bool
	about, slow bool
	noSuch      bool
}{
	// Real words of Postfix, Exim, Exchange, Gmail, Amazon SES, Yahoo and Sendmail.
	{550, "5.1.1 <bob@x.org>: Recipient address rejected: User unknown in virtual mailbox table", true, true, false,
		true},
	{550, "5.1.1 The email account that you tried to reach does not exist.", true, true, false, true},
	{550, "No such user here", true, true, false, false},
	{550, "5.7.1 refused", true, true, false, false},
	{550, "5.7.1 <bob@x.org>: Recipient address rejected: Access denied", true, true, false, false},
	{550, "5.7.133 Sender not authenticated for group", true, true, false, false},
	{550, "5.7.124 Sender not in allowed-senders list", false, true, false, false},
	{550, "5.7.134 RESOLVER.RST.SenderNotAuthenticatedForMailbox; authentication required", true, true, false, false},
	{550, "5.7.57 Client not authenticated to send mail", true, false, false, false},
	{550, "5.7.137 authentication required", true, false, false, false},
	{552, "5.2.2 Mailbox full", true, true, false, false},
	{552, "5.2.2 The email account that you tried to reach is over quota", false, true, false, false},
	{452, "4.2.2 The recipient's inbox is out of storage space", true, true, false, false},
	{450, "4.2.1 <bob@x.org>: Mailbox temporarily locked", true, true, false, false},
	{450, "4.2.0 <bob@x.org>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/", true,
		true, false, false},
	{501, "5.1.3 Bad recipient address syntax", true, true, false, false},
	{553, "5.1.3 illegal address", true, true, false, true},
	{550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", false, true, false,
		true},
	{554, "5.7.1 <bob@x.org>: Relay access denied", true, false, false, false},
	{454, "4.7.1 <bob@x.org>: Relay access denied", true, false, false, false},
	{550, "5.7.1 Unable to relay for bob@x.org", true, false, false, false},
	{550, "relay not permitted", true, false, false, false},
	{530, "5.7.0 Authentication required", true, false, false, false},
	{550, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", true, false, false,
		false},
	{550, "5.7.1 <tocsin@y.org>: Sender address rejected: Access denied", true, false, false, false},
	{450, "4.1.8 <tocsin@y.org>: Sender address rejected: Domain not found", true, false, false, false},
	{550, "5.1.7 Invalid sender", true, false, false, false},
	{504, "5.5.2 <host>: Helo command rejected: need fully-qualified hostname", true, false, false, false},
	{421, "4.7.0 mx.example.com Error: too many connections from 192.0.2.1", true, false, true, false},
	{421, "4.3.2 Service shutting down", true, false, true, false},
	{421, "closing channel", false, false, true, false},
	{450, "4.7.1 Error: too much mail from 192.0.2.1", true, false, true, false},
	{450, "4.7.1 <bob@x.org>: rate limit exceeded", true, false, true, false},
	{451, "4.7.500 Server busy. Please try again later", false, false, true, false},
	{451, "4.7.1 Greylisting in action", false, false, true, false},
	{451, "4.7.1 Greylisting in action, please come back later", true, true, true, false},
	{450, "4.7.1 <bob@x.org>: Recipient address rejected: Greylisted for 300 seconds", true, true, true, false},
	{451, "4.3.2 gray-listed, try again later", true, true, true, false},
	{451, "4.3.0 Temporary lookup failure", true, false, true, false},
	{452, "4.3.1 Insufficient system storage", false, false, true, false},
	{452, "4.5.3 Too many recipients", true, false, true, false},
	{452, "Too many messages in this session", false, false, true, false},
	{451, "Temporary local problem", false, false, false, false},
	{451, "Temporary local problem", true, true, false, false},
	{454, "Throttling failure: Maximum sending rate exceeded.", false, false, true, false},
	{454, "Throttling failure: Daily message quota exceeded.", false, false, true, false},
	{454, "4.7.0 Temporary authentication failure", false, false, false, false},
	{550, "5.4.5 Daily user sending quota exceeded", false, false, true, false},
	{550, "5.1.90 Your message can't be sent because you've reached your daily limit for message recipients", true,
		false, true, false},
	{535, "5.7.8 Authentication credentials invalid", false, false, false, false},
	{554, "5.7.1 Message rejected as spam", false, false, false, false},
	{554, "Message rejected: Email address is not verified.", false, false, false, false},
	{552, "5.3.4 Message size exceeds fixed limit", true, false, false, false},
	{550, "4.1.1 odd class", false, false, false, false},
	{550, "5.1.1.1 no status", false, false, false, false},
}

func TestH2WhomARefusalIsAbout(t *testing.T) {
	for _, c := range refusals {
		r := reply.Read(c.code, c.text)
		require.Equal(t, c.about, r.AboutRecipient(c.rcpt), "%d %s", c.code, c.text)
		require.Equal(t, c.slow, r.SlowDown(), "%d %s", c.code, c.text)
		require.Equal(t, c.noSuch, r.NoSuchMailbox(), "%d %s", c.code, c.text)
	}
}

func TestARefusalOfTheSenderIsAboutUs(t *testing.T) {
	for said, us := range map[string]bool{
		"535 5.7.8 Authentication credentials invalid":                                 true,
		"530 5.7.0 Must issue a STARTTLS command first":                                true,
		"534 5.7.9 Application-specific password required":                             true,
		"538 5.7.11 Encryption required for requested authentication mechanism":        true,
		"454 4.7.0 Temporary authentication failure":                                   true,
		"554 5.7.1 <bob@x.org>: Relay access denied":                                   true,
		"550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.x.y": true,
		"553 5.7.1 <tocsin@y.org>: Sender address rejected: not owned by user ada":     true,
		"550 5.1.8 Bad sender's system address":                                        true,
		"454 Throttling failure: Maximum sending rate exceeded.":                       false,
		"421 4.3.2 Service shutting down":                                              false,
		"554 5.7.1 Message rejected as spam":                                           false,
		"550 5.7.1 no":                                                                 false,
		"530 no":                                                                       true,
		"534 no":                                                                       true,
		"535 no":                                                                       true,
		"538 no":                                                                       true,
		"454 no":                                                                       true,
		"550 5.7.133 Sender not authenticated for group":                               false,
		"550 5.7.12 Sender was not authenticated by organization":                      false,
		"550 5.7.57 Client not authenticated to send mail":                             true,
		"451 Temporary local problem":                                                  false,
		"250 2.0.0 authenticated":                                                      false,
	} {
		code, text, _ := strings.Cut(said, " ")
		n, err := strconv.Atoi(code)
		require.NoError(t, err)
		require.Equal(t, us, reply.Read(n, text).AboutUs(), said)
	}
}
