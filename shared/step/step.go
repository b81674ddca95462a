// Package step tells what a request does on its way, while it does it: the test button shows each step as it ends.
// Whoever waits for the steps puts a listener into the context; what connects, sends and reads tells it. Without a
// listener nothing is told, and a delivery has none.
package step

import "context"

// Kind is a step on the way of a request, in their order.
type Kind string

// The kinds. Which of them a request has depends on its way: one on a connection that is open already looks no name up.
const (
	Name      Kind = "name"      // the name of the host was found in DNS
	Address   Kind = "address"   // an address of it may be sent to
	Connected Kind = "connected" // it took the connection
	// Certificate: the host asked for a client certificate, and was shown ours. It failed when that was not taken.
	Certificate Kind = "certificate"
	TLS         Kind = "tls"      // the connection is secured, and the host's certificate is good
	Reused      Kind = "reused"   // a connection of before is used
	Sent        Kind = "sent"     // all of the request was handed to the network
	Answered    Kind = "answered" // the first byte of an answer came
	// Credential is the last of a request for an access token, or the keys of a role: the answer held it.
	Credential Kind = "credential"
)

// Step is one that ended.
type Step struct {
	Kind   Kind
	Failed bool // it ended without what its kind says
}

type listener struct{}

// With is a context whose steps are told to tell, which may be called by several goroutines at once, and must not
// block.
func With(ctx context.Context, tell func(Step)) context.Context {
	return context.WithValue(ctx, listener{}, tell)
}

// Heard reports whether somebody waits for the steps.
func Heard(ctx context.Context) bool { return ctx.Value(listener{}) != nil }

// Done tells of a step that did what its kind says.
func Done(ctx context.Context, k Kind) { told(ctx, Step{Kind: k}) }

// Failed tells of one that did not.
func Failed(ctx context.Context, k Kind) { told(ctx, Step{Kind: k, Failed: true}) }

func told(ctx context.Context, s Step) {
	if tell, ok := ctx.Value(listener{}).(func(Step)); ok {
		tell(s)
	}
}
