package destinationtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
	"tocsin/shared/plaintext"
)

// Hostile are texts that have broken senders before.
func Hostile() []string {
	return []string{
		"", " ", "\x00\x01\x1b[31m", "line\nbreak\r\nand\ttab", `"quotes" and \backslashes\`,
		"</script><script>alert(1)</script>", "<!channel> <@U1> *b* _i_ ~s~ `c`",
		"& &amp; < >", "{{.Secret}} ${jndi:ldap://x} %s %d", "\xff\xfe not UTF-8", "שלום مرحبا \u202e rtl",
		"日本語 🚨🚨 👩‍👩‍👧‍👦", "\u2028\u2029",
		strings.Repeat("x", 100<<10), strings.Repeat("<", 5000), strings.Repeat("🚨", 5000), "To: a@b.c\r\nBcc: d@e.f",
		"a\nThreat: Low\n\nMore details: https://evil.example/",
		"1*2*3 `x` http://evil.test [a](https://evil.example) {code}[b|http://c]!d!{noformat} h1. @here :smile:",
		"abc\u202etxt.exe \u2066x\u2069\u200f\u061c", "\ufeff\u200b\u00ad\u2060\U000e0041\ufff9",
		"\u0085\u000b\u000c\u009b", "[code]<b>x</b>[/code]",
		"javascript:alert(1)", " JAVASCRIPT:alert(1)", "//evil.example", "/api/1", "data:text/html,x", "http:evil",
		"https://user@evil.example/", "https://ok.example/\u202egpj",
		strings.Repeat(`"\`, 9000), strings.Repeat("'", 9000), strings.Repeat("é", 9000), "\u0301\u0301",
		"\ufdd0\uffff\U0001fffe",
	}
}

// HostileJSON are values that JSON parsers have broken on before. Each is valid JSON to Go's.
func HostileJSON() []string {
	return []string{
		`"\ud800"`, `"a\udfffb"`, `{"\udc00\ud800":1}`, `"\u0000"`, `"\uffff\ufffe"`, "\"\xff\xc0\xaf\"",
		`{"a":1,"a":2,"\u0061":3}`, `1e400`, `-1E+99999`, `1e-400`,
		strings.Repeat("9", 60), `0.` + strings.Repeat("3", 60), `-0`, `18446744073709551615`,
		strings.Repeat("[", 200) + strings.Repeat("]", 200),
		strings.Repeat(`{"a":`, 200) + `"\ud800"` + strings.Repeat("}", 200), "[\n1,\r\n2]", "\"\u2028\u2029\u0085\"",
		`{"headers":{"a":"\ud800"},"cloud":1,"\u0063loud":2}`, `{"":{"":[]}}`,
	}
}

// places are where upstream's texts stand: § is a text, ¤ any JSON value.
var places = map[event.Kind]string{
	event.Vuln:                `{"object_id":1,"vuln":{"threat":"High","title":§,"domain":§,"path":§,"parameter":§,"id":§,"type":§,"method":§,"discovered_by":§,"extra":¤},"extra":¤}`,
	event.SecurityIssue:       `{"object_id":1,"security_issue":{"risk":"High","title":§,"host":§,"path":§,"parameter":§,"id":§,"type":§,"method":§,"discovered_by":§,"extra":¤}}`,
	event.NewHits:             `{"hit":{"type":"xss","payloads":[§,§],"path":§,"domain":§,"extra":§,"more":¤,"tags":{"x":¤}},"extra":¤}`,
	event.CreateUser:          `{"user":{"name":§,"email":"a@example.com","role":§},"by":{"name":§},"extra":¤}`,
	event.IntegrationBroken:   `{"integration":{"id":"i","name":§,"type":§},"reason":§,"extra":¤}`,
	event.NewScopeDomains:     `{"data":[{"action":§,"entity":{"domain":§}},{"entity":{"name":§,"extra":¤}}]}`,
	event.TriggerCreate:       `{"trigger":{"id":"t","name":§},"extra":¤}`,
	event.IPBlocked:           `{"trigger_name":§,"application":§,"reason":§,"expire_at":§,"ip":"203.0.113.9","extra":¤}`,
	event.APIStructureChanged: `{"trigger_name":§,"application":§,"domain":§,"endpoint_path":§,"http_method":§,"change_type":§,"link":§,"extra":¤}`,
	event.APIComparisonResult: `{"trigger_name":§,"endpoint_path":§,"http_method":§,"type_of_endpoint":§,"specification_name":§,"link":§,"extra":¤}`,
	event.CompromisedLogins:   `{"trigger_name":§,"accounts":[§],"url":§,"link":§,"extra":¤}`,
	event.IncidentsExceeded:   `{"trigger_name":§,"counted":§,"count":1,"period":60,"clauses":[{"filter":"URI","operator":"eq","values":[§]}],"extra":¤}`,
}

// HostileNotifications put a text into every place that upstream fills.
func HostileNotifications(s string) []notification.Notification { return hostile(s, "null") }

