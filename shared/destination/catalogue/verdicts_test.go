package catalogue_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/notification"
)

// an answer of a receiver, and what it is called in the golden files.
type answer struct {
	name, body string
	status     int
	header     http.Header
}

func at(status int, header http.Header, body string) answer {
	return answer{status: status, header: header, body: body}
}

const page = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Log in - Acme &amp; Co</title></head><body><form></form></body></html>"

var (
	asHTML = http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	asJSON = http.Header{"Content-Type": {"application/json"}}
)

// everywhere are answers that any address can give.
var everywhere = []answer{
	{"sign-in page", page, 200, asHTML},
	{"sign-in page as 201", page, 201, asHTML},
	{"sign-in page as 202", page, 202, asHTML},
	{"page that says it is text", page, 200, http.Header{"Content-Type": {"text/plain"}}},
	{"page of no type", "\ufeff  <html><body>hello", 200, nil},
	{"empty", "", 200, nil},
	{"empty object", "{}", 200, asJSON},
	{"broken JSON", `{"id":`, 200, asJSON},
	{"an error in a success", `{"error":{"code":"Nope","message":"no such thing"},"errors":[{"code":"e","message":"no"}],"status":"failure"}`, 200, asJSON},
	{"nothing", "", 201, nil}, {"nothing", "", 202, nil}, {"nothing", "", 204, nil}, {"nothing", "", 205, nil}, {"several", "{}", 207, asJSON},
	{"to a sign-in page", "", 302, http.Header{"Location": {"https://sso.example.com/saml/login?RelayState=hunter2"}}},
	{"to another host", "", 301, http.Header{"Location": {"https://www.example.com/x?token=hunter2"}}},
	{"moved", "", 307, http.Header{"Location": {"/elsewhere"}}},
	{"", "", 303, nil}, {"", "", 304, nil},
	{"", "", 400, nil}, {"page", page, 400, asHTML}, {"", "", 401, nil}, {"", "", 403, nil}, {"page", page, 403, asHTML}, {"", "", 404, nil}, {"", "", 405, nil}, {"", "", 410, nil},
	{"", "", 413, nil}, {"", "", 415, nil}, {"", "", 422, nil}, {"", "", 429, nil}, {"Retry-After", "", 429, http.Header{"Retry-After": {"299.997"}}},
	{"", "", 500, nil}, {"", "", 501, nil}, {"", "", 502, nil}, {"", "", 503, nil}, {"Retry-After", "", 503, http.Header{"Retry-After": {"120"}}}, {"", "", 504, nil}, {"", "", 511, nil},
}

// documented are the successes that the system's documentation shows; own its other words.
var documented = map[string][]answer{
	"slack":           {at(200, nil, "ok"), at(200, asJSON, `{"ok":true}`)},
	"telegram":        {at(200, asJSON, `{"ok":true,"result":{"message_id":7,"chat":{"id":-5}}}`)},
	"ms_teams":        {at(202, nil, ""), at(200, nil, "1")},
	"insight_connect": {at(200, asJSON, `{"id":"job"}`)},
	"opsgenie":        {at(202, asJSON, `{"result":"Request will be processed","took":0.302,"requestId":"43a29c5c-3dbf-4fa4-9c26-f4f71023e120"}`)},
	"pager_duty":      {at(202, asJSON, `{"status":"success","message":"Event processed","dedup_key":"samplekeyhere"}`)},
	"jira":            {at(201, asJSON, `{"id":"10000","key":"ED-24","self":"https://your-domain.atlassian.net/rest/api/3/issue/10000"}`)},
	"servicenow":      {at(201, asJSON, `{"result":{"number":"INC0010001","sys_id":"c537bae64f411200adf9f8e18110c76e"}}`)},
	"sumo_logic":      {at(200, nil, "")},
	"sentinel":        {at(204, nil, "")},
	"splunk":          {at(200, asJSON, `{"text":"Success","code":0}`), at(200, asJSON, `{"text":"Success","code":0,"ackId":0}`)},
	"data_dog":        {at(202, asJSON, `{}`)},
	"fluentd":         {at(200, nil, ""), at(201, nil, ""), at(204, nil, "")},
	"logstash":        {at(200, nil, "ok")},
	"s3":              {at(200, http.Header{"Etag": {`"x"`}}, "")},
	"minio":           {at(200, http.Header{"Etag": {`"x"`}}, "")},
	"web_hooks":       {at(200, nil, ""), at(202, nil, "thanks"), at(204, nil, ""), at(200, asHTML, page)},
}

func s3Error(status int, code string) answer {
	return at(status, http.Header{"Content-Type": {"application/xml"}}, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+code+`</Code><Message>the words of the storage</Message></Error>`)
}

