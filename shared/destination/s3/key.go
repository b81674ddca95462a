package s3

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"tocsin/shared/destination"
)

// stamp is the timestamp in the name of the n-th file of a delivery: Unix time in nanoseconds. Down to the millisecond
// it is the time of the delivery's oldest hit at the platform; the six digits below are made of the delivery's id, so
// that two deliveries of one millisecond (several integrations can share a bucket) do not write the same object. The id
// is the same through every repeat, and so is the name: a repeat replaces the object by itself.
func stamp(t destination.Target, n int) string {
	made := t.Now // of a test, whose id is no delivery's
	if id, err := ulid.ParseStrict(t.Delivery[:min(len(t.Delivery), ulid.EncodedSize)]); err == nil {
		made = time.UnixMilli(int64(id.Time()))
	}
	sum := sha256.Sum256([]byte(t.Delivery + "/" + strconv.Itoa(n)))
	return strconv.FormatInt(made.UnixMilli()*int64(time.Millisecond)+
		int64(binary.BigEndian.Uint64(sum[:8])%uint64(time.Millisecond)), 10)
}
