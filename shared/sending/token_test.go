package sending_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
	"tocsin/shared/step"
	"tocsin/shared/wording"
)

// guarded is a receiver that wants an access token, and the server that gives it.
type guarded struct {
	mu     sync.Mutex
	now    time.Time
	asked  int
	sent   int
	life   int    // of a token, in seconds
	good   string // the only token that is taken, "" for any
	answer *destination.Response
	last   destination.Request // for a token
}

const tokenAt = "https://idp.example.com/secret-path/token"

func (g *guarded) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if q.URL == tokenAt {
		g.asked++
		g.last = q
		if g.answer != nil {
			return *g.answer, nil
		}
		return destination.Response{Status: 200, Body: fmt.Appendf(nil, `{"access_token":"tok-%d","expires_in":%d}`,
			g.asked, g.life)}, nil
	}
	g.sent++
	if with := q.Header.Get("Authorization"); g.good != "" && with != "Bearer "+g.good {
		return destination.Response{Status: 401, Body: []byte("no " + with)}, nil
	}
	return destination.Response{Status: 200}, nil
}

const tokened = `{"url":"https://soc.example.com/in","token_url":"` + tokenAt +
	`","client_id":"tocsin","client_secret":"s3cr3t-of-ours","scope":"events.write","audience":"soc"`

func (g *guarded) sender() *sending.Sender {
	return &sending.Sender{Destinations: catalogue.Default(), Transport: g, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return g.now }}
}

// send makes so many deliveries at once, and returns the last attempts.
func (g *guarded) send(t *testing.T, s *sending.Sender, target *sending.Target, n int) []delivery.Attempt {
	t.Helper()
	out := make([]delivery.Attempt, n)
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() {
			d := delivery.Delivery{ID: fmt.Sprint("d", k), Tenant: "42", Integration: "i", State: delivery.Pending,
				CreatedAt: g.now, Count: 1, Events: []event.Event{{ID: "e", Tenant: "42", Kind: event.CreateUser,
					Time: g.now, Data: []byte(`{"user":{"name":"Grace"}}`)}}}
			after, err := s.Send(context.Background(), target, d)
			if err != nil {
				t.Error(err)
				return
			}
			out[k] = after.Attempts[len(after.Attempts)-1]
		})
	}
	wg.Wait()
	return out
}

func (g *guarded) target(t *testing.T, s *sending.Sender, more string) *sending.Target {
	t.Helper()
	target, err := s.Open(t.Context(), openAs{"web_hooks", tokened + more + "}"},
		integration.Integration{ID: "i", Tenant: "42", System: "web_hooks"})
	require.NoError(t, err)
	return target
}

func TestOneTokenServesManyDeliveriesUntilShortlyBeforeItsEnd(t *testing.T) {
	for life, serves := range map[int]time.Duration{3600: 59*time.Minute - time.Second, 60: 53 * time.Second} {
		g := &guarded{now: time.Unix(1677628800, 0), life: life}
		s := g.sender()
		target := g.target(t, s, "")
		for _, a := range g.send(t, s, target, 20) {
			require.True(t, a.Delivered, a.Reason)
		}
		require.Equal(t, 1, g.asked, "for a life of %d s", life)
		g.now = g.now.Add(serves)
		g.send(t, s, target, 1)
		require.Equal(t, 1, g.asked)
		g.now = g.now.Add(time.Second)
		g.send(t, s, target, 1)
		require.Equal(t, 2, g.asked)
	}
}

func TestATokenThatIsRefusedIsAskedForAnewOnce(t *testing.T) {
	g := &guarded{now: time.Unix(1677628800, 0), life: 3600}
	s := g.sender()
	target := g.target(t, s, "")
	g.send(t, s, target, 1)
	g.good = "tok-2"
	require.True(t, g.send(t, s, target, 1)[0].Delivered)
	require.Equal(t, 2, g.asked)
	g.good, g.sent = "another", 0
	a := g.send(t, s, target, 1)[0]
	require.False(t, a.Delivered)
	require.Equal(t, [2]int{3, 2}, [2]int{g.asked, g.sent})
	require.NotContains(t, a.Answer, "tok-3", "a token is in no answer that is kept")
}