var own = map[string][]answer{
	"slack": {
		at(400, nil, "invalid_payload"), at(400, nil, "user_not_found"), at(403, nil, "action_prohibited"), at(403, nil, "invalid_token"), at(403, nil, "posting_to_general_channel_denied"),
		at(404, nil, "channel_not_found"), at(404, nil, "no_service"), at(404, nil, "no_team"), at(404, nil, "no_active_hooks"), at(410, nil, "channel_is_archived"), at(410, nil, "team_disabled"),
		at(500, nil, "rollup_error"), at(400, nil, "no_text"), at(400, nil, "too_many_attachments"), at(400, nil, "invalid_blocks"), at(429, http.Header{"Retry-After": {"30"}}, "rate_limited"), at(200, nil, "invalid_payload"), at(200, asJSON, `{"ok":false,"error":"no_service"}`),
	},
	"telegram": {
		at(200, asJSON, `{"ok":true}`), at(200, asJSON, `{"ok":true,"result":true}`), at(200, asJSON, `{"ok":true,"result":{"message_id":0}}`), at(200, asJSON, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`),
		at(400, asJSON, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`), at(400, asJSON, `{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities: x"}`),
		at(400, asJSON, `{"ok":false,"error_code":400,"description":"Bad Request: message is too long"}`), at(403, asJSON, `{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}`),
		at(403, asJSON, `{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked from the supergroup chat"}`), at(403, asJSON, `{"ok":false,"error_code":403,"description":"Forbidden: user is deactivated"}`),
		at(400, asJSON, `{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001}}`),
		at(429, asJSON, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}`), at(401, asJSON, `{"ok":false,"error_code":401,"description":"Unauthorized"}`), at(413, asJSON, `{"ok":false,"error_code":413,"description":"Request Entity Too Large"}`),
	},
	"ms_teams": {
		at(200, nil, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId x"), at(200, nil, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413 with ContextId x"),
		at(200, nil, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 404 with ContextId x"), at(200, nil, "System.Net.Http.HttpRequestException: Error while copying content to a stream."),
		at(400, asJSON, `{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"Could not execute workflow trigger"}}`), at(404, asJSON, `{"error":{"code":"WorkflowNotFound","message":"The workflow was not found"}}`),
		at(401, asJSON, `{"error":{"code":"DirectApiAuthorizationRequired","message":"The request must be authenticated"}}`), at(400, asJSON, `{"error":{"code":"TriggerInputSchemaMismatch","message":"The input body did not match"}}`),
		at(400, nil, "Bad payload received by generic incoming webhook."), at(410, nil, "Connector configuration not found"), at(404, nil, "Invalid webhook URL"), at(200, nil, "ok"),
	},
	"opsgenie": {
		at(202, asJSON, `{"result":"Request will be processed"}`), at(403, asJSON, `{"message":"Api key is not authorized"}`), at(402, asJSON, `{"message":"Your plan does not include this"}`),
		at(422, asJSON, `{"message":"Request body is not processable. Please check the errors.","errors":{"message":"Message can not be empty."}}`), at(422, asJSON, `{"message":"Key format is not valid!: API key"}`),
		at(429, http.Header{"X-Ratelimit-State": {"THROTTLED"}, "X-Ratelimit-Period-In-Sec": {"60"}}, `{"message":"You are making too many requests!"}`),
	},
	"pager_duty": {
		at(202, asJSON, `{"status":"throttle exceeded"}`), at(400, asJSON, `{"status":"invalid event","message":"Event object is invalid","errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}`),
		at(400, asJSON, `{"status":"invalid event","message":"Event object is invalid","errors":["'payload.severity' is invalid"]}`), at(429, http.Header{"Ratelimit-Reset": {"2"}}, `{"status":"throttle exceeded"}`),
	},
	"jira": {
		at(201, asJSON, `{"self":"x"}`), at(201, asJSON, `{"id":"10000","key":"ED-2`), at(400, asJSON, `{"errorMessages":[],"errors":{"project":"valid project is required"}}`), at(400, asJSON, `{"errorMessages":[],"errors":{"summary":"Summary must be less than 255 characters."}}`),
		at(404, asJSON, `{"errorMessages":["No project could be found"]}`), at(429, http.Header{"X-Ratelimit-Reset": {"2023-03-01T00:01Z"}, "Retry-After": {"9"}}, ""),
	},
	"servicenow": {at(201, asJSON, `{"result":{}}`), at(201, asJSON, `{"result":{"number":"INC1","sys_id":"c537`), at(401, asJSON, `{"error":{"message":"User Not Authenticated","detail":"Required to provide Auth information"},"status":"failure"}`), at(429, http.Header{"Retry-After": {"1800"}}, "")},
	"sumo_logic": {at(401, asJSON, `{"status":401,"id":"x","code":"unauthorized","message":"Invalid token"}`), at(400, nil, "Invalid gzip body"), at(415, nil, "")},
	"sentinel":   {at(200, nil, ""), at(403, asJSON, `{"error":{"code":"OperationFailed","message":"no access"}}`), at(413, nil, "")},
	"splunk": {
		at(400, asJSON, `{"text":"Invalid data format","code":6,"invalid-event-number":2}`), at(400, asJSON, `{"text":"Event field cannot be blank","code":13}`), at(400, asJSON, `{"text":"Incorrect index","code":7}`), at(403, asJSON, `{"text":"Invalid token","code":4}`),
		at(503, asJSON, `{"text":"Server is busy","code":9}`), at(200, asJSON, `{"text":"HEC is healthy","code":17}`), at(429, asJSON, `{"text":"Queue at capacity","code":24}`), at(413, asJSON, `{"text":"Request entity too large","code":27}`), at(200, asJSON, `{"text":"Success"}`), at(400, asJSON, `{"text":"?","code":99}`),
	},
	"data_dog": {at(200, asJSON, `{"status":"ok"}`), at(403, asJSON, `{"errors":[{"status":"403","title":"Forbidden","detail":"API key is invalid"}]}`), at(429, http.Header{"X-Ratelimit-Reset": {"7"}}, `{"errors":["Too many requests"]}`), at(400, asJSON, `{"errors":["gzip: invalid header"]}`)},
	"s3": {
		s3Error(400, "InvalidArgument"), s3Error(400, "EntityTooLarge"), s3Error(501, "NotImplemented"), s3Error(503, "SlowDown"), s3Error(200, "InternalError"), s3Error(404, "NoSuchBucket"), s3Error(403, "SignatureDoesNotMatch"), s3Error(400, "ExpiredToken"), at(200, nil, "hello"),
	},
	"minio":     {s3Error(503, "SlowDownWrite"), s3Error(507, "XMinioStorageFull")},
	"fluentd":   {at(400, nil, "400 Bad Request\n'json' or 'msgpack' parameter is required")},
	"logstash":  {at(429, nil, "busy")},
	"web_hooks": {at(410, nil, "gone"), at(429, nil, `{"message":"You are being rate limited.","retry_after":0.65,"global":false}`)},
}

