//go:build awslocal

package awslocal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
)

// transformed is template.yaml as CloudFormation deploys it: what AWS's own translator makes of it.
func transformed(t *testing.T) map[string]awslocal.Resource {
	t.Helper()
	raw, err := translated()
	require.NoError(t, err, "the template can not be deployed")
	// "TemplateBody" by way of S3: CloudFormation, "Quotas".
	require.Less(t, len(raw), 1<<20, "bytes of the template")
	var out struct{ Resources map[string]awslocal.Resource }
	require.NoError(t, json.Unmarshal(raw, &out))
	require.LessOrEqual(t, len(out.Resources), 500, "resources of a stack: CloudFormation, \"Quotas\"")
	return out.Resources
}

// translated runs the translator once for all tests.
var translated = sync.OnceValues(func() ([]byte, error) {
	template, err := os.Open("../../template.yaml")
	if err != nil {
		return nil, err
	}
	defer template.Close()
	python := filepath.Join(os.Getenv(awslocal.ModulesVariable), "venv", "bin", "python")
	cmd := exec.Command(python, "transform.py", "TokenIssuer=https://issuer.example")
	var refused bytes.Buffer
	cmd.Stdin, cmd.Stderr = template, &refused
	cmd.Env = append(os.Environ(), "AWS_DEFAULT_REGION=eu-west-1", "SAM_CLI_TELEMETRY=0")
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, refused.String())
	}
	return raw, nil
})

// of lists the resources of a type.
func of(resources map[string]awslocal.Resource, kind string) map[string]map[string]any {
	out := map[string]map[string]any{}
	for id, r := range resources {
		if r.Type == kind {
			out[id] = r.Properties
		}
	}
	return out
}

// routes are those of the API. The first two are of operations, each of which the function authenticates; the others
// hold no tenant's data, or check what they are given themselves.
var routes = []string{
	"x-amazon-apigateway-any-method /v1/{proxy+}", "x-amazon-apigateway-any-method /v2/{proxy+}",
	"get /", "get /docs", "get /docs/{proxy+}", "get /openapi.json", "get /openapi.yaml",
	"get /asyncapi.json", "get /configuration.schema.json",
	"get /add", "get /add/{system}", "get /integrations/{proxy+}", "get /triggers", "get /triggers/{proxy+}",
	"get /reports", "get /profile", "get /tokens", "get /mail-log",
	"get /rejected", "get /addresses", "get /activity", "get /leaving", "get /log", "get /events/{id}",
	"get /pages/{proxy+}",
	"get /sign-in", "get /sign-in/{proxy+}", "get /signed-in", "post /sign-in/logout",
	"get /healthz", "get /livez", "get /readyz", "post /telegram", "get /unsubscribe/{token}",
	"post /unsubscribe/{token}",
}

// The function finds out who calls. An authorizer of the gateway in front of a route would keep cookies and API tokens
// from it.
func TestTheTransformedTemplateHasTheRoutesThatAreWrittenDownAndNoAuthorizer(t *testing.T) {
	apis := of(transformed(t), "AWS::ApiGatewayV2::Api")
	require.Len(t, apis, 1)
	for _, api := range apis {
		paths, _ := awslocal.At(api, "Body", "paths").(map[string]any)
		require.NotEmpty(t, paths)
		var there []string
		for path, methods := range paths {
			methods, _ := methods.(map[string]any)
			require.NotEmpty(t, methods, path)
			for method, operation := range methods {
				require.Nil(t, awslocal.At(operation, "security"), "%s %s", method, path)
				there = append(there, method+" "+path)
			}
		}
		require.ElementsMatch(t, routes, there)
		require.Nil(t, awslocal.At(api, "Body", "components"))
	}
}

