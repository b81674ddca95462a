package aws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/access"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws"
	"tocsin/shared/event"
)

// now is the clock of the suites, which play in 2023.
func now() time.Time { return time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC) }

func TestTheTemplateRoutesEveryKindOfEvent(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../../template.yaml")
	require.NoError(t, err)
	var want []any
	for _, k := range event.Kinds() {
		want = append(want, string(k))
	}
	require.ElementsMatch(t, want, awslocal.At(template.Resources["KnownEvents"].Properties, "EventPattern", "detail-type"))
	require.ElementsMatch(t, want, awslocal.At(template.Resources["UnknownEvents"].Properties, "EventPattern", "detail-type", 0, "anything-but"))
}

func TestP6EveryEventOfTheBusReachesFanOut(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../../template.yaml")
	require.NoError(t, err)
	read := map[string]bool{}
	for _, source := range awslocal.At(template.Resources["FanoutFunction"].Properties, "Events").(map[string]any) {
		read[awslocal.Target(awslocal.At(source, "Properties", "Queue"))] = true
	}
	for _, kind := range []string{"new_hits", "ip_denylist_requested", "something_new"} {
		for _, detail := range []string{`{"tenant":"42"}`, `{}`, `{"tenant":null}`, `{"tenant":42}`, `{"tenant":""}`, `{"tenant":"a b"}`, `{"tenant":{"id":"42"}}`} {
			var taken []string
			for id, rule := range template.Resources {
				if rule.Type != "AWS::Events::Rule" || awslocal.Target(awslocal.At(rule.Properties, "EventBusName")) == "" ||
					!awslocal.Matches(awslocal.At(rule.Properties, "EventPattern"), kind, []byte(detail)) {
					continue
				}
				taken = append(taken, id)
				target := awslocal.At(rule.Properties, "Targets", 0)
				require.True(t, read[awslocal.Target(awslocal.At(target, "Arn"))], "%s: fan-out reads it", id)
				if awslocal.At(target, "SqsParameters") != nil {
					require.True(t, read[awslocal.Target(awslocal.At(target, "DeadLetterConfig", "Arn"))], "%s: also what has no message group", id)
				}
			}
			require.Len(t, taken, 1, "%s %s: one rule takes it", kind, detail)
		}
	}
}

// failing processes what it is told to.
type failing struct {
	bad   map[string]bool
	calls int
}

func (f *failing) Process(_ context.Context, entries []delivery.Entry) ([]delivery.Lane, error) {
	f.calls++
	for _, e := range entries {
		if f.bad[e.Receipt] {
			return nil, errors.New("poison")
		}
	}
	return nil, nil
}

func TestAPoisonousEntryComesBackAlone(t *testing.T) {
	f := &failing{bad: map[string]bool{"m3": true}}
	var in events.SQSEvent
	for n := range 10 {
		in.Records = append(in.Records, events.SQSMessage{MessageId: fmt.Sprintf("m%d", n), Body: `{"detail-type":"new_hits","detail":{},"time":"2026-03-01T12:00:00Z"}`})
	}
	out, err := aws.FanoutHandler(f, slog.New(slog.DiscardHandler))(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, []events.SQSBatchItemFailure{{ItemIdentifier: "m3"}}, out.BatchItemFailures)
	all := &failing{bad: map[string]bool{}}
	for n := range 10 {
		all.bad[fmt.Sprintf("m%d", n)] = true
	}
	out, err = aws.FanoutHandler(all, slog.New(slog.DiscardHandler))(t.Context(), in)
	require.NoError(t, err)
	require.Len(t, out.BatchItemFailures, 10)
	require.Equal(t, 4, all.calls, "when it is not the entries, the rest is left for another time")
}

func TestTheGatewayHandsClaimsOver(t *testing.T) {
	var got access.Principal
	var refused error
	var gateway aws.Gateway
	handler := aws.APIHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, refused = gateway.Authenticate(r)
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("If-Match"), body)
	}))
	call := func(event string) events.APIGatewayV2HTTPResponse {
		t.Helper()
		out, err := handler(t.Context(), json.RawMessage(event))
		require.NoError(t, err)
		return out
	}
	out := call(`{"version":"2.0","rawPath":"/prod/v1/systems","rawQueryString":"limit=3","headers":{"if-match":"\"1\""},"body":"eA==","isBase64Encoded":true,
		"requestContext":{"stage":"prod","http":{"method":"PUT","path":"/prod/v1/systems"},"domainName":"d",
		"authorizer":{"jwt":{"claims":{"tenant":"42","role":"administrator","email":"ada@example.com","sub":"u1","iat":"1677628800"}}}}}`)
	require.NoError(t, refused)
	require.Equal(t, access.Principal{Tenant: "42", Role: access.Administrator, Email: "ada@example.com", Subject: "u1", Issued: time.Unix(1677628800, 0).UTC()}, got)
	require.Equal(t, http.StatusTeapot, out.StatusCode)
	require.Equal(t, `PUT /v1/systems?limit=3 "1" x`, out.Body)
	require.Equal(t, []string{"a=b"}, out.Cookies)
	call(`{"version":"2.0","rawPath":"/v1/systems","requestContext":{"stage":"$default","http":{"method":"GET"},"domainName":"d"}}`)
	var unauthorized *access.UnauthorizedError
	require.ErrorAs(t, refused, &unauthorized)

	// S14: attributes that a user can write are claims under another name, and no other name is looked for.
	claims := func(c string) {
		call(`{"version":"2.0","rawPath":"/v1/systems","requestContext":{"stage":"$default","http":{"method":"GET"},"domainName":"d","authorizer":{"jwt":{"claims":` + c + `}}}}`)
	}
	claims(`{"custom:tenant":"42","custom:role":"administrator"}`)
	require.ErrorAs(t, refused, &unauthorized, "a tenant that its user can choose")
	claims(`{"tenant":"42","custom:role":"administrator","custom:client_name":"Another"}`)
	require.NoError(t, refused)
	require.Equal(t, access.Principal{Tenant: "42"}, got, "a role that its user can choose")
	for _, c := range []string{`{"tenant":["42"],"role":"administrator"}`, `{"tenant":42,"role":"administrator"}`, `{"tenant":{"a":"42"}}`, `{"tenant":null,"role":"admin"}`} {
		claims(c)
		require.ErrorAs(t, refused, &unauthorized, c)
	}
	claims(`{"tenant":"42","role":["administrator"],"email":"ada@example.com","email_verified":"false"}`)
	require.NoError(t, refused)
	require.Equal(t, access.Principal{Tenant: "42"}, got, "a list is no role, and an address that is not verified is nobody's")
	gateway.Names = access.ClaimNames{Tenant: "custom:tenant", Role: "https://example.com/role", ClientName: "org"}
	claims(`{"tenant":"43","role":"administrator","custom:tenant":"42","https://example.com/role":"auditor","org":"Acme","client_name":"Another"}`)
	require.NoError(t, refused)
	require.Equal(t, access.Principal{Tenant: "42", Role: access.ReadOnly, ClientName: "Acme"}, got, "the claims that are named, and no others")
}
