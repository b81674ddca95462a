//go:build awslocal

package awslocal_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/engine/aws/eventbus"
	"tocsin/shared/event"
)

// statements are those of a policy document.
func statements(document any) (out []map[string]any) {
	list, _ := awslocal.At(document, "Statement").([]any)
	for _, s := range list {
		if branch := awslocal.At(s, "Fn::If", 1); branch != nil { // what can be allowed at most
			s = branch
		}
		m, _ := s.(map[string]any)
		out = append(out, m)
	}
	return out
}

// encoded is a property as text, for what a test looks for in it.
func encoded(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

func TestEveryQueueDeniesWhatComesWithoutTLSAndIsEncrypted(t *testing.T) {
	resources := transformed(t)
	denying := map[string]int{}
	for id, p := range of(resources, "AWS::SQS::QueuePolicy") {
		denies := slices.ContainsFunc(statements(p["PolicyDocument"]), func(s map[string]any) bool {
			return s["Effect"] == "Deny" && s["Principal"] == "*" && s["Action"] == "sqs:*" && s["Resource"] == "*" &&
				awslocal.At(s, "Condition", "Bool", "aws:SecureTransport") == "false"
		})
		require.True(t, denies, id)
		queues, _ := p["Queues"].([]any)
		for _, q := range queues {
			denying[awslocal.Target(q)]++
		}
		require.LessOrEqual(t, length(t, p["PolicyDocument"]), 8_192, "bytes of a queue's policy: SQS, \"Quotas\"")
	}
	for id, p := range of(resources, "AWS::SQS::Queue") {
		require.Equal(t, 1, denying[id], "%s: one policy names it, since a queue has one only", id)
		require.Equal(t, true, p["SqsManagedSseEnabled"], id)
	}
}

func TestEveryTableThatIsKeptIsProtectedAgainstDeletion(t *testing.T) {
	tables := 0
	for id, r := range transformed(t) {
		if r.Type != "AWS::DynamoDB::Table" {
			continue
		}
		tables++
		require.Equal(t, "Key", awslocal.Target(awslocal.At(r.Properties, "SSESpecification", "KMSMasterKeyId")), id)
		if r.DeletionPolicy == "Retain" {
			require.Equal(t, map[string]any{"Ref": "DeletionProtection"}, r.Properties["DeletionProtectionEnabled"], id)
		}
	}
	require.Greater(t, tables, 8)
}

func TestEveryLogGroupIsEncryptedUnderANameThatTheKeyLetsIn(t *testing.T) {
	resources := transformed(t)
	var named []string
	for _, s := range statements(resources["Key"].Properties["KeyPolicy"]) {
		if !strings.Contains(encoded(t, s["Principal"]), "logs.${AWS::Region}") {
			continue
		}
		for _, arn := range awslocal.At(s, "Condition", "ArnLike", "kms:EncryptionContext:aws:logs:arn").([]any) {
			_, name, ok := strings.Cut(awslocal.Text(awslocal.At(arn, "Fn::Sub")), ":log-group:")
			require.True(t, ok)
			named = append(named, strings.TrimSuffix(name, "*"))
		}
	}
	groups := of(resources, "AWS::Logs::LogGroup")
	require.NotEmpty(t, groups)
	for id, p := range groups {
		require.Equal(t, "Key", awslocal.Target(p["KmsKeyId"]), id)
		name := awslocal.Text(awslocal.At(p["LogGroupName"], "Fn::Sub"))
		require.True(t, slices.ContainsFunc(named, func(prefix string) bool { return strings.HasPrefix(name, prefix) }),
			"%s: %s", id, name)
	}
}

// own are the kinds of events that Tocsin publishes itself: nobody else's account may.
var own = []event.Kind{
	event.CreateIntegration, event.UpdateIntegration, event.EnableIntegration, event.DisableIntegration,
	event.DeleteIntegration,
	event.IntegrationBroken, event.IntegrationFailing, event.IntegrationWorking, event.TriggerCreate,
	event.TriggerUpdate, event.TriggerDelete,
	event.Report, event.AddressUndeliverable, event.AttacksExceeded, event.IncidentsExceeded,
	event.IPDenylistRequested, event.IPGraylistRequested, event.IPMarkRequested, event.HitsGroupRequested,
	event.APITokenExpiring, event.CommandNotTaken, event.ScheduledDigest,
}

func TestOtherAccountsPublishOnlyWhatUpstreamDoes(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../template.yaml")
	require.NoError(t, err)
	policies := of(transformed(t), "AWS::Events::EventBusPolicy")
	require.Len(t, policies, 2)
	for id, p := range policies {
		s := p["Statement"]
		require.Equal(t, "events:PutEvents", awslocal.At(s, "Action"), id)
		require.Equal(t, "Bus", awslocal.Target(awslocal.At(s, "Resource")), id)
		require.Equal(t, "PublisherKinds",
			awslocal.Target(awslocal.At(s, "Condition", "StringEquals", "events:detail-type")), id)
		require.Equal(t, "PublisherSources",
			awslocal.Target(awslocal.At(s, "Condition", "ForAllValues:StringEquals", "events:source")), id)
		require.Equal(t, "false", awslocal.At(s, "Condition", "Null", "events:source"), id)
		if awslocal.At(s, "Principal") == "*" {
			require.Equal(t, "PublisherOrganization",
				awslocal.Target(awslocal.At(s, "Condition", "StringEquals", "aws:PrincipalOrgID")), id)
		} else {
			require.Equal(t, "PublisherAccounts", awslocal.Target(awslocal.At(s, "Principal", "AWS")), id)
		}
	}
	var upstream []string
	for _, k := range event.Kinds() {
		if !slices.Contains(own, k) {
			upstream = append(upstream, string(k))
		}
	}
	kinds, _ := template.Parameters["PublisherKinds"].Default.(string)
	require.ElementsMatch(t, upstream, strings.Split(kinds, ","))
	sources, _ := template.Parameters["PublisherSources"].Default.(string)
	require.NotContains(t, strings.Split(sources, ","), eventbus.Source)
	for _, name := range []string{"PublisherAccounts", "PublisherOrganization"} {
		require.Equal(t, "", template.Parameters[name].Default, "nobody else by default")
	}
}

// senders are the functions that may open the secrets of integrations: who sends, and who tests and saves.
var senders = []string{"Api", "Deliver", "Retry"}

// exporters are those that send spans, and may read with which headers. The API previews those of attempts.
var exporters = []string{"Fanout", "Count", "Deliver", "Retry", "Report"}

func TestARoleUsesTheKeysOnlyForWhatItMust(t *testing.T) {
	resources := transformed(t)
	for id, p := range of(resources, "AWS::IAM::Role") {
		function := strings.TrimSuffix(id, "Role")
		through := map[string]bool{} // services that use Key for the role
		opens := false
		policies, _ := p["Policies"].([]any)
		var all []map[string]any
		for _, policy := range policies {
			all = append(all, statements(awslocal.At(policy, "PolicyDocument"))...)
		}
		for _, s := range all {
			if !strings.Contains(encoded(t, s["Action"]), `"kms:`) {
				continue
			}
			keys, _ := s["Resource"].([]any)
			require.Len(t, keys, 1, id)
			require.Equal(t, "Allow", s["Effect"], id)
			purposed := awslocal.At(s, "Condition", "StringEquals",
				"kms:EncryptionContext:purpose") == "tocsin-integration-secrets"
			switch key := awslocal.Target(keys[0]); {
			case key == "SecretsKey":
				opens = true
				require.True(t, purposed, id)
				require.Equal(t, "false", awslocal.At(s, "Condition", "Null", "kms:EncryptionContext:tenant"), id)
			case key == "Key" && purposed:
				opens = true
				require.Equal(t, []any{"kms:Decrypt"}, s["Action"], "%s: what it sealed is only opened", id)
			default:
				require.Equal(t, "Key", key, id)
				require.Equal(t, []any{"kms:Decrypt"}, s["Action"], id)
				via := encoded(t, awslocal.At(s, "Condition", "StringEquals", "kms:ViaService"))
				through["dynamodb"] = through["dynamodb"] ||
					strings.Contains(via, `"dynamodb.${AWS::Region}.${AWS::URLSuffix}"`)
				through["secretsmanager"] = through["secretsmanager"] ||
					strings.Contains(via, `"secretsmanager.${AWS::Region}.${AWS::URLSuffix}"`)
				require.True(t, through["dynamodb"] || through["secretsmanager"], "%s: %s", id, via)
			}
		}
		text := encoded(t, all)
		require.Equal(t, strings.Contains(text, `"dynamodb:`), through["dynamodb"],
			"%s: every table is encrypted with Key", id)
		require.Equal(t, strings.Contains(text, `"secretsmanager:GetSecretValue"`), through["secretsmanager"],
			"%s: every secret is encrypted with Key", id)
		require.Equal(t, slices.Contains(senders, function), opens, "%s: opens secrets of integrations", id)
		require.Equal(t, slices.Contains(senders, function) || slices.Contains(exporters, function),
			strings.Contains(text, `"secretsmanager:`), "%s: reads the functions' secrets", id)
		require.Equal(t, slices.Contains(senders, function), strings.Contains(text, `"UnsubscribeSecret"`), id)
		require.Equal(t, slices.Contains(exporters, function), strings.Contains(text, `"TracesSecret"`), id)
	}
	for id, p := range of(resources, "AWS::SecretsManager::Secret") {
		require.Equal(t, "Key", awslocal.Target(p["KmsKeyId"]), id)
	}
}

func TestNothingSecretIsAVariableOfAFunction(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../template.yaml")
	require.NoError(t, err)
	hidden := 0
	for id, p := range of(transformed(t), "AWS::Lambda::Function") {
		variables := encoded(t, awslocal.At(p, "Environment"))
		require.NotContains(t, variables, "{{resolve:", id)
		for name, parameter := range template.Parameters {
			if parameter.NoEcho {
				hidden++
				require.NotContains(t, variables, `"`+name+`"`, "%s: %s is a secret", id, name)
				require.NotContains(t, variables, "${"+name+"}", "%s: %s is a secret", id, name)
			}
		}
		function := strings.TrimSuffix(id, "Function")
		require.Equal(t, slices.Contains(senders, function), strings.Contains(variables, "TOCSIN_SECRET_UNSUBSCRIBE"),
			id)
		require.Equal(t, slices.Contains(exporters, function), strings.Contains(variables, "TOCSIN_SECRET_TRACES"), id)
	}
	require.GreaterOrEqual(t, hidden, 2*len(awslocal.Names))
}

// browser calls the api function as an HTTP API does that hands on what a browser sends.
func (r *rig) browser(method, path string, headers map[string]string) (status int, answered map[string]string) {
	r.t.Helper()
	headers["host"] = "api.example.com"
	payload, err := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": method + " /v1/{proxy+}", "rawPath": path, "headers": headers,
		"requestContext": map[string]any{"stage": "$default",
			"http": map[string]string{"method": method, "path": path, "sourceIp": "192.0.2.1"}},
	})
	require.NoError(r.t, err)
	answer, err := r.Functions["Api"].Invoke(r.t.Context(), payload)
	require.NoError(r.t, err)
	var got struct {
		StatusCode int
		Headers    map[string]string
	}
	require.NoError(r.t, json.Unmarshal(answer, &got))
	return got.StatusCode, got.Headers
}

