package s3_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/s3"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

const (
	keyID  = "AKIAIOSFODNN7EXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	role   = "arn:aws:iam::123456789012:role/tocsin-hits"
)

var suite = destinationtest.Case{
	Destination: s3.New(s3.Platform{}), Check: check, Secrets: []string{secret},
	Parameters: `{"region":"eu-west-1","bucket":"acme-hits","authorization":"key","access_key_id":"` + keyID +
		`","secret_access_key":"` + secret + `"}`,
}

// platform has an identity of its own.
var platform = s3.Platform{Identity: s3.Static{
	Of: s3.Account{ID: "210987654321"}, With: s3.Keys{ID: "ASIAPLATFORM", Secret: "platform-secret",
		Session: "platform-session"},
}}

// own is an identity whose state a test chooses.
type own struct {
	account s3.Account
	known   bool
	err     error
}

func (o own) Account() (s3.Account, bool)           { return o.account, o.known }
func (own) Prepare(context.Context)                 {}
func (o own) Keys(context.Context) (s3.Keys, error) { return s3.Keys{ID: "AKIA", Secret: "s"}, o.err }

var byRole = destinationtest.Case{
	Destination: s3.New(platform), Check: check,
	Parameters: `{"region":"eu-west-1","bucket":"acme.hits","role_arn":"` + role + `","format":"jsonl"}`,
}

func TestS3(t *testing.T) { destinationtest.Run(t, suite) }

func FuzzS3(f *testing.F) { destinationtest.Fuzz(f, suite) }

var name = regexp.MustCompile(`^hitlogs-[0-9]{19}\.jsonl?$`)

// check reads a file as the facts describe it.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	require.Equal(t, http.MethodPut, r.Method)
	u, err := url.Parse(r.URL)
	require.NoError(t, err)
	require.Regexp(t, name, path.Base(u.Path))
	require.NotEmpty(t, r.Header.Get("X-Amz-Checksum-Sha256"))
	lines := strings.HasSuffix(u.Path, ".jsonl")
	var raw []json.RawMessage
	if lines {
		for line := range bytes.Lines(r.Body) {
			raw = append(raw, line)
		}
	} else {
		require.NoError(t, json.Unmarshal(r.Body, &raw))
	}
	require.NotEmpty(t, raw)
	require.LessOrEqual(t, len(raw), destination.File.Count)
	for _, line := range raw {
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		var record struct {
			Time          *string         `json:"time"`
			RequestID     *string         `json:"request_id"`
			IP            *string         `json:"ip"`
			Datacenter    *string         `json:"datacenter"`
			Tor           *string         `json:"tor"`
			RemoteCountry *string         `json:"remote_country"`
			ApplicationID *[]int          `json:"application_id"`
			Domain        *string         `json:"domain"`
			Method        *string         `json:"method"`
			URI           *string         `json:"uri"`
			Protocol      *string         `json:"protocol"`
			StatusCode    *int            `json:"status_code"`
			AttackType    *string         `json:"attack_type"`
			BlockStatus   *string         `json:"block_status"`
			Payload       *[]string       `json:"payload"`
			Point         *[]string       `json:"point"`
			Tags          *map[string]any `json:"tags"`
		}
		require.NoError(t, dec.Decode(&record))
		require.Regexp(t, `^[0-9]+$`, *record.Time)
		for _, present := range []bool{record.RequestID != nil, record.IP != nil, record.ApplicationID != nil,
			record.Payload != nil, record.Point != nil, record.Tags != nil} {
			require.True(t, present, "every field is always there")
		}
	}
}

func hit(data string) notification.Notification {
	return notification.Notification{Platform: destinationtest.Platform, Event: event.Event{
		ID: "e", Tenant: "42", ClientName: "Acme", Kind: event.NewHits, Time: destinationtest.Now,
		Data: json.RawMessage(`{"hit":` + data + `}`),
	}}
}

