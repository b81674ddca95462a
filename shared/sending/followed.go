package sending

import (
	"context"
	"fmt"

	"tocsin/shared/cut"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/event"
)

// maxThen is how much is kept of the body of a request that was made of an answer, in bytes.
const maxThen = 1 << 10

// note keeps a request that was made of an answer: without that it can not be made again for a person to read.
func (w *following) note(index int, q destination.Request) {
	v, err := w.r.preview(q)
	if err != nil { // a body that is no gzip; the request itself goes on
		return
	}
	if len(v.Body) > maxThen {
		v.Body, v.Cut = cut.Keep(v.Body, maxThen), true
	}
	w.a.Followed.Then = append(w.a.Followed.Then, delivery.Then{After: index, Method: v.Method, URL: v.URL,
		Header: v.Header, Body: v.Body, Cut: v.Cut})
}

// preview are the requests that tell the system of the event, as the delivery's attempts say that they were sent: one
// that made the thing, or those that added to it. Those that looked for the thing are not among them. Of a delivery
// whose attempts say nothing, it is what an attempt would send now.
func (w *following) preview(ctx context.Context) ([]RequestPreview, error) {
	did, then := delivery.LastFollowed(w.d.Attempts)
	if did == nil {
		known, _, err := w.sender.References.Reference(ctx, w.lane, w.key)
		if err != nil {
			return nil, fmt.Errorf("read what integration %s has of %s: %w", w.d.Integration, w.object.Key, err)
		}
		did = w.would(known.ID)
	}
	switch {
	case did.Reference == "" && !did.Made:
		return nil, nil
	case did.Reference == "":
		return w.r.previews(w.requests, w.d.ID)
	}
	requests, err := w.f.Follow(w.target(), w.n, did.Reference)
	if err != nil {
		return nil, err
	}
	all, err := w.r.previews(requests, w.d.ID)
	if err != nil {
		return nil, err
	}
	var out []RequestPreview
	if did.Made { // by an attempt whose answer was lost
		if out, err = w.r.previews(w.requests, w.d.ID); err != nil {
			return nil, err
		}
	}
	for index, v := range all {
		if did.Outdated && requests[index].Newest {
			continue
		}
		out = append(out, v)
		for _, t := range then {
			if t.After == index {
				out = append(out,
					RequestPreview{Method: t.Method, URL: t.URL, Header: t.Header, Body: t.Body, Cut: t.Cut})
			}
		}
	}
	return out, nil
}

// would is what an attempt does where the thing has the id, "" for none. An older version sent the event without a word
// of how: one that opened the object most likely made the thing.
func (w *following) would(id string) *delivery.Followed {
	switch {
	case id != "" && (len(w.d.Attempts) == 0 || w.d.State != delivery.Delivered || w.n.Step() != event.Opened):
		return &delivery.Followed{Reference: id}
	case w.n.Step() == event.Closed && !w.how.TellsClosed:
		return &delivery.Followed{}
	}
	return &delivery.Followed{Made: true}
}
