package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type resource struct {
	Type       string
	Properties map[string]any
	Metadata   map[string]any
}

var (
	synthesized map[string]resource
	globals     map[string]any
	network     struct {
		Resources map[string]resource
		Outputs   map[string]any
	}
)

// TestMain synthesises once, offline, with the real binaries.
func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	defer jsii.Close()
	out, err := os.MkdirTemp("", "tocsin-infra-*")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(out)
	if err := build("..", filepath.Join(out, "binaries")); err != nil {
		return 1, err
	}
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(filepath.Join(out, "cdk")), Context: &map[string]any{
		"AlarmTopicArn": "arn:aws:sns:eu-west-1:000000000000:alarms", "PlatformName": "Sentry Post",
		"SubnetIds": "subnet-1,subnet-2", "Zones": 3,
	}})
	if err := newNetwork(app, "tocsin-network", ".."); err != nil {
		return 1, err
	}
	if _, err := newStack(app, "tocsin", "..", filepath.Join(out, "binaries")); err != nil {
		return 1, err
	}
	app.Synth(nil)
	raw, err := os.ReadFile(filepath.Join(out, "cdk", "tocsin.template.json"))
	if err != nil {
		return 1, err
	}
	var template struct {
		Resources map[string]resource
		Globals   map[string]any
	}
	if err := json.Unmarshal(raw, &template); err != nil {
		return 1, err
	}
	synthesized, globals = template.Resources, template.Globals
	if raw, err = os.ReadFile(filepath.Join(out, "cdk", "tocsin-network.template.json")); err != nil {
		return 1, err
	}
	if err := json.Unmarshal(raw, &network); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func ofType(t *testing.T, kind string) map[string]resource {
	t.Helper()
	out := map[string]resource{}
	for id, r := range synthesized {
		if r.Type == kind {
			out[id] = r
		}
	}
	require.NotEmpty(t, out, kind)
	return out
}

func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				return nil
			}
			v = l[step]
		}
	}
	return v
}

// target is the resource that a GetAtt names; CDK keeps the dotted form of the template.
func target(v any) string {
	if dotted, ok := at(v, "Fn::GetAtt").(string); ok {
		name, _, _ := strings.Cut(dotted, ".")
		return name
	}
	name, _ := at(v, "Fn::GetAtt", 0).(string)
	return name
}

func TestEveryResourceAndPropertyOfTheTemplateIsThere(t *testing.T) {
	require.Greater(t, included(t, "../template.yaml", synthesized), 30)
}

// The stack of the addresses is that of network.yaml, with the context's parameters.
func TestTheNetworkIsIncludedWhole(t *testing.T) {
	require.Greater(t, included(t, "../network.yaml", network.Resources), 30)
	for _, name := range []string{"SubnetIds", "SecurityGroupIds", "EgressAddresses"} {
		require.Contains(t, network.Outputs, name)
	}
}

func TestAListOfTheContextIsAListOfTheStack(t *testing.T) {
	require.Equal(t, []any{"subnet-1", "subnet-2"},
		at(synthesized["DeliverFunction"].Properties, "VpcConfig", "Fn::If", 1, "SubnetIds"))
}