func TestTheRecordOfAHit(t *testing.T) {
	for name, c := range map[string]struct{ hit, want string }{
		"a hit of today": {
			`{"type":"sqli","host":"shop.example.com","method":"POST","path":"/orders","protocol":"rest","request_id":"ab12","remote_addr4":"203.0.113.7","remote_country":"NL",
			  "datacenter":"aws","tor":"none","applications":["8","default"],"response_status":404,"request_time":1677628801,"block_status":"blocked","payloads":["' or 1=1"],"point":["json",0],"tags":{"a":1}}`,
			`{"time":"1677628801","request_id":"ab12","ip":"203.0.113.7","datacenter":"aws","tor":"none","remote_country":"NL","application_id":[8],"domain":"shop.example.com","method":"POST",
			  "uri":"/orders","protocol":"rest","status_code":404,"attack_type":"sqli","block_status":"blocked","payload":["' or 1=1"],"point":["json","0"],"tags":{"a":1}}`,
		},
		"one of the first generation, with an IPv6 source and nulls": {
			`{"type":"xss","domain":"old.example.com","remote_addr4":"","remote_addr6":"2001:db8::1","remote_country":null,"tor":null,"tags":[1],"application_id":[-1,2]}`,
			`{"time":"1677628800","request_id":"","ip":"2001:db8::1","datacenter":"","tor":"","remote_country":"","application_id":[-1,2],"domain":"old.example.com","method":"","uri":"",
			  "protocol":"","status_code":0,"attack_type":"xss","block_status":"","payload":[],"point":[],"tags":{}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(s3.RecordOf(hit(c.hit)))
			require.NoError(t, err)
			require.JSONEq(t, c.want, string(got))
		})
	}
}

func encode(t *testing.T, c destinationtest.Case, delivery string, now time.Time,
	ns ...notification.Notification) []destination.Request {
	t.Helper()
	rs, err := c.Destination.Encode(destination.Target{Parameters: destinationtest.Open(t, c), Delivery: delivery,
		Now: now}, ns)
	require.NoError(t, err)
	return rs
}

func TestARepeatWritesTheSameObject(t *testing.T) {
	n := hit(`{"type":"sqli"}`)
	const one, other = "01GTD8R400000000000000TEST", "01GTD8R4000000000000000TWO"
	first := encode(t, suite, one, destinationtest.Now, n)[0]
	again := encode(t, suite, one, destinationtest.Now.Add(30*time.Minute), n)[0]
	require.Equal(t, first.URL, again.URL)
	require.Equal(t, first.Body, again.Body)
	require.NotEqual(t, first.Header.Get("Authorization"), again.Header.Get("Authorization"), "signed for its own time")
	require.NotEqual(t, first.URL, encode(t, suite, other, destinationtest.Now, n)[0].URL,
		"another delivery of the same millisecond is another object")
	require.Contains(t, first.URL, "https://acme-hits.s3.eu-west-1.amazonaws.com/hitlogs-1677630115840",
		"down to the millisecond it is the delivery's time")
}

func TestALongFileIsParted(t *testing.T) {
	var ns []notification.Notification
	for n := range destination.File.Count + 1 {
		ns = append(ns, hit(fmt.Sprintf(`{"type":"sqli","request_id":"%d"}`, n)))
	}
	rs := encode(t, suite, "01GTD8R400000000000000TEST", destinationtest.Now, ns...)
	require.Len(t, rs, 2)
	require.NotEqual(t, rs[0].URL, rs[1].URL)
	require.Contains(t, string(rs[1].Body), fmt.Sprint(`"request_id":"`, destination.File.Count, `"`))
}

func TestWithoutHitsNothingIsWritten(t *testing.T) {
	n := hit(`{}`)
	n.Event.Kind, n.Event.Data = event.CreateUser, json.RawMessage(`{"user":{"name":"x"}}`)
	require.Empty(t, encode(t, suite, "01GTD8R400000000000000TEST", destinationtest.Now, n))
}

func TestARoleIsAssumedForTheTenantAlone(t *testing.T) {
	n := hit(`{"type":"sqli"}`)
	q := encode(t, byRole, "01GTD8R400000000000000TEST", destinationtest.Now, n)[0]
	check(t, q)
	require.True(t, strings.HasPrefix(q.URL, "https://s3.eu-west-1.amazonaws.com/acme.hits/hitlogs-"),
		"dots would break the certificate: %s", q.URL)
	require.Empty(t, q.Header.Get("Authorization"))
	ask, err := q.Authorizer.Ask(t.Context(), destinationtest.Now)
	require.NoError(t, err)
	require.Equal(t, "https://sts.eu-west-1.amazonaws.com/", ask.URL)
	form, err := url.ParseQuery(string(ask.Body))
	require.NoError(t, err)
	require.Equal(t, role, form.Get("RoleArn"))
	require.Equal(t, s3.ExternalID("42"), form.Get("ExternalId"))
	require.Contains(t, ask.Header.Get("Authorization"), "Credential=ASIAPLATFORM/20230301/eu-west-1/sts/aws4_request")
	require.Equal(t, "platform-session", ask.Header.Get("X-Amz-Security-Token"))
	require.NotEqual(t, s3.ExternalID("42"), s3.ExternalID("43"))
	n.Event.Tenant = "43"
	require.NotEqual(t, q.Authorizer.Key(), encode(t, byRole, "01GTD8R400000000000000TEST", destinationtest.Now,
		n)[0].Authorizer.Key())
}

const answer = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><Arn>a</Arn></AssumedRoleUser>
<Credentials><AccessKeyId>ASIATEMP</AccessKeyId><SecretAccessKey>temp-secret</SecretAccessKey><SessionToken>temp-session</SessionToken><Expiration>2023-03-01T01:00:00Z</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>`

func TestTheAssumedKeysSignTheRequest(t *testing.T) {
	q := encode(t, byRole, "01GTD8R400000000000000TEST", destinationtest.Now, hit(`{"type":"sqli"}`))[0]
	c, v := q.Authorizer.Read(destination.Response{Status: 200, Body: []byte(answer)}, destinationtest.Now)
	require.True(t, v.Delivered)
	require.Equal(t, destination.Credential{ID: "ASIATEMP", Secret: "temp-secret", Session: "temp-session",
		Expires: destinationtest.Now.Add(time.Hour)}, c)
	signed, err := q.Authorizer.Apply(q, c, destinationtest.Now)
	require.NoError(t, err)
	require.Contains(t, signed.Header.Get("Authorization"), "Credential=ASIATEMP/20230301/eu-west-1/s3/aws4_request")
	require.Equal(t, "temp-session", signed.Header.Get("X-Amz-Security-Token"))
	require.Empty(t, q.Header.Get("Authorization"), "the request itself stays as it was")
}

func TestARoleThatDoesNotLetUsIn(t *testing.T) {
	g := s3.AssumedRole{Platform: platform, Role: role, Tenant: "42", Region: "eu-west-1"}
	for _, c := range []struct {
		status     int
		body, says string
	}{
		{403, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>`, "its trust policy must name our account and your external ID"},
		{403, `<ErrorResponse><Errors><Error><Code>AccessDenied</Code></Error></Errors></ErrorResponse>`,
			"your external ID"},
		{403, `<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>`, "fault of the installation"},
		{400, `<ErrorResponse><Error><Code>ValidationError</Code></Error></ErrorResponse>`, "copy it again"},
		{500, `nonsense`, "STS answered 500"},
		{200, `nonsense`, "no credentials"},
		{200, `<AssumeRoleResponse/>`, "no credentials"},
	} {
		got, v := g.Read(destination.Response{Status: c.status, Body: []byte(c.body)}, destinationtest.Now)
		require.Zero(t, got)
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, c.says)
	}
}

func TestWithoutAnIdentityARoleIsRefusedClearly(t *testing.T) {
	c := byRole
	c.Destination = s3.New(s3.Platform{})
	c.Parameters = strings.Replace(byRole.Parameters, "{", `{"authorization":"role",`, 1)
	_, err := c.Destination.Encode(destination.Target{Parameters: destinationtest.Open(t, c), Delivery: "x",
		Now: destinationtest.Now}, []notification.Notification{hit(`{"type":"sqli"}`)})
	var notReady *destination.NotReady
	require.ErrorAs(t, err, &notReady)
	require.Contains(t, notReady.Reason, "enter an access key ID")
	require.True(t, notReady.Ours, "it counts against nobody's integration")
	_, err = s3.AssumedRole{}.Ask(t.Context(), destinationtest.Now)
	require.ErrorContains(t, err, "no AWS credentials")
	_, err = s3.AssumedRole{Platform: s3.Platform{Identity: own{known: true, err: errors.New("none")}}}.Ask(t.Context(),
		destinationtest.Now)
	require.ErrorContains(t, err, "no AWS credentials")
	broken := own{account: s3.Account{ID: "210987654321"}, known: true, err: errors.New("secret detail")}
	_, err = s3.AssumedRole{Platform: s3.Platform{Identity: broken}}.Ask(t.Context(), destinationtest.Now)
	require.ErrorContains(t, err, "fault of the installation")
	require.NotContains(t, err.Error(), "secret detail")
}

// P1: what the form starts with is what works, and it says so.
func TestP1TheFormStartsWithARoleOnlyWhereOneCanBeAssumed(t *testing.T) {
	for name, c := range map[string]struct {
		identity s3.Identity
		starts   string
		says     string
	}{
		"none is wired":     {nil, "key", "has no AWS credentials of its own, so it can not"},
		"none was found":    {own{known: true}, "key", "has no AWS credentials of its own, so it can not"},
		"nobody looked yet": {own{}, "role", "is still looking"},
		"there is one":      {platform.Identity, "role", "account ID is `210987654321`"},
		"one in GovCloud": {own{account: s3.Account{ID: "210987654321", Partition: "aws-us-gov"}, known: true},
			"role", `"AWS": "arn:aws-us-gov:iam::210987654321:root"`},
		"the bucket's there": {own{account: s3.Account{ID: "210987654321", Partition: "aws-cn"}, known: true}, "role",
			`"arn:aws-cn:s3:::YOUR-BUCKET/*"`},
	} {
		t.Run(name, func(t *testing.T) {
			d := s3.New(s3.Platform{Identity: c.identity})
			var schema struct {
				Properties map[string]struct{ Default any }
			}
			require.NoError(t, json.Unmarshal(d.System().Parameters.Schema(), &schema))
			require.Equal(t, c.starts, schema.Properties["authorization"].Default)
			require.Contains(t, d.System().Steps("42", "en"), c.says)
			require.NotContains(t, d.System().Steps("42", "en"), "{{")
			given := map[string]string{"key": `"access_key_id":"AKIA","secret_access_key":"s"`, "role": `"role_arn":"` +
				role + `"`}[c.starts]
			full, err := d.System().Parameters.Complete(
				json.RawMessage(`{"region":"eu-west-1","bucket":"acme-hits",` + given + `}`))
			require.NoError(t, err, "the API's default is the form's")
			require.Contains(t, string(full), `"authorization":"`+c.starts+`"`)
		})
	}
}

func TestARoleThatTheInstallationMayNotAssumeIsToldBeforeAWSIsAsked(t *testing.T) {
	for arn, says := range map[string]string{
		"arn:aws:iam::123456789012:role/tocsin-hits":         "",
		"arn:aws:iam::123456789012:role/tocsin-":             "",
		"arn:aws:iam::123456789012:role/hits":                "whose name, after role/, is tocsin-*",
		"arn:aws:iam::123456789012:role/path/tocsin-hits":    "whose name, after role/, is tocsin-*",
		"arn:aws:iam::210987654321:role/tocsin-own-function": "no role of its own AWS account",
	} {
		c := byRole
		c.Destination = s3.New(s3.Platform{Identity: platform.Identity, RoleNames: "tocsin-*"})
		c.Parameters = strings.Replace(byRole.Parameters, role, arn, 1)
		_, err := c.Destination.Encode(destination.Target{Parameters: destinationtest.Open(t, c), Delivery: "x",
			Now: destinationtest.Now}, []notification.Notification{hit(`{"type":"sqli"}`)})
		if says == "" {
			require.NoError(t, err)
			continue
		}
		var notReady *destination.NotReady
		require.ErrorAs(t, err, &notReady, arn)
		require.Contains(t, notReady.Reason, says)
		require.False(t, notReady.Ours, "another role is the customer's to name")
	}
	require.Contains(t, s3.New(s3.Platform{Identity: platform.Identity, RoleNames: "tocsin-*"}).System().Steps("42", "en"),
		"must be `tocsin-*`")
}

// What AWS answers where the bucket's account or organisation is the role's own. S3, user guide, "Troubleshoot access
// denied (403 Forbidden) errors".
func TestAnAccessDeniedNamesTheKeyOrThePolicyThatSaidNo(t *testing.T) {
	const who = "User: arn:aws:sts::123456789012:assumed-role/tocsin-hits/tocsin-hits is not authorized to perform: "
	for message, says := range map[string]string{
		"Access Denied": "needs s3:PutObject",
		who + `s3:PutObject on resource: "arn:aws:s3:::acme-hits/x" because no identity-based policy allows the s3:PutObject action`:                      "needs s3:PutObject",
		who + `kms:GenerateDataKey on resource: arn:aws:kms:eu-west-1:123456789012:key/k because no resource-based policy allows the kms:GenerateDataKey`: "allow kms:GenerateDataKey on that key",
		who + `s3:PutObject on resource: "arn:aws:s3:::acme-hits/x" with an explicit deny in a resource-based policy`:                                     "a policy forbids it expressly",
		who + `s3:PutObject on resource: "arn:aws:s3:::acme-hits/x" with an explicit deny in a service control policy`:                                    "a policy forbids it expressly",
	} {
		v := s3.Judge(destination.Response{Status: 403,
			Body: []byte(`<Error><Code>AccessDenied</Code><Message>` + message + `</Message></Error>`)})
		require.Contains(t, v.Reason, says, message)
	}
}

func TestTheSetUpPageIsTheTenants(t *testing.T) {
	for _, language := range []string{"en", "ja"} {
		steps := s3.New(platform).System().Steps("42", language)
		require.Contains(t, steps, "210987654321")
		require.Contains(t, steps, s3.ExternalID("42"))
		require.NotContains(t, steps, "{{")
		for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(steps, -1) {
			require.True(t, json.Valid([]byte(block[1])), "what is pasted is valid: %s", block[1])
		}
	}
	require.NotContains(t, s3.New(s3.Platform{}).System().Steps("42", "en"), "External",
		"without an identity only keys are explained")
	raw, err := os.ReadFile("setup.md")
	require.NoError(t, err)
	require.Contains(t, string(raw), "{{external_id}}")
}

func TestParameters(t *testing.T) {
	p := s3.New(platform).System().Parameters
	for parameter, says := range map[string]string{
		`"region":"Ireland"`:               "parameters.region",
		`"bucket":"arn:aws:s3:::acme"`:     "parameters.bucket",
		`"bucket":"a..b"`:                  "parameters.bucket: must not have a period beside another",
		`"bucket":"10.0.0.1"`:              "parameters.bucket: must not look like an IP address",
		`"authorization":"role"`:           "parameters.role_arn: is required when the authorization is by role",
		`"access_key_id":null`:             "parameters.access_key_id: is required",
		`"secret_access_key":null`:         "parameters.secret_access_key: is required",
		`"role_arn":"arn:aws:iam::1:role"`: "parameters.role_arn",
		`"format":"csv"`:                   "parameters.format: must be one of",
	} {
		merged, err := p.Merge(json.RawMessage(suite.Parameters), json.RawMessage("{"+parameter+"}"))
		require.NoError(t, err)
		_, err = p.Complete(merged)
		require.ErrorContains(t, err, says, parameter)
	}
	for _, good := range []string{
		`{"region":"us-gov-west-1","bucket":"a.b-c1","role_arn":"arn:aws-us-gov:iam::123456789012:role/path/x+y=z,w.v@u_t-s"}`,
		`{"region":"cn-north-1","bucket":"abc","role_arn":"arn:aws-cn:iam::123456789012:role/x"}`,
	} {
		_, err := p.Complete(json.RawMessage(good))
		require.NoError(t, err, good)
	}
}

func TestChinaHasEndpointsOfItsOwn(t *testing.T) {
	c := suite
	c.Parameters = strings.Replace(suite.Parameters, "eu-west-1", "cn-north-1", 1)
	require.Contains(t, encode(t, c, "x", destinationtest.Now, hit(`{"type":"sqli"}`))[0].URL,
		"https://acme-hits.s3.cn-north-1.amazonaws.com.cn/")
}

func TestAnswers(t *testing.T) {
	require.True(t, s3.Judge(destination.Response{Status: 200}).Delivered)
	for _, c := range []struct {
		status int
		code   string
		says   string
		stale  bool
	}{
		{403, "AccessDenied", "needs s3:PutObject", false},
		{404, "NoSuchBucket", "check its name and its region", false},
		{301, "PermanentRedirect", "enter that region (it is in us-east-2)", false},
		{400, "ExpiredToken", "have expired", true},
		{403, "SignatureDoesNotMatch", "enter it again", false},
		{503, "SlowDown", "slow down", false},
		{418, "Teapot", "it says: Teapot; m", false},
	} {
		v := s3.Judge(destination.Response{Status: c.status, Header: http.Header{"X-Amz-Bucket-Region": {"us-east-2"}},
			Body: []byte(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>` + c.code +
				`</Code><Message>m</Message><RequestId>x</RequestId></Error>`)})
		require.False(t, v.Delivered)
		require.Contains(t, v.Reason, c.says)
		require.Equal(t, c.stale, v.Stale)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(200, []byte(answer))
	f.Add(403, []byte(`<Error><Code>AccessDenied</Code></Error>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := destination.Response{Status: status, Body: body}
		require.Equal(t, status >= 200 && status <= 299, s3.Judge(r).Delivered)
		c, v := s3.AssumedRole{}.Read(r, destinationtest.Now)
		require.Equal(t, v.Delivered, c.ID != "" && c.Secret != "")
		require.Equal(t, v.Delivered, v.Reason == "")
	})
}

func TestTheChecksumIsThatOfTheBody(t *testing.T) {
	q := encode(t, suite, "x", destinationtest.Now, hit(`{"type":"sqli"}`))[0]
	sum, err := base64.StdEncoding.DecodeString(q.Header.Get("X-Amz-Checksum-Sha256"))
	require.NoError(t, err)
	require.Equal(t, q.Header.Get("X-Amz-Content-Sha256"), fmt.Sprintf("%x", sum))
}
