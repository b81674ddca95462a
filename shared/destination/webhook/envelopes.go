package webhook

import (
	"slices"

	"tocsin/shared/destination"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// form is how JSON values stand in one body.
type form struct{ open, between, end string }

// The forms.
var (
	array = form{"[", ",", "]"}
	lines = form{"", "\n", "\n"} // NDJSON: each line has its end
)

// envelopes writes notifications into as few requests as the batch allows, each for a run of them. An envelope that is
// longer than most is cut. It is what destination.Batched makes of them joined, without a copy of each.
func envelopes(ns []notification.Notification, b destination.Batch, f form, most int,
	request func(body []byte) destination.Request) []destination.Request {
	out := make([]destination.Request, 0, 1)
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
func room(ns []notification.Notification, b destination.Batch, more int) int {
	size := more
	for i := range ns[:min(len(ns), b.Limit())] {
		if size += notification.EnvelopeSize(&ns[i]) + 1; b.Bytes > 0 && size > b.Bytes {
			return b.Bytes + more
		}
	}
	return size
}
