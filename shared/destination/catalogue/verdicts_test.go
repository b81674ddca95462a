package catalogue_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/s3"
	"tocsin/shared/notification"
	"tocsin/shared/wording"
)

const page = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Log in - Acme &amp; " +
	"Co</title></head><body><form></form></body></html>"

var (
	asHTML = map[string]string{"Content-Type": "text/html; charset=utf-8"}
	asJSON = map[string]string{"Content-Type": "application/json"}
)

// everywhere are answers that any address can give.
var everywhere = []destinationtest.Answer{
	{Name: "sign-in page", Status: 200, Fields: asHTML, Body: page},
	{Name: "sign-in page as 201", Status: 201, Fields: asHTML, Body: page},
	{Name: "sign-in page as 202", Status: 202, Fields: asHTML, Body: page},
	{Name: "page that says it is text", Status: 200, Fields: map[string]string{"Content-Type": "text/plain"},
		Body: page},
	{Name: "page of no type", Status: 200, Body: "\ufeff  <html><body>hello"},
	{Name: "empty", Status: 200},
	{Name: "empty object", Status: 200, Fields: asJSON, Body: "{}"},
	{Name: "broken JSON", Status: 200, Fields: asJSON, Body: `{"id":`},
	{Name: "an error in a success", Status: 200, Fields: asJSON,
		Body: `{"error":{"code":"Nope","message":"no such thing"},"errors":[{"code":"e","message":"no"}],"status":"failure"}`},
	{Name: "nothing", Status: 201},
	{Name: "nothing", Status: 202},
	{Name: "nothing", Status: 204},
	{Name: "nothing", Status: 205},
	{Name: "several", Status: 207, Fields: asJSON, Body: "{}"},
	{Name: "to a sign-in page", Status: 302,
		Fields: map[string]string{"Location": "https://sso.example.com/saml/login?RelayState=hunter2"}},
	{Name: "to another host", Status: 301,
		Fields: map[string]string{"Location": "https://www.example.com/x?token=hunter2"}},
	{Name: "moved", Status: 307, Fields: map[string]string{"Location": "/elsewhere"}},
	{Status: 303},
	{Status: 304},
	{Status: 400},
	{Name: "page", Status: 400, Fields: asHTML, Body: page},
	{Status: 401},
	{Status: 403},
	{Name: "page", Status: 403, Fields: asHTML, Body: page},
	{Status: 404},
	{Status: 405},
	{Status: 410},
	{Status: 413},
	{Status: 415},
	{Status: 422},
	{Status: 429},
	{Name: "Retry-After", Status: 429, Fields: map[string]string{"Retry-After": "299.997"}},
	{Status: 500},
	{Status: 501},
	{Status: 502},
	{Status: 503},
	{Name: "Retry-After", Status: 503, Fields: map[string]string{"Retry-After": "120"}},
	{Status: 504},
	{Status: 511},
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

// H18, H19: what each system's answers mean, written down to be read. A 2xx is a success only in the form that the
// system documents; for receivers of the customer's own (webhook, Fluentd, Logstash) any 2xx is.
func TestH18EveryAnswerOfEverySystem(t *testing.T) {
	examples, folders := destinationtest.Examples(t)
	for _, e := range catalogue.Default().All() {
		name := e.System.Name
		if e.System.Class == notification.Mail {
			continue // its answers are those of a mail server
		}
		t.Run(name, func(t *testing.T) {
			d, _ := catalogue.Default().Destination(name)
			var b strings.Builder
			say := func(a destinationtest.Answer) destination.Verdict {
				r := destination.Response{Status: a.Status, Header: a.Header(), Body: []byte(a.Body),
					At: destinationtest.Now}
				v := d.Judge(r)
				label := a.Name
				if label == "" && a.Body != "" {
					label = a.Body
				}
				fmt.Fprintf(&b, "%d %s\n   %s\n", a.Status, strings.ReplaceAll(label, "\n", " "), verdict(v))
				require.NotContains(t, v.Reason, "hunter2", "the rest of an address can be a secret")
				require.GreaterOrEqual(t, v.RetryAfter, time.Duration(0))
				if v.Delivered {
					require.Equal(t, 2, a.Status/100)
					require.False(t, v.Pace || v.Unread || v.Gone || v.Without != "")
				} else {
					require.NotEmpty(t, v.Reason)
				}
				return v
			}
			require.NotEmpty(t, examples[name].Successes,
				"testdata/example.json: what its documentation shows of a success")
			for _, a := range examples[name].Successes {
				require.True(t, say(a).Delivered, a.Body)
			}
			for _, a := range examples[name].Answers {
				say(a)
			}
			for _, a := range everywhere {
				v := say(a)
				if a.Status/100 == 2 && strings.Contains(a.Body, "<html") {
					require.Equal(t, examples[name].AnySuccess, v.Delivered, a.Name)
				}
				if a.Status == 429 {
					require.True(t, v.Pace)
				}
				if a.Status == 410 {
					require.True(t, v.Gone)
				}
				if a.Header().Get("Retry-After") == "299.997" {
					require.Equal(t, 5*time.Minute, v.RetryAfter)
				}
			}
			destinationtest.Golden(t, filepath.Join(folders[name], "testdata", "verdicts.golden"), []byte(b.String()))
		})
	}
}

// newWord is one that no release knew when a vendor began to say it.
const newWord = "brand_new_word"

// What a vendor says was dropped where it was none of the words that were known: Slack's, Splunk's, Opsgenie's of other
// fields, and every plain text.
func TestAWordThatIsNewIsTold(t *testing.T) {
	examples, _ := destinationtest.Examples(t)
	for _, e := range catalogue.Default().All() {
		d, _ := catalogue.Default().Destination(e.System.Name)
		forms := examples[e.System.Name].Words
		require.Equal(t, e.System.Class == notification.Mail || examples[e.System.Name].AnySuccess, forms == nil,
			"%s: testdata/example.json: where its answers say what is wrong", e.System.Name)
		for _, form := range forms {
			for _, status := range []int{400, 403, 500} {
				v := d.Judge(destination.Response{Status: status, Body: fmt.Appendf(nil, form, newWord)})
				require.False(t, v.Delivered)
				require.Contains(t, v.Reason, newWord, "%s: %d %s", e.System.Name, status, form)
			}
		}
	}
}

// quoted are words of others in a reason in Japanese.
var quoted = regexp.MustCompile(`（先方のメッセージ：.*）|“[^”]*”|「[^」]*」`)

// english are words in a row that no name and no status has.
var english = regexp.MustCompile(`(^|[^A-Za-z])[a-z]+ [a-z]+ [a-z]+`)

// inJapanese requires that nothing of a reason stays English but what others said.
func inJapanese(t *testing.T, reason, of string) {
	t.Helper()
	in := quoted.ReplaceAllString(wording.In(wording.Japanese, reason), "")
	require.NotRegexp(t, english, in, "%s: %s", of, reason)
}

// A reader of Japanese was told in English why Splunk, Telegram, Teams and ServiceNow had failed.
func TestEachReasonIsInTheReadersLanguage(t *testing.T) {
	examples, _ := destinationtest.Examples(t)
	for _, e := range catalogue.Default().All() {
		d, _ := catalogue.Default().Destination(e.System.Name)
		if e.System.Class == notification.Mail {
			continue // its answers are those of a mail server
		}
		answers := slices.Concat(examples[e.System.Name].Answers, everywhere)
		for _, form := range examples[e.System.Name].Words {
			answers = append(answers, destinationtest.Answer{Status: 400, Body: fmt.Sprintf(form, newWord)})
		}
		for code := range 30 {
			if e.System.Name == "splunk" {
				answers = append(answers, destinationtest.Answer{Status: 400, Body: fmt.Sprintf(
					`{"text":"x","code":%d,"invalid-event-number":2}`, code)})
			}
		}
		for _, a := range answers {
			v := d.Judge(destination.Response{Status: a.Status, Header: a.Header(), Body: []byte(a.Body)})
			inJapanese(t, v.Reason, fmt.Sprintf("%s: %d %s", e.System.Name, a.Status, a.Body))
		}
	}
}

// withheld are what token endpoints and STS answer, by the system whose requests need a credential.
var withheld = map[string][]string{
	"sentinel": {"AADSTS7000222", "AADSTS7000215", "AADSTS700016", "AADSTS7000112", "AADSTS90002", "AADSTS900023",
		"AADSTS53003", "AADSTS1"},
	"servicenow": {"access_denied"},
	"web_hooks":  {"x"},
	"s3": {"AccessDenied", "RegionDisabledException", "ValidationError", "ExpiredToken", "InvalidClientTokenId",
		"SignatureDoesNotMatch", "Throttling", "ThrottlingException", "MalformedPolicyDocument", "SomethingNew"},
}

// The administrator of an expired client secret was told to check everything, and in English.
func TestARefusedCredentialSaysWhatToMend(t *testing.T) {
	examples, _ := destinationtest.Examples(t)
	for name, codes := range withheld {
		own := s3.Static{Of: s3.Account{ID: "210987654321"}, With: s3.Keys{ID: "i", Secret: "s"}}
		d, _ := catalogue.Default(s3.New(s3.Platform{Identity: own})).Destination(name)
		parameters := string(examples[name].Parameters)
		switch name {
		case "web_hooks":
			parameters = `{"url":"https://x.example","token_url":"https://x.example/t","client_id":"c",` +
				`"client_secret":"hunter2"}`
		case "s3":
			parameters = `{"bucket":"hits","region":"us-east-1","authorization":"role",` +
				`"role_arn":"arn:aws:iam::123456789012:role/x"}`
		}
		c := destinationtest.Case{Destination: d, Parameters: parameters}
		by := destinationtest.Encode(t, c, destinationtest.Notifications(d.System())[0])[0].Authorizer
		for _, code := range codes {
			for _, oauth := range []string{"invalid_client", "invalid_grant", "invalid_scope", "unauthorized_client",
				"unsupported_grant_type", "server_error"} {
				body := fmt.Sprintf(`{"error":%q,"error_description":"%s: hunter2"}`, oauth, code)
				if name == "s3" {
					body = `<R><Error><Code>` + code + `</Code><Message>hunter2</Message></Error></R>`
				}
				_, v := by.Read(destination.Response{Status: 401, Body: []byte(body)}, destinationtest.Now)
				require.NotContains(t, v.Reason, "hunter2")
				inJapanese(t, v.Reason, name)
				if name == "sentinel" {
					require.Contains(t, v.Reason, mended[code], code)
				} else if name == "web_hooks" {
					require.Contains(t, v.Reason, mended[oauth], oauth)
				}
				require.True(t, name != "s3" || strings.Contains(v.Reason, code), v.Reason)
			}
		}
	}
}

// mended are the words for some codes of the token endpoints.
var mended = map[string]string{
	"AADSTS7000222": "the client secret has expired", "AADSTS7000215": "enter its value, not its ID",
	"AADSTS700016": "no such application", "AADSTS7000112": "the application is disabled",
	"AADSTS90002": "no such tenant", "AADSTS900023": "no such tenant", "AADSTS53003": "Conditional Access",
	"AADSTS1":                "check the tenant ID, the client ID and the client secret",
	"invalid_client":         "check the client ID, the client secret and how it is sent",
	"unauthorized_client":    "allow it client credentials",
	"invalid_scope":          "check the scope and the audience",
	"unsupported_grant_type": "no tokens for client credentials",
}
