//go:build awslocal

package awslocal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/metrics"
)

// unwatched are resources of the kinds that are watched which have no alarm of their own, and why.
var unwatched = map[string]string{
	"RelaySchedule":  "a call that fails is in FailedInvocations; SweeperMissingAlarm tells of one that is not made",
	"SweepSchedule":  "a call that fails is in FailedInvocations; what a sweep leaves, the next one takes up",
	"ReportSchedule": "a call that fails is in FailedInvocations; a report that is late is taken up by the next call",
	"EraseSchedule":  "a call that fails is in FailedInvocations; what is left, the next one takes up",
}

// watchedKinds are the types of resources that must have an alarm.
var watchedKinds = []string{
	"AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::StepFunctions::StateMachine",
	"AWS::ApiGatewayV2::Api",
	"AWS::Events::Rule", "AWS::SES::ConfigurationSet", "AWS::Scheduler::Schedule",
}

func TestEverythingThatCanFailHasAnAlarmOrAReason(t *testing.T) {
	resources := transformed(t)
	watched := map[string]bool{}
	for _, a := range of(resources, "AWS::CloudWatch::Alarm") {
		for _, name := range names(a) {
			watched[name] = true
		}
	}
	seen := 0
	for _, kind := range watchedKinds {
		for id := range of(resources, kind) {
			seen++
			if unwatched[id] == "" {
				require.True(t, watched[id],
					"%s %s has no alarm: add one with a page in docs/runbook, or a reason in unwatched", kind, id)
			}
		}
	}
	require.Greater(t, seen, 30)
	for id := range unwatched {
		require.Contains(t, resources, id, "unwatched names what is no more")
	}
}

func TestAQueueThatHoldsDeadLettersAlarmsAtTheFirst(t *testing.T) {
	resources := transformed(t)
	first := map[string]bool{}
	for _, a := range of(resources, "AWS::CloudWatch::Alarm") {
		if a["MetricName"] == "ApproximateNumberOfMessagesVisible" && fmt.Sprint(a["Threshold"]) == "0" {
			// SQS reports nothing of a queue that nobody touched for hours, and the letters are still there.
			require.Equal(t, "ignore", a["TreatMissingData"])
			first[awslocal.Target(awslocal.At(a, "Dimensions", 0, "Value"))] = true
		}
	}
	for id, q := range of(resources, "AWS::SQS::Queue") {
		require.Equal(t, q["RedrivePolicy"] == nil, first[id], id)
	}
}

// alarmLimits: CloudWatch, API reference, "PutMetricAlarm" and "MetricDataQuery".
const (
	alarmDescription = 1024 // characters
	alarmMetrics     = 10   // metrics of an alarm on an expression
	alarmExpression  = 2048 // characters
)

