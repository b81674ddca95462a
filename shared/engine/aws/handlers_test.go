package aws_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/access"
	"tocsin/shared/engine/aws/handlers"
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
	require.ElementsMatch(t, want, awslocal.At(template.Resources["KnownEvents"].Properties, "EventPattern",
		"detail-type"))
	require.ElementsMatch(t, want, awslocal.At(template.Resources["UnknownEvents"].Properties, "EventPattern",
		"detail-type", 0, "anything-but"))
}

func TestP6EveryEventOfTheBusReachesFanOut(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../../template.yaml")
	require.NoError(t, err)
	read := map[string]bool{}
	for _, source := range awslocal.At(template.Resources["FanoutFunction"].Properties, "Events").(map[string]any) {
		read[awslocal.Target(awslocal.At(source, "Properties", "Queue"))] = true
	}
	for _, kind := range []string{"new_hits", "ip_denylist_requested", "something_new"} {
		for _, detail := range []string{`{"tenant":"42"}`, `{}`, `{"tenant":null}`, `{"tenant":42}`, `{"tenant":""}`,
			`{"tenant":"a b"}`, `{"tenant":{"id":"42"}}`} {
			var taken []string
			for id, rule := range template.Resources {
				if rule.Type != "AWS::Events::Rule" ||
					awslocal.Target(awslocal.At(rule.Properties, "EventBusName")) == "" ||
					!awslocal.Matches(awslocal.At(rule.Properties, "EventPattern"), kind, []byte(detail)) {
					continue
				}
				taken = append(taken, id)
				target := awslocal.At(rule.Properties, "Targets", 0)
				require.True(t, read[awslocal.Target(awslocal.At(target, "Arn"))], "%s: fan-out reads it", id)
				if awslocal.At(target, "SqsParameters") != nil {
					require.True(t, read[awslocal.Target(awslocal.At(target, "DeadLetterConfig", "Arn"))],
						"%s: also what has no message group", id)
				}
			}
			require.Len(t, taken, 1, "%s %s: one rule takes it", kind, detail)
		}
	}
}

func TestTheGatewayHandsClaimsOver(t *testing.T) {
	var got access.Principal
	var refused error
	var gateway handlers.Gateway
	handler := handlers.API(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	require.Equal(t, access.Principal{Tenant: "42", Role: access.Administrator, Email: "ada@example.com", Subject: "u1",
		Issued: time.Unix(1677628800, 0).UTC()}, got)
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
	for _, c := range []string{`{"tenant":["42"],"role":"administrator"}`, `{"tenant":42,"role":"administrator"}`,
		`{"tenant":{"a":"42"}}`, `{"tenant":null,"role":"admin"}`} {
		claims(c)
		require.ErrorAs(t, refused, &unauthorized, c)
	}
	claims(`{"tenant":"42","role":["administrator"],"email":"ada@example.com","email_verified":"false"}`)
	require.NoError(t, refused)
	require.Equal(t, access.Principal{Tenant: "42"}, got,
		"a list is no role, and an address that is not verified is nobody's")
	gateway.Names = access.ClaimNames{Tenant: "custom:tenant", Role: "https://example.com/role", ClientName: "org"}
	claims(`{"tenant":"43","role":"administrator","custom:tenant":"42","https://example.com/role":"auditor","org":"Acme","client_name":"Another"}`)
	require.NoError(t, refused)
	require.Equal(t, access.Principal{Tenant: "42", Role: access.ReadOnly, ClientName: "Acme"}, got,
		"the claims that are named, and no others")
}
