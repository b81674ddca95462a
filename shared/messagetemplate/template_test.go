package messagetemplate_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/event"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/notification"
	"tocsin/shared/patience"
	"tocsin/shared/plaintext"
	"tocsin/shared/wording"
)

func made(t *testing.T, s messagetemplate.Source, n notification.Notification) notification.Notification {
	t.Helper()
	compiled, problems := messagetemplate.Compile(s)
	require.Empty(t, problems)
	n, said := compiled.Apply(n)
	require.Empty(t, said)
	return n
}

func example(k event.Kind) notification.Notification {
	return notification.Notification{Event: k.Example(), Platform: notification.Platform{Name: "Acme Shield",
		Console: "https://console.example.com", Pages: "https://tocsin.example.com", Cloud: "EU"}}
}

func TestATemplateSaysWhatItIsToldOfAnEvent(t *testing.T) {
	t.Parallel()
	n := example(event.Vuln)
	n.Event.Data = json.RawMessage(`{"object_id":7,"vuln":{"threat":"High","title":"SQL injection",
		"domain":"shop.example.com",
		"path":"/admin/login","method":"POST","type":"sqli"}}`)
	for source, want := range map[string]string{
		`{{.Severity | upper}}: {{.Title}} on {{.Host}}`:                 "HIGH: SQL injection on shop.example.com",
		`{{if eq .Severity "high" "critical"}}!{{else}}.{{end}}`:         "!",
		`{{if and (contains .Path "admin") (ne .Host "a")}}admin{{end}}`: "admin",
		`{{or .Application "no application"}}`:                           "no application",
		`{{.Path | cut 6 | lower}}`:                                      "/admi…",
		`{{if not .Country}}nowhere{{else if .Host}}x{{end}}`:            "nowhere",
		`{{.Kind}} {{.Cloud}} {{.Platform}} {{.Client}} {{.Time}}`:       "vuln EU Acme Shield Acme 2023-03-01T00:00:00Z",
		`{{.Link}}`:                          "https://console.example.com/object/7",
		`{{/* nobody reads this */}}{{"a"}}`: "a",
		"{{.Host -}}\n  x":                   "shop.example.comx",
	} {
		require.Equal(t, want, made(t, messagetemplate.Source{Title: source}, n).Summary(), source)
	}
	got := made(t, messagetemplate.Source{Text: "{{.Symbol}} {{.Sentence}}\n\n\n{{.Application}}\n\n{{.Details}}"}, n)
	require.Equal(t, "🟠 A vulnerability was found in a protected system.\n\nTitle: SQL injection\n"+
		"Domain: shop.example.com\nPath: /admin/login\nMethod: POST\nType: sqli\nThreat: High", got.Text())
	require.Equal(t, "[Acme Shield] New vulnerability detected", got.Summary(), "only the text is its own")
}

func TestATemplateCanNotHideATestOrThatAMessageIsLate(t *testing.T) {
	t.Parallel()
	n := example(event.Vuln)
	n.Test, n.Late = true, true
	n = made(t, messagetemplate.Source{Title: "Mine", Text: "Words"}, n)
	require.Equal(t, "[Test message] [Acme] Mine", n.Summary())
	require.Equal(t, n.Summary(), n.Subject())
	require.Equal(t, n.Summary(), n.Title())
	require.Equal(t, n.LateNote()+"\n\nWords", n.Text())
	require.Equal(t, n.Text()+"\n", n.PlainText())
}

func TestHowAMessageCameIsSaidOnceThoughTheTemplateHasAllDetails(t *testing.T) {
	t.Parallel()
	n := example(event.Vuln)
	n.Late, n.FellBack = true, &notification.FellBack{Integration: "i", Name: "Jira", Reason: "answered 500"}
	n = made(t, messagetemplate.Source{Text: "{{.Details}}"}, n)
	require.Equal(t, 1, strings.Count(n.Text(), "could not be delivered to Jira"), n.Text())
	require.Equal(t, 1, strings.Count(n.Text(), "Happened"), n.Text())
	n.Words.Text = ""
	require.Contains(t, n.PlainText(), "could not be delivered to Jira", "our own text says it too")
}

const unclosed = "line 1: something is opened and not closed: {{, a quotation mark or a parenthesis"

