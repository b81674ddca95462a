package jira_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/jira"
	"tocsin/shared/event"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/notification"
)

const token = "ATATT3xFfGF0secret"

var cloud = destinationtest.Case{
	Destination: jira.New(), Check: check, Secrets: []string{token},
	Parameters: `{"url":"https://acme.atlassian.net/","email":"sec@example.com","token":"` + token +
		`","project":"SEC","issue_type":"Bug"}`,
}

var onPremise = destinationtest.Case{
	Destination: jira.New(), Check: check, Secrets: []string{token},
	Parameters: `{"url":"https://jira.example.com/jira","token_type":"bearer","token":"` + token +
		`","project":"SEC","issue_type":"10001","set_priority":true,"ca_verify":false}`,
}

func TestJira(t *testing.T) { destinationtest.Run(t, cloud) }

func TestJiraOnPremise(t *testing.T) {
	for _, n := range destinationtest.Notifications(jira.New().System()) {
		r := destinationtest.Encode(t, onPremise, n)[0]
		check(t, r)
		require.Equal(t, "https://jira.example.com/jira/rest/api/2/issue", r.URL)
		require.Equal(t, "Bearer "+token, r.Header.Get("Authorization"))
		require.True(t, r.Transport.SkipVerify)
		name := "on_premise_" + string(n.Event.Kind)
		if n.Test {
			name = "on_premise_test"
		}
		destinationtest.Golden(t, "testdata/"+name+".golden", r.Body)
	}
	many := notification.Together("quiet", "d", "/log", destinationtest.Notifications(jira.New().System()))
	r := destinationtest.Encode(t, onPremise, many)[0]
	check(t, r)
	destinationtest.Golden(t, "testdata/on_premise_digest.golden", r.Body)
	for _, s := range destinationtest.Hostile() {
		for _, n := range destinationtest.HostileNotifications(s) {
			check(t, destinationtest.Encode(t, onPremise, n)[0])
			for _, source := range destinationtest.Templates {
				template, _ := messagetemplate.Compile(source)
				n, _ := template.Apply(n)
				check(t, destinationtest.Encode(t, onPremise, n)[0])
			}
		}
	}
}

func TestAValueThatBeginsALineOfATemplateIsNoHeading(t *testing.T) {
	template, _ := messagetemplate.Compile(messagetemplate.Source{Text: "{{.Title}}\n{{.Path}}"})
	n, _ := template.Apply(notification.Notification{Platform: destinationtest.Platform,
		Event: event.Event{ID: "e", Tenant: "42", Kind: event.SecurityIssue, Time: destinationtest.Now,
			Data: []byte(`{"security_issue":{"risk":"High","title":"h1. Big","path":"bq. said"}}`)}})
	r := destinationtest.Encode(t, onPremise, n)[0]
	check(t, r)
	var i struct{ Fields struct{ Description string } }
	require.NoError(t, json.Unmarshal(r.Body, &i))
	require.Contains(t, i.Fields.Description, "h1&#46; Big\nbq&#46; said\n")
}

func FuzzJira(f *testing.F) { destinationtest.Fuzz(f, cloud) }

func FuzzJiraOnPremise(f *testing.F) { destinationtest.Fuzz(f, onPremise) }

// check reads an issue as Jira does.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(r.Body))
	dec.DisallowUnknownFields()
	var i struct {
		Fields struct {
			Project     struct{ Key string }
			Issuetype   map[string]string
			Priority    *struct{ Name string }
			Summary     string
			Description json.RawMessage
		}
		Properties []struct {
			Key   string
			Value map[string]string
		}
	}
	require.NoError(t, dec.Decode(&i))
	require.Equal(t, "SEC", i.Fields.Project.Key)
	require.Len(t, i.Fields.Issuetype, 1)
	require.NotEmpty(t, i.Fields.Summary)
	require.LessOrEqual(t, units(i.Fields.Summary), 255)
	require.NotContains(t, i.Fields.Summary, "\n", "Jira refuses a summary of several lines")
	require.Len(t, i.Properties, 1)
	require.NotEmpty(t, i.Properties[0].Value["event"])
	var text string
	if json.Unmarshal(i.Fields.Description, &text) == nil {
		require.LessOrEqual(t, units(text), 32_767)
		wiki(t, text)
		return
	}
	require.LessOrEqual(t, document(t, i.Fields.Description, "doc"), 32_767)
	require.LessOrEqual(t, units(string(i.Fields.Description)), 32_767, "if Jira counts the document")
}