var (
	identifier = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`)
	ours       = regexp.MustCompile(`^Tocsin/`)
	page       = regexp.MustCompile(`docs/runbook/([a-z-]+)\.md$`)
)

func TestAlarmsKeepTheLimitsOfCloudWatch(t *testing.T) {
	for id, a := range of(transformed(t), "AWS::CloudWatch::Alarm") {
		require.LessOrEqual(t, len(awslocal.Text(a["AlarmDescription"])), alarmDescription, id)
		require.NotEmpty(t, a["AlarmActions"], id)
		require.Equal(t, a["AlarmActions"], a["OKActions"], id)
		list, _ := a["Metrics"].([]any)
		metrics, shown, defined := 0, 0, []string{}
		for _, m := range list {
			name := awslocal.Text(awslocal.At(m, "Id"))
			require.Regexp(t, identifier, name, id)
			if expression := awslocal.Text(awslocal.At(m, "Expression")); expression != "" {
				require.LessOrEqual(t, len(expression), alarmExpression, id)
				shown++
				continue
			}
			require.Equal(t, false, awslocal.At(m, "ReturnData"), id)
			metrics++
			defined = append(defined, name)
		}
		require.LessOrEqual(t, metrics, alarmMetrics, id)
		if len(list) > 0 {
			require.Equal(t, 1, shown, id)
			expression := awslocal.Text(awslocal.At(a, "Metrics", 0, "Expression"))
			for _, name := range defined {
				require.Regexp(t, `\b`+name+`\b`, expression, "%s reads a metric that its expression does not use", id)
			}
		}
	}
}

func TestEveryAlarmHasItsPageAndEveryPageItsAlarm(t *testing.T) {
	resources := transformed(t)
	folder := "../../docs/runbook"
	wanted := map[string][]string{}
	for id, a := range of(resources, "AWS::CloudWatch::Alarm") {
		m := page.FindStringSubmatch(awslocal.Text(a["AlarmDescription"]))
		require.NotNil(t, m, "the description of %s ends with its page", id)
		wanted[m[1]] = append(wanted[m[1]], id)
	}
	files, err := filepath.Glob(folder + "/*.md")
	require.NoError(t, err)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".md")
		if name == "README" {
			continue
		}
		require.NotEmpty(t, wanted[name], "%s belongs to no alarm", file)
	}
	index, err := os.ReadFile(folder + "/README.md")
	require.NoError(t, err)
	for name, alarms := range wanted {
		text, err := os.ReadFile(filepath.Join(folder, name+".md"))
		require.NoError(t, err, alarms)
		for _, alarm := range alarms {
			require.Contains(t, string(text), alarm, "%s.md names its alarms", name)
		}
		at := 0
		for _, heading := range []string{"## What it means", "## What customers notice", "## Look at", "## Do",
			"## Undo"} {
			next := strings.Index(string(text)[at:], heading+"\n")
			require.GreaterOrEqual(t, next, 0, "%s.md has %q, in the order of the others", name, heading)
			at += next
		}
		require.Contains(t, string(index), "("+name+".md)", "the list of pages")
	}
}

// linked are the links of a page to files.
var linked = regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)

// named are alarms, and resources in code, that a page names.
var named = regexp.MustCompile("`([A-Z][A-Za-z]+(?:Alarm|Queue|DeadLetters|Table|Function|Machine|Schedule))`")

func TestLinksAndNamesInTheDocumentsAreWhole(t *testing.T) {
	resources := transformed(t)
	template, err := awslocal.ReadTemplate("../../template.yaml")
	require.NoError(t, err)
	var pages []string
	for _, pattern := range []string{"../../docs/*.md", "../../docs/*/*.md", "../../README.md"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		pages = append(pages, files...)
	}
	require.Greater(t, len(pages), 20)
	for _, file := range pages {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range linked.FindAllStringSubmatch(string(text), -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(file), m[1]))
			require.NoError(t, err, "%s links to %s", file, m[1])
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			_, there := resources[m[1]]
			_, before := template.Resources[m[1]] // the transform renames what it expands
			require.True(t, there || before, "%s names %s, which the template has not", file, m[1])
		}
	}
}

func TestTheDashboardShowsEveryAlarmAndNamesWhatIsThere(t *testing.T) {
	resources := transformed(t)
	boards := of(resources, "AWS::CloudWatch::Dashboard")
	require.Len(t, boards, 1)
	for _, board := range boards {
		body := awslocal.Text(awslocal.At(board, "DashboardBody", "Fn::Sub"))
		var alarms []string
		for _, s := range substitution.FindAllString(body, -1) {
			name, _, _ := strings.Cut(strings.Trim(s, "${}"), ".")
			if !strings.HasPrefix(name, "AWS::") {
				require.Contains(t, resources, name)
			}
			if resources[name].Type == "AWS::CloudWatch::Alarm" {
				alarms = append(alarms, name)
			}
		}
		for id := range of(resources, "AWS::CloudWatch::Alarm") {
			require.Contains(t, alarms, id)
		}
		require.LessOrEqual(t, len(alarms), 100,
			"alarms of a widget: CloudWatch, \"Dashboard body structure and syntax\"")
		var parsed struct {
			Widgets []struct {
				Type                string
				X, Y, Width, Height int
				Properties          map[string]any
			}
		}
		require.NoError(t, json.Unmarshal([]byte(substitution.ReplaceAllString(body, "x")), &parsed))
		for n, w := range parsed.Widgets {
			require.LessOrEqual(t, w.X+w.Width, 24, "widget %d leaves the grid", n)
			for m, other := range parsed.Widgets[:n] {
				apart := w.X >= other.X+other.Width || other.X >= w.X+w.Width || w.Y >= other.Y+other.Height ||
					other.Y >= w.Y+w.Height
				require.True(t, apart, "the widgets %d and %d lie over each other", m, n)
			}
		}
	}
}

// TestWhatIsCalledIsTheAlias: a version changes between two rounds of an execution, never in one.
func TestWhatIsCalledIsTheAlias(t *testing.T) {
	resources := transformed(t)
	functions := of(resources, "AWS::Lambda::Function")
	aliases := of(resources, "AWS::Lambda::Alias")
	require.Len(t, aliases, len(functions))
	for id, m := range of(resources, "AWS::Lambda::EventSourceMapping") {
		require.Contains(t, aliases, awslocal.Target(m["FunctionName"]), id)
	}
	for id, c := range of(resources, "AWS::Lambda::EventInvokeConfig") {
		require.Equal(t, "live", c["Qualifier"], id)
	}
	for id, s := range of(resources, "AWS::Scheduler::Schedule") {
		require.Regexp(t, `^\$\{\w+Function\.Arn\}:live$`, awslocal.At(s, "Target", "Arn", "Fn::Sub"), id)
	}
	for id, m := range of(resources, "AWS::StepFunctions::StateMachine") {
		require.Regexp(t, `^\$\{\w+\.Arn\}:live$`,
			awslocal.At(m, "DefinitionSubstitutions", "RetryFunctionArn", "Fn::Sub"), id)
	}
	for id, g := range of(resources, "AWS::CodeDeploy::DeploymentGroup") {
		function := strings.TrimSuffix(id, "DeploymentGroup")
		alarm := strings.TrimSuffix(function, "Function") + "FailingAlarm"
		require.Equal(t, alarm, awslocal.Target(awslocal.At(g, "AlarmConfiguration", "Alarms", 0, "Name")), id)
		require.Equal(t, true, awslocal.At(g, "AutoRollbackConfiguration", "Enabled"), id)
		events, _ := awslocal.At(g, "AutoRollbackConfiguration", "Events").([]any)
		require.Contains(t, events, "DEPLOYMENT_STOP_ON_ALARM", id)
		require.Contains(t, names(resources[alarm].Properties), function)
	}
	for id, f := range functions {
		require.Equal(t, map[string]any{"Ref": "Release"}, awslocal.At(f, "Environment", "Variables", "TOCSIN_RELEASE"),
			"%s: a version is made only of a function that changed", id)
	}
	for id, v := range of(resources, "AWS::Lambda::Version") {
		require.Equal(t, "release ${Release}", awslocal.At(v, "Description", "Fn::Sub"), id)
	}
}

// TestOurMetricsAreThoseThatFunctionsWrite holds the names in the template against those of the package metrics.
func TestOurMetricsAreThoseThatFunctionsWrite(t *testing.T) {
	source, err := os.ReadFile("../../shared/engine/aws/metrics/metrics.go")
	require.NoError(t, err)
	var written []string
	for _, m := range metrics.All() {
		if m.AWS {
			written = append(written, m.Name)
		}
	}
	for _, m := range regexp.MustCompile(`Metric = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		written = append(written, m[1])
	}
	resources := transformed(t)
	for _, f := range of(resources, "AWS::Logs::MetricFilter") {
		written = append(written, awslocal.Text(awslocal.At(f, "MetricTransformations", 0, "MetricName")))
	}
	check := func(id string, metric any) {
		namespace := awslocal.Text(awslocal.At(metric, "Namespace", "Fn::Sub"))
		if !ours.MatchString(namespace) {
			return
		}
		require.Contains(t, written, awslocal.Text(awslocal.At(metric, "MetricName")), id)
		dimensions, _ := awslocal.At(metric, "Dimensions").([]any)
		for _, d := range dimensions {
			if awslocal.At(d, "Name") == "reason" {
				require.Equal(t, metrics.Dead.Name, awslocal.At(metric, "MetricName"), id)
				require.Contains(t, metrics.Dead.Labels[1].Values, awslocal.At(d, "Value"), id)
				continue
			}
			require.Equal(t, "Function", awslocal.At(d, "Name"), id)
			_, err := os.Stat(filepath.Join("../../functions", awslocal.Text(awslocal.At(d, "Value")), "main.go"))
			require.NoError(t, err, id)
		}
	}
	seen := 0
	for id, a := range of(resources, "AWS::CloudWatch::Alarm") {
		check(id, a)
		list, _ := a["Metrics"].([]any)
		for _, m := range list {
			check(id, awslocal.At(m, "MetricStat", "Metric"))
			seen++
		}
	}
	require.Positive(t, seen)
	require.True(t, slices.Contains(written, "FailedItems"))
}