func TestWhatATemplateCanNotHoldIsRefusedWithItsLine(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"a\n{{range .Facts}}x{{end}}":            "line 2: range is not available here",
		"{{with .Host}}{{.}}{{end}}":             "line 1: with is not available here",
		"{{define \"x\"}}{{end}}a":               "holds define, which is not available here",
		"{{block \"x\" .}}{{end}}":               "holds define, which is not available here",
		"{{template \"x\"}}":                     "line 1: template is not available here",
		"{{$x := .Host}}{{$x}}":                  "line 1: $x is not available here",
		"{{$.Host}}":                             "line 1: $.Host is not available here",
		"{{.}}":                                  "line 1: . is not available here",
		"{{.Host.Name}}":                         "line 1: there is no field .Host.Name",
		"\n\n{{.Hots}}":                          "line 3: there is no field .Hots",
		"{{(.Host).Bytes}}":                      "line 1: (.Host).Bytes is not available here",
		"{{.Host .Path}}":                        "line 1: .Host .Path is not available here",
		"{{nil}}":                                "line 1: nil is not available here",
		"{{break}}":                              "line 1: what stands between {{ and }} can not be read",
		`{{printf "%1000000000d" 1}}`:            "line 1: there is no function printf",
		`{{html .Host}}`:                         "line 1: there is no function html",
		`{{call .Host}}`:                         "line 1: there is no function call",
		`{{len .Host}}`:                          "line 1: there is no function len",
		`{{index .Host 1}}`:                      "line 1: there is no function index",
		"{{upper}}":                              "line 1: upper is used as in upper .Severity",
		"{{upper 1}}":                            "line 1: upper is used as in upper .Severity",
		"{{cut .Host 3}}":                        "line 1: cut is used as in cut 80 .Path",
		"{{cut 0 .Host}}":                        "line 1: cut is used as in cut 80 .Path",
		"{{cut 99999 .Host}}":                    "line 1: cut is used as in cut 80 .Path",
		"{{if eq .Host 1}}x{{end}}":              `line 1: eq is used as in eq .Severity "high" "critical"`,
		"{{if lt .Hits 5}}x{{end}}":              "line 1: there is no function lt",
		"{{eq .Host .Path}}":                     "line 1: eq .Host .Path is not a text, which alone can be written",
		"{{5}}":                                  "line 1: 5 is not a text, which alone can be written",
		"{{.Host":                                unclosed,
		`{{"a}}`:                                 unclosed,
		"{{if .Host}}x":                          "line 1: an if has no end",
		"x{{end}}":                               "line 1: there is an end or else without an if",
		"{{}}":                                   "line 1: nothing stands between {{ and }}, or after if",
		" ":                                      "must not be empty",
		"\xff":                                   "must not be empty",
		strings.Repeat("x", 501):                 "must have at most 500 characters, has 501",
		strings.Repeat("{{if .Host}}", 40) + "x": "line 1: an if has no end",
	} {
		compiled, problems := messagetemplate.Compile(messagetemplate.Source{Title: source})
		require.Nil(t, compiled, source)
		require.Len(t, problems, 1, source)
		require.Equal(t, "message_template.title", problems[0].Field, source)
		require.Equal(t, want, problems[0].Reason, source)
		japanese := wording.In(wording.Japanese, want)
		require.NotEqual(t, want, japanese, source)
	}
}

func TestATemplateIsTriedOnEveryKindThatAnIntegrationTakes(t *testing.T) {
	t.Parallel()
	source := messagetemplate.Source{Title: "{{.Title}}", Text: `{{if eq .Kind "vuln"}}a{{end}}`}
	require.Empty(t, messagetemplate.Check(source, []event.Kind{event.Vuln}))
	problems := messagetemplate.Check(source, messagetemplate.Kinds([]event.Type{event.VulnHigh, event.System}))
	require.Len(t, problems, 2)
	require.Equal(t, "makes no title of an event of the kind address_undeliverable, which it subscribes to",
		problems[0].Reason)
	require.Equal(t, "makes no text of an event of the kind address_undeliverable, which it subscribes to",
		problems[1].Reason)
	for _, p := range problems {
		require.NotEqual(t, p.Reason, wording.In(wording.Japanese, p.Reason))
	}
	require.Equal(t, []event.Kind{event.NewHits}, messagetemplate.Kinds([]event.Type{event.Hits}))
	// every type that can be subscribed to has kinds, but for those of reports and scheduled digests
	for _, of := range slices.Concat(event.Machine(), event.Mailed()) {
		require.Equal(t, of.Report() || of.Digest(), len(messagetemplate.Kinds([]event.Type{of})) == 0, of)
	}
	for _, k := range event.Kinds() {
		if of := k.Example().Type(); of != "" {
			require.Contains(t, k.Types(), of)
		}
	}
}