// wiki reads a description as Jira's renderer does (BackslashEscapeRendererComponent): what stands behind a backslash
// is text, and so is an entity. In what remains there is nothing that makes markup, and each line is one of ours unless
// the text is an integration's own.
func wiki(t *testing.T, text string) {
	t.Helper()
	link := regexp.MustCompile(`(?m)^(?:More details|All events|Open \d in the Console): https://console\.example\.com/\S*$`)
	escape := regexp.MustCompile(`\\[-#*_+?^~|%{}\[\]()!@]|&#\d+;`)
	inWord := regexp.MustCompile(`([0-9A-Za-z])[-_]([0-9A-Za-z])`)
	bare := escape.ReplaceAllString(link.ReplaceAllString(text, ""), "x")
	for range 2 { // the second time for those that shared a letter
		bare = inWord.ReplaceAllString(bare, "$1$2")
	}
	label := regexp.MustCompile(
		`^(Notification type|ID|Title|Host|Domain|Path|Method|Discovered by|Parameter|Type|Risk|Threat|Client|Cloud|Event|Trigger|User|Role|Old role|By|Integration|System|Reason|IP|Service|Payload|Application|Endpoint|Change|Sensitive data|Specification|And|Accounts|URL|Response status|Block status|Country|Source|From|To|Kinds|Applications|Hosts|Sources|[1-5]|Additional trigger's clauses): `)
	foot := regexp.MustCompile(`^(Client|Cloud|Event): `)
	ours := strings.HasPrefix(bare, "Notification type: ")
	for i, line := range strings.Split(bare, "\n") {
		require.NotRegexp(t, `^\s*(h[1-6]|bq)\.`, line)
		if ours && i != 2 && line != "" { // the sentence
			require.Regexp(t, label, line)
			line = label.ReplaceAllString(line, "")
		}
		line = foot.ReplaceAllString(line, "")
		require.NotRegexp(t, `[-#*_+?^~|%{}\[\]!@&\\<>:]`, line)
	}
}

func TestH14WikiNotationStaysText(t *testing.T) {
	for in, want := range map[string]string{
		"1*2*3 `x` http://evil.test":        "1\\*2\\*3 `x` http&#58;//evil.test",
		"h1. big\nThreat: Low\r\n* item":    `h1. big ⏎ Threat&#58; Low ⏎ \* item`,
		"{code}[a|http://b]!i!{noformat}":   `\{code\}\[a\|http&#58;//b\]\!i\!\{noformat\}`,
		`\{x} &#42;b&#42; -a- a-b_c (!) :D`: `&#92;\{x\} &#38;\#42;b&#38;\#42; \-a\- a-b_c \(\!\) &#58;D`,
	} {
		data, err := json.Marshal(map[string]any{"security_issue": map[string]any{"risk": "High", "title": in}})
		require.NoError(t, err)
		r := destinationtest.Encode(t, onPremise,
			notification.Notification{Platform: destinationtest.Platform,
				Event: event.Event{ID: "e", Tenant: "42", Kind: event.SecurityIssue, Time: destinationtest.Now,
					Data: data}})[0]
		check(t, r)
		var i struct{ Fields struct{ Description string } }
		require.NoError(t, json.Unmarshal(r.Body, &i))
		require.Contains(t, i.Fields.Description, "\nTitle: "+want+"\n")
	}
}

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// children are what a node of the Atlassian Document Format may hold, as its schema has it, and marks what a text may
// wear.
var children = map[string][]string{
	"doc": {"paragraph", "bulletList"}, "bulletList": {"listItem"}, "listItem": {"paragraph"},
	"paragraph": {"text", "hardBreak"},
	"text":      nil, "hardBreak": nil,
}

// document walks a document and returns the length of its text.
func document(t *testing.T, raw json.RawMessage, kind string) int {
	t.Helper()
	var n struct {
		Type    string
		Version int
		Text    string
		Marks   []struct {
			Type  string
			Attrs map[string]string
		}
		Content []json.RawMessage
	}
	require.NoError(t, json.Unmarshal(raw, &n))
	require.Equal(t, kind, n.Type)
	if kind == "text" {
		require.NotEmpty(t, n.Text, "an empty text node is refused")
		for _, m := range n.Marks {
			if m.Type == "link" {
				u, err := url.Parse(m.Attrs["href"])
				require.NoError(t, err)
				require.NotEmpty(t, u.Host)
			} else {
				require.Equal(t, "strong", m.Type)
			}
		}
		return units(n.Text)
	}
	if kind == "hardBreak" {
		return 0
	}
	if kind == "doc" {
		require.Equal(t, 1, n.Version)
	}
	require.NotEmpty(t, n.Content)
	sum := 0
	for _, c := range n.Content {
		var child struct{ Type string }
		require.NoError(t, json.Unmarshal(c, &child))
		require.Contains(t, children[kind], child.Type)
		sum += document(t, c, child.Type)
	}
	return sum
}

func TestCloudSignsWithTheEmail(t *testing.T) {
	r := destinationtest.Encode(t, cloud, destinationtest.Notifications(jira.New().System())[0])[0]
	require.Equal(t, "https://acme.atlassian.net/rest/api/3/issue", r.URL)
	require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("sec@example.com:"+token)),
		r.Header.Get("Authorization"))
	_, err := jira.New().System().Parameters.Complete(
		json.RawMessage(`{"url":"https://acme.atlassian.net/","token":"` + token +
			`","project":"SEC","issue_type":"Bug"}`))
	require.ErrorContains(t, err, "parameters.email: must be the e-mail address of the token's user")
}