// included compares a template with what was synthesised of it, and counts its resources.
func included(t *testing.T, file string, synthesized map[string]resource) int {
	t.Helper()
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var template struct {
		Resources map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	require.NoError(t, yaml.Unmarshal(raw, &template))
	for id, r := range template.Resources {
		require.Equal(t, r.Type, synthesized[id].Type, id)
		present(t, id, &r.Properties, synthesized[id].Properties)
	}
	return len(template.Resources)
}

// present looks for every property, down to the intrinsic functions.
func present(t *testing.T, path string, want *yaml.Node, got any) {
	t.Helper()
	switch {
	case want.Tag == "!!map":
		for n := 0; n < len(want.Content); n += 2 {
			name := want.Content[n].Value
			inner := at(got, name)
			require.NotNil(t, inner, "%s.%s is lost", path, name)
			if name != "CodeUri" && name != "DefinitionUri" {
				present(t, path+"."+name, want.Content[n+1], inner)
			}
		}
	case want.Tag == "!!seq":
		for n, w := range want.Content {
			present(t, fmt.Sprintf("%s[%d]", path, n), w, at(got, n))
		}
	}
}

func TestCodeAndDefinitionAreAssets(t *testing.T) {
	for id, r := range ofType(t, "AWS::Serverless::Function") {
		require.NotNil(t, at(r.Properties, "CodeUri", "Bucket"), id)
	}
	require.NotNil(t, at(synthesized["RetryMachine"].Properties, "DefinitionUri", "Bucket"))
}

func TestQueuesAreEncryptedAndHaveADeadLetterQueueOrAreOne(t *testing.T) {
	watched := map[string]bool{}
	for _, a := range ofType(t, "AWS::CloudWatch::Alarm") {
		if at(a.Properties, "MetricName") == "ApproximateNumberOfMessagesVisible" &&
			at(a.Properties, "Threshold") == 0.0 {
			watched[target(at(a.Properties, "Dimensions", 0, "Value"))] = true
		}
	}
	for id, r := range ofType(t, "AWS::SQS::Queue") {
		require.Equal(t, true, r.Properties["SqsManagedSseEnabled"], id)
		require.Equal(t, watched[id], r.Properties["RedrivePolicy"] == nil,
			"%s: a queue with work has a dead-letter queue, and a queue without has an alarm for its first message", id)
	}
}

func TestTablesAreEncryptedAndKept(t *testing.T) {
	for id, r := range ofType(t, "AWS::DynamoDB::Table") {
		require.Equal(t, true, at(r.Properties, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"), id)
		require.Equal(t, "KMS", at(r.Properties, "SSESpecification", "SSEType"), id)
		require.Equal(t, "PAY_PER_REQUEST", r.Properties["BillingMode"], id)
	}
}

func TestAQueueHidesMessagesForSixTimesTheTimeoutOfItsFunction(t *testing.T) {
	seen := 0
	for id, f := range ofType(t, "AWS::Serverless::Function") {
		source := at(f.Properties, "Events", "Queue", "Properties")
		if source == nil {
			continue
		}
		seen++
		hidden, _ := synthesized[target(at(source, "Queue"))].Properties["VisibilityTimeout"].(float64)
		require.GreaterOrEqual(t, hidden, 6*f.Properties["Timeout"].(float64), id)
		require.Equal(t, []any{"ReportBatchItemFailures"}, at(source, "FunctionResponseTypes"), id)
		require.NotNil(t, at(source, "ScalingConfig", "MaximumConcurrency"), id)
	}
	require.Equal(t, 5, seen)
}

// everywhere are the actions whose resource can only be "*": the services know no resources for them.
var everywhere = regexp.MustCompile(
	`^(xray:(PutTraceSegments|PutTelemetryRecords|GetSampling(Rules|Targets))|logs:(CreateLogDelivery|GetLogDelivery|UpdateLogDelivery|DeleteLogDelivery|ListLogDeliveries|PutResourcePolicy|DescribeResourcePolicies|DescribeLogGroups))$`)

func TestRolesNameActionsAndResources(t *testing.T) {
	for id, r := range ofType(t, "AWS::IAM::Role") {
		policies, _ := r.Properties["Policies"].([]any)
		for _, p := range policies {
			statements, _ := at(p, "PolicyDocument", "Statement").([]any)
			require.NotEmpty(t, statements, id)
			for _, s := range statements {
				if branch := at(s, "Fn::If", 1); branch != nil { // what can be allowed at most
					s = branch
				}
				actions, _ := at(s, "Action").([]any)
				require.NotEmpty(t, actions, id)
				for _, a := range actions {
					require.NotContains(t, a, "*", id)
					if at(s, "Resource") == "*" {
						require.Regexp(t, everywhere, a, id)
					}
				}
			}
		}
	}
}

func TestEachFunctionHasARoleAndLogsOfItsOwn(t *testing.T) {
	roles := map[string]bool{}
	for id, f := range ofType(t, "AWS::Serverless::Function") {
		role := target(at(f.Properties, "Role"))
		require.NotEmpty(t, role, id)
		require.False(t, roles[role], id)
		roles[role] = true
		require.NotNil(t, at(f.Properties, "LoggingConfig", "LogGroup"), id)
	}
}

func TestSchedulesAndRulesKeepWhatFails(t *testing.T) {
	for id, s := range ofType(t, "AWS::Scheduler::Schedule") {
		require.NotNil(t, at(s.Properties, "Target", "DeadLetterConfig", "Arn"), id)
	}
	for id, r := range ofType(t, "AWS::Events::Rule") {
		require.NotNil(t, at(r.Properties, "Targets", 0, "DeadLetterConfig", "Arn"), id)
	}
}

func TestEveryAlarmTellsSomeone(t *testing.T) {
	for id, a := range ofType(t, "AWS::CloudWatch::Alarm") {
		require.Equal(t, "arn:aws:sns:eu-west-1:000000000000:alarms", at(a.Properties, "AlarmActions", 0, "Fn::If", 2),
			id)
		require.Equal(t, a.Properties["AlarmActions"], a.Properties["OKActions"], id)
	}
}

func TestContextGivesParameters(t *testing.T) {
	require.Equal(t, "Sentry Post", at(globals, "Function", "Environment", "Variables", "TOCSIN_PLATFORM"))
}
