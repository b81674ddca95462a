package collector_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/fluentd"
	"tocsin/shared/notification"
)

// tool finds a program. Without it the test is skipped, but where TOCSIN_TOOLS says that every tool is there
// (make test-independent) it fails.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("TOCSIN_TOOLS") == "required" {
		t.Fatalf("%s is not installed: scripts/independent/install does it", name)
	}
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// lines has the plugin's library write each notification's envelope in a format.
func lines(t *testing.T, format string, ns []notification.Notification) []string {
	t.Helper()
	var in bytes.Buffer
	for _, n := range ns {
		in.Write(n.Envelope())
		in.WriteByte('\n')
	}
	cmd := exec.Command(tool(t, "ruby"), "-rjson", "-r./plugin/security_line.rb", "-e",
		`STDOUT.binmode; STDIN.each_line { |l| puts JSON.generate(SecurityLine.`+format+
			`(JSON.parse(l), 1677628803.5)) }`)
	cmd.Stdin = &in
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(t, err, errs.String())
	var got []string
	for line := range strings.Lines(string(out)) {
		var s string
		require.NoError(t, json.Unmarshal([]byte(line), &s))
		got = append(got, s)
	}
	require.Len(t, got, len(ns))
	return got
}

var formats = map[string]func(*testing.T, string) map[string]string{"cef": parseCEF, "leef": parseLEEF}

func TestTheLineOfEveryEvent(t *testing.T) {
	ns := destinationtest.Notifications(fluentd.New().System())
	for format, parse := range formats {
		t.Run(format, func(t *testing.T) {
			got := lines(t, format, ns)
			for i, line := range got {
				fields := parse(t, line)
				require.Equal(t, string(ns[i].Event.Kind), fields["kind"])
				require.NotEmpty(t, fields["msg"])
			}
			destinationtest.Golden(t, "testdata/"+format+".golden", []byte(strings.Join(got, "\n")+"\n"))
		})
	}
}

