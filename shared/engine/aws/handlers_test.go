package aws_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
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

func TestTheGatewayHandsRequestsOver(t *testing.T) {
	var cookie, bearer string
	handler := handlers.API(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Cookie("session")
		cookie, bearer = fmt.Sprint(c), r.Header.Get("Authorization")
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "d"})
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, r.Host, r.URL.RequestURI(), r.Header.Get("If-Match"), body)
	}))
	out, err := handler(t.Context(), json.RawMessage(`{"version":"2.0","rawPath":"/prod/v1/systems","rawQueryString":"limit=3",
		"headers":{"if-match":"\"1\"","authorization":"Bearer x"},"cookies":["other=1","session=s"],
		"body":"eA==","isBase64Encoded":true,
		"requestContext":{"stage":"prod","http":{"method":"PUT","path":"/prod/v1/systems"},"domainName":"d",
		"authorizer":{"jwt":{"claims":{"tenant":"42","role":"administrator"}}}}}`))
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, out.StatusCode)
	require.Equal(t, `PUT d /v1/systems?limit=3 "1" x`, out.Body)
	require.Equal(t, []string{"a=b", "c=d"}, out.Cookies)
	require.Equal(t, "session=s", cookie)
	require.Equal(t, "Bearer x", bearer)
}
