package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/console"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/egress"
	"tocsin/shared/mail"
	"tocsin/shared/notification"
	"tocsin/shared/sending"
)

// postbox takes mails, or answers what it is told to.
type postbox struct {
	sent   []destination.Mail
	answer map[string]destination.Response
}

func (p *postbox) Send(_ context.Context, m destination.Mail) (destination.Response, error) {
	p.sent = append(p.sent, m)
	if a, ok := p.answer[m.To]; ok {
		return a, nil
	}
	return destination.Response{Status: destination.MailAccepted}, nil
}

// mailing is a rig that sends mails and bounds those on request.
func mailing(t *testing.T, limit int, mailer egress.Mailer) *rig {
	t.Helper()
	r := start(t)
	relay := &mail.Quota{Counters: r.db.Counters, Limit: limit, Now: time.Now}
	r.reports.MailQuota = relay
	r.config.Tester = &sending.Sender{
		Destinations: catalogue.Default(), Transport: egress.New(egress.Policy{}, egress.Options{Mailer: mailer}),
		Now: time.Now, Log: r.config.Log,
		Platform: notification.Platform{Name: "Tocsin", Cloud: "EU"}, MailQuota: relay,
	}
	r.config.MailQuota = relay
	r.handler = console.New(r.config)
	return r
}

func toAddresses(list ...string) string {
	raw, _ := json.Marshal(map[string]any{"system": "email", "parameters": map[string]any{"addresses": list}})
	return string(raw)
}

func TestS9TestsAndReportsOnDemandShareALimitThatIsStated(t *testing.T) {
	p := &postbox{}
	r := mailing(t, 10, p)
	for range 5 { // to oneself as often as one likes
		require.Equal(t, 200, r.call("POST", "/v1/integrations/test", toAddresses("ada@example.com")).status)
	}
	require.Len(t, p.sent, 15)
	require.Equal(t, 200, r.call("POST", "/v1/integrations/test", toAddresses("eve@x.org", "bob@x.org")).status)
	require.Len(t, p.sent, 21)
	order := func(recipients ...string) answer {
		raw, _ := json.Marshal(recipients)
		return r.call("POST", "/v1/reports",
			fmt.Sprintf(`{"period":{"frequency":"daily","from":"2023-03-01"},"recipients":%s}`, raw))
	}
	require.Equal(t, 202, order("eve@x.org", "eve@X.org", "ada@example.com", "bob@x.org", "cid@x.org").status)
	a := r.call("POST", "/v1/integrations/test", toAddresses("eve@x.org"))
	require.Equal(t, 429, a.status, a.raw)
	require.Contains(t, a.raw, "an account can have 10 mails an hour sent on request (tests and reports to other "+
		"people's addresses, and mails that are sent again), and this would be 3 more: try again at ")
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	require.Len(t, p.sent, 21, "nothing was sent")
	require.Equal(t, 202, order("eve@x.org").status, "there is room for one")
	require.Equal(t, 429, order("eve@x.org").status)
	require.Equal(t, 202, order("ada@example.com").status)
	require.Equal(t, 202, order().status)
	a = r.call("POST", "/v1/integrations/test", toAddresses("a@x.org", "b@x.org", "c@x.org", "d@x.org"))
	require.Equal(t, 429, a.status)
	require.Contains(t, a.raw, "choose fewer addresses")
	require.Empty(t, a.header.Get("Retry-After"))
	r.token = r.issue("43", access.Administrator)
	require.Equal(t, 200, r.call("POST", "/v1/integrations/test", toAddresses("eve@x.org")).status,
		"each tenant has its own")
}

func TestS9ATestMailNamesWhoAsked(t *testing.T) {
	p := &postbox{}
	r := mailing(t, 0, p)
	require.Equal(t, 200, r.call("POST", "/v1/integrations/test", toAddresses("eve@x.org")).status)
	for _, m := range p.sent {
		for _, body := range []string{m.Text, m.HTML} {
			require.Contains(t, body, "You receive this test because ada@example.com of Acme tested an integration "+
				"of Tocsin with your address.")
		}
	}
}

func TestP8AMailThatIsOnlyKeptHasNotArrived(t *testing.T) {
	kept := 0
	r := mailing(t, 0, mail.LogSender{Now: time.Now,
		Keep: func(context.Context, destination.Mail, time.Time) error { kept++; return nil }})
	a := r.call("POST", "/v1/integrations/test", toAddresses("eve@x.org"))
	require.Equal(t, 200, a.status)
	require.Equal(t, false, a.body["delivered"])
	require.NotContains(t, a.raw, `"status"`, "nobody answered")
	require.Contains(t, a.raw, "kept in the mail log: no mail server is configured")
	require.Equal(t, 3, kept, "it is no failure that the other messages would share")
	require.Len(t, a.body["messages"], 3)
}

