// Package destinationtest is the suite that every system passes: its form, its payloads for every kind of event
// (golden files, made anew by -update and read by a person), its limits under hostile content, its judgement.
package destinationtest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/notification"
	"tocsin/shared/wording"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	keep   = flag.String("keep", "",
		"write the body of every request of the suite to this folder, for decoders that are not written in Go")
)

// Now is the time of every attempt of the suite.
var Now = time.Unix(1677628800, 0).UTC()

// Platform is the sender of the suite.
var Platform = notification.Platform{Name: "Platform", Console: "https://console.example.com",
	Pages: "https://console.example.com", Cloud: "EU"}

// Case is a system under test.
type Case struct {
	Destination destination.Destination
	// Parameters is an object with every secret field set.
	Parameters string
	// Secrets are the values in it that nobody may be shown.
	Secrets []string
	// Check looks at one request: that it parses as the system would parse it, and is within its limits.
	Check func(t *testing.T, r destination.Request)
}

// Run runs the whole suite.
func Run(t *testing.T, c Case) {
	t.Run("form", func(t *testing.T) { form(t, c) })
	t.Run("parameters", func(t *testing.T) { parameters(t, c) })
	t.Run("golden", func(t *testing.T) { golden(t, c) })
	t.Run("triggers", func(t *testing.T) { triggered(t, c) })
	t.Run("findings", func(t *testing.T) { findings(t, c) })
	t.Run("templates", func(t *testing.T) { templates(t, c) })
	t.Run("late", func(t *testing.T) { late(t, c) })
	t.Run("fallback", func(t *testing.T) { fellBack(t, c) })
	if c.Destination.System().Class.Read() { // a digest is for people
		t.Run("digest", func(t *testing.T) { digest(t, c) })
	}
	t.Run("batch", func(t *testing.T) { batch(t, c) })
	t.Run("hostile content", func(t *testing.T) {
		for _, s := range Hostile() {
			for _, n := range HostileNotifications(s) {
				for _, r := range Encode(t, c, n) {
					c.check(t, r)
				}
			}
		}
	})
	t.Run("H10 hostile JSON", func(t *testing.T) {
		for _, value := range HostileJSON() {
			for _, n := range hostile("x", value) {
				for _, r := range Encode(t, c, n) {
					c.check(t, r)
				}
			}
		}
	})
	t.Run("judgement", func(t *testing.T) { judge(t, c) })
}

// Open completes the case's parameters and decodes them.
func Open(t testing.TB, c Case) any {
	t.Helper()
	p := c.Destination.System().Parameters
	full, err := p.Complete(json.RawMessage(c.Parameters))
	require.NoError(t, err)
	opened, err := p.Open(full)
	require.NoError(t, err)
	return opened
}

// Encode writes notifications as the system's requests. What people read has the times of UTC.
func Encode(t testing.TB, c Case, ns ...notification.Notification) []destination.Request {
	t.Helper()
	if c.Destination.System().Class.Read() {
		ns = slices.Clone(ns)
		for k := range ns {
			ns[k].Zone = cmp.Or(ns[k].Zone, time.UTC)
		}
	}
	rs, err := c.Destination.Encode(destination.Target{Parameters: Open(t, c), Delivery: "01GTD8R400000000000000TEST",
		Now: Now}, ns)
	require.NoError(t, err)
	for _, r := range rs {
		keepBody(t, r.Body)
	}
	return rs
}

// keepBody writes a body under the name of its digest, if -keep asks for it.
func keepBody(t testing.TB, body []byte) {
	if *keep == "" || len(body) == 0 {
		return
	}
	require.NoError(t, os.MkdirAll(*keep, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(*keep, fmt.Sprintf("%x", sha256.Sum256(body))[:16]), body, 0o644))
}

func form(t *testing.T, c Case) {
	s := c.Destination.System()
	require.NotEmpty(t, s.Name)
	require.NotEmpty(t, s.Title)
	require.Contains(t, destination.Groups(), s.Group)
	require.NotEmpty(t, s.Events)
	for _, e := range s.Events {
		require.True(t, e.Valid(), e)
	}
	var schema struct {
		Schema     string `json:"$schema"`
		Properties map[string]struct {
			Title, Description string
		}
		AdditionalProperties *bool
	}
	require.NoError(t, json.Unmarshal(s.Parameters.Schema(), &schema))
	require.Contains(t, schema.Schema, "2020-12")
	require.NotNil(t, schema.AdditionalProperties)
	require.False(t, *schema.AdditionalProperties)
	require.NotEmpty(t, schema.Properties)
	for name, p := range schema.Properties {
		require.NotEmpty(t, p.Title, "the form needs a title for %s", name)
		require.NotEmpty(t, p.Description, "the form needs a help text for %s", name)
	}
}