// TestTheFunctionLetsNobodyInWithoutGoodCredentials takes over what an authorizer of the gateway would do.
func TestTheFunctionLetsNobodyInWithoutGoodCredentials(t *testing.T) {
	r := deploy(t, nil, nil)
	other, err := awslocal.NewIssuer()
	require.NoError(t, err)
	t.Cleanup(other.Close)
	ago := func(d time.Duration) map[string]any { return map[string]any{"exp": time.Now().Add(-d).Unix()} }
	signed := func(by *awslocal.Issuer, more map[string]any) map[string]string {
		all := map[string]any{"tenant": "42", "role": "administrator"}
		maps.Copy(all, more)
		return map[string]string{"authorization": "Bearer " + by.Token(all)}
	}
	for name, c := range map[string]struct {
		headers map[string]string
		want    int
	}{
		"good":                    {signed(r.Issuer, nil), 200},
		"a client_id for an aud":  {signed(r.Issuer, map[string]any{"aud": nil, "client_id": "tocsin"}), 200},
		"within the skew":         {signed(r.Issuer, ago(30*time.Second)), 200},
		"expired":                 {signed(r.Issuer, ago(2*time.Minute)), 401},
		"another audience":        {signed(r.Issuer, map[string]any{"aud": "other"}), 401},
		"no audience":             {signed(r.Issuer, map[string]any{"aud": nil}), 401},
		"no tenant":               {signed(r.Issuer, map[string]any{"tenant": nil}), 401},
		"another issuer":          {signed(other, nil), 401},
		"its claims, not its key": {signed(other, map[string]any{"iss": r.Issuer.URL}), 401},
		"garbage":                 {map[string]string{"authorization": "Bearer a.b.c"}, 401},
		"none":                    {map[string]string{}, 401},
		"a cookie of nobody":      {map[string]string{"cookie": "__Host-tocsin_session=x"}, 401},
	} {
		status, _ := r.browser("GET", "/v1/session", c.headers)
		require.Equal(t, c.want, status, name)
		status, _ = r.browser("GET", "/v1/integrations", c.headers)
		require.Equal(t, c.want, status, name)
	}
	r.withinRoles("Api")
}

func TestTheTransformedTemplateKeepsTheLimitsOfAWS(t *testing.T) {
	resources := transformed(t)
	for id, p := range of(resources, "AWS::IAM::Role") {
		size := 0
		policies, _ := p["Policies"].([]any)
		for _, policy := range policies {
			size += length(t, awslocal.At(policy, "PolicyDocument"))
		}
		require.LessOrEqual(t, size, 10_240, "%s: characters of a role's inline policies: IAM, \"Quotas\"", id)
		require.LessOrEqual(t, length(t, p["AssumeRolePolicyDocument"]), 2_048,
			"%s: characters of a trust policy: IAM, \"Quotas\"", id)
	}
	for id, p := range of(resources, "AWS::Events::Rule") {
		require.LessOrEqual(t, length(t, p["EventPattern"]), 2_048,
			"%s: characters of a pattern: EventBridge, \"Quotas\"", id)
	}
	template, err := awslocal.ReadTemplate("../../template.yaml")
	require.NoError(t, err)
	parameters := template.Parameters
	functions := of(resources, "AWS::Lambda::Function")
	require.Len(t, functions, len(awslocal.Names))
	for id, p := range functions {
		variables, _ := awslocal.At(p, "Environment", "Variables").(map[string]any)
		size := 0
		for name, v := range variables {
			size += len(name) + bounded(t, parameters, v)
		}
		require.LessOrEqual(t, size, 4_096, "%s: bytes of all variables: Lambda, \"Quotas\"", id)
	}
	allowed := map[string]int{}
	for _, p := range of(resources, "AWS::Lambda::Permission") {
		allowed[fmt.Sprint(p["FunctionName"])] += 400 // bytes of a statement, its ARNs at their longest
	}
	for function, size := range allowed {
		require.LessOrEqual(t, size, 20<<10, "%s: bytes of its resource-based policy: Lambda, \"Quotas\"", function)
	}
	for id := range resources {
		require.Regexp(t, `^[A-Za-z0-9]{1,255}$`, id, "a logical id: CloudFormation, \"Quotas\"")
	}
}

// placeholder is as long as an ARN gets that a reference may stand for, figure as a number.
var placeholder, figure = strings.Repeat("x", 120), strings.Repeat("9", 8)

// stackName is the longest name of a stack for which the limits are held. CloudFormation names a table by it.
const stackName = 40

// numbers are the parameters of the template that are numbers.
var numbers = sync.OnceValue(func() map[string]bool {
	template, err := awslocal.ReadTemplate("../../template.yaml")
	if err != nil {
		panic(err)
	}
	out := map[string]bool{}
	for name, p := range template.Parameters {
		out[name] = p.Type == "Number"
	}
	return out
})

// pseudo are the parameters that CloudFormation has of its own, at their longest.
var pseudo = strings.NewReplacer("${AWS::AccountId}", "123456789012", "${AWS::Partition}", "aws-us-gov",
	"${AWS::Region}", "ap-southeast-2",
	"${AWS::StackName}", strings.Repeat("x", stackName))

