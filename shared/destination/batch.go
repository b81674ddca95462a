package destination

import "iter"

// BatchLimiter is a parameters struct that sets the number of events of one request below the system's own: fan-out
// asks it when it decides which events travel together.
type BatchLimiter interface {
	// BatchLimit is that number; 0 leaves the system's.
	BatchLimit() int
}

// Chunks parts messages, in their order, into runs that fit one request. A message that is too large alone makes a
// run of its own: cutting its text is the destination's affair.
func Chunks(messages [][]byte, b Batch) iter.Seq[[][]byte] {
	return func(yield func([][]byte) bool) {
		start, size := 0, 0
		for i, m := range messages {
			full := i-start == b.Limit() || b.Bytes > 0 && i > start && size+len(m)+1 > b.Bytes
			if full {
				if !yield(messages[start:i]) {
					return
				}
				start, size = i, 0
			}
			size += len(m) + 1
		}
		if start < len(messages) {
			yield(messages[start:])
		}
	}
}

// JoinArray writes JSON values as one JSON array.
func JoinArray(values [][]byte) []byte {
	out := make([]byte, 0, joined(values))
	out = append(out, '[')
	for i, v := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, v...)
	}
	return append(out, ']')
}

// JoinLines writes JSON values as NDJSON, each line with its end.
func JoinLines(values [][]byte) []byte {
	out := make([]byte, 0, joined(values))
	for _, v := range values {
		out = append(out, v...)
		out = append(out, '\n')
	}
	return out
}

func joined(values [][]byte) int {
	n := 2
	for _, v := range values {
		n += len(v) + 1
	}
	return n
}
