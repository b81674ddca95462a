package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"tocsin/shared/destination"
)

// unsummed is the destination.Spare of a file whose checksum header the storage does not take (Backblaze B2:
// "Unsupported header 'x-amz-checksum-sha256'"): Content-MD5 stands in for it, which storage of this protocol has
// always taken and which a bucket with Object Lock takes as well. With keys the request is signed anew; a role's
// Authorizer signs it later.
type unsummed struct {
	keys   Keys // none: an Authorizer signs
	region string
	now    time.Time
}

// Without leaves the checksum out.
func (u unsummed) Without(q destination.Request, f destination.Feature) (destination.Request, bool) {
	if f != destination.Checksum || q.Header.Get(checksumHeader) == "" {
		return q, false
	}
	q.Header = q.Header.Clone()
	q.Header.Del(checksumHeader)
	q.Header.Del("Authorization")
	sum := md5.Sum(q.Body) //nolint:gosec // against faults, not attackers: the signature covers the SHA-256
	q.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	if u.keys.ID == "" {
		return q, true
	}
	q, err := Sign(q, u.keys, "s3", u.region, u.now)
	return q, err == nil
}

const checksumHeader = "X-Amz-Checksum-Sha256"

// PutSigned is Put, signed with an access key.
func PutSigned(address string, f File, transport destination.Transport, keys Keys, region string,
	now time.Time) (destination.Request, error) {
	q := Put(address, f, transport)
	q.Spare = unsummed{keys: keys, region: region, now: now}
	return Sign(q, keys, "s3", region, now)
}

// Put is the request that writes a file under the address, not signed yet.
func Put(address string, f File, transport destination.Transport) destination.Request {
	sum := sha256.Sum256(f.Body)
	f.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	f.Header.Set(checksumHeader, base64.StdEncoding.EncodeToString(sum[:])) // a bucket with Object Lock demands one
	return destination.Request{Method: http.MethodPut, URL: address, Body: f.Body, Header: f.Header,
		Transport: transport, Spare: unsummed{}, Holds: f.Holds}
}

// Sign signs a request with Signature Version 4 (AWS, "Signature Version 4 signing process") by AWS's own
// implementation. It is the one thing of AWS's SDK that is used here: arithmetic, which reads no configuration and
// calls nobody.
func Sign(q destination.Request, keys Keys, service, region string, now time.Time) (destination.Request, error) {
	r, err := http.NewRequest(q.Method, q.URL, bytes.NewReader(q.Body))
	if err != nil {
		return q, fmt.Errorf("sign a request to %s: the address is not valid", destination.Host(q.URL))
	}
	r.Header = q.Header.Clone()
	sum := sha256.Sum256(q.Body)
	plain := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" } // S3 signs the path as it is sent
	c := aws.Credentials{AccessKeyID: keys.ID, SecretAccessKey: keys.Secret, SessionToken: keys.Session}
	if err := v4.NewSigner().SignHTTP(context.Background(), c, r, hex.EncodeToString(sum[:]), service, region,
		now.UTC(), plain); err != nil {
		return q, fmt.Errorf("sign a request to %s: %w", destination.Host(q.URL), err)
	}
	q.Header = r.Header
	return q, nil
}
