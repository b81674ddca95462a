//go:build awslocal

package awslocal_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/scripts/embedded"
	"tocsin/shared/destination/s3"
)

// account is moto's: the customer's and ours, because it looks at the trust policies of the caller's own account alone.
const account = "123456789012"

// assuming is what template.yaml lets the API's function assume, as moto reads it.
func assuming(t *testing.T) any {
	template, err := awslocal.ReadTemplate("../../template.yaml")
	require.NoError(t, err)
	var out []any
	for _, role := range []string{"ApiRole", "DeliverRole", "RetryRole"} {
		statements, _ := awslocal.At(template.Resources[role].Properties, "Policies", 0, "PolicyDocument",
			"Statement").([]any)
		var allowed, denied int
		for _, s := range statements {
			if awslocal.At(s, "Action", 0) != "sts:AssumeRole" {
				continue
			}
			resource := awslocal.Text(awslocal.At(s, "Resource", "Fn::Sub"))
			if awslocal.At(s, "Effect") == "Deny" {
				require.Equal(t, "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/*", resource, role)
				denied++
				continue
			}
			allowed++
			require.Equal(t, "false", awslocal.At(s, "Condition", "Null", "sts:ExternalId"), role)
			resource = strings.NewReplacer("${AWS::Partition}", "aws", "${RoleNames}",
				awslocal.Text(template.Parameters["RoleNames"].Default)).Replace(resource)
			out = []any{map[string]any{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": resource}}
		}
		require.Equal(t, []int{1, 1}, []int{allowed, denied},
			"%s sends, so it assumes roles, and none of its own account", role)
	}
	return awslocal.Statements(out...)
}

// customer has a bucket, and roles that are right or wrong in one thing each.
func customer(t *testing.T, users ...awslocal.LabUser) *awslocal.Customer {
	trust := func(external string) any {
		var names []string
		for _, u := range users {
			names = append(names, "arn:aws:iam::"+account+":user/"+u.ID)
		}
		statement := map[string]any{"Effect": "Allow", "Principal": map[string]any{"AWS": names},
			"Action": "sts:AssumeRole"}
		if external != "" {
			statement["Condition"] = map[string]any{"StringEquals": map[string]any{"sts:ExternalId": external}}
		}
		return awslocal.Statements(statement)
	}
	put := func(bucket string) any {
		return awslocal.Statements(map[string]any{"Effect": "Allow", "Action": "s3:PutObject",
			"Resource": "arn:aws:s3:::" + bucket + "/*"})
	}
	c, err := awslocal.StartCustomer(t.Context(), t.TempDir(), awslocal.Lab{
		Users: users,
		Roles: []awslocal.LabRole{
			{Name: "tocsin-hits", Trust: trust(s3.ExternalID("42")), Policy: put("*")},
			{Name: "tocsin-of-another-tenant", Trust: trust(s3.ExternalID("43")), Policy: put("*")},
			{Name: "tocsin-of-everybody", Trust: trust(""), Policy: put("*")},
			{Name: "tocsin-without-a-right", Trust: trust(s3.ExternalID("42")), Policy: put("another-bucket")},
			{Name: "hits", Trust: trust(s3.ExternalID("42")), Policy: put("*")},
		},
		Buckets: []awslocal.LabBucket{{Name: "acme-hits", Region: "eu-west-1"},
			{Name: "acme.hits", Region: "eu-west-1"}},
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

type tested struct {
	Delivered bool
	Messages  []struct {
		Status int
		Reason string
	}
}

// byRole takes a program through what a customer can have right and wrong. test is the form's button.
func byRole(t *testing.T, c *awslocal.Customer, test func(parameters map[string]any) tested) {
	for _, x := range []struct{ role, bucket, says string }{
		{"tocsin-hits", "acme-hits", ""},
		{"tocsin-hits", "acme.hits", ""},
		{"tocsin-of-another-tenant", "acme-hits", "its trust policy must name our account and your external ID"},
		{"tocsin-of-everybody", "acme-hits", "add the condition sts:ExternalId to its trust policy"},
		{"tocsin-without-a-right", "acme-hits",
			"403 Forbidden AccessDenied: the role or key may not write there: it needs s3:PutObject"},
		{"tocsin-hits", "no-such-bucket", "404 Not Found NoSuchBucket"},
	} {
		before, err := c.Objects("acme-hits")
		require.NoError(t, err)
		c.Calls()
		got := test(map[string]any{"region": "eu-west-1", "bucket": x.bucket, "authorization": "role",
			"role_arn": "arn:aws:iam::" + account + ":role/" + x.role})
		require.Len(t, got.Messages, 1)
		require.Equal(t, x.says == "", got.Delivered, "%s %s: %s", x.role, x.bucket, got.Messages[0].Reason)
		require.Contains(t, got.Messages[0].Reason, x.says)
		calls := c.Calls()
		require.Equal(t, "POST sts.eu-west-1.amazonaws.com", calls[0], "%v", calls)
		if x.says == "" {
			host := map[string]string{"acme-hits": "PUT acme-hits.s3.eu-west-1.amazonaws.com",
				"acme.hits": "PUT s3.eu-west-1.amazonaws.com"}[x.bucket]
			require.Equal(t, []string{"POST sts.eu-west-1.amazonaws.com", host}, calls[1:],
				"a probe with nobody's external ID, one credential, one file")
		}
		after, err := c.Objects("acme-hits")
		require.NoError(t, err)
		require.Equal(t, x.says == "" && x.bucket == "acme-hits", len(after) == len(before)+1)
	}
	written, err := c.Objects("acme-hits")
	require.NoError(t, err)
	for key, body := range written {
		require.Regexp(t, `^hitlogs-[0-9]{19}\.json$`, key)
		var records []map[string]any
		require.NoError(t, json.Unmarshal(body, &records), string(body))
		require.Len(t, records, 1)
		require.Equal(t, "8.8.8.8", records[0]["ip"])
	}
}

// setUp is the S3 system as the form gets it.
func setUp(t *testing.T, raw json.RawMessage) (steps, starts string) {
	var list struct {
		Groups []struct {
			Systems []struct {
				Name       string
				SetUp      string `json:"set_up"`
				Parameters struct {
					Properties map[string]struct{ Default any }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(raw, &list))
	for _, g := range list.Groups {
		for _, s := range g.Systems {
			if s.Name == "s3" {
				starts, _ = s.Parameters.Properties["authorization"].Default.(string)
				return s.SetUp, starts
			}
		}
	}
	t.Fatal("there is no s3")
	return "", ""
}

// P1: a role that a customer made by the set-up page is assumed on AWS, with the rights that template.yaml gives.
func TestP1ARoleIsAssumedByTheFunctions(t *testing.T) {
	c := customer(t, awslocal.LabUser{ID: "Api", Secret: "local", Policy: assuming(t)})
	const ours = "210987654321"
	r := deploy(t, nil, func(o *awslocal.Options) {
		o.Parameters = map[string]string{"ProxyUrl": c.Proxy, "ProxyResolves": "on"}
		o.Env = map[string]string{"SSL_CERT_FILE": c.CA, "TOCSIN_AWS_PRINCIPAL": "arn:aws:iam::" + ours + ":root"}
	})
	var systems json.RawMessage
	r.api("GET", "/v1/systems", nil, &systems)
	steps, starts := setUp(t, systems)
	require.Equal(t, "role", starts)
	for _, says := range []string{"The account ID is `" + ours + "`", `"AWS": "arn:aws:iam::` + ours + `:root"`,
		s3.ExternalID("42"), "must be `tocsin-*`"} {
		require.Contains(t, steps, says)
	}
	test := func(parameters map[string]any) (got tested) {
		r.api("POST", "/v1/integrations/test", map[string]any{"system": "s3", "parameters": parameters}, &got)
		return got
	}
	byRole(t, c, test)
	c.Calls()
	for role, says := range map[string]string{"arn:aws:iam::" + account +
		":role/hits": "whose name, after role/, is tocsin-*", "arn:aws:iam::" + ours +
		":role/tocsin-api": "no role of its own AWS account"} {
		got := test(map[string]any{"region": "eu-west-1", "bucket": "acme-hits", "role_arn": role})
		require.False(t, got.Delivered)
		require.Contains(t, got.Messages[0].Reason, says)
	}
	require.Empty(t, c.Calls(), "AWS is not asked for what our own policy forbids")
}

// P1: the same on one machine, with what the SDK finds there.
func TestP1ARoleIsAssumedOnOneMachine(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "tocsin")
	out, err := exec.Command("go", "build", "-o", binary, "../../functions/local").CombinedOutput()
	require.NoError(t, err, string(out))
	c := customer(t, awslocal.LabUser{ID: "Local", Secret: "local", Policy: assuming(t)})
	t.Setenv("SSL_CERT_FILE", c.CA)
	t.Setenv("HOME", t.TempDir()) // no shared files
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	start := func() (p *embedded.Process, steps, starts string) {
		p, err := embedded.Start(binary, t.TempDir(), "-proxy", c.Proxy, "-proxy-resolves", "-tenant", "42")
		require.NoError(t, err)
		t.Cleanup(p.Kill)
		require.Empty(t, c.Calls(), "a start asks AWS nothing")
		var systems json.RawMessage
		require.NoError(t, p.Call("GET", "/v1/systems", nil, &systems))
		steps, starts = setUp(t, systems)
		return p, steps, starts
	}
	_, steps, starts := start()
	require.Equal(t, "key", starts, "there are no credentials")
	require.Contains(t, steps, "no AWS credentials of its own")
	require.Empty(t, c.Calls())

	t.Setenv("AWS_ACCESS_KEY_ID", "Local")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "local")
	t.Setenv("AWS_REGION", "eu-west-1")
	p, steps, starts := start()
	require.Equal(t, "role", starts)
	require.Contains(t, steps, "The account ID is `"+account+"`")
	require.Equal(t, []string{"POST sts.eu-west-1.amazonaws.com"}, c.Calls(), "one question who we are")
	byRole(t, c, func(parameters map[string]any) (got tested) {
		require.NoError(t, p.Call("POST", "/v1/integrations/test",
			map[string]any{"system": "s3", "parameters": parameters}, &got))
		return got
	})
}