func parameters(t *testing.T, c Case) {
	p := c.Destination.System().Parameters
	full, err := p.Complete(json.RawMessage(c.Parameters))
	require.NoError(t, err)
	shown, secret, err := p.Split(full)
	require.NoError(t, err)
	var hidden map[string]any
	require.NoError(t, json.Unmarshal(secret, &hidden))
	masked, err := p.Masked(shown, secret)
	require.NoError(t, err)
	require.ElementsMatch(t, c.Secrets, p.SecretValues(full))
	for _, v := range c.Secrets {
		require.NotContains(t, string(shown), v)
		require.NotContains(t, string(masked), v)
	}
	merged, err := p.Merge(full, masked)
	require.NoError(t, err)
	require.JSONEq(t, string(full), string(merged), "the masked answer sent back changes nothing")
	for _, f := range p.Fields() {
		if f.Required {
			_, err := p.Complete(without(t, full, f.Name))
			require.ErrorContains(t, err, "parameters."+f.Name+": is required")
		}
		_, err := p.Complete(with(t, full, f.Name, `[{"a":1}]`))
		require.ErrorContains(t, err, "parameters."+f.Name, "a value of the wrong type")
		for _, v := range p.SecretValues(full) {
			require.NotContains(t, err.Error(), v)
		}
		if f.URL {
			_, err := p.Complete(with(t, full, f.Name, `"not an address"`))
			require.ErrorContains(t, err, "parameters."+f.Name)
			_, err = p.Complete(with(t, full, f.Name, `"https://example.com/`+strings.Repeat("x", 3000)+`"`))
			require.ErrorContains(t, err, "at most")
		}
	}
	_, err = p.Complete(with(t, full, "colour", `"red"`))
	require.ErrorContains(t, err, "parameters.colour: is not a parameter of this system")
}

func with(t *testing.T, full json.RawMessage, name, value string) json.RawMessage {
	var m map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(full, &m))
	if m[name] = json.RawMessage(value); value == "" {
		delete(m, name)
	}
	out, err := json.Marshal(m)
	require.NoError(t, err)
	return out
}

func without(t *testing.T, full json.RawMessage, name string) json.RawMessage {
	return with(t, full, name, "")
}

// golden compares the requests of each kind that the system can receive, and of its test, with the files of testdata.
func golden(t *testing.T, c Case) {
	for _, n := range Notifications(c.Destination.System()) {
		name := string(n.Event.Kind)
		if n.Test {
			name = "test_" + name
		}
		t.Run(name, func(t *testing.T) {
			rs := Encode(t, c, n)
			again := Encode(t, c, n)
			require.Equal(t, rs, again, "the same input gives the same requests")
			for _, r := range rs {
				c.check(t, r)
			}
			Golden(t, filepath.Join("testdata", name+".golden"), dump(rs))
		})
	}
}

// triggered compares the messages of triggers that the system can be sent with one file.
func triggered(t *testing.T, c Case) {
	var all bytes.Buffer
	for _, kind := range c.Destination.System().Triggered {
		data, ok := notices[kind]
		require.True(t, ok, "no sample of %s", kind)
		e, err := event.Parse(string(kind), fmt.Appendf(nil, `{"version":1,"id":"evt-%s","tenant":"42",`+
			`"client_name":"Acme","time":%q,"data":%s}`, kind, Now.Format(time.RFC3339), data))
		require.NoError(t, err)
		rs := Encode(t, c, notification.Notification{Event: e, Platform: Platform})
		require.NotEmpty(t, rs, kind)
		for _, r := range rs {
			c.check(t, r)
		}
		fmt.Fprintf(&all, "== %s ==\n%s\n", kind, dump(rs))
	}
	if all.Len() > 0 {
		require.NotContains(t, all.String(), "reaction", "whom a trigger names is nobody's to read")
		Golden(t, filepath.Join("testdata", "triggered.golden"), all.Bytes())
	}
}

