package s3

import (
	"bytes"
	"context"
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

// Put is the request that writes a file under the address, not signed yet.
func Put(address string, f File, transport destination.Transport) destination.Request {
	sum := sha256.Sum256(f.Body)
	f.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	f.Header.Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(sum[:])) // a bucket with Object Lock demands one
	return destination.Request{Method: http.MethodPut, URL: address, Body: f.Body, Header: f.Header, Transport: transport}
}

// Sign signs a request with Signature Version 4 (AWS, "Signature Version 4 signing process") by AWS's own implementation.
func Sign(q destination.Request, c aws.Credentials, service, region string, now time.Time) (destination.Request, error) {
	r, err := http.NewRequest(q.Method, q.URL, bytes.NewReader(q.Body))
	if err != nil {
		return q, fmt.Errorf("sign a request to %s: the address is not valid", destination.Host(q.URL))
	}
	r.Header = q.Header.Clone()
	sum := sha256.Sum256(q.Body)
	plain := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" } // S3 signs the path as it is sent
	if err := v4.NewSigner().SignHTTP(context.Background(), c, r, hex.EncodeToString(sum[:]), service, region, now.UTC(), plain); err != nil {
		return q, fmt.Errorf("sign a request to %s: %w", destination.Host(q.URL), err)
	}
	q.Header = r.Header
	return q, nil
}
