// Package s3 writes files of hits to a bucket of Amazon S3 (product facts, section 8): every 10 minutes an object
// `hitlogs-{timestamp}.json` or `.jsonl` with the hits of that time, and none when there were none. Access is by a role
// that trusts the platform's account, or by an access key. Package minio writes the same files to other storage of the
// same protocol.
//
// To clean up is the bucket owner's affair (a lifecycle rule): the platform has the right to write and no other.
package s3

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// Ways of access.
const (
	byRole = "role"
	byKey  = "key"
)

// Parameters of an integration.
type Parameters struct {
	Region string `json:"region" receiver:"true" jsonschema:"required,title=AWS region,pattern=^[a-z]{2}(-[a-z]+)+-[0-9]$,maxLength=32" jsonschema_description:"Of the bucket, such as eu-west-1."`
	Bucket string `json:"bucket" receiver:"true" jsonschema:"required,title=S3 bucket,pattern=^[a-z0-9][a-z0-9.-]{1\\,61}[a-z0-9]$" jsonschema_description:"The bucket's name, not its ARN. It may be private; we only write."`
	Access string `json:"authorization" receiver:"true" jsonschema:"title=Authorization,enum=role,enum=key,default=role" jsonschema_description:"role: we assume a role of your account. key: an access key of a user of your account."`
	Role   string `json:"role_arn,omitempty" form:"when=authorization:role needed" jsonschema:"title=Role ARN,pattern=^(arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=\\,.@_/-]+)?$,maxLength=2048" jsonschema_description:"Of the role that the set-up page describes, such as arn:aws:iam::123456789012:role/tocsin-hits."`
	KeyID  string `json:"access_key_id,omitempty" form:"when=authorization:key needed" jsonschema:"title=Access key ID,pattern=^[A-Za-z0-9]*$,maxLength=128" jsonschema_description:"Of a user with the right s3:PutObject on the bucket's objects and no other."`
	Secret string `json:"secret_access_key,omitempty" form:"when=authorization:key needed" jsonschema:"title=Secret access key,pattern=^[!-~]*$,maxLength=256,writeOnly=true" jsonschema_description:"It is shown once, when the key is made."`
	Format string `json:"format" jsonschema:"title=Format,enum=json,enum=jsonl,default=json" jsonschema_description:"A JSON array of hits, or one hit a line (NDJSON)."`
}

// BucketProblem says what is wrong with a bucket's name beside its characters, "" when it is right. S3, "Bucket naming
// rules".
func BucketProblem(name string) string {
	switch {
	case strings.Contains(name, ".."), strings.Contains(name, ".-"), strings.Contains(name, "-."):
		return "must not have a period beside another or beside a hyphen"
	case dotted.MatchString(name):
		return "must not look like an IP address"
	}
	return ""
}

var dotted = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)

// Check finds what the schema can not say.
func (p *Parameters) Check() []destination.FieldProblem {
	var out destination.InvalidParameters
	if why := BucketProblem(p.Bucket); why != "" {
		out.Add("bucket", why)
	}
	switch {
	case p.Access == byRole && p.Role == "":
		out.Add("role_arn", "is required when the authorization is by role")
	case p.Access == byKey && p.KeyID == "":
		out.Add("access_key_id", "is required when the authorization is by key")
	case p.Access == byKey && p.Secret == "":
		out.Add("secret_access_key", "is required when the authorization is by key")
	}
	return out
}

// Addresses has the hosts checked that the bucket and the region become.
func (p *Parameters) Addresses() map[string]string {
	return map[string]string{"bucket": p.address("object"), "region": stsAddress(p.Region)}
}

// address of an object: with the bucket as a host, or, when its dots would break the certificate, in the path. S3,
// "Virtual hosting of general purpose buckets".
func (p *Parameters) address(key string) string {
	host := "s3." + p.Region + "." + suffix(p.Region)
	if strings.Contains(p.Bucket, ".") {
		return "https://" + host + "/" + p.Bucket + "/" + url.PathEscape(key)
	}
	return "https://" + p.Bucket + "." + host + "/" + url.PathEscape(key)
}

// Destination is Amazon S3.
type Destination struct {
	byRole, byKey destination.System // by what the form starts with
	platform      Platform
}

//go:embed setup*.md icon.svg *.json
var files embed.FS

// keyFirst is the help of the authorization where there is no role to assume.
const keyFirst = "key: an access key of a user of your account. role: we assume a role of your account, which this " +
	"installation can not do now: it has no AWS credentials of its own."