func TestATemplateIsTriedOnWhatTheTriggersSendThatNameTheIntegration(t *testing.T) {
	t.Parallel()
	source := messagetemplate.Source{Title: "{{.Title}}", Text: "{{.Details}}"}
	require.Empty(t, messagetemplate.CheckTriggered(source, nil))
	for _, k := range event.Triggered() {
		title, text := messagetemplate.Unsaid(source, k)
		require.False(t, text, k)
		problems := messagetemplate.CheckTriggered(source, []messagetemplate.Triggered{{k, "Night"}, {k, "Day"}})
		require.Equal(t, title, len(problems) == 1, "it is told once: %s", k)
		if title {
			require.Equal(t, "message_template.title", problems[0].Field)
			require.Equal(t, fmt.Sprintf(`makes no title of an event of the kind %s, which the trigger "Night" sends to it`,
				k), problems[0].Reason)
			require.NotEqual(t, problems[0].Reason, wording.In(wording.Japanese, problems[0].Reason))
		}
	}
	title, text := messagetemplate.Unsaid(messagetemplate.Source{Text: "{{.Host}}"}, event.AttacksExceeded)
	require.False(t, title)
	require.True(t, text)
	sent := []messagetemplate.Triggered{{event.AttacksExceeded, "Night"}}
	problems := messagetemplate.CheckTriggered(messagetemplate.Source{Text: "{{.Host}}"}, sent)
	require.Len(t, problems, 1)
	require.Equal(t, `makes no text of an event of the kind attacks_exceeded, which the trigger "Night" sends to it`,
		problems[0].Reason)
	require.NotEqual(t, problems[0].Reason, wording.In(wording.Japanese, problems[0].Reason))
	require.Empty(t, messagetemplate.CheckTriggered(messagetemplate.Source{Title: `{{or .Host "Tocsin"}}`}, sent))
}

func TestAnEventOfWhichATemplateMakesNothingHasOurWords(t *testing.T) {
	t.Parallel()
	n := example(event.CreateUser)
	worded, said := messagetemplate.New(messagetemplate.Source{Title: "{{.Host}}", Text: "{{.Client}}"}).Apply(n)
	require.Equal(t, n.Summary(), worded.Summary())
	require.Equal(t, "Acme", worded.Text())
	require.Equal(t, []string{"the message template made no title of create_user: the standard title was sent"}, said)
	require.True(t, messagetemplate.FellBack("answered 500; "+said[0]))
	require.False(t, messagetemplate.FellBack("answered 500"))
	// of another release
	worded, said = messagetemplate.New(messagetemplate.Source{Title: "{{.Gone}}"}).Apply(n)
	require.Equal(t, n.Summary(), worded.Summary())
	require.True(t, messagetemplate.FellBack(said[0]))
	require.Nil(t, messagetemplate.New(messagetemplate.Source{}))
	for _, s := range append(said, "the message template made no text of vuln: the standard text was sent") {
		require.NotEqual(t, s, wording.In(wording.Japanese, s))
	}
}

func TestEveryFieldHasAValueInSomeKind(t *testing.T) {
	t.Parallel()
	for _, name := range messagetemplate.Fields() {
		compiled, problems := messagetemplate.Compile(messagetemplate.Source{Title: "{{." + name + "}}"})
		require.Empty(t, problems)
		finding := example(event.Vuln)
		finding.Event.Data = json.RawMessage(`{"vuln":{"threat":"High","port":8443}}`)
		_, said := compiled.Apply(finding)
		require.True(t, len(said) == 0 || slices.ContainsFunc(event.Kinds(), func(k event.Kind) bool {
			_, said := compiled.Apply(example(k))
			return len(said) == 0
		}), name)
	}
	for _, use := range messagetemplate.Functions() {
		_, problems := messagetemplate.Compile(messagetemplate.Source{Title: "{{if " + use + "}}a{{end}}"})
		require.Empty(t, problems, use)
	}
}

// judge holds what a template made to what package notification promises of texts for people.
func judge(t *testing.T, n notification.Notification) {
	t.Helper()
	require.True(t, utf8.ValidString(n.Summary()+n.Text()))
	require.Equal(t, plaintext.Line(n.Words.Title), n.Words.Title)
	require.Equal(t, plaintext.Lines(n.Words.Text), n.Words.Text)
	require.LessOrEqual(t, len(n.Words.Title), 2<<10)
	require.LessOrEqual(t, len(n.Words.Text), 32<<10)
	require.LessOrEqual(t, strings.Count(n.Words.Text, "\n"), 200)
}

