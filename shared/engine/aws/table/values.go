package table

import (
	"bytes"
	"compress/flate"
	"io"
	"strconv"
	"time"
)

// Instant reads Unix nanoseconds, 0 = none.
func Instant(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// UnixNano is the reverse of Instant.
func UnixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Deflate compresses what is worth it; the first byte says whether it did.
func Deflate(raw []byte) ([]byte, error) {
	if len(raw) < compressFrom {
		return append([]byte{0}, raw...), nil
	}
	out := bytes.NewBuffer(make([]byte, 0, len(raw)/2))
	out.WriteByte(1)
	w, err := flate.NewWriter(out, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(raw); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Inflate is the reverse of Deflate.
func Inflate(stored []byte) ([]byte, error) {
	if len(stored) == 0 || stored[0] == 0 {
		return stored[min(1, len(stored)):], nil
	}
	return io.ReadAll(flate.NewReader(bytes.NewReader(stored[1:])))
}

const (
	// PartSize is what one row holds of a large detail, in bytes. DynamoDB, "Service quotas": an item has at most
	// 400 KB with its names.
	PartSize = 350 << 10
	// compressFrom is the size from which a detail is compressed: below a kilobyte a row costs one write unit anyway.
	compressFrom = 900
)

// PartKey is the key of a row in which a value goes on.
func PartKey(key string, n int) string { return key + " " + strconv.Itoa(n) }