func TestH2ATestTellsOfEachReceiver(t *testing.T) {
	p := &postbox{answer: map[string]destination.Response{
		"bad@x.org": {Status: 550, Body: []byte("5.7.1 no"), Recipient: true}}}
	r := mailing(t, 0, p)
	a := r.call("POST", "/v1/integrations/test", toAddresses("bad@x.org", "good@x.org"))
	require.Equal(t, false, a.body["delivered"])
	require.Contains(t, a.raw, "bad@x.org: the mail server answered 550 5.7.1 no")
	require.NotContains(t, a.raw, "good@x.org")
	require.Len(t, p.sent, 2, "the good one has its mail")
}

func TestH5AddressesThatCanNotBeUsedAreRefusedWithTheirField(t *testing.T) {
	r := start(t)
	for _, bad := range []string{"jörg@example.com", "a@b.example\r\nBcc:", `"a b"@x.org`, "a@x.org.", "a b@x.org",
		"a@xn--a.example", "a(b)@x.org"} {
		raw, _ := json.Marshal(bad)
		a := r.call("POST", "/v1/integrations",
			fmt.Sprintf(
				`{"name":"n","system":"email","events":[{"event":"system"}],"parameters":{"addresses":["ops@bücher.example",%s]}}`, raw))
		require.Equal(t, 422, a.status, a.raw)
		require.Contains(t, a.raw, `"parameters.addresses.1"`)
		a = r.call("POST", "/v1/reports",
			fmt.Sprintf(`{"period":{"frequency":"daily","from":"2023-03-01"},"recipients":["ops@bücher.example",%s]}`,
				raw))
		require.Equal(t, 422, a.status, a.raw)
		require.Contains(t, a.raw, `"recipients.1"`)
		r.email = bad
		token := r.token
		r.token = r.issue("42", access.Administrator)
		a = r.call("GET", "/v1/profile/notifications", "")
		require.Equal(t, 422, a.status, a.raw)
		require.Contains(t, a.raw, `"email"`)
		require.Contains(t, a.raw, "is not an e-mail address")
		r.token = token
	}
	r.email = "ops@bücher.example"
	r.token = r.issue("42", access.Administrator)
	a := r.call("GET", "/v1/profile/notifications", "")
	require.Equal(t, 200, a.status, a.raw)
	r.email = "OPS@xn--bcher-kva.example"
	r.token = r.issue("42", access.Administrator)
	require.True(t, strings.Contains(r.call("GET", "/v1/profile/notifications", "").raw, "ops@bücher.example"),
		"one person in both spellings")
}

// TestS9MailsThatArrivedAreNotSentAgainWithoutLimit: a replay is another way to have mails sent on the spot.
func TestS9MailsThatArrivedAreNotSentAgainWithoutLimit(t *testing.T) {
	r := mailing(t, 10, &postbox{})
	made := r.create(
		`{"system":"email","name":"List","events":[{"event":"system"}],"parameters":{"addresses":["a@x.org","b@x.org","c@x.org","ada@example.com"]}}`)
	id := made.body["id"].(string)
	now := time.Now().Truncate(time.Second)
	r.delivered(id, now.Add(-3*time.Hour), now.Add(-2*time.Hour), now.Add(-time.Hour), now.Add(-time.Minute),
		now.Add(-time.Second))
	leased, err := r.db.Deliveries.Lease(t.Context(), delivery.Lane{Tenant: "42", Integration: id}, 10, time.Now(),
		time.Now(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.Len(t, leased, 5)
	for n := range leased {
		leased[n].State = delivery.Delivered
	}
	leased[4] = leased[4].Kill("a test")
	require.NoError(t, r.db.Deliveries.Settle(t.Context(), leased))

	at := "/v1/integrations/" + id
	a := r.call("POST", at+"/replay", `{"states":["delivered"]}`)
	require.Equal(t, 429, a.status, a.raw)
	require.Contains(t, a.raw, "choose fewer")
	require.Equal(t, 200, r.call("POST", at+"/deliveries/"+leased[0].ID+"/replay", "").status)
	require.Equal(t, 200, r.call("POST", at+"/deliveries/"+leased[0].ID+"/replay", "").status,
		"it is on its way, and counts for nothing")
	a = r.call("POST", at+"/replay", fmt.Sprintf(`{"states":["delivered"],"from":%q,"to":%q}`,
		now.Add(-150*time.Minute).Format(time.RFC3339), now.Add(-30*time.Minute).Format(time.RFC3339)))
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, 2.0, a.body["count"])
	a = r.call("POST", at+"/deliveries/"+leased[3].ID+"/replay", "")
	require.Equal(t, 429, a.status, "nine of ten were sent")
	require.NotEmpty(t, a.header.Get("Retry-After"))
	a = r.call("POST", at+"/replay", `{}`)
	require.Equal(t, 200, a.status, "what has reached nobody is sent again uncounted: "+a.raw)
	require.Equal(t, 1.0, a.body["count"])
}