var substitution = regexp.MustCompile(`\$\{[^}]*\}`)

// length is how long a property can be once CloudFormation has put values in.
func length(t *testing.T, v any) int {
	t.Helper()
	raw, err := json.Marshal(filled(v))
	require.NoError(t, err)
	return len(raw)
}

// bounded is length for what can be a parameter alone, whose values the template bounds.
func bounded(t *testing.T, parameters map[string]awslocal.Parameter, v any) int {
	t.Helper()
	name, _ := awslocal.At(v, "Ref").(string)
	if n, ok := parameters[name].Longest(); ok {
		return n
	}
	return length(t, v)
}

// referred is how long what a reference stands for is at most, of the kinds of resources that functions are told of; 0
// for others. CloudFormation makes names of stack, logical id and 12 letters.
func referred(function string, of any) int {
	if list, ok := of.([]any); ok && function == "Fn::If" {
		longest := 0
		for _, branch := range list[1:] {
			text, _ := filled(branch).(string)
			longest = max(longest, len(text))
		}
		return longest
	}
	id, _ := of.(string)
	if function != "Ref" {
		return 0
	}
	switch kinds()[id] {
	case "AWS::DynamoDB::Table":
		return stackName + len(id) + len("--1ABCDEFGHIJKL")
	case "AWS::KMS::Key": // the key's id
		return len("01234567-89ab-cdef-0123-456789abcdef")
	case "AWS::Events::EventBus", "AWS::SES::ConfigurationSet": // named after the stack
		return stackName
	case "AWS::SecretsManager::Secret": // its ARN
		return len(pseudo.Replace("arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:")) +
			len(id) + len("-1ABCDEFGHIJK-abcdef")
	}
	return 0
}

// kinds are the types of the template's resources by their logical ids.
var kinds = sync.OnceValue(func() map[string]string {
	template, err := awslocal.ReadTemplate("../../template.yaml")
	if err != nil {
		panic(err)
	}
	out := map[string]string{}
	for id, r := range template.Resources {
		out[id] = r.Type
	}
	return out
})

// filled puts placeholders where references and substitutions stand.
func filled(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 1 {
			for name, of := range v {
				if sub, ok := of.(string); ok && name == "Fn::Sub" {
					return substitution.ReplaceAllString(pseudo.Replace(sub), placeholder)
				}
				if parameter, ok := of.(string); ok && name == "Ref" && numbers()[parameter] {
					return figure
				}
				if n := referred(name, of); n > 0 {
					return strings.Repeat("x", n)
				}
				if name == "Ref" || strings.HasPrefix(name, "Fn::") {
					return placeholder
				}
			}
		}
		out := maps.Clone(v)
		for name := range out {
			out[name] = filled(out[name])
		}
		return out
	case []any:
		out := slices.Clone(v)
		for i := range out {
			out[i] = filled(out[i])
		}
		return out
	}
	return v
}

// TestNothingInTheTransformedTemplateWaitsForItself follows what each resource names: a circle can not be deployed.
func TestNothingInTheTransformedTemplateWaitsForItself(t *testing.T) {
	resources := transformed(t)
	const walking, done = 1, 2
	state := map[string]int{}
	var walk func(id string, way []string)
	walk = func(id string, way []string) {
		require.NotEqual(t, walking, state[id], "a circle: %v", append(way, id))
		if state[id] == done {
			return
		}
		state[id] = walking
		for _, next := range names(resources[id].Properties) {
			if _, ok := resources[next]; ok {
				walk(next, append(way, id))
			}
		}
		state[id] = done
	}
	for id := range resources {
		walk(id, nil)
	}
}

// names are the resources that a property names, by Ref, GetAtt or Sub.
func names(v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		if to := awslocal.Target(v); to != "" {
			return []string{to}
		}
		texts := []any{v["Fn::Sub"]}
		if list, ok := v["Fn::Sub"].([]any); ok {
			texts = list
		}
		for _, text := range texts {
			for _, s := range substitution.FindAllString(awslocal.Text(text), -1) {
				name, _, _ := strings.Cut(strings.Trim(s, "${}"), ".")
				out = append(out, name)
			}
		}
		for _, of := range v {
			out = append(out, names(of)...)
		}
	case []any:
		for _, of := range v {
			out = append(out, names(of)...)
		}
	}
	return out
}
