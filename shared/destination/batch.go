package destination

import (
	"iter"
	"slices"

	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

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

// Form is how JSON values stand in one body.
type Form struct{ open, between, end string }

// The forms.
var (
	Array = Form{"[", ",", "]"}
	Lines = Form{"", "\n", "\n"} // NDJSON: each line has its end
)

// Envelopes writes notifications into as few requests as the batch allows, each for a run of them. An envelope that is
// longer than most is cut. It is what Batched makes of them joined, without a copy of each.
func Envelopes(ns []notification.Notification, b Batch, f Form, most int, request func(body []byte) Request) []Request {
	out := make([]Request, 0, 1)
	var body []byte
	size, holds := 0, 0
	done := func() {
		r := request(append(body, f.end...))
		r.Holds = holds
		out, body, size, holds = append(out, r), nil, 0, 0
	}
	for i := range ns {
		if body == nil {
			body = append(make([]byte, 0, room(ns[i:], b, len(f.open)+len(f.end))), f.open...)
		} else {
			body = append(body, f.between...)
		}
		start := len(body)
		if body = notification.AppendEnvelope(body, &ns[i]); len(body)-start > most {
			body = append(body[:start], ijson.Fit(slices.Clone(body[start:]), most)...)
		}
		if one := len(body) - start; holds > 0 && b.Bytes > 0 && size+one+1 > b.Bytes { // it begins the next one
			moved := slices.Clone(body[start:])
			body = body[:start-len(f.between)]
			done()
			body = append(append(make([]byte, 0, room(ns[i:], b, len(moved))), f.open...), moved...)
			start = len(f.open)
		}
		size += len(body) - start + 1
		if holds++; holds == b.Limit() {
			done()
		}
	}
	if holds > 0 {
		done()
	}
	return out
}

// room is about how many bytes a body takes that begins with the first of the notifications.
func room(ns []notification.Notification, b Batch, more int) int {
	size := more
	for i := range ns[:min(len(ns), b.Limit())] {
		if size += notification.EnvelopeSize(&ns[i]) + 1; b.Bytes > 0 && size > b.Bytes {
			return b.Bytes + more
		}
	}
	return size
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