// Findings are a vulnerability and a security issue that were opened, opened again and closed, with a port and a URL,
// in both languages where people read the system.
func Findings(s destination.System) []notification.Notification {
	languages := []wording.Language{wording.English}
	if s.Class.Read() {
		languages = append(languages, wording.Japanese)
	}
	var out []notification.Notification
	for _, language := range languages {
		for _, kind := range []event.Kind{event.Vuln, event.SecurityIssue} {
			for _, status := range []string{event.StatusOpen, event.StatusReopened, event.StatusClosed} {
				data := strings.Replace(samples[kind], `"title"`, `"port":8443,"url":"https://shop.example.com:8443/a?b=1",`+
					`"status":"`+status+`","title"`, 1)
				e := event.Event{ID: "evt-" + string(kind) + "-" + status, Tenant: "42", ClientName: "Acme", Kind: kind,
					Time: Now, Data: json.RawMessage(data)}
				if slices.Contains(s.Events, e.Type()) {
					out = append(out, notification.Notification{Event: e, Platform: Platform, Language: language})
				}
			}
		}
	}
	return out
}

// findings compares the messages of findings that change with one file.
func findings(t *testing.T, c Case) {
	var all bytes.Buffer
	for _, n := range Findings(c.Destination.System()) {
		require.NoError(t, n.Event.Validate())
		rs := Encode(t, c, n)
		for _, r := range rs {
			c.check(t, r)
		}
		fmt.Fprintf(&all, "== %s %s ==\n%s\n", n.Event.ID, n.Language, dump(rs))
	}
	if all.Len() > 0 {
		Golden(t, filepath.Join("testdata", "findings.golden"), all.Bytes())
	}
}

// Templates are message templates as somebody may write them: of the second each line begins with what upstream wrote.
var Templates = []messagetemplate.Source{
	{Title: `{{.Symbol}} {{.Headline}}{{if .Host}} on {{.Host}}{{end}}`, Text: "{{.Sentence}}\n\n{{.Details}}\n\n" +
		"Look it up: https://wiki.example.com/on-call <b>now</b> @channel *all*\nh1. {{.Kind}} · {{.Client}}\n{{.Time}}"},
	{Title: `{{or .Title .User .Trigger .Application "x"}}`,
		Text: "{{.Title}}\n{{.Path}}\n{{.Payload}}\n{{.User}}\n{{.Trigger}}\n{{.Host}}\n\nx"},
}

// templates compares the requests of each kind with the words of a message template, where the system can have one, and
// sees that hostile words in them keep to the system's limits and markup.
func templates(t *testing.T, c Case) {
	if !c.Destination.System().Templated() {
		return
	}
	shown := map[event.Kind]bool{event.NewHits: true, event.Vuln: true, event.SecurityIssue: true,
		event.UpdateUser: true}
	var all bytes.Buffer
	for at, source := range Templates {
		template, problems := messagetemplate.Compile(source)
		require.Empty(t, problems)
		for _, n := range Notifications(c.Destination.System()) {
			n.Late = n.Event.Kind == event.UpdateUser
			worded, said := template.Apply(n)
			require.Empty(t, said)
			rs := Encode(t, c, worded)
			for _, r := range rs {
				c.check(t, r)
			}
			if at == 0 && shown[n.Event.Kind] {
				fmt.Fprintf(&all, "== %s ==\n%s\n", n.Event.ID, dump(rs))
			}
		}
		for _, s := range Hostile() {
			for _, n := range HostileNotifications(s) {
				worded, _ := template.Apply(n)
				for _, r := range Encode(t, c, worded) {
					c.check(t, r)
				}
			}
		}
	}
	Golden(t, filepath.Join("testdata", "templates.golden"), all.Bytes())
}

// late compares the requests of one late notification with a file, and sees that those of all kinds say it under the
// same names as ever.
func late(t *testing.T, c Case) {
	all := Notifications(c.Destination.System())
	marked := regexp.MustCompile(`sent late|"late": true|X-Amz-Meta-Late: true`)
	for k, n := range all {
		if n.Test {
			continue
		}
		require.NotRegexp(t, marked, string(dump(Encode(t, c, n))))
		n.Late = true
		rs := Encode(t, c, n)
		got := dump(rs)
		if n.Step() != event.Closed { // which can be a request that has no text
			require.Regexp(t, marked, string(got), n.Event.Kind)
		}
		for _, r := range rs {
			c.check(t, r)
		}
		if k == 0 {
			Golden(t, filepath.Join("testdata", "late_"+string(n.Event.Kind)+".golden"), got)
		}
	}
}

// FellBack is where the notifications come from that came by fallback.
var FellBack = notification.FellBack{Integration: "01GTD8R4000000000000000009", Name: "On call",
	Reason: "the receiver answered 503"}

