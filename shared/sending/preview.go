package sending

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/integration"
	"tocsin/shared/sending/spans"
)

// RequestPreview is a request of a delivery made once more, for a person to read. It holds no secret.
type RequestPreview struct {
	Method string
	URL    string // of an address that is a secret only scheme and host
	Header http.Header
	Body   string // plain, whatever its encoding on the wire
	Cut    bool   // Body is only the start
	Mail   *destination.Mail
}

// maxPreview is how much of a body a RequestPreview shows, in bytes.
const maxPreview = 256 << 10

// plainHeaders are shown as they are. The value of any other can be a secret of the receiver, however short.
var plainHeaders = []string{
	"Accept", "Content-Encoding", "Content-Type", "Traceparent", "User-Agent", "Webhook-Id", "Webhook-Signature",
	"Webhook-Timestamp", "X-Amz-Meta-Late",
}

// Preview makes the requests of a delivery again with the integration's present settings, at the time of its last
// attempt: Encode gives the same requests for the same input, so they are those that were sent unless the settings
// were changed since.
func (s *Sender) Preview(ctx context.Context, opener Opener, i integration.Integration,
	d delivery.Delivery) ([]RequestPreview, error) {
	target, err := s.Open(ctx, opener, i)
	if err != nil {
		return nil, err
	}
	at, before := s.Now(), d.Attempts
	if n := len(d.Attempts); n > 0 {
		at, before = d.Attempts[n-1].At, d.Attempts[:n-1]
	}
	as := destination.Target{Parameters: target.opened.Parameters, Delivery: d.ID, Now: at,
		TraceParent: spans.Of(s.Tracer, &d, at).String()}
	notifications, _, err := s.notifications(ctx, target, d, before, at)
	if err != nil {
		return nil, fmt.Errorf("write delivery %s again: %w", d.ID, err)
	}
	requests, err := target.destination.Encode(as, notifications)
	if err != nil {
		return nil, fmt.Errorf("write delivery %s again: %w", d.ID, err)
	}
	if w := s.follow(target, &d, &attempt{}, notifications, requests, at); w != nil {
		out, err := w.preview(ctx)
		if err != nil {
			return nil, fmt.Errorf("write delivery %s again: %w", d.ID, err)
		}
		return out, nil
	}
	return target.previews(requests, d.ID)
}

func (r *Target) previews(requests []destination.Request, delivery string) ([]RequestPreview, error) {
	out, err := make([]RequestPreview, len(requests)), error(nil)
	for n, q := range requests {
		if out[n], err = r.preview(q); err != nil {
			return nil, fmt.Errorf("show request %d of delivery %s: %w", n, delivery, err)
		}
	}
	return out, nil
}

func (r *Target) preview(q destination.Request) (RequestPreview, error) {
	v := RequestPreview{Method: q.Method, URL: r.address(q.URL), Header: http.Header{}}
	for name, values := range q.Header {
		for _, value := range values {
			if !slices.Contains(plainHeaders, name) {
				value = destination.SecretMask
			}
			v.Header.Add(name, r.redact.Text(value))
		}
	}
	if q.Mail != nil {
		v.Mail = &destination.Mail{To: q.Mail.To, Subject: q.Mail.Subject, Text: q.Mail.Text, HTML: q.Mail.HTML,
			ID: q.Mail.ID}
		return v, nil
	}
	body, err := plain(q)
	if err != nil {
		return v, err
	}
	v.Body = r.redact.Text(strings.ToValidUTF8(string(body), "�"))
	if v.Cut = len(v.Body) > maxPreview; v.Cut {
		v.Body = cut.Keep(v.Body, maxPreview)
	}
	return v, nil
}

// address keeps an address readable that is or holds a secret: whoever reads the log must see where a message went.
func (r *Target) address(full string) string {
	shown := r.redact.Text(full)
	if shown == full {
		return full
	}
	u, err := url.Parse(full)
	if err != nil || u.Host == "" {
		return destination.SecretMask
	}
	return u.Scheme + "://" + u.Host + "/" + destination.SecretMask
}

func plain(q destination.Request) ([]byte, error) {
	if q.Header.Get("Content-Encoding") != "gzip" {
		return q.Body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(q.Body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, maxPreview+1))
}
