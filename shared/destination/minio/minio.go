// Package minio writes files of hits to storage that speaks the protocol of Amazon S3, such as MinIO (product facts,
// section 8): the files of package s3, and in a third format, OCSF.
package minio

import (
	"embed"

	"tocsin/shared/destination"
	"tocsin/shared/destination/s3"
	"tocsin/shared/notification"
)

// formatOCSF is the format beside those of package s3: NDJSON of OCSF events.
const formatOCSF = "ocsf"

// Parameters of an integration.
type Parameters struct {
	Endpoint string `json:"endpoint" jsonschema:"required,title=API endpoint,format=uri,minLength=1,maxLength=1024" jsonschema_description:"Address of the S3 API, not of the web console, such as https://minio.example.com:9000."`
	Bucket   string `json:"bucket" jsonschema:"required,title=Bucket,pattern=^[a-z0-9][a-z0-9.-]{1\\,61}[a-z0-9]$" jsonschema_description:"The bucket's name."`
	KeyID    string `json:"access_key" jsonschema:"required,title=Access key,minLength=3,maxLength=128,pattern=^[!-~]*$" jsonschema_description:"Of a user or service account with the right s3:PutObject on the bucket and no other."`
	Secret   string `json:"secret_key" jsonschema:"required,title=Secret key,minLength=8,maxLength=256,pattern=^[!-~]*$,writeOnly=true" jsonschema_description:"It belongs to the access key."`
	Region   string `json:"region" jsonschema:"title=Region,pattern=^[A-Za-z0-9-]+$,maxLength=64,default=us-east-1" jsonschema_description:"Only if the storage is set to another one."`
	Format   string `json:"format" jsonschema:"title=Format,enum=json,enum=jsonl,enum=ocsf,default=json" jsonschema_description:"A JSON array of hits, one hit a line (NDJSON), or one OCSF event a line."`
}

// Check finds what the schema can not say.
func (p *Parameters) Check() []destination.FieldProblem {
	var out destination.InvalidParameters
	if why := destination.BaseProblem(p.Endpoint); why != "" {
		out.Add("endpoint", why)
	}
	if why := s3.BucketProblem(p.Bucket); why != "" {
		out.Add("bucket", why)
	}
	return out
}

// address of an object, the bucket in the path: storage of one's own seldom has a name for each bucket.
func (p *Parameters) address(key string) string {
	return destination.URL(p.Endpoint, p.Bucket, key)
}

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Destination is MinIO.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{s3.FileSystem(destination.System{Name: "minio", Title: "MinIO",
		Parameters: destination.ParametersOf[Parameters](), Folder: destination.ReadFolder(files)})}
}

// System describes MinIO.
func (d Destination) System() destination.System { return d.system }

// Encode writes the hits of one delivery as a file.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	format, write := p.Format, s3.Records
	if p.Format == formatOCSF {
		format, write = s3.Lines, events
	}
	records, err := write(ns)
	if err != nil {
		return nil, err
	}
	var out []destination.Request
	for _, f := range s3.Files(t, format, ns, records) {
		keys := s3.Keys{ID: p.KeyID, Secret: p.Secret}
		q, err := s3.PutSigned(p.address(f.Key), f, destination.Transport{Timeout: s3.Timeout}, keys, p.Region, t.Now)
		if err != nil {
			return nil, err
		}
		q.Where = p.address("")
		out = append(out, q)
	}
	return out, nil
}

// Judge is that of all storage of the protocol.
func (Destination) Judge(r destination.Response) destination.Verdict { return s3.Judge(r) }
