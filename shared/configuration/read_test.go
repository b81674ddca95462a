package configuration_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/configuration"
	"tocsin/shared/configuration/tree"
	"tocsin/shared/patience"
)

// laughs is a small text that is 9^9 values when its aliases are written out.
func laughs() string {
	out := "version: 1\nintegrations:\n  A: &a {system: slack, events: [system]}\n"
	for n := 'B'; n < 'K'; n++ {
		out += fmt.Sprintf("  %c: &%c {system: slack, parameters: {x: [%s]}}\n", n, n+32,
			strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", n+31), 9), ", "))
	}
	return out
}

// with is a document whose integration has these lines too.
func with(lines string) string {
	return "version: 1\nintegrations:\n  Ops:\n    system: slack\n" + lines
}

// wrongFiles are files, and what is said of each.
var wrongFiles = map[string]struct{ file, says string }{
	"nothing":            {"", "the file is empty: begin with `version: 1`"},
	"comments":           {"# soon\n---\n", "the file is empty"},
	"no version":         {"integrations: {}\n", "version is required"},
	"another version":    {"version: 2\n", "line 1: version: this program reads version 1"},
	"a version in words": {"version: one\n", "line 1: version: this program reads version 1"},
	"a list":             {"- a\n", "line 1: the document: must be an object"},
	"a section misspelt": {"version: 1\nintegratons: {}\n",
		`line 2: the document: there is no member "integratons": did you mean "integrations"?`},
	"a member misspelt": {with("    parametrs: {}\n"),
		`line 5: integration "Ops": there is no member "parametrs": ` +
			`did you mean "parameters"?`},
	"a member from elsewhere": {with("    colour: red\n"), `there is no member "colour": there are system, was, `},
	"a tab":                   {"version: 1\nintegrations:\n\tOps: {}\n", "line 3: a tab indents this line"},
	"a name twice": {with("  Ops:\n    system: slack\n"),
		`line 5: "Ops" is here twice: first in line 3`},
	"a parameter twice": {with("    parameters: {a: 1, a: 2}\n"), `line 5: "a" is here twice`},
	"two documents":     {with("---\nversion: 1\n"), "line 5: a second document begins here"},
	"a merge":           {with("  B:\n    <<: {system: slack}\n"), "line 6: << is not taken"},
	"a tag":             {with("    parameters: !secret {}\n"), "line 5: the tag !secret is not taken"},
	"bytes": {with("    parameters: {a: !!binary aGk=}\n"),
		"line 5: the tag !!binary is not taken"},
	"a name that is a list": {"version: 1\nintegrations:\n  ? [a]\n  : {}\n", "line 3: a name must be a text"},
	"a name with a space": {"version: 1\nintegrations:\n  'a ': {system: slack}\n",
		"must not begin or end with a space"},
	"an alias of itself": {with("    parameters: &a {a: *a}\n"), "the alias *a is inside of what it repeats"},
	"an unknown alias":   {with("    parameters: *b\n"), "unknown anchor 'b'"},
	"a billion laughs": {laughs(),
		"the document has more than 200000 values, with those that aliases repeat"},
	"many levels": {with("    parameters: " + strings.Repeat("[", 200) + strings.Repeat("]", 200)),
		"nested more than"},
	"a huge file": {strings.Repeat("# a line that says nothing\n", 200_000),
		"at most 4194304 are read"},
	"latin 1":             {with("  # \xe9\n"), "line 5: the file is not UTF-8"},
	"UTF-16":              {"\xff\xfev\x00e\x00r\x00", "line 1: the file is not UTF-8"},
	"a control character": {with("    parameters: {a: \x00}\n"), "line 5: there is a control character"},
	"no YAML":             {with("    parameters: {a\n"), "this is not YAML"},
	"enabled in YAML 1.1": {with("    enabled: yes\n"),
		"line 5: integration \"Ops\": enabled must be true or false"},
	"an event twice":     {with("    events: [system, {event: system}]\n"), `the event "system" is here twice`},
	"a rename to itself": {with("    was: Ops\n"), "was is its own name"},
	"a rename of what is there": {with("    was: Team\n  Team: {system: slack}\n"),
		`was is "Team", which the file has too`},
	"two renames of one": {with("    was: Old\n  Team: {system: slack, was: Old}\n"),
		`was is "Old", as that of "Ops"`},
	"a number of YAML": {"version: 1\ntriggers:\n  T:\n    template_id: x\n    threshold: {count: 0x10, " +
		"period: 60}\n" +
		"    actions: []\n", "line 5: trigger \"T\": threshold: count must be a whole number, written in digits"},
	"a threshold without a period": {"version: 1\ntriggers: {T: {template_id: x, threshold: {count: 1}, " +
		"actions: []}}",
		"threshold: period is required"},
	"an integration twice": {"version: 1\ntriggers:\n  T:\n    template_id: x\n    actions:\n" +
		"      - {id: send_notification, integrations: [A, A]}\n",
		`line 6: trigger "T": actions: "A" is here twice`},
}

func TestWhatIsWrongWithAFileIsToldWithItsLine(t *testing.T) {
	for name, c := range wrongFiles {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, err := configuration.Read([]byte(c.file))
			var problems tree.Problems
			require.ErrorAs(t, err, &problems)
			require.Contains(t, err.Error(), c.says)
			require.Less(t, len(err.Error()), 5000)
			require.Less(t, time.Since(begin), patience.Long)
		})
	}
}