// verdict is a line for a reader: what is in it besides the reason are the marks that delivery acts on.
func verdict(v destination.Verdict) string {
	var marks []string
	mark := func(on bool, name string) {
		if on {
			marks = append(marks, name)
		}
	}
	mark(v.Delivered, "DELIVERED")
	mark(!v.Delivered, "failed")
	mark(v.Pace, "pace")
	mark(v.RetryAfter > 0, "wait "+v.RetryAfter.String())
	mark(v.Unread, "unread")
	mark(v.Gone, "gone")
	mark(v.Stale, "stale")
	mark(v.Without != "", "without "+string(v.Without))
	mark(v.Adapt != nil, "adapt "+string(v.Adapt))
	line := strings.Join(marks, ", ")
	if v.Reason != "" {
		line += "\n      " + v.Reason
	}
	return line
}

// H18, H19: what each system's answers mean, written down to be read. A 2xx is a success only in the form that the system
// documents; for receivers of the customer's own (webhook, Fluentd, Logstash) any 2xx is.
func TestH18EveryAnswerOfEverySystem(t *testing.T) {
	anything := map[string]bool{"web_hooks": true, "fluentd": true, "logstash": true}
	for _, e := range catalogue.Default().All() {
		name := e.System.Name
		if e.System.Class == notification.Mail {
			continue // its answers are those of a mail server
		}
		t.Run(name, func(t *testing.T) {
			d, _ := catalogue.Default().Destination(name)
			var b strings.Builder
			say := func(a answer) destination.Verdict {
				r := destination.Response{Status: a.status, Header: a.header, Body: []byte(a.body), At: destinationtest.Now}
				v := d.Judge(r)
				label := a.name
				if label == "" && a.body != "" {
					label = a.body
				}
				fmt.Fprintf(&b, "%d %s\n   %s\n", a.status, strings.ReplaceAll(label, "\n", " "), verdict(v))
				require.NotContains(t, v.Reason, "hunter2", "the rest of an address can be a secret")
				require.GreaterOrEqual(t, v.RetryAfter, time.Duration(0))
				if v.Delivered {
					require.Equal(t, 2, a.status/100)
					require.False(t, v.Pace || v.Unread || v.Gone || v.Without != "")
				} else {
					require.NotEmpty(t, v.Reason)
				}
				return v
			}
			require.NotEmpty(t, documented[name], "what its documentation shows of a success")
			for _, a := range documented[name] {
				require.True(t, say(a).Delivered, a.body)
			}
			for _, a := range own[name] {
				say(a)
			}
			for _, a := range everywhere {
				v := say(a)
				if a.status/100 == 2 && strings.Contains(a.body, "<html") {
					require.Equal(t, anything[name], v.Delivered, a.name)
				}
				if a.status == 429 {
					require.True(t, v.Pace)
				}
				if a.status == 410 {
					require.True(t, v.Gone)
				}
				if a.header.Get("Retry-After") == "299.997" {
					require.Equal(t, 5*time.Minute, v.RetryAfter)
				}
			}
			destinationtest.Golden(t, filepath.Join("testdata", "verdicts", name+".golden"), []byte(b.String()))
		})
	}
	files, err := os.ReadDir(filepath.Join("testdata", "verdicts"))
	require.NoError(t, err)
	require.Len(t, files, len(documented), "one for each system")
}
