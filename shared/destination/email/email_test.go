package email_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/email"
)

var suite = destinationtest.Case{
	Destination: email.New(), Parameters: `{"addresses":["ada@example.com","grace@example.com"]}`, Check: check,
}

func TestEmail(t *testing.T) { destinationtest.Run(t, suite) }

func FuzzEmail(f *testing.F) { destinationtest.Fuzz(f, suite) }

// check parses the page as a mail client does: nothing that upstream wrote becomes an element.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	m := r.Mail
	require.NotNil(t, m)
	require.NotContains(t, m.Subject, "\n")
	require.NotContains(t, m.Subject, "\r")
	require.LessOrEqual(t, utf8.RuneCountInString(m.Subject), 200)
	require.True(t, utf8.ValidString(m.Text))
	doc, err := html.Parse(strings.NewReader(m.HTML))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		require.NotEqual(t, "script", n.Data)
		for _, a := range n.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on"), a.Key)
			if a.Key == "href" {
				require.True(t, strings.HasPrefix(a.Val, "https://console.example.com/"), a.Val)
			}
		}
	}
}

func TestEachAddressGetsAMailOfItsOwn(t *testing.T) {
	rs := destinationtest.Encode(t, suite, destinationtest.Notifications(email.New().System())[0])
	require.Len(t, rs, 2)
	require.Equal(t, "ada@example.com", rs[0].Mail.To)
	require.Equal(t, "grace@example.com", rs[1].Mail.To)
	require.NotContains(t, rs[0].Mail.Text+rs[0].Mail.HTML, "grace@")
	require.NotEqual(t, rs[0].Mail.ID, rs[1].Mail.ID)
}

func TestBadAddresses(t *testing.T) {
	for parameters, says := range map[string]string{
		`{"addresses":[]}`:      "parameters.addresses: must have at least 1 entries",
		`{"addresses":["ada"]}`: "parameters.addresses.0: is not an e-mail address",
		`{"addresses":["ada@example.com","Eve <e@x.org>"]}`: "parameters.addresses.1: is not an e-mail address",
		`{"addresses":["a@b.org\r\nBcc: c@d.org"]}`:         "parameters.addresses.0: is not an e-mail address",
		`{"addresses":["ada@localhost"]}`:                   "parameters.addresses.0: is not an e-mail address",
		`{"addresses":["ada@x.org","jörg@bücher.example"]}`: "parameters.addresses.1: is not an e-mail address that " +
			"can be used: mail servers do not take 'ö'",
		`{"addresses":["ada@xn--a.example"]}`: "parameters.addresses.0: is not an e-mail address: its " +
			"domain",
		`{"addresses":"ada@example.com"}`: "parameters.addresses: must be of type array",
	} {
		_, err := email.New().System().Parameters.Complete(json.RawMessage(parameters))
		require.ErrorContains(t, err, says, parameters)
	}
}

func TestH5AnInternationalisedAddressIsTakenAndGetsOneMail(t *testing.T) {
	c := suite
	c.Parameters = `{"addresses":["ops@bücher.example","OPS@xn--bcher-kva.example","ada@example.com"]}`
	ns := destinationtest.Notifications(email.New().System())
	rs := destinationtest.Encode(t, c, ns[0])
	require.Len(t, rs, 2, "one address in both spellings is one")
	require.Equal(t, "ops@xn--bcher-kva.example", rs[0].Mail.To)
	require.Equal(t, "ada@example.com", rs[1].Mail.To)
	c.Parameters = `{"addresses":["ada@example.com"]}`
	require.Equal(t, rs[1].Mail.ID, destinationtest.Encode(t, c, ns[0])[0].Mail.ID,
		"whoever else is told, a repeat has the same id")
}

// refusesUs is what is said of a refusal of the platform's own client or sender.
const refusesUs = ": the platform's mail server refuses the platform (how it signs in, its host or its sending " +
	"address); that is no fault of this integration: tell the deployment's operator"

func TestH2ARefusedReceiverIsNoFailureOfTheServiceAndPaceIsNone(t *testing.T) {
	for _, c := range []struct {
		answer destination.Response
		want   destination.Verdict
	}{
		{destination.Response{Status: 250, Body: []byte("2.0.0 Ok: queued as 4XyZ")},
			destination.Verdict{Delivered: true}},
		{destination.Response{Status: destination.MailNotSent,
			Body: []byte("not sent to a@x.org: it has unsubscribed")}, destination.Verdict{Delivered: true,
			Reason: "not sent to a@x.org: it has unsubscribed"}},
		{destination.Response{Status: 550, Body: []byte("5.7.1 no"), Recipient: true},
			destination.Verdict{Apart: true, Permanent: true,
				Reason: "the mail server answered 550 5.7.1 no: it does not take mails for this address"}},
		{destination.Response{Status: 450, Body: []byte("4.2.0 Greylisted"), Recipient: true},
			destination.Verdict{Apart: true,
				Reason: "the mail server answered 450 4.2.0 Greylisted: it does not take mails for this address now"}},
		{destination.Response{Status: 550, Body: []byte("5.7.1 no")},
			destination.Verdict{Reason: "the mail server answered 550 5.7.1 no"}},
		{destination.Response{Status: 535, Body: []byte("5.7.8 who are you")},
			destination.Verdict{Ours: true, Reason: "the mail server answered 535 5.7.8 who are you" + refusesUs}},
		{destination.Response{Status: 550, Body: []byte("5.7.1 no"), Ours: true}, // to MAIL FROM
			destination.Verdict{Ours: true, Reason: "the mail server answered 550 5.7.1 no" + refusesUs}},
		{destination.Response{Status: 554, Body: []byte("5.7.1 <ada@example.com>: Relay access denied")},
			destination.Verdict{Ours: true,
				Reason: "the mail server answered 554 5.7.1 <ada@example.com>: Relay access denied" + refusesUs}},
		{destination.Response{Status: 451, Body: []byte("Temporary local problem")},
			destination.Verdict{Reason: "the mail server answered 451 Temporary local problem"}},
		{destination.Response{Status: 554}, destination.Verdict{Reason: "the mail server answered 554"}},
	} {
		require.Equal(t, c.want, email.New().Judge(c.answer), "%d %s", c.answer.Status, c.answer.Body)
	}
	for _, said := range []string{"421 too many sessions", "450 4.7.1 slow", "451 4.3.2 later", "452 4.5.3 too many",
		"454 Throttling failure: Maximum sending rate exceeded."} {
		v := email.New().Judge(destination.Response{Status: int(said[0]-'0')*100 + int(said[1]-'0')*10 +
			int(said[2]-'0'), Body: []byte(said[4:])})
		require.True(t, v.Pace, said)
		require.False(t, v.Delivered || v.Apart || v.Permanent, said)
		require.Contains(t, v.Reason, "the mail server answered "+said)
	}
}

var _ destination.Destination = email.New()