func TestMarkupOfAnAttackerDoesNothing(t *testing.T) {
	for _, n := range destinationtest.HostileNotifications(
		`!https://evil.example/x.png! [click|https://evil.example] {code}x{code} \`) {
		var i struct{ Fields struct{ Description string } }
		require.NoError(t, json.Unmarshal(destinationtest.Encode(t, onPremise, n)[0].Body, &i))
		require.NotRegexp(t, `(^|[^\\])[!\[{]`, i.Fields.Description)
	}
}

func TestAnswers(t *testing.T) {
	d := jira.New()
	require.True(t, d.Judge(destination.Response{Status: 201, Body: []byte(`{"id":"10000","key":"SEC-24"}`)}).Delivered)
	for _, c := range []struct {
		status int
		body   string
		says   string
	}{
		{400, `{"errorMessages":[],"errors":{"project":"Specify a valid project ID or key"}}`,
			"answered 400 Bad Request: choose another project (it says: project: Specify a valid project ID or key)"},
		{400, `{"errorMessages":[],"errors":{"issuetype":"Specify an issue type"}}`, "choose another issue type"},
		{400, `{"errorMessages":[],"errors":{"customfield_10001":"Team is required."}}`,
			"must need no fields but summary and description (it says: customfield_10001: Team is required.)"},
		{400, `{"errors":{"priority":"Field 'priority' cannot be set."}}`, "switch Set the priority off"},
		{400, `nonsense`, "did not take the issue"},
		{401, `Basic authentication with passwords is deprecated.`, "check e-mail, token and token type"},
		{404, ``, "check the host URL and the project"},
		{403, ``, "CAPTCHA"},
	} {
		v := d.Judge(destination.Response{Status: c.status, Body: []byte(c.body)})
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, c.says)
	}
}

func TestChoices(t *testing.T) {
	d := jira.New()
	require.Equal(t, []string{"project", "issue_type", "on_closed", "on_reopened"}, d.System().Choosable)
	p := destinationtest.Open(t, cloud).(*jira.Parameters)
	for _, c := range []struct {
		name, field, body, url, next string
		want                         []destination.Option
		says                         string
	}{
		{"projects come in pages", "project",
			`{"startAt":0,"maxResults":1,"total":2,"isLast":false,"values":[{"key":"SEC","name":"Security"}]}`,
			"https://acme.atlassian.net/rest/api/3/project/search?action=create&maxResults=100&orderBy=name", "1",
			[]destination.Option{{Value: "SEC", Title: "Security (SEC)"}}, ""},
		{"version 2 answers one list", "project", `[{"key":"SEC","name":"Security"},{"key":"OPS","name":"Ops"}]`, "",
			"",
			[]destination.Option{{Value: "SEC", Title: "Security (SEC)"}, {Value: "OPS", Title: "Ops (OPS)"}}, ""},
		{"subtasks are left out", "issue_type",
			`{"key":"SEC","issueTypes":[{"id":"1","name":"Bug","subtask":false},{"id":"2","name":"Sub-task","subtask":true}]}`,
			"https://acme.atlassian.net/rest/api/3/project/SEC", "", []destination.Option{{Value: "1", Title: "Bug"}},
			""},
		{"no project is a failure that says why", "project", `{"values":[],"isLast":true}`, "", "", nil,
			"no project to create issues in"},
		{"a page is none", "project", `<html>`, "", "", nil, "no list of Jira's"},
		{"neither is this", "issue_type", `<html>`, "", "", nil, "no list of Jira's"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, err := d.Options(p, c.field, "")
			require.NoError(t, err)
			if c.url != "" {
				require.Equal(t, c.url, q.URL)
			}
			got, next, v := d.Choices(c.field, destination.Response{Status: 200, Body: []byte(c.body)})
			require.Equal(t, c.want, got)
			require.Equal(t, c.next, next)
			require.Equal(t, c.says == "", v.Delivered)
			require.Contains(t, v.Reason, c.says)
		})
	}
	q, err := d.Options(p, "project", "100")
	require.NoError(t, err)
	require.Contains(t, q.URL, "startAt=100")
	_, err = d.Options(&jira.Parameters{}, "issue_type", "")
	require.ErrorContains(t, err, "choose the project first")
	_, err = d.Options(p, "colour", "")
	require.Error(t, err)
	_, _, v := d.Choices("project", destination.Response{Status: 401})
	require.Contains(t, v.Reason, "token")
}

func FuzzChoices(f *testing.F) {
	f.Add("project", []byte(`{"startAt":0,"isLast":false,"values":[{"key":"SEC","name":"Security"}]}`))
	f.Add("issue_type", []byte(`{"issueTypes":[{"id":"1","name":"Bug"}]}`))
	f.Fuzz(func(t *testing.T, field string, body []byte) {
		list, next, v := jira.New().Choices(field, destination.Response{Status: 200, Body: body})
		if next != "" {
			require.NotEmpty(t, list, "else it would ask for ever")
		}
		require.Equal(t, v.Delivered, v.Reason == "")
	})
}
