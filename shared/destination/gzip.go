package destination

import (
	"bytes"
	"compress/gzip"
	"sync"
)

var compressors = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// Gzip compresses a body, for systems that take `Content-Encoding: gzip`. The same body gives the same bytes: there is
// no time in them.
func Gzip(body []byte) []byte {
	var b bytes.Buffer
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(&b)
	_, _ = z.Write(body) // to memory
	_ = z.Close()
	return b.Bytes()
}
