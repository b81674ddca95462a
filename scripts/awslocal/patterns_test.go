//go:build awslocal

package awslocal_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/event"
)

// judged is which patterns moto's matcher has each event match.
func judged(t *testing.T, patterns map[string]any, events []map[string]any) (out [][]string) {
	t.Helper()
	asked, err := json.Marshal(map[string]any{"patterns": patterns, "events": events})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), filepath.Join(os.Getenv(awslocal.ModulesVariable), "moto", "bin", "python"),
		"patterns.py")
	var refused bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(asked), &refused
	answer, err := cmd.Output()
	require.NoError(t, err, refused.String())
	require.NoError(t, json.Unmarshal(answer, &out))
	require.Len(t, out, len(events))
	return out
}

// rules are the patterns of the rules of the stack's own bus, or of the account's.
func rules(t *testing.T, ours bool) map[string]any {
	t.Helper()
	out := map[string]any{}
	for id, p := range of(transformed(t), "AWS::Events::Rule") {
		if (awslocal.Target(p["EventBusName"]) == "Bus") == ours {
			out[id] = p["EventPattern"]
		}
	}
	require.NotEmpty(t, out)
	return out
}

// envelope is an event as EventBridge hands it to its rules.
func envelope(kind string, detail any) map[string]any {
	return map[string]any{
		"version": "0", "id": "1", "detail-type": kind, "source": "upstream", "account": "000000000000",
		"time":   "2026-03-01T12:00:00Z",
		"region": "eu-west-1", "resources": []string{}, "detail": detail,
	}
}

func TestAMatcherThatIsNotOursHandsEveryEventToOneRule(t *testing.T) {
	type expected struct{ kind, rule string }
	var events []map[string]any
	var want []expected
	add := func(kind string, detail any, rule string) {
		events, want = append(events, envelope(kind, detail)), append(want, expected{kind, rule})
	}
	for _, kind := range event.Kinds() {
		add(string(kind), map[string]any{"tenant": "42"}, "KnownEvents")
		add(string(kind), map[string]any{}, "StrayEvents")
	}
	files, err := filepath.Glob("../../events/*.json")
	require.NoError(t, err)
	require.Greater(t, len(files), 10)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var entries []struct{ DetailType, Detail string }
		require.NoError(t, json.Unmarshal(raw, &entries), file)
		for _, e := range entries {
			var detail any
			require.NoError(t, json.Unmarshal([]byte(e.Detail), &detail), file)
			rule := "KnownEvents"
			if !event.Kind(e.DetailType).Known() {
				rule = "UnknownEvents"
			}
			add(e.DetailType, detail, rule)
		}
	}
	for _, kind := range []string{"", " ", "NEW_HITS", "new_hits ", "new_hit", "new_hitsx", "*", "constructor",
		"__proto__", "événement", "\u0000", "new_hits\u200b"} {
		add(kind, map[string]any{"tenant": "42"}, "UnknownEvents")
		add(kind, map[string]any{"id": "1"}, "StrayEvents")
	}
	for _, tenant := range []any{nil, 42, "", " ", true, []any{"42"}, "*", 1e300} {
		add("vuln", map[string]any{"tenant": tenant}, "KnownEvents") // fan-out keeps it with the reason
		add("other", map[string]any{"tenant": tenant}, "UnknownEvents")
	}
	for _, detail := range []any{
		map[string]any{"tenant": map[string]any{"id": "42"}}, map[string]any{"Tenant": "42"},
		map[string]any{"tenant ": "42"},
		map[string]any{"data": map[string]any{"tenant": "42"}},
	} {
		add("vuln", detail, "StrayEvents")
		add("other", detail, "StrayEvents")
	}
	patterns := rules(t, true)
	for n, matched := range judged(t, patterns, events) {
		detail, err := json.Marshal(events[n]["detail"])
		require.NoError(t, err)
		require.Equal(t, []string{want[n].rule}, matched, "%q %s", want[n].kind, detail)
		for id, pattern := range patterns {
			require.Equal(t, slices.Contains(matched, id), awslocal.Matches(pattern, want[n].kind, detail),
				"the local stack's own matcher: %s %q %s", id, want[n].kind, detail)
		}
	}
}

func TestAMatcherThatIsNotOursTakesOnlyOurMailsBouncesAndComplaints(t *testing.T) {
	raw, err := os.ReadFile("../../events/functions/feedback.json")
	require.NoError(t, err)
	var sample struct{ Records []struct{ Body string } }
	require.NoError(t, json.Unmarshal(raw, &sample))
	patterns := rules(t, false)
	require.Len(t, patterns, 1)
	// The name of the configuration set is the stack's.
	text := bytes.ReplaceAll([]byte(encoded(t, patterns)), []byte(`{"Ref":"MailConfiguration"}`), []byte(`"tocsin"`))
	require.NoError(t, json.Unmarshal(text, &patterns))
	read := func(change func(map[string]any)) map[string]any {
		var e map[string]any
		require.NoError(t, json.Unmarshal([]byte(sample.Records[0].Body), &e))
		if change != nil {
			change(e)
		}
		return e
	}
	tags := func(name string) func(map[string]any) {
		return func(e map[string]any) {
			mail, _ := awslocal.At(e, "detail", "mail").(map[string]any)
			mail["tags"] = map[string]any{"ses:configuration-set": []any{name}}
		}
	}
	answers := judged(t, patterns, []map[string]any{
		read(tags("tocsin")), read(tags("another")),
		read(func(e map[string]any) { tags("tocsin")(e); e["detail-type"] = "Email Delivered" }),
		read(func(e map[string]any) { tags("tocsin")(e); e["source"] = "upstream" }),
	})
	require.Equal(t, [][]string{{"MailFeedback"}, {}, {}, {}}, answers)
}