// fellBack compares the requests of one notification that came by fallback with a file, in each language, and sees that
// those of all kinds say it: to people in words, to machines in a member of their own.
func fellBack(t *testing.T, c Case) {
	marked := map[wording.Language]*regexp.Regexp{
		wording.English: regexp.MustCompile(`could not be delivered to On call: |"fallback": \{|` +
			`X-Amz-Meta-Fallback-Of: 01GTD8R4000000000000000009`),
		wording.Japanese: regexp.MustCompile(`On call に配信できませんでした|"fallback": \{|` +
			`X-Amz-Meta-Fallback-Of: 01GTD8R4000000000000000009`),
	}
	var all bytes.Buffer
	for k, n := range Notifications(c.Destination.System()) {
		if n.Test {
			continue
		}
		require.NotRegexp(t, marked[wording.English], string(dump(Encode(t, c, n))))
		n.FellBack = &FellBack
		for _, n.Language = range wording.Languages() {
			rs := Encode(t, c, n)
			got := dump(rs)
			if n.Step() != event.Closed { // which can be a request that has no text
				require.Regexp(t, marked[n.Language], string(got), n.Event.Kind)
			}
			for _, r := range rs {
				c.check(t, r)
			}
			if k == 0 {
				fmt.Fprintf(&all, "== %s ==\n%s\n", n.Language, got)
			}
		}
	}
	Golden(t, filepath.Join("testdata", "fallback.golden"), all.Bytes())
	for _, s := range Hostile() {
		for _, n := range HostileNotifications(s) {
			n.FellBack = &notification.FellBack{Integration: "i", Name: s, Reason: s}
			for _, r := range Encode(t, c, n) {
				c.check(t, r)
			}
		}
	}
}

// Golden compares with a file, or writes it under -update.
func Golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "make it with -update, then read it")
	require.Equal(t, string(want), string(got), "run with -update if this change is meant, then read the file")
}

// Plain is a request's body as it was before compression.
func Plain(r destination.Request) []byte {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return r.Body
	}
	z, err := gzip.NewReader(bytes.NewReader(r.Body))
	if err != nil {
		panic(fmt.Sprintf("a body that says it is gzip is not: %v", err))
	}
	body, err := io.ReadAll(z)
	if err != nil {
		panic(fmt.Sprintf("a body that says it is gzip is torn: %v", err))
	}
	return body
}

// dump writes requests for a reader: the method and address, the headers, the body (indented where it is JSON).
func dump(rs []destination.Request) []byte {
	var b bytes.Buffer
	for i, r := range rs {
		if i > 0 {
			b.WriteString("\n-- next request --\n")
		}
		if m := r.Mail; m != nil {
			fmt.Fprintf(&b, "To: %s\nSubject: %s\nID: %s\n\n%s\n-- html --\n%s\n", m.To, m.Subject, m.ID, m.Text,
				m.HTML)
			continue
		}
		if r.Authorizer != nil {
			b.WriteString("-- with the credential of --\n")
			if q, err := r.Authorizer.Ask(context.Background(), Now); err != nil {
				b.WriteString(err.Error() + "\n")
			} else {
				b.Write(dump([]destination.Request{q}))
			}
			b.WriteString("-- end --\n")
		}
		fmt.Fprintf(&b, "%s %s\n", r.Method, r.URL)
		_ = r.Header.Write(&b) // to memory
		b.WriteByte('\n')
		for line := range bytes.Lines(Plain(r)) {
			if json.Indent(&b, bytes.TrimRight(line, "\n"), "", "  ") != nil {
				b.Write(line)
			}
			b.WriteByte('\n')
		}
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("\r\n"), []byte("\n"))
}

// batch sends many notifications at once: all arrive, and every request keeps to the limits.
func batch(t *testing.T, c Case) {
	n := Notifications(c.Destination.System())[0]
	var many []notification.Notification
	for i := range 2*c.Destination.System().Batch.Limit() + 3 {
		m := n
		m.Event.ID = fmt.Sprintf("many-%d", i)
		many = append(many, m)
	}
	rs := Encode(t, c, many...)
	require.GreaterOrEqual(t, len(rs), len(many)/c.Destination.System().Batch.Limit())
	for _, r := range rs {
		c.check(t, r)
	}
}

func judge(t *testing.T, c Case) {
	status := func(code int) destination.Verdict { return c.Destination.Judge(destination.Response{Status: code}) }
	for _, code := range []int{301, 400, 401, 403, 404, 410, 413, 429, 500, 503} {
		v := status(code)
		require.False(t, v.Delivered, code)
		require.Contains(t, v.Reason, fmt.Sprint(code), "the reason names the status")
	}
}