// hostile is HostileNotifications with a JSON value where upstream may add members.
func hostile(s, value string) []notification.Notification {
	q, err := ijson.Marshal(s)
	if err != nil {
		panic(err)
	}
	client := s
	if len(client) > 200 || !utf8.ValidString(s) {
		client = "Acme <& Co>"
	}
	var out []notification.Notification
	for k, data := range places {
		if len(s) > 4<<10 && k != event.Vuln && k != event.SecurityIssue && k != event.NewHits {
			continue // a few places are enough for what takes long
		}
		data = strings.ReplaceAll(strings.ReplaceAll(data, "§", string(q)), "¤", value)
		out = append(out, notification.Notification{Platform: Platform, Test: k == event.Vuln && len(s)%2 == 1,
			Event: event.Event{
				ID: "evt", Tenant: "42", ClientName: client, Kind: k, Time: Now, Data: json.RawMessage(data),
			}})
	}
	return out
}

// Fuzz encodes notifications with a fuzzed text in every place, and a fuzzed JSON value, and checks each request.
func Fuzz(f *testing.F, c Case) {
	for _, s := range Hostile() {
		if len(s) < 200 { // Run has the long ones
			f.Add(s, "null")
		}
	}
	f.Add(strings.Repeat("<", 5000), `{"a":"\ud800","b":[1e400],"a":2}`)
	f.Fuzz(func(t *testing.T, s, value string) {
		if !json.Valid([]byte(value)) || len(value) > 100<<10 {
			value = "null"
		}
		for _, n := range hostile(s, value) {
			for _, r := range Encode(t, c, n) {
				c.check(t, r)
			}
		}
	})
}

// check is what holds for every system, and then what holds for this one.
func (c Case) check(t *testing.T, r destination.Request) {
	t.Helper()
	c.Check(t, r)
	if m := r.Mail; m != nil {
		people(t, m.Subject, false)
		people(t, m.Text, true)
		people(t, m.HTML, true)
		return
	}
	if !strings.Contains(r.Header.Get("Content-Type"), "json") {
		return
	}
	body := Plain(r)
	Strict(t, body)
	if bytes.Contains(body, []byte(`\u003c`)) {
		t.Fatalf("six bytes for one: %.300s", body)
	}
	if c.Destination.System().Batch.Every > 0 {
		return // files are for machines
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	for {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		walk(t, "", v)
	}
}

// machine are the members that hold what upstream wrote, for machines.
var machine = map[string]bool{"details": true, "RawData": true, "RequestId": true, "RemoteAddr": true, "Url": true}

// links are the members that a system opens.
var links = map[string]bool{"url": true, "href": true, "client_url": true, "vuln_link": true,
	"security_issue_link": true, "integration_link": true}

func walk(t *testing.T, name string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for n, member := range v {
			if strings.HasSuffix(name, ".") {
				n += "."
			}
			if n == "custom_details" {
				n += "." // the names below are upstream's
			}
			if !machine[n] {
				walk(t, n, member)
			}
			if inner, ok := member.(map[string]any); ok && n == "details" {
				for _, l := range []string{"vuln_link", "security_issue_link", "integration_link"} {
					if inner[l] != nil {
						walk(t, l, inner[l])
					}
				}
			}
		}
	case []any:
		for _, entry := range v {
			walk(t, name, entry)
		}
	case string:
		people(t, v, true)
		if links[name] {
			require.NotEmpty(t, v, name)
			require.Equal(t, v, plaintext.Link(v), name)
		}
	}
}

// people holds for a text that people read.
func people(t *testing.T, s string, lines bool) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Fatalf("no UTF-8: %.300q", s)
	}
	for _, r := range s {
		switch {
		case r >= ' ' && r <= '~', lines && (r == '\n' || r == '\t'), r == 0x200c, r == 0x200d:
		case unicode.Is(unicode.Bidi_Control, r), unicode.Is(unicode.Cf, r), unicode.IsControl(r), r == 0x2028,
			r == 0x2029:
			t.Fatalf("%U turns, hides or parts what a reader sees: %.300q", r, s)
		}
	}
}

// Strict reads JSON values, one after another, with a parser that is not ours and holds to RFC 8259 and 7493: it
// refuses a name that stands twice, what is no UTF-8, and half a surrogate.
func Strict(t testing.TB, body []byte) {
	t.Helper()
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v: %.300s", err, body)
		}
		if dec.StackDepth() > ijson.MaxDepth+5 {
			t.Fatalf("%d levels: %.300s", dec.StackDepth(), body)
		}
		switch token.Kind() {
		case '0':
			_, err := strconv.ParseFloat(token.String(), 64)
			require.NoError(t, err, "a number that a double can not hold")
			require.LessOrEqual(t, len(token.String()), 24)
		case '"':
			for _, r := range token.String() {
				if r == 0 || r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef {
					t.Fatalf("%U is refused by some: %.300s", r, token)
				}
			}
		}
	}
}