func TestABrowsersPreflightIsAnsweredForNamedOriginsAsTheGatewayAnswers(t *testing.T) {
	const origin = "https://console.example.com"
	r := deploy(t, nil, func(o *awslocal.Options) { o.Parameters = map[string]string{"CorsOrigins": origin} })
	for _, api := range of(transformed(t), "AWS::ApiGatewayV2::Api") {
		gateway := awslocal.At(api, "Body", "x-amazon-apigateway-cors", "Fn::If", 1)
		require.Equal(t, "HasCorsOrigins", awslocal.At(api, "Body", "x-amazon-apigateway-cors", "Fn::If", 0))
		require.Equal(t, []any{",", ""}, awslocal.At(gateway, "allowOrigins", "Fn::Split"),
			"the transform has put the parameter's default in")
		list := func(name string) (out []string) {
			values, _ := awslocal.At(gateway, name).([]any)
			for _, v := range values {
				out = append(out, awslocal.Text(v))
			}
			require.NotEmpty(t, out, name)
			return out
		}
		for _, method := range list("allowMethods") {
			asked := slices.Sorted(slices.Values(list("allowHeaders")))
			status, headers := r.browser("OPTIONS", "/v1/integrations", map[string]string{
				"origin": origin, "access-control-request-method": method,
				"access-control-request-headers": strings.Join(asked, ","),
			})
			require.Equal(t, 204, status, method)
			require.Equal(t, origin, headers["Access-Control-Allow-Origin"], method)
			require.Equal(t, method, headers["Access-Control-Allow-Methods"])
			require.ElementsMatch(t, asked, strings.Split(headers["Access-Control-Allow-Headers"], ","))
			require.Equal(t, encoded(t, awslocal.At(gateway, "maxAge")), headers["Access-Control-Max-Age"])
		}
		status, headers := r.browser("GET", "/v1/integrations", map[string]string{"origin": origin})
		require.Equal(t, 401, status, "a page of the origin still needs a token")
		require.ElementsMatch(t, list("exposeHeaders"),
			strings.Split(strings.ReplaceAll(strings.ToLower(headers["Access-Control-Expose-Headers"]), " ", ""), ","))
	}
	_, headers := r.browser("OPTIONS", "/v1/integrations",
		map[string]string{"origin": "https://evil.example", "access-control-request-method": "GET"})
	require.NotContains(t, headers, "Access-Control-Allow-Origin")
}