// New makes the destination; platform is who assumes the customers' roles.
func New(platform Platform) Destination {
	folder := destination.ReadFolder(files)
	s := FileSystem(destination.System{
		Name: "s3", Title: "Amazon S3", Parameters: destination.ParametersOf[Parameters](), Folder: folder,
		SetUpFor: func(tenant, language string) string { return platform.steps(folder, tenant, language) },
	})
	d := Destination{byRole: s, byKey: s, platform: platform}
	d.byKey.Parameters = s.Parameters.Defaulting("authorization", byKey, keyFirst)
	return d
}

// FileSystem fills in what all systems have that take these files.
func FileSystem(s destination.System) destination.System {
	s.Group, s.Class, s.Batch = destination.Collectors, notification.Files, destination.File
	s.Events, s.Labels = []event.Type{event.Hits}, map[event.Type]string{event.Hits: "Hits in the last 10 minutes"}
	return s
}

// Instead of the steps by role; ja.json has them in Japanese.
const (
	withoutRole = "This installation has no AWS credentials of its own, so it can not assume a role of your account: " +
		"use an access key. Its operator can give it credentials."
	looking = "This installation is still looking for AWS credentials of its own. With them it could assume a " +
		"role of your account, without an access key: load this page again to see."
	namedSo = " The role's name, after `role/`, must be `{{names}}` (`*` is any text)."
)

// steps is the set-up page with what the tenant has to paste.
func (p Platform) steps(f destination.Folder, tenant, language string) string {
	setUp, byKey := f.SetUp, stepsByKey(language)
	if language != destination.English {
		setUp = f.SetUpIn[language]
	}
	said := func(text string) string { return cmp.Or(f.Texts[language][text], text) }
	if p.none() {
		return said(withoutRole) + "\n\n" + byKey
	}
	a, known := p.Identity.Account()
	if !known {
		return said(looking) + "\n\n" + byKey
	}
	names := ""
	if p.RoleNames != "" && p.RoleNames != "*" {
		names = strings.ReplaceAll(said(namedSo), "{{names}}", p.RoleNames)
	}
	return strings.NewReplacer("{{account}}", a.ID, "{{partition}}", cmp.Or(a.Partition, "aws"), "{{external_id}}",
		ExternalID(tenant), "{{names}}", names).Replace(setUp) + "\n" + byKey
}

// stepsByKey is the part of the page that needs no role: setup_key.md, in further languages setup_key.<language>.md.
func stepsByKey(language string) string {
	name := "setup_key." + language + ".md"
	if language == destination.English {
		name = "setup_key.md"
	}
	raw, err := files.ReadFile(name)
	if err != nil {
		panic(err) // a test asks for every language
	}
	return string(raw)
}

// System describes Amazon S3. The form starts with a key where the deployment can assume no role.
func (d Destination) System() destination.System {
	if d.platform.none() {
		return d.byKey
	}
	return d.byRole
}

// Prepare has the deployment's own identity looked for.
func (d Destination) Prepare(ctx context.Context) {
	if d.platform.Identity != nil {
		d.platform.Identity.Prepare(ctx)
	}
}

// Encode writes the hits of one delivery as a file; other events are not offered.
func (d Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	if p.Access == byRole && d.platform.Identity == nil {
		return nil, &destination.NotReady{Reason: noIdentity, Ours: true}
	}
	if why := d.platform.refuses(p.Role); p.Access == byRole && why != "" {
		return nil, &destination.NotReady{Reason: why}
	}
	records, err := Records(ns)
	if err != nil {
		return nil, err
	}
	var out []destination.Request
	for _, f := range Files(t, p.Format, ns, records) {
		way := destination.Transport{Timeout: Timeout}
		q := Put(p.address(f.Key), f, way)
		if p.Access == byRole {
			q.Authorizer = AssumedRole{Platform: d.platform, Role: p.Role, Tenant: ns[0].Event.Tenant, Region: p.Region}
		} else if q, err = PutSigned(p.address(f.Key), f, way, Keys{ID: p.KeyID, Secret: p.Secret}, p.Region,
			t.Now); err != nil {
			return nil, err
		}
		q.Where = p.address("")
		out = append(out, q)
	}
	return out, nil
}

// Records writes the records of hits.
func Records(ns []notification.Notification) ([][]byte, error) {
	var out [][]byte
	for _, n := range ns {
		if n.Event.Kind != event.NewHits {
			continue
		}
		raw, err := ijson.Marshal(RecordOf(n))
		if err != nil {
			return nil, fmt.Errorf("write the record of hit %s: %w", n.Event.ID, err)
		}
		out = append(out, raw)
	}
	return out, nil
}
