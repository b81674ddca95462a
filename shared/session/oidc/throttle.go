package oidc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

// Of answers of the provider: the most bytes that are read of one, and how often in a window the same address is asked.
// Whoever sends a token with a key that is not known has the keys asked for: strangers must not make a storm of that.
const (
	maxAnswer    = 1 << 20
	askedIn      = 10 * time.Second
	askedAtMost  = 5
	maxRemember  = 64 << 10 // bytes of an answer that is given again
	maxAddresses = 8        // a provider has two or three that are read
)

// throttle is the way to the provider. What is read there too often is answered as it was last.
type throttle struct {
	next http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	asked map[string]*reading
}

// reading is what was read at an address in the current window.
type reading struct {
	since time.Time
	times int
	body  []byte
	head  http.Header
}

// RoundTrip makes a request.
func (t *throttle) RoundTrip(r *http.Request) (*http.Response, error) {
	secret := r.Method != http.MethodGet || r.Header.Get("Authorization") != ""
	if err := stays(r, secret); err != nil {
		return nil, err
	}
	if secret {
		return t.forward(r)
	}
	at := r.URL.String()
	if last := t.ask(at); last != nil {
		if last.body == nil {
			return nil, errors.New("the identity provider was asked too often in a short time")
		}
		return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: last.head, Request: r,
			ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(bytes.NewReader(last.body))}, nil
	}
	answer, err := t.forward(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return nil, err
	}
	if len(body) <= maxRemember {
		t.remember(at, body, answer.Header)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

// stays refuses to be redirected without TLS, and with our secret, a code or a token to another host.
func stays(r *http.Request, secret bool) error {
	if r.Response == nil || r.Response.Request == nil {
		return nil
	}
	from := r.Response.Request.URL
	if from.Scheme == "https" && r.URL.Scheme != "https" || secret && r.URL.Host != from.Host {
		return fmt.Errorf("%s leads on to %s://%s, which is asked nothing", from.Host, r.URL.Scheme, r.URL.Host)
	}
	return nil
}

// forward makes a request whatever it is.
func (t *throttle) forward(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	return answer, nil
}

// ask counts, and returns what was read last when it is too often.
func (t *throttle) ask(at string) *reading {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if t.asked == nil || t.asked[at] == nil && len(t.asked) >= maxAddresses {
		t.asked = map[string]*reading{}
	}
	v := t.asked[at]
	if v == nil {
		v = &reading{since: now}
		t.asked[at] = v
	}
	if since := now.Sub(v.since); since >= askedIn || since < 0 {
		v.since, v.times = now, 0
	}
	if v.times++; v.times > askedAtMost {
		last := *v
		return &last
	}
	return nil
}

func (t *throttle) remember(at string, body []byte, head http.Header) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.asked[at]; v != nil {
		v.body, v.head = body, head
	}
}

// keySet tells a signature that is wrong from keys that could not be read: go-oidc makes one text of both.
type keySet struct{ remote *gooidc.RemoteKeySet }

type keyFault struct{}

// VerifySignature verifies a signature, and notes why it could not.
func (k keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.remote.VerifySignature(ctx, jwt)
	if note, ok := ctx.Value(keyFault{}).(*error); ok && err != nil && errors.Unwrap(err) != nil {
		*note = err // only what was wrapped came from the way to the keys
	}
	return payload, err
}