func TestAnAccountsCallsAreBoundedOverAllFunctions(t *testing.T) {
	r := deploy(t, nil, func(o *awslocal.Options) { o.Parameters = map[string]string{"TenantRequests": "10"} })
	passed, refused := 0, 0
	for n := range 60 {
		if n%12 == 0 {
			r.Functions["Api"].Kill() // the next call is another process's, which knows nothing of those before
		}
		switch status := r.as("42", "administrator", "GET", "/v1/systems", nil, nil); status {
		case 200:
			passed++
		case 429:
			refused++
		default:
			require.Fail(t, "another answer", status)
		}
	}
	require.GreaterOrEqual(t, passed, 5)
	require.LessOrEqual(t, passed, 20, "the limit of two minutes at most")
	require.Equal(t, 60, passed+refused)
	r.withinRoles("Api")
}

// TestWhatCallsAFunctionKeepsWhatFails holds what checkov.yaml leaves out: calls by a queue are bounded and come again
// one by one, the queue has dead letters, and asynchronous calls have a destination on failure.
func TestWhatCallsAFunctionKeepsWhatFails(t *testing.T) {
	resources := transformed(t)
	queues := of(resources, "AWS::SQS::Queue")
	sources := of(resources, "AWS::Lambda::EventSourceMapping")
	require.NotEmpty(t, sources)
	for id, p := range sources {
		require.NotNil(t, awslocal.At(p, "ScalingConfig", "MaximumConcurrency"), id)
		require.Equal(t, []any{"ReportBatchItemFailures"}, p["FunctionResponseTypes"], id)
		require.NotNil(t, queues[awslocal.Target(p["EventSourceArn"])]["RedrivePolicy"], id)
	}
	kept := map[string]bool{} // functions whose asynchronous calls have a destination on failure
	for _, p := range of(resources, "AWS::Lambda::EventInvokeConfig") {
		kept[awslocal.Target(p["FunctionName"])] = awslocal.At(p, "DestinationConfig", "OnFailure",
			"Destination") != nil
	}
	schedules := of(resources, "AWS::Scheduler::Schedule")
	require.NotEmpty(t, schedules)
	for id, p := range schedules {
		called := names(awslocal.At(p, "Target", "Arn")) // perhaps by an alias
		require.Len(t, called, 1, id)
		require.True(t, kept[called[0]], id)
	}
	for kind, state := range map[string]string{"AWS::Lambda::EventSourceMapping": "Enabled",
		"AWS::Scheduler::Schedule": "State"} {
		for id, p := range of(resources, kind) {
			require.Equal(t, "Works", awslocal.At(p, state, "Fn::If", 0), "%s is still in a stack that is paused", id)
		}
	}
	for id, p := range of(resources, "AWS::Events::Rule") {
		targets, _ := p["Targets"].([]any)
		for _, to := range targets {
			require.Contains(t, queues, awslocal.Target(awslocal.At(to, "Arn")),
				"%s: rules send to queues, never to functions", id)
		}
	}
	for id, p := range of(resources, "AWS::ApiGatewayV2::Stage") {
		require.NotNil(t, awslocal.At(p, "DefaultRouteSettings", "ThrottlingRateLimit"), id)
	}
}
