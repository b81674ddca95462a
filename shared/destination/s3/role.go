package s3

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"tocsin/shared/destination"
)

const noIdentity = "this installation has no AWS credentials of its own and can not assume a role: enter an access " +
	"key ID and a secret access key instead, or ask its operator to give it some"

// namespace of external ids; made once, for this.
var namespace = uuid.MustParse("b58c3f0c-5a3e-4f0e-9a76-0f9d6f6f2f11")

// ExternalID is the tenant's own, and never what a person enters: so nobody can have us assume a role that another
// tenant made for us (AWS, IAM, "The confused deputy problem").
func ExternalID(tenant string) string {
	return uuid.NewSHA1(namespace, []byte(tenant)).String()
}

// Life of an assumed role's keys. STS, "AssumeRole": from 15 minutes; one hour at most when a role assumes a role.
const life = time.Hour

// AssumedRole assumes a role of the customer's. It implements destination.Authorizer.
type AssumedRole struct {
	Platform Platform
	Role     string
	Tenant   string
	Region   string
}

// Key is the role and for whom it is assumed.
func (g AssumedRole) Key() string { return g.Role + " " + g.Tenant }

// stsVersion is that of the API. STS, API reference, "Common parameters".
const stsVersion = "2011-06-15"

// Ask makes the call of AssumeRole, signed with the platform's own credentials.
func (g AssumedRole) Ask(ctx context.Context, now time.Time) (destination.Request, error) {
	return g.assume(ctx, ExternalID(g.Tenant), now)
}

// Probe makes the same call with an external ID that is nobody's. AWS, IAM, "The confused deputy problem": a role that
// lets that in lets in every tenant that names its ARN.
func (g AssumedRole) Probe(ctx context.Context, now time.Time) (destination.Request, error) {
	return g.assume(ctx, uuid.NewSHA1(namespace, []byte("nobody, asked for "+g.Role)).String(), now)
}

// Open reports a role that lets in an external ID that is nobody's.
func (AssumedRole) Open(r destination.Response) string {
	if !destination.Success(r.Status) {
		return ""
	}
	return "the role can be assumed without your external ID, so that anybody here who knows its ARN could write to " +
		"your bucket: add the condition sts:ExternalId to its trust policy, as the set-up page shows it"
}

func (g AssumedRole) assume(ctx context.Context, external string, now time.Time) (destination.Request, error) {
	if g.Platform.Identity == nil {
		return destination.Request{}, errors.New(noIdentity)
	}
	own, err := g.Platform.Identity.Keys(ctx)
	if err == nil && own.ID == "" || err != nil && g.Platform.none() { // it may have looked only now
		return destination.Request{}, errors.New(noIdentity)
	}
	if err != nil {
		return destination.Request{}, errors.New("the platform's own AWS credentials are not there at the moment: " +
			"this is a fault of the installation, not of your settings")
	}
	form := url.Values{
		"Action": {"AssumeRole"}, "Version": {stsVersion}, "RoleArn": {g.Role}, "ExternalId": {external},
		"RoleSessionName": {"tocsin-hits"}, "DurationSeconds": {strconv.Itoa(int(life.Seconds()))},
	}
	q := destination.Request{
		Method: http.MethodPost, URL: stsAddress(g.Region), Body: []byte(form.Encode()), Keep: 64 << 10,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"},
			"Accept": {"text/xml"}},
	}
	return Sign(q, own, "sts", g.Region, now)
}

// assumed is STS's answer.
type assumed struct {
	Credentials struct {
		ID      string    `xml:"AccessKeyId"`
		Secret  string    `xml:"SecretAccessKey"`
		Session string    `xml:"SessionToken"`
		Expires time.Time `xml:"Expiration"`
	} `xml:"AssumeRoleResult>Credentials"`
}

// refused is STS's answer when it refuses. Its message is not read: it can repeat the request and how it was signed.
type refused struct {
	Code string `xml:"Error>Code"`
	// Inner is the code where the answer has the form of other services of AWS.
	Inner string `xml:"Errors>Error>Code"`
}

// roleReasons explain STS's codes. STS, API reference, "AssumeRole: Errors" and "Common errors". AccessDenied is the
// one answer to a wrong trust policy, a wrong external ID, a role that is not there and a policy of ours: STS does not
// tell them apart, so that nobody can find out which roles an account has.
var roleReasons = map[string]string{
	"AccessDenied": "the role does not let us in: there must be a role of that ARN, and its trust policy " +
		"must name our account and your external ID, as the set-up page shows them; a new role takes a minute",
	"RegionDisabledException": "STS is switched off for this region in our account: this is the installation's to mend",
	"ValidationError":         "AWS does not take the role ARN: copy it again from the role's page",
	"MalformedPolicyDocument": "AWS does not take the role's policy",
	"ExpiredToken":            "the platform's own AWS credentials have expired: this is a fault of the installation",
	"InvalidClientTokenId": "the platform's own AWS credentials are not valid in this region's partition: this is " +
		"a fault of the installation",
	"SignatureDoesNotMatch": "the platform's own AWS credentials are not valid: this is a fault of the installation",
	"Throttling":            "AWS asks to slow down",
}

// word is a code as AWS writes them, and nothing that repeats a request.
var word = regexp.MustCompile(`^[A-Za-z][A-Za-z.]{2,63}$`)

// ours are the codes that only the installation's operator can do something about.
var ours = set("RegionDisabledException", "ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch")

// Read takes the keys out of the answer.
func (g AssumedRole) Read(r destination.Response, now time.Time) (destination.Credential, destination.Verdict) {
	if !destination.Success(r.Status) {
		var a refused
		_ = xml.Unmarshal(r.Body, &a) // without words the status speaks
		code := cmp.Or(a.Code, a.Inner)
		reason := "the role could not be assumed: STS answered " + destination.StatusText(r.Status)
		if why, ok := roleReasons[code]; ok {
			reason += " " + code + ": " + why
		} else if word.MatchString(code) {
			reason += " " + code
		}
		v := destination.Failed(r, reason)
		v.Pace = v.Pace || slow(code)
		v.Ours = ours[code]
		return destination.Credential{}, v
	}
	var a assumed
	err := xml.Unmarshal(r.Body, &a)
	if err != nil && r.Broken {
		return destination.Credential{}, destination.Failed(r,
			"the role could not be assumed: the answer of STS broke off before its end")
	}
	if err != nil || a.Credentials.ID == "" || a.Credentials.Secret == "" {
		return destination.Credential{}, destination.Failed(r,
			"the role could not be assumed: STS answered with no credentials")
	}
	c := a.Credentials
	if c.Expires.IsZero() {
		c.Expires = now.Add(life)
	}
	return destination.Credential{ID: c.ID, Secret: c.Secret, Session: c.Session, Expires: c.Expires},
		destination.Delivered()
}

// Apply signs the request with the role's keys.
func (g AssumedRole) Apply(q destination.Request, c destination.Credential, now time.Time) (destination.Request,
	error) {
	return Sign(q, Keys{ID: c.ID, Secret: c.Secret, Session: c.Session}, "s3", g.Region, now)
}

// stsAddress is the Security Token Service of a region.
func stsAddress(region string) string { return "https://sts." + region + "." + suffix(region) + "/" }

// suffix is the domain of a region's endpoints. AWS, "Service endpoints"; China's partition has its own.
func suffix(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