// Notifications are one of each kind that the system can receive, and its test set.
func Notifications(s destination.System) []notification.Notification {
	offered := map[event.Type]bool{}
	for _, t := range s.Events {
		offered[t] = true
	}
	var out []notification.Notification
	for _, e := range Events() {
		if offered[e.Type()] {
			out = append(out, notification.Notification{Event: e, Platform: Platform})
		}
	}
	return append(out, notification.Samples(s.Class, Platform, "42", "Acme", "test", Now)...)
}

// Events are one event of each kind that a subscription can ask for.
func Events() []event.Event {
	var out []event.Event
	for _, k := range event.Kinds() {
		if data, ok := samples[k]; ok {
			out = append(out, event.Event{ID: "evt-" + string(k), Tenant: "42", ClientName: "Acme", Kind: k, Time: Now,
				Data: json.RawMessage(data)})
		}
	}
	return out
}

const integrationData = `{"integration":{"id":"01GTD8R4000000000000000001","name":"Ops channel","type":"slack"},"reason":"30 of 40 requests failed within 12 hours (75 %, the limit is 60 %)","by":{"name":"Ada","email":"ada@example.com"}}`

const failingData = `{"integration":{"id":"01GTD8R4000000000000000001","name":"Ops channel","type":"slack"},` +
	`"last_answer":"answered 404 Not Found: the webhook is gone: make a new one at Slack","failing_since":"2023-03-01T00:00:00Z","waiting":1000,"waiting_more":true,"not_sent":3}`

const enabledData = `{"integration":{"id":"01GTD8R4000000000000000001","name":"Ops channel","type":"slack"},"missed":1200,"missed_more":true,` +
	`"by":{"name":"Ada","email":"ada@example.com"}}`

const brokenData = `{"integration":{"id":"01GTD8R4000000000000000001","name":"Ops channel","type":"slack"},` +
	`"reason":"30 of 40 requests failed within 12 hours (75 %, the limit is 60 %)","failing_since":"2023-03-01T00:00:00Z","waiting":5,"not_sent":17}`

