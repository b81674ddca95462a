// Package client calls the API from Go: NewClientWithResponses(address, WithToken(token)) has a method for each
// operation of the API, and a type for each of its objects. It needs no other package of this repository.
//
// client.gen.go is made by oapi-codegen from the API's document and overlay.yaml (go run ./scripts/client), and a test
// holds it to them. What is refused comes in ApplicationproblemJSONDefault of an answer, whatever the status. A program
// that must be small makes its requests with the functions New…Request: it is then linked with those alone.
//
// Events are published with any SDK of AWS: see events/README.md.
package client

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// callTime bounds a call.
const callTime = 60 * time.Second

// WithToken has each request carry an API token. A request goes to the address that was given and to no other: where
// it is redirected, the call fails, so that nobody else gets the token. An option behind it replaces the HTTP client.
func WithToken(token string) ClientOption {
	return func(c *Client) error {
		if c.Client == nil {
			c.Client = &http.Client{Timeout: callTime, CheckRedirect: Stay}
		}
		c.RequestEditors = append(c.RequestEditors, func(_ context.Context, q *http.Request) error {
			q.Header.Set("Authorization", "Bearer "+token)
			return nil
		})
		return nil
	}
}

// Stay refuses to be redirected. Error: Elsewhere.
func Stay(q *http.Request, _ []*http.Request) error {
	return &Elsewhere{q.URL.Scheme + "://" + q.URL.Host}
}

// Elsewhere is an address that answers with another one.
type Elsewhere struct{ To string }

func (e *Elsewhere) Error() string {
	return "the address leads on to " + e.To + ": name that one if it is right"
}

// Error says why something was refused, field by field.
func (p *Problem) Error() string {
	words := p.Title
	if p.Detail != nil {
		words = *p.Detail
	}
	var out strings.Builder
	fmt.Fprintf(&out, "answered %d: %s", p.Status, words)
	for _, f := range p.Errors {
		fmt.Fprintf(&out, "; %s: %s", f.Field, f.Reason)
	}
	if p.RequestId != nil {
		fmt.Fprintf(&out, " (request %s)", *p.RequestId)
	}
	return out.String()
}
