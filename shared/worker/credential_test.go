package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/s3"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/sending"
	"tocsin/shared/worker"
)

// cloud is an STS and an S3 by the clock of a test.
type cloud struct {
	mu     sync.Mutex
	now    time.Time
	asked  int    // roles
	put    int    // files
	signed string // by which key, last
	expire bool   // S3 takes no key from before now
	open   bool   // the role takes every external ID
}

func (c *cloud) clock() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *cloud) Do(_ context.Context, q destination.Request) (destination.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasPrefix(q.URL, "https://sts.") {
		form, err := url.ParseQuery(string(q.Body))
		if err != nil {
			return destination.Response{}, err
		}
		if !c.open && form.Get("ExternalId") != s3.ExternalID("42") {
			return destination.Response{Status: 403,
				Body: []byte(`<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>`)}, nil
		}
		c.asked++
		c.expire = false
		return destination.Response{Status: 200,
			Body: []byte(fmt.Sprintf(`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA%d</AccessKeyId><SecretAccessKey>s</SecretAccessKey>`+
				`<SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, c.asked, c.now.Add(time.Hour).Format(time.RFC3339)))}, nil
	}
	if c.expire {
		return destination.Response{Status: 400, Body: []byte(`<Error><Code>ExpiredToken</Code></Error>`)}, nil
	}
	c.put++
	_, key, _ := strings.Cut(q.Header.Get("Authorization"), "Credential=")
	c.signed, _, _ = strings.Cut(key, "/")
	return destination.Response{Status: 200, Header: http.Header{"Etag": {`"x"`}}}, nil
}

// gone is an identity whose keys can not be had.
type gone struct{ s3.Static }

func (gone) Keys(context.Context) (s3.Keys, error) {
	return s3.Keys{}, errors.New("the SSO session has ended")
}

var ours = s3.Static{Of: s3.Account{ID: "210987654321"}, With: s3.Keys{ID: "AKIAOURS", Secret: "s"}}

// byRole is a way to a bucket by a role of the customer's.
func byRole(t *testing.T, c *cloud, identity s3.Identity) (*sending.Sender, sending.Opener) {
	t.Helper()
	c.now = time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC)
	all := catalogue.Default(s3.New(s3.Platform{Identity: identity}))
	system, _, _ := all.Lookup("s3")
	full, err := system.Parameters.Complete(
		json.RawMessage(
			`{"region":"eu-west-1","bucket":"acme-hits","role_arn":"arn:aws:iam::123456789012:role/tocsin-hits"}`))
	require.NoError(t, err)
	opened, err := system.Parameters.Open(full)
	require.NoError(t, err)
	return &sending.Sender{Destinations: all, Transport: c, Now: c.clock, Log: slog.New(slog.DiscardHandler)},
		fixed{system, opened}
}

func hitsOf(id string, at time.Time) delivery.Delivery {
	return delivery.Delivery{ID: id, Tenant: "42", Integration: "i", State: delivery.Pending, Count: 1,
		Events: []event.Event{{
			ID: "e-" + id, Tenant: "42", Kind: event.NewHits, Time: at,
			Data: json.RawMessage(`{"hit":{"type":"sqli"}}`),
		}}}
}

// P1: the keys of a role are asked for once, before they end, and when S3 says that they have ended.
func TestP1TheKeysOfARoleAreKeptAndRenewedBeforeTheyEnd(t *testing.T) {
	c := &cloud{}
	sender, opener := byRole(t, c, ours)
	route, err := sender.Open(t.Context(), opener,
		integration.Integration{ID: "i", Tenant: "42", System: "s3", Revision: 1})
	require.NoError(t, err)
	send := func() delivery.Delivery {
		sent, err := sender.Send(t.Context(), route, hitsOf("01GTD8R4000000000000000001", c.clock()))
		require.NoError(t, err)
		return sent.Delivery
	}
	for later, asked := range []int{1, 1, 1, 1, 1, 1, 2, 2} { // every 10 minutes; they are good for an hour
		c.mu.Lock()
		c.now = time.Date(2023, 3, 1, 0, 10*later, 0, 0, time.UTC)
		c.mu.Unlock()
		require.Equal(t, delivery.Delivered, send().State)
		require.Equal(t, asked, c.asked, "after %d minutes", 10*later)
		require.Equal(t, fmt.Sprintf("ASIA%d", asked), c.signed)
	}
	c.mu.Lock()
	c.now = c.now.Add(48*time.Minute + 30*time.Second) // they end in 90 seconds
	c.mu.Unlock()
	send()
	require.Equal(t, 2, c.asked)
	c.mu.Lock()
	c.now = c.now.Add(45 * time.Second)
	c.mu.Unlock()
	send()
	require.Equal(t, 3, c.asked, "in the last minute they are not used any more")

	c.mu.Lock()
	c.expire = true // the customer has revoked the role's sessions
	before := c.put
	c.mu.Unlock()
	sent := send()
	require.Equal(t, delivery.Delivered, sent.State, "asked anew and sent again, in one attempt")
	require.Len(t, sent.Attempts, 1)
	require.Equal(t, []int{4, before + 1}, []int{c.asked, c.put})

	var all sync.WaitGroup
	route, err = sender.Open(t.Context(), opener,
		integration.Integration{ID: "i", Tenant: "42", System: "s3", Revision: 2})
	require.NoError(t, err)
	for range 20 {
		all.Go(func() { send() })
	}
	all.Wait()
	require.Equal(t, 5, c.asked, "many at once ask once")
}

// A tenant names the role of another one, who left the external ID out of its trust policy: nobody may use it then.
func TestP1ARoleThatIsNotBoundToItsTenantIsNotUsed(t *testing.T) {
	c := &cloud{open: true}
	sender, opener := byRole(t, c, ours)
	route, err := sender.Open(t.Context(), opener,
		integration.Integration{ID: "i", Tenant: "42", System: "s3", Revision: 1})
	require.NoError(t, err)
	for range 2 {
		sent, err := sender.Send(t.Context(), route, hitsOf("01GTD8R4000000000000000001", c.clock()))
		require.NoError(t, err)
		require.NotEqual(t, delivery.Delivered, sent.State)
		require.Contains(t, sent.Attempts[0].Reason, "add the condition sts:ExternalId to its trust policy")
	}
	require.Zero(t, c.put, "nothing was written")
	c.mu.Lock()
	c.open = false // the owner has mended it
	c.mu.Unlock()
	sent, err := sender.Send(t.Context(), route, hitsOf("01GTD8R4000000000000000001", c.clock()))
	require.NoError(t, err)
	require.Equal(t, delivery.Delivered, sent.State)
}

// That the deployment's own credentials are gone is nobody's failure but its own.
func TestP1OwnCredentialsThatAreGoneCountAgainstNoIntegration(t *testing.T) {
	for name, c := range map[string]struct {
		identity s3.Identity
		count    health.Count
	}{
		"gone":     {gone{ours}, health.Count{}},
		"none":     {s3.Static{}, health.Count{}},
		"in place": {ours, health.Count{Attempts: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			at := &cloud{}
			sender, opener := byRole(t, at, ours)
			sender.Destinations = catalogue.Default(s3.New(s3.Platform{Identity: c.identity}))
			store := &integrations{all: map[string]integration.Integration{}}
			store.set(integration.Integration{ID: "i", Tenant: "42", System: "s3", Name: "i", Revision: 1, Window: 1,
				Subscriptions: []integration.Subscription{{Event: event.Hits}}})
			counted := &tallies{by: map[string]health.Count{}}
			kept := &batches{memory: newMemory(), failNext: map[string]error{}}
			s := &worker.Handler{
				BatchStore: kept, Retries: kept, Sender: sender,
				Targets: sending.NewTargetCache(sender, store, opener),
				Log:     slog.New(slog.DiscardHandler),
				Monitor: &health.Monitor{Counters: counted, Switch: store, Rule: health.Rule{}, Now: at.clock},
				NewID:   func() string { return "batch" },
			}
			kept.put(hitsOf("01GTD8R4000000000000000001", at.clock()))
			for _, err := range s.Deliver(t.Context(),
				[]worker.MessageBatch{{Tenant: "42", Integration: "i",
					IDs: []string{"01GTD8R4000000000000000001"}}}) {
				require.NoError(t, err)
			}
			d := kept.get("01GTD8R4000000000000000001")
			require.Len(t, d.Attempts, 1)
			if c.count.Attempts == 0 {
				require.Equal(t, delivery.Retrying, d.State)
				require.Contains(t, d.Attempts[0].Reason, "installation")
				require.NotContains(t, d.Attempts[0].Reason, "SSO")
			}
			attempts, failures := 0, 0
			for _, n := range counted.by {
				attempts, failures = attempts+n.Attempts, failures+n.Failures
			}
			require.Equal(t, []int{c.count.Attempts, c.count.Failures}, []int{attempts, failures})
		})
	}
}

// fixed opens every integration with the same parameters.
type fixed struct {
	system     destination.System
	parameters any
}

func (f fixed) Open(context.Context, integration.Integration) (integration.Opened, error) {
	return integration.Opened{System: f.system, Parameters: f.parameters}, nil
}