var samples = map[event.Kind]string{
	event.NewHits:            `{"hit":{"domain":"shop.example.com","heur_distance":0.5,"method":"POST","parameter":"POST_comment_value","path":"/orders/1","payloads":["' or 1=1--"],"point":["post","comment"],"probability":0.5,"remote_country":"NL","remote_port":40112,"remote_addr4":"203.0.113.7","remote_addr6":"","tor":"none","request_time":1677628800,"create_time":1677628802,"response_len":345,"response_status":404,"response_time":120,"stamps":[2042],"regex":[],"stamps_hash":-730112,"regex_hash":-2147483648,"type":"sqli","block_status":"monitored","id":["hits_production_42_202303_v_1","k3Zr0a1xQmS8T2bW5cYd"],"object_type":"hit","anomaly":0.98}}`,
	event.Vuln:               `{"object_id":555,"vuln":{"domain":"shop.example.com","id":"PLT-42-I0001","method":"GET","parameter":"q","path":"/search","title":"Reflected XSS","discovered_by":"scanner","threat":"Medium","type":"XSS"}}`,
	event.SecurityIssue:      `{"object_id":556,"security_issue":{"host":"shop.example.com","id":"PLT-42-I0002","method":null,"parameter":null,"path":"/","title":"Open admin page","discovered_by":"scanner","risk":"Critical","type":"exposure"}}`,
	event.NewScopeIPs:        `{"data":[{"action":"create","entity":{"id":2,"ip":"203.0.113.8"},"object_type":"subnetorip","object_userid":777}]}`,
	event.NewScopeDomains:    `{"data":[{"action":"create","entity":{"id":3,"domain":"new.example.com"},"object_type":"domain"}]}`,
	event.NewScopeServices:   `{"data":[{"action":"create","entity":{"id":4,"ip":"203.0.113.8","port":8443},"object_type":"service"}]}`,
	event.CreateUser:         `{"user":{"name":"Grace","email":"grace@example.com","role":"Analyst"},"by":{"name":"Ada","email":"ada@example.com"}}`,
	event.UpdateUser:         `{"user":{"name":"Grace","email":"grace@example.com","role":"Administrator"},"old_role":"Analyst","by":{"name":"Ada","email":"ada@example.com"}}`,
	event.DeleteUser:         `{"user":{"name":"Grace","email":"grace@example.com","role":"Analyst"}}`,
	event.CreateIntegration:  integrationData,
	event.UpdateIntegration:  integrationData,
	event.EnableIntegration:  enabledData,
	event.DisableIntegration: integrationData,
	event.DeleteIntegration:  integrationData,
	event.IntegrationBroken:  brokenData,
	event.IntegrationFailing: failingData,
	event.IntegrationWorking: failingData,
	event.CreateApplication:  `{"application":{"id":8,"name":"Shop"},"by":{"name":"Ada","email":"ada@example.com"}}`,
	event.UpdateApplication:  `{"application":{"id":8,"name":"Shop EU","old_name":"Shop"}}`,
	event.DeleteApplication:  `{"application":{"id":8,"name":"Shop"}}`,
	event.APISpecUpdateFailed: `{"specification":{"id":3,"name":"Public API","url":"https://api.example.com/openapi.json"},` +
		`"error":"the address answered 404","updated_at":"2023-02-27T00:00:00Z","link":"https://console.example.com/specs/3"}`,
	event.RuleCreate:    `{"rule":{"id":17,"type":"vpatch","description":"Block SQLi on /orders"},"by":{"name":"Ada","email":"ada@example.com"}}`,
	event.RuleUpdate:    `{"rule":{"id":17,"type":"vpatch"}}`,
	event.RuleDelete:    `{"rule":{"id":17,"type":"vpatch"}}`,
	event.TriggerCreate: `{"trigger":{"id":"t1","name":"SQLi burst"},"by":{"name":"Ada","email":"ada@example.com"}}`,
	event.TriggerUpdate: `{"trigger":{"id":"t1","name":"SQLi burst"}}`,
	event.TriggerDelete: `{"trigger":{"id":"t1","name":"SQLi burst"}}`,
	event.CommandNotTaken: `{"command":{"id":"trigger:t1:5f2a:block_ips","kind":"ip_denylist_requested",` +
		`"asked_at":"2023-02-28T23:50:00Z"},"trigger":{"id":"t1","name":"SQLi burst"},"ip":"203.0.113.7","waited":600}`,
	event.RequestsPerHour: `{"requests":1048576,"from":"2023-03-01T00:00:00Z"}`,
}

const reacting = `,"reaction":{"trigger":"t","integrations":["i"]}}`

// notices are the data of the messages of triggers. That of IPBlocked is the published one (facts, 1.11).
var notices = map[event.Kind]string{
	event.AttacksExceeded: `{"trigger_name":"SQLi burst","counted":"hits","count":10,"period":60,"clauses":` +
		`[{"id":"attack_type","filter":"Attack type","operator":"eq","values":["SQLi","XSS"],"codes":["sqli","xss"]},` +
		`{"id":"domain","filter":"Domain","operator":"ne","values":["test.example.com"],"codes":["test.example.com"]}],` +
		`"time_from":1677628740,"time_to":1677628800` + reacting,
	event.IncidentsExceeded: `{"trigger_name":"Incidents","counted":"incidents","count":0,"period":3600,"clauses":` +
		`[{"filter":"Target","operator":"eq","values":["Server","Database"]}],` +
		`"time_from":1677625200,"time_to":1677628800` + reacting,
	event.CreateUser: `{"trigger_name":"New people","user":{"name":"Grace","email":"grace@example.com",` +
		`"role":"Analyst"},"by":{"name":"Ada","email":"ada@example.com"}` + reacting,
	event.IPBlocked: `{"trigger_name":"Denylist watch","application":"Application #8","reason":"Many attacks",` +
		`"expire_at":"2023-03-02 12:00:00 +0000","ip":"203.0.113.9"` + reacting,
	event.APIStructureChanged: `{"trigger_name":"API watch","application":"default","domain":"api.example.com",` +
		`"endpoint_path":"/v1/orders","http_method":"POST","change_type":"added",` +
		`"parameters":[{"path":"user","name":"email","class":"request_body","change":"new"}]` + reacting,
	event.APIComparisonResult: `{"trigger_name":"Rogue APIs","api_host":"api.example.com",` +
		`"endpoint_path":"/v1/internal","http_method":"GET","type_of_endpoint":"shadow",` +
		`"specification_name":"Public API"` + reacting,
	event.CompromisedLogins: `{"trigger_name":"Leaks","accounts":["grace@example.com"],` +
		`"url":"https://app.example.com/login"` + reacting,
}