func TestHostileContentStaysInItsField(t *testing.T) {
	var ns []notification.Notification
	for _, s := range append(destinationtest.Hostile(), `a=b|c\d^e src=6.6.6.6 msg=forged`, "a\tsrc=6.6.6.6\nCEF:0|x",
		`\`, strings.Repeat(`\=|`, 3000)) {
		ns = append(ns, destinationtest.HostileNotifications(s)...)
	}
	for format, parse := range formats {
		t.Run(format, func(t *testing.T) {
			for i, line := range lines(t, format, ns) {
				require.LessOrEqual(t, len(line), 3900)
				require.True(t, utf8.ValidString(line))
				require.NotRegexp(t, `[\x00-\x08\x0a-\x1f\x7f]`, line)
				fields := parse(t, line)
				require.Equal(t, string(ns[i].Event.Kind), fields["kind"])
				require.NotEqual(t, "6.6.6.6", fields["src"], "content can not forge a field")
			}
		})
	}
}

func TestALongValueIsCutVisiblyAndTheOthersStay(t *testing.T) {
	n := destinationtest.Notifications(fluentd.New().System())[0]
	n.Event.Kind = "new_hits"
	n.Event.Data = json.RawMessage(
		`{"hit":{"type":"sqli","domain":"shop.example.com","remote_addr4":"203.0.113.7","payloads":["` +
			strings.Repeat("日", 9000) + `"]}}`)
	for format, parse := range formats {
		line := lines(t, format, []notification.Notification{n})[0]
		require.LessOrEqual(t, len(line), 3900)
		fields := parse(t, line)
		require.Equal(t, "203.0.113.7", fields["src"])
		payload := fields["payload"] + fields["cs4"]
		require.True(t, strings.HasSuffix(payload, "…"))
		require.Greater(t, len(payload), 1000)
	}
}

func TestAnAddressOfVersion6HasItsOwnFieldInCEF(t *testing.T) {
	n := destinationtest.Notifications(fluentd.New().System())[0]
	n.Event.Kind = "new_hits"
	for data, want := range map[string][2]string{
		`{"hit":{"type":"sqli","remote_addr4":"","remote_addr6":"2001:db8::7"}}`: {"2001:db8::7",
			"2001:db8::7"},
		`{"hit":{"type":"sqli","remote_addr4":"203.0.113.7","remote_addr6":null}}`: {"203.0.113.7",
			"203.0.113.7"},
		`{"hit":{"type":"sqli","remote_addr4":"not an address","remote_addr6":"1.2.3"}}`: {"", ""},
	} {
		n.Event.Data = json.RawMessage(data)
		cef := parseCEF(t, lines(t, "cef", []notification.Notification{n})[0])
		require.Equal(t, want[0], cef["src"]+cef["c6a2"])
		require.Equal(t, want[1], parseLEEF(t, lines(t, "leef", []notification.Notification{n})[0])["src"])
		if strings.Contains(want[0], ":") {
			require.Equal(t, "Source IPv6 Address", cef["c6a2Label"])
		}
	}
}

// parseCEF is strict: it takes no escape but those of the format.
func parseCEF(t *testing.T, line string) map[string]string {
	t.Helper()
	header := regexp.MustCompile(
		`^CEF:0\|((?:[^\\|]|\\[\\|])*)\|((?:[^\\|]|\\[\\|])*)\|((?:[^\\|]|\\[\\|])*)\|((?:[^\\|]|\\[\\|])*)\|((?:[^\\|]|\\[\\|])*)\|(\d+)\|(.*)$`).FindStringSubmatch(line)
	require.NotNil(t, header, "no CEF: %s", line)
	fields := map[string]string{"kind": header[4], "name": header[5], "severity": header[6]}
	require.Regexp(t, `^([1-9]|10)$`, header[6])
	rest := header[7]
	for rest != "" {
		m := regexp.MustCompile(`^([A-Za-z0-9]+)=((?:[^\\=]|\\[\\=nr])*?)(?: ([A-Za-z0-9]+=.*)|)$`).
			FindStringSubmatch(rest)
		require.NotNil(t, m, "no CEF extension: %s", rest)
		require.NotContains(t, fields, m[1], "a key stands twice")
		fields[m[1]] = m[2]
		rest = m[3]
	}
	require.Regexp(t, `^\d{13}$`, fields["rt"])
	return fields
}

// parseLEEF is strict likewise.
func parseLEEF(t *testing.T, line string) map[string]string {
	t.Helper()
	header := regexp.MustCompile(`^LEEF:2\.0\|[^|]+\|[^|]+\|[^|]+\|([^|]+)\|x09\|(.*)$`).FindStringSubmatch(line)
	require.NotNil(t, header, "no LEEF: %s", line)
	fields := map[string]string{"kind": header[1]}
	for pair := range strings.SplitSeq(header[2], "\t") {
		m := regexp.MustCompile(`^([A-Za-z]+)=((?:[^\\|=]|\\[\\|=])+)$`).FindStringSubmatch(pair)
		require.NotNil(t, m, "no LEEF attribute: %s", pair)
		require.NotContains(t, fields, m[1], "a key stands twice")
		fields[m[1]] = m[2]
	}
	require.Regexp(t, `^\d{13}$`, fields["devTime"])
	require.Regexp(t, `^([1-9]|10)$`, fields["sev"])
	return fields
}

// TestCEFIsReadByLiblognorm has rsyslog's library parse each line: it refuses an escape that CEF does not have.
func TestCEFIsReadByLiblognorm(t *testing.T) {
	program := tool(t, "lognormalizer")
	rules := t.TempDir() + "/cef.rulebase"
	require.NoError(t, os.WriteFile(rules, []byte("version=2\nrule=:%f:cef%\n"), 0o600))
	ns := destinationtest.Notifications(fluentd.New().System())
	for _, s := range append(destinationtest.Hostile(), `a=b|c\d^e src=6.6.6.6 msg=forged`, `\`) {
		ns = append(ns, destinationtest.HostileNotifications(s)...)
	}
	got := lines(t, "cef", ns)
	cmd := exec.Command(program, "-r", rules, "-e", "json")
	cmd.Stdin = strings.NewReader(strings.Join(got, "\n") + "\n")
	out, err := cmd.Output()
	require.NoError(t, err)
	parsed := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	require.Len(t, parsed, len(got))
	for i, raw := range parsed {
		var read struct {
			F struct {
				SignatureID string
				Severity    string
				Extensions  map[string]string
			}
			Unparsed string `json:"unparsed-data"`
		}
		require.NoError(t, json.Unmarshal([]byte(raw), &read))
		require.Empty(t, read.Unparsed, fmt.Sprintf("liblognorm refuses: %s", got[i]))
		require.Equal(t, string(ns[i].Event.Kind), read.F.SignatureID)
		require.NotEmpty(t, read.F.Extensions["msg"])
	}
}

// parse has pycef, which is a parser of its own, read each line.
const parse = `
import json, sys, pycef
for line in sys.stdin:
    print(json.dumps(pycef.parse(line.rstrip("\n"))))`

func TestCEFIsReadByPycef(t *testing.T) {
	python := os.Getenv("TOCSIN_PYTHON")
	if python == "" {
		t.Skip("TOCSIN_PYTHON names no Python that has pycef: make test-independent does")
	}
	ns := destinationtest.Notifications(fluentd.New().System())
	cmd := exec.Command(python, "-c", parse)
	cmd.Stdin = strings.NewReader(strings.Join(lines(t, "cef", ns), "\n") + "\n")
	out, err := cmd.Output()
	require.NoError(t, err)
	i := 0
	for line := range strings.Lines(string(out)) {
		var read map[string]string
		require.NoError(t, json.Unmarshal([]byte(line), &read))
		require.Equal(t, string(ns[i].Event.Kind), read["DeviceEventClassID"])
		require.Equal(t, "Acme", read["client"], "the label names the custom string")
		require.NotEmpty(t, read["msg"])
		i++
	}
	require.Len(t, ns, i)
}

func TestTheReadmeNamesEveryFile(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	files, err := filepath.Glob("*.conf")
	require.NoError(t, err)
	require.Len(t, files, 4)
	plugins, err := filepath.Glob("plugin/*.rb")
	require.NoError(t, err)
	for _, f := range append(files, plugins...) {
		require.Contains(t, string(readme), filepath.Base(f))
	}
}
