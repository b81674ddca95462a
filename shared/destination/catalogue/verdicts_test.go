package catalogue_test

import (
	"fmt"
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
