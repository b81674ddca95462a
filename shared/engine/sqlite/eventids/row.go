package eventids

import (
	"encoding/binary"
	"errors"
)

// errRow says that a row of digests can not be read.
var errRow = errors.New("a row of event digests is damaged")

// entry is an event's digest in its row.
type entry struct {
	seq    int64
	digest uint64
}

// encode writes entries of one part, in the order of their numbers: the distance to the number before, and the digest.
func encode(first int64, entries []entry) []byte {
	b := make([]byte, 0, 10*len(entries))
	last := first
	for _, e := range entries {
		b = binary.AppendUvarint(b, uint64(e.seq-last))
		b = binary.LittleEndian.AppendUint64(b, e.digest)
		last = e.seq
	}
	return b
}

// decode visits the entries of a row until visit returns false.
func decode(first int64, body []byte, visit func(entry) bool) error {
	for last := first; len(body) > 0; {
		distance, n := binary.Uvarint(body)
		if n <= 0 || len(body) < n+8 {
			return errRow
		}
		last += int64(distance)
		if !visit(entry{last, binary.LittleEndian.Uint64(body[n:])}) {
			return nil
		}
		body = body[n+8:]
	}
	return nil
}
