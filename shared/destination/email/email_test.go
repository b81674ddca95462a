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
		`{"addresses":"ada@example.com"}`:                   "parameters.addresses: must be of type array",
	} {
		_, err := email.New().System().Parameters.Complete(json.RawMessage(parameters))
		require.ErrorContains(t, err, says, parameters)
	}
}

var _ destination.Destination = email.New()