// variables are those that a reader of the pages sets.
var variables = []string{"STACK", "TASK", "DEPLOYMENT", "VERSION", "EXECUTION", "ARCHIVE", "BUS", "FROM", "TO", "T",
	"API"}

// block is a piece of shell in a page.
var block = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestCommandsInTheDocumentsAreCommandsOfAWS runs each piece of shell of the pages, with an `aws` that only notes how
// it was called. AWS's own descriptions of its services judge the calls.
func TestCommandsInTheDocumentsAreCommandsOfAWS(t *testing.T) {
	log, home := filepath.Join(t.TempDir(), "calls"), t.TempDir()
	var pages []string
	for _, pattern := range []string{"../../docs/*.md", "../../docs/runbook/*.md"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		pages = append(pages, files...)
	}
	for _, file := range pages {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			c := exec.CommandContext(t.Context(), "bash", "-euc", `
				aws() { printf '%s\x1f' "$@" >>"$CALLS"; echo >>"$CALLS"; echo x; }
				go() { [[ "$1" = @(run|test) ]] && [ -d "../../$2" ]; }
				curl() { :; }
				sam() { [ "$1" = deploy ] && [[ "$*" != *Paused* || "$*" =~ Paused=(yes|no) ]]; }
				name() { echo x; }
				`+m[1])
			c.Env = append(os.Environ(), "CALLS="+log, "HOME="+home)
			for _, v := range variables {
				c.Env = append(c.Env, v+"=x")
			}
			out, err := c.CombinedOutput()
			require.NoError(t, err, "%s\n%s\n%s", file, m[1], out)
		}
	}
	calls, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Greater(t, bytes.Count(calls, []byte("\n")), 30)
	judge := exec.CommandContext(t.Context(),
		filepath.Join(os.Getenv(awslocal.ModulesVariable), "venv", "bin", "python"), "commands.py")
	judge.Stdin = bytes.NewReader(calls)
	out, err := judge.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Empty(t, string(out))
}
