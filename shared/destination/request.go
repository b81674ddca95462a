package destination

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// Post is a request that posts JSON. The headers, names and values in turn, are beside the type of the content.
func Post(address string, body []byte, headers ...string) Request {
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return Request{Method: http.MethodPost, URL: address, Body: body, Header: h}
}

// Gzip is the request with its body compressed. It can be made again without the compression.
func (r Request) Gzip() Request {
	r.Body, r.Spare = Gzip(r.Body), Compressed{}
	r.Header.Set("Content-Encoding", "gzip")
	return r
}

// Each posts one message for each notification, for systems that take no two in one request. render makes what is
// written as JSON, request the request of it.
func Each(ns []notification.Notification, render func(notification.Notification) any,
	request func(body []byte) Request) ([]Request, error) {
	out := make([]Request, 0, len(ns))
	for _, n := range ns {
		body, err := ijson.Marshal(render(n))
		if err != nil {
			return nil, fmt.Errorf("write the message of event %s: %w", n.Event.ID, err)
		}
		out = append(out, request(body))
	}
	return out, nil
}

// Batched makes as few requests of messages as the batch allows, each for a run of them.
func Batched(messages [][]byte, b Batch, request func(part [][]byte) Request) []Request {
	var out []Request
	for part := range Chunks(messages, b) {
		r := request(part)
		r.Holds = len(part)
		out = append(out, r)
	}
	return out
}

// URL is an address below a base. A slash at the base's end makes no difference; each segment is escaped.
func URL(base string, segments ...string) string {
	out := strings.TrimRight(base, "/")
	for _, s := range segments {
		out += "/" + url.PathEscape(s)
	}
	return out
}