func TestTheWorstTemplateEndsSoonOnTheWorstEvent(t *testing.T) {
	t.Parallel()
	worst := map[string]string{
		"values":     strings.Repeat("{{.Details}}", 333),
		"calls":      strings.Repeat("{{upper (lower .Details)}}", 150),
		"conditions": strings.Repeat(`{{if contains .Details "no"}}a{{end}}`, 108) + "x",
		"nested":     "{{" + strings.Repeat("upper (", 490) + ".Details" + strings.Repeat(")", 490) + "}}",
		"deep":       strings.Repeat("{{if .Client}}", 180) + "{{.Details}}" + strings.Repeat("{{end}}", 180),
		"lines":      strings.Repeat("{{.Client}}\n", 330),
	}
	for name, source := range worst {
		compiled, problems := messagetemplate.Compile(messagetemplate.Source{Text: source})
		require.Empty(t, problems, name)
		for _, hostile := range []string{strings.Repeat("x", 100<<10), strings.Repeat("🚨", 5000), "a\nb\u202e"} {
			for _, n := range destinationtest.HostileNotifications(hostile) {
				start := time.Now()
				n, _ = compiled.Apply(n)
				// They take some tenths of a second. The bound is for what has no end; the race detector and a busy
				// machine are slow.
				require.Less(t, time.Since(start), patience.Long, name)
				judge(t, n)
			}
		}
	}
}

func TestAScheduledDigestIsWrittenAsAlways(t *testing.T) {
	t.Parallel()
	tpl := messagetemplate.New(messagetemplate.Source{Title: "Ours: {{.Headline}}", Text: "Ask the security team."})
	digests := 0
	for _, of := range event.Mailed() {
		now := time.Date(2023, 3, 1, 7, 0, 0, 0, time.UTC)
		n, ok := notification.Example(of, notification.Platform{Name: "Tocsin"}, "42", "Acme", "e", now)
		if !ok || n.Event.Kind != event.ScheduledDigest {
			continue
		}
		digests++
		worded, said := tpl.Apply(n)
		require.Empty(t, said)
		require.Equal(t, n, worded, of)
		require.Contains(t, worded.Description(), "Period", of)
	}
	require.Equal(t, 5, digests)
}

func TestGolden(t *testing.T) {
	t.Parallel()
	source := messagetemplate.Source{
		Title: `{{.Symbol}} {{.Headline}}{{if .Host}} · {{.Host}}{{end}}`,
		Text: "{{.Sentence}}\n\n{{.Details}}\n\n" +
			`{{if eq .Severity "high" "critical"}}Call the person on duty.{{else}}No hurry.{{end}}` +
			"\n{{.Kind}} · {{.Client}} · {{.Time}}\n{{.Link}}",
	}
	var out strings.Builder
	for _, l := range wording.Languages() {
		for _, k := range event.Kinds() {
			if k == event.Report || k == event.ScheduledDigest {
				continue
			}
			n := example(k)
			n.Language = l
			n = made(t, source, n)
			fmt.Fprintf(&out, "== %s %s\n%s\n\n%s\n\n", k, l, n.Summary(), n.Text())
		}
	}
	file := filepath.Join("testdata", "messages.txt")
	if flag.Lookup("update").Value.String() == "true" { // of package destinationtest
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(out.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), out.String())
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"{{.Host}}", `{{if eq .Kind "vuln"}}{{.Title | upper}}{{else}}-{{end}}`, "{{range .}}",
		"{{`a`}}", "{{.Details}}\n{{cut 5 .Path}}", "{{define \"a\"}}{{end}}", "{{/* */}}", "{{- 1i -}}", "{{'a' | cut}}",
		`{{cut 'a' .Host}}`, `{{and true false | not | eq true}}`, "{{true}}", "{{not (eq .Host .Host .Host)}}"} {
		for _, h := range []string{"a\nb", "\u202e<!channel>", strings.Repeat("é", 3000)} {
			f.Add(s, h)
		}
	}
	f.Fuzz(func(t *testing.T, source, hostile string) {
		compiled, problems := messagetemplate.Compile(messagetemplate.Source{Title: source, Text: source})
		if compiled == nil {
			require.True(t, source == "" || len(problems) == 2 || len(problems) == 1)
			return
		}
		for _, n := range destinationtest.HostileNotifications(hostile) {
			start := time.Now()
			n, _ = compiled.Apply(n)
			require.Less(t, time.Since(start), patience.Long)
			judge(t, n)
		}
	})
}

func BenchmarkApply(b *testing.B) {
	compiled, _ := messagetemplate.Compile(messagetemplate.Source{Title: "{{.Symbol}} {{.Headline}}: {{.Host}}",
		Text: "{{.Sentence}}\n{{.Details}}\n{{.Link}}"})
	n := example(event.Vuln)
	b.ReportAllocs()
	for b.Loop() {
		compiled.Apply(n)
	}
}
