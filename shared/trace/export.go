package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// NewClient makes what spans are sent with: by a proxy, nil = directly, and without redirects, which would carry the
// headers on.
func NewClient(proxy func(*http.Request) (*url.URL, error)) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{Proxy: proxy, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Run sends what is recorded until the context ends, and then what is left. Where the receiver did not answer it is
// asked again when the next sending is due, however much comes meanwhile.
func (t *Tracer) Run(ctx context.Context) {
	if t == nil {
		return
	}
	ticker := time.NewTicker(t.config.Every)
	defer ticker.Stop()
	for full := t.full; ; {
		select {
		case <-full:
		case <-ticker.C:
		case <-ctx.Done():
			t.flush(context.WithoutCancel(ctx))
			if left := t.taken(); len(left) > 0 {
				t.log.Warn("spans are lost: the receiver of traces did not answer before the end", "spans", len(left))
			}
			return
		}
		if full = t.full; !t.flush(ctx) {
			full = nil
		}
	}
}

// Flush sends all that waits. What the receiver refuses is lost, and told in the log: a trace is not worth that
// anything waits for it. Where no answer comes, or one that asks for a repeat, the spans wait for the next Flush.
func (t *Tracer) Flush(ctx context.Context) { t.flush(ctx) }

// flush reports whether the receiver answered.
func (t *Tracer) flush(ctx context.Context) bool {
	if t == nil {
		return true
	}
	spans := t.taken()
	for len(spans) > 0 {
		n := min(batchLimit, len(spans))
		again, err := t.send(ctx, spans[:n])
		switch {
		case err == nil:
			if t.away.Swap(false) {
				t.log.Info("the receiver of traces takes spans again")
			}
		case again < 0:
			t.log.Warn("spans are lost: the receiver of traces refused them", "spans", n, "error", err.Error())
		default:
			t.putBack(spans)
			if !t.away.Swap(true) {
				t.log.Warn("spans wait: the receiver of traces does not take them", "spans", len(spans), "error",
					err.Error())
			}
			return false
		}
		spans = spans[n:]
	}
	return true
}

// taken is what waits, which waits no more.
func (t *Tracer) taken() []Span {
	t.mu.Lock()
	spans, lost := t.waiting, t.lost
	t.waiting, t.lost = nil, 0
	t.mu.Unlock()
	if lost > 0 {
		t.log.Warn("spans are lost: more came than the receiver of traces took", "spans", lost)
	}
	return spans
}

// putBack has spans wait again, before those that came meanwhile: of these the last are lost where there is no room.
func (t *Tracer) putBack(spans []Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	spans = append(spans, t.waiting...)
	if more := len(spans) - queueLimit; more > 0 {
		t.lost += more
		clear(spans[queueLimit:])
		spans = spans[:queueLimit]
	}
	t.waiting = spans
}

// tries is how often a batch is sent whose answer asks for a repeat (OTLP, "OTLP/HTTP Response", retryable statuses).
const tries = 2

// send reports with an error after how long another try may do; less than nothing for never.
func (t *Tracer) send(ctx context.Context, spans []Span) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.config.Timeout)
	defer cancel()
	body := encode(t.config.Resource, spans)
	for try := 1; ; try++ {
		again, err := t.post(ctx, body)
		if err == nil || again < 0 || try == tries {
			return again, err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return again, err
		}
	}
}

// post makes one request. again is after how long another may be made, less than nothing for never.
func (t *Tracer) post(ctx context.Context, body []byte) (again time.Duration, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, t.config.Endpoint, bytes.NewReader(body))
	if err != nil {
		return -1, errors.New("the address of the receiver of traces is none")
	}
	for name, value := range t.config.Headers {
		q.Header.Set(name, value)
	}
	q.Header.Set("Content-Type", "application/x-protobuf")
	q.Header.Set("User-Agent", "Tocsin OTLP Exporter")
	answer, err := t.client.Do(q)
	if err != nil {
		var of interface{ Unwrap() error }
		if errors.As(err, &of) { // the address can hold a secret, and the error of a client quotes it
			err = of.Unwrap()
		}
		return time.Second, fmt.Errorf("no answer: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is used again
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = time.Second
		if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
			again = time.Duration(seconds) * time.Second
		}
	default:
		again = -1
	}
	return again, fmt.Errorf("answer %d", answer.StatusCode)
}