func TestHowAClientAuthenticatesItself(t *testing.T) {
	g := &guarded{now: time.Unix(1677628800, 0), life: 3600}
	s := g.sender()
	g.send(t, s, g.target(t, s, ""), 1)
	require.Equal(t, "audience=soc&grant_type=client_credentials&scope=events.write", string(g.last.Body))
	client, secret, _ := (&http.Request{Header: g.last.Header}).BasicAuth()
	require.Equal(t, "tocsin s3cr3t-of-ours", client+" "+secret)
	require.Equal(t, 15*time.Second, g.last.Transport.Timeout, "by the rules of the delivery")
	g.send(t, s, g.target(t, s, `,"token_auth":"client_secret_post","timeout":7`), 1)
	require.Equal(t, "audience=soc&client_id=tocsin&client_secret=s3cr3t-of-ours&grant_type=client_credentials&"+
		"scope=events.write", string(g.last.Body))
	require.Empty(t, g.last.Header.Get("Authorization"))
	require.Equal(t, 7*time.Second, g.last.Transport.Timeout)
}

func TestWhatFailsAtTheTokenSaysSoInBothLanguagesWithoutASecret(t *testing.T) {
	for _, c := range []struct {
		status      int
		body        string
		says, japan string
	}{
		{401, `{"error":"invalid_client","error_description":"s3cr3t-of-ours is wrong"}`,
			"no access token: idp.example.com answered 401 Unauthorized (invalid_client): check the client ID",
			"クライアントシークレット"},
		{400, `{"error":"invalid_scope"}`, "(invalid_scope): check the scope and the audience", "スコープ"},
		{429, ``, "it asks to slow down", "頻度"},
		{503, `s3cr3t-of-ours`, "it has a fault of its own", "障害"},
		{200, `<html><body>sign in`, "a web page is there", "サインイン"},
	} {
		g := &guarded{now: time.Unix(1677628800, 0),
			answer: &destination.Response{Status: c.status, Body: []byte(c.body)}}
		s := g.sender()
		a := g.send(t, s, g.target(t, s, ""), 1)[0]
		require.False(t, a.Delivered)
		require.Contains(t, a.Reason, c.says)
		require.Empty(t, a.Answer)
		require.NotContains(t, a.Reason, "s3cr3t")
		require.NotContains(t, a.Reason, "secret-path", "the rest of an address can be a secret")
		require.Zero(t, g.sent)
		read, ok := wording.Read(a.Reason)
		require.True(t, ok)
		require.Contains(t, read.In(wording.Japanese), c.japan)
	}
}

func TestTheTestOfAConnectionTellsOfItsToken(t *testing.T) {
	g := &guarded{now: time.Unix(1677628800, 0), life: 3600}
	s := g.sender()
	opened, err := openAs{"web_hooks", tokened + "}"}.Open(t.Context(), integration.Integration{})
	require.NoError(t, err)
	var told []step.Step
	tell := func(at sending.TestStep) {
		if at.Kind == step.Credential {
			told = append(told, at.Step)
		}
	}
	result, err := s.Test(t.Context(), opened, activity.Actor{Tenant: "42"}, "", tell)
	require.NoError(t, err)
	require.True(t, result.Messages[0].Delivered, result.Messages[0].Reason)
	require.Equal(t, []step.Step{{Kind: step.Credential}}, told, "once for all messages")
	g.answer = &destination.Response{Status: 401}
	_, err = s.Test(t.Context(), opened, activity.Actor{Tenant: "42"}, "", tell)
	require.NoError(t, err)
	require.Equal(t, step.Step{Kind: step.Credential, Failed: true}, told[1])
}

func TestClientCredentialsAreWholeOrNotThere(t *testing.T) {
	hook, _, _ := catalogue.Default().Lookup("web_hooks")
	for parameters, says := range map[string]string{
		`,"client_id":"x"`:                              "parameters.token_url: is required",
		`,"token_url":"` + tokenAt:                      "parameters.client_id: is required",
		`,"token_url":"` + tokenAt + `","client_id":"x`: "parameters.client_secret: is required",
		`,"token_url":"` + tokenAt + `","client_id":"x","client_secret":"y","headers":{"authorization":"z"},` +
			`"scope":"`: "parameters.headers.authorization: is written by us",
	} {
		if strings.Count(parameters, `"`)%2 == 1 {
			parameters += `"`
		}
		_, err := hook.Parameters.Complete([]byte(`{"url":"https://a.example"` + parameters + `}`))
		require.ErrorContains(t, err, says, parameters)
	}
}
