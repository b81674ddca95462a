package destination

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
)

// Feature is a part of a request that some receivers do not take, and that can be left out.
type Feature string

// The features.
const (
	// Checksum is the header x-amz-checksum-sha256 of storage that speaks the protocol of Amazon S3.
	Checksum Feature = "checksum"
	// Compression is Content-Encoding: gzip.
	Compression Feature = "compression"
)

// Spare makes a request again without a feature. Delivery does so once when a verdict names the feature
// (Verdict.Without), and remembers for a while what a system does not take. A Spare holds no state; equal ones are
// equal values.
type Spare interface {
	// Without returns q without the feature, and false when q has no such feature. It does not change q's header.
	Without(q Request, f Feature) (Request, bool)
}

// Compressed is the Spare of a request whose body is compressed by Gzip.
type Compressed struct{}

// plainLimit bounds what is made of a compressed body, in bytes: more than any system takes.
const plainLimit = 64 << 20

// Without takes the compression away.
func (Compressed) Without(q Request, f Feature) (Request, bool) {
	if f != Compression || q.Header.Get("Content-Encoding") != "gzip" {
		return q, false
	}
	z, err := gzip.NewReader(bytes.NewReader(q.Body))
	if err != nil {
		return q, false
	}
	plain, err := io.ReadAll(io.LimitReader(z, plainLimit))
	if err != nil {
		return q, false
	}
	q.Header = q.Header.Clone()
	q.Header.Del("Content-Encoding")
	q.Body = plain
	return q, true
}

var packed = regexp.MustCompile(`(?i)gzip|compress|content[- ]encoding|not in gzip format`)

// WithoutCompression names Compression in the verdict on an answer that does not take it: 415 (RFC 9110, 15.5.16), or
// 400 in words about it.
func WithoutCompression(r Response, v Verdict) Verdict {
	if !v.Delivered && (r.Status == http.StatusUnsupportedMediaType || r.Status == http.StatusBadRequest &&
		packed.Match(r.Body)) {
		v.Without = Compression
	}
	return v
}