func TestWhatIsRightIsReadHoweverItIsWritten(t *testing.T) {
	want := []string{"Ops", "1e3", "日本語", "😀", "a\u0085b"}
	for name, file := range map[string]string{
		"a byte order mark": "\ufeffversion: 1\nintegrations: {Ops: &a {system: slack}, 1e3: *a, " +
			"日本語: *a, 😀: *a, \"a\\Nb\": *a}\n",
		"lines of Windows": "version: 1\r\nintegrations:\r\n  Ops: &a\r\n    system: slack\r\n  1e3: *a\r\n" +
			"  日本語: *a\r\n" +
			"  \"\\U0001F600\": *a\r\n  \"a\\u0085b\": *a\r\n",
		"JSON with tabs": "{\n\t\"version\": 1,\n\t\"integrations\": {\"Ops\": {\"system\": " +
			"\"slack\"}, \"1e3\": {\"system\": " +
			"\"slack\"}, \"\\u65e5本語\": {\"system\":\t\"slack\"}, " +
			"\"\\ud83d\\ude00\": {\"system\": \"slack\"}, \"a\u0085b\": " +
			"{\"system\": \"slack\"}}}",
	} {
		t.Run(name, func(t *testing.T) {
			d, err := configuration.Read([]byte(file))
			require.NoError(t, err)
			var got []string
			for _, i := range d.Integrations {
				got = append(got, i.Name)
				require.Equal(t, "slack", i.System)
			}
			require.Equal(t, want, got)
		})
	}
}

// FuzzRead finds what makes a reader panic, or not give back what it wrote.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"version: 1\n", "{\"version\": 1}", "version: 1\nintegrations:\n  A: {system: " +
		"slack, events: [{event: siem, with_headers: true}], parameters: {a: 1.50, b: ~, c: [x, " +
		"'y']}}\ntriggers:\n  T: " +
		"{template_id: x, comment: |\n    a\n     b\n, actions: [{id: y, lock_time: 3}], filters: [{id: z, " +
		"operator: eq, " +
		"values: [1, a]}]}\nreport_settings: {time_zone: UTC}\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := configuration.Read(data)
		if err != nil {
			return
		}
		written, err := d.YAML()
		require.NoError(t, err)
		again, err := configuration.Read(written)
		require.NoError(t, err, string(written))
		require.Equal(t, string(d.JSON()), string(again.JSON()))
		fromJSON, err := configuration.Read(d.JSON())
		require.NoError(t, err, string(d.JSON()))
		require.Equal(t, string(d.JSON()), string(fromJSON.JSON()))
	})
}

func TestReferencesAreExpandedInParametersAlone(t *testing.T) {
	systems := map[string]configuration.System{"x": {Name: "x", Title: "X", Fields: []configuration.Field{
		{Name: "url", Type: "string"}, {Name: "key", Type: "string", Secret: true}, {Name: "list", Type: "array"},
	}}}
	env := map[string]string{"A": "one", "B_2": "${A}", "EMPTY": ""}
	fill := func(value string, later bool) (string, error) {
		d, err := configuration.Read([]byte("version: 1\nintegrations: {I: {system: x, parameters: {" + value + "}}}"))
		require.NoError(t, err)
		err = d.Fill(systems, func(n string) string { return env[n] }, later)
		return string(d.Integrations[0].Parameters[0].Value.JSON()), err
	}
	for value, want := range map[string]string{
		`url: "${A}"`: `"one"`, `url: "a${A}b${B_2}"`: `"aoneb${A}"`, `url: "$${A}"`: `"${A}"`, `url: "$A"`: `"$A"`,
		`url: "$$${A}"`: `"$${A}"`, `key: 0123`: `"0123"`, `key: 1e5`: `"1e5"`, `list: ["${A}", 5]`: `["one","5"]`,
	} {
		got, err := fill(value, false)
		require.NoError(t, err, value)
		require.Equal(t, want, got, value)
	}
	for value, says := range map[string]string{
		`url: "${NONE}"`:  "the environment variable NONE is not set, or is empty",
		`key: "${EMPTY}"`: "EMPTY is not set",
		`url: "${a-b}"`:   "${a-b} is not ${NAME}", `url: "${"`: "${ is not ${NAME}", `url: "${}"`: "is not ${NAME}",
		`key: "********"`: "is the mask", `ulr: x`: `X has no parameter "ulr": did you mean "url"?`,
	} {
		_, err := fill(value, false)
		require.ErrorContains(t, err, says, value)
	}
	_, err := fill(`key: "${NONE}"`, true)
	require.NoError(t, err, "a comparison needs no secrets")
	_, err = fill(`url: "${NONE}"`, true)
	require.Error(t, err)
}
