package collector_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/logstash"
)

// missing skips a test for want of a tool, but where TOCSIN_TOOLS says that every tool is there
// (make test-independent) it fails it.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("TOCSIN_TOOLS") == "required" {
		t.Fatalf("%s is not installed: scripts/independent/install does it", what)
	}
	t.Skipf("%s is not installed", what)
}

func TestBothCollectorsWriteLinesByTheSameFile(t *testing.T) {
	ours, err := os.ReadFile("script/security_line.rb")
	require.NoError(t, err)
	theirs, err := os.ReadFile("../../fluentd/collector/plugin/security_line.rb")
	require.NoError(t, err)
	require.Equal(t, string(theirs), string(ours),
		"each folder can be copied as a whole, so each has the file: copy the changed one over the other")
}

// run loads the script as Logstash's ruby filter does (instance_eval, register, then filter for each event), over
// events that have the methods of Logstash's that it calls.
const run = `
Event = Struct.new(:data, :set_fields) do
  def get(name) = data[name]
  def set(name, value) = set_fields[name] = value
  def timestamp = Struct.new(:time).new(Time.at(1677628803.5))
end
script = Object.new
script.instance_eval(File.read("script/line.rb"), "script/line.rb")
script.register({ "format" => ARGV[0], "library" => File.expand_path("script/security_line.rb") })
STDOUT.binmode
STDIN.each_line do |l|
  event = Event.new(JSON.parse(l), {})
  kept = script.filter(event)
  raise "the filter must return the event" unless kept == [event]
  puts event.set_fields.fetch("[@metadata][line]")
end`

func TestTheScriptWritesTheLineOfEveryEvent(t *testing.T) {
	ruby, err := exec.LookPath("ruby")
	if err != nil {
		missing(t, "ruby")
	}
	for _, format := range []string{"cef", "leef"} {
		var in, errs bytes.Buffer
		for _, n := range destinationtest.Notifications(logstash.New().System()) {
			in.Write(n.Envelope())
			in.WriteByte('\n')
		}
		cmd := exec.Command(ruby, "-rjson", "-e", run, format)
		cmd.Stdin, cmd.Stderr = &in, &errs
		out, err := cmd.Output()
		require.NoError(t, err, errs.String())
		want, err := os.ReadFile("../../fluentd/collector/testdata/" + format + ".golden")
		require.NoError(t, err)
		require.Equal(t, string(want), string(out))
	}
}

func TestTheScriptRefusesAnotherFormat(t *testing.T) {
	ruby, err := exec.LookPath("ruby")
	if err != nil {
		missing(t, "ruby")
	}
	out, err := exec.Command(ruby, "-rjson", "-e", run, "xml").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "it must be cef or leef")
}

// parse prints a pipeline as an independent parser of Logstash's language reads it.
const parse = `
import json, sys
from logstash_pipeline_parser import Pipeline
print(json.dumps(Pipeline(open(sys.argv[1]).read()).parse(), default=str))`

// TestThePipelines has an independent parser read each configuration. No registry that the build reaches has Logstash
// itself: that it starts with them is checked by hand, with bin/logstash --config.test_and_exit.
func TestThePipelines(t *testing.T) {
	python := os.Getenv("TOCSIN_PYTHON")
	if python == "" || exec.Command(python, "-c", "import logstash_pipeline_parser").Run() != nil {
		missing(t, "logstash-pipeline-parser (TOCSIN_PYTHON)")
	}
	outputs := map[string]string{"qradar": "syslog", "arcsight": "syslog", "splunk": "http", "datadog": "datadog_logs"}
	for name, output := range outputs {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command(python, "-c", parse, name+".conf").CombinedOutput()
			require.NoError(t, err, "%s", out)
			var sections [][]json.RawMessage
			require.NoError(t, json.Unmarshal(out, &sections))
			require.Equal(t, []string{"input", "filter", "output"}, heads(t, sections))
			require.Contains(t, plugins(t, sections[0]), "http")
			require.Equal(t, []string{output}, plugins(t, sections[2]))
		})
	}
	files, err := filepath.Glob("*.conf")
	require.NoError(t, err)
	require.Len(t, files, len(outputs))
}

func heads(t *testing.T, sections [][]json.RawMessage) (names []string) {
	t.Helper()
	for _, s := range sections {
		var name string
		require.NoError(t, json.Unmarshal(s[0], &name))
		names = append(names, name)
	}
	return names
}

func plugins(t *testing.T, section []json.RawMessage) []string {
	t.Helper()
	var list [][]json.RawMessage
	require.NoError(t, json.Unmarshal(section[1], &list))
	return heads(t, list)
}

func TestTheReadmeNamesEveryFile(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	files, err := filepath.Glob("*.conf")
	require.NoError(t, err)
	scripts, err := filepath.Glob("script/*.rb")
	require.NoError(t, err)
	for _, f := range append(files, scripts...) {
		require.True(t, strings.Contains(string(readme), filepath.Base(f)), f)
	}
}
