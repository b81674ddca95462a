package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// NewClient makes what spans are sent with: the operator's own way out, and no redirects, which would carry the headers
// on.
func NewClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Run sends what is recorded until the context ends, and then what is left.
func (t *Tracer) Run(ctx context.Context) {
	if t == nil {
		return
	}
	ticker := time.NewTicker(t.config.Every)
	defer ticker.Stop()
	for {
		select {
		case <-t.full:
		case <-ticker.C:
		case <-ctx.Done():
			t.Flush(context.WithoutCancel(ctx))
			return
		}
		t.Flush(ctx)
	}
}

// Flush sends all that waits. What can not be sent is lost, and told in the log: a trace is not worth that anything
// waits for it.
func (t *Tracer) Flush(ctx context.Context) {
	if t == nil {
		return
	}
	t.mu.Lock()
	spans, lost := t.waiting, t.lost
	t.waiting, t.lost = nil, 0
	t.mu.Unlock()
	if lost > 0 {
		t.log.Warn("spans are lost: more came than the receiver of traces took", "spans", lost)
	}
	for len(spans) > 0 {
		n := min(batchLimit, len(spans))
		if err := t.send(ctx, spans[:n]); err != nil {
			t.log.Warn("spans are lost: the receiver of traces did not take them", "spans", len(spans), "error",
				err.Error())
			return
		}
		spans = spans[n:]
	}
}

// tries is how often a batch is sent whose answer asks for a repeat (OTLP, "OTLP/HTTP Response", retryable statuses).
const tries = 2

func (t *Tracer) send(ctx context.Context, spans []Span) error {
	ctx, cancel := context.WithTimeout(ctx, t.config.Timeout)
	defer cancel()
	body := encode(t.config.Resource, spans)
	for try := 1; ; try++ {
		again, err := t.post(ctx, body)
		if err == nil || again < 0 || try == tries {
			return err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return err
		}
	}
}

// post makes one request. again is after how long another may be made, less than nothing for never.
func (t *Tracer) post(ctx context.Context, body []byte) (again time.Duration, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, t.config.Endpoint, bytes.NewReader(body))
	if err != nil {
		return -1, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT is no address")
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
