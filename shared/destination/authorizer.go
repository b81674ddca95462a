package destination

import (
	"context"
	"time"
)

// Authorizer is how a request gets a short-lived credential: an access token, or the keys of an assumed role. Encode
// makes the request without it. The sender asks for the credential through package egress, as it does for every
// request. It keeps the credential in memory for this integration at this revision until shortly before its end, and
// drops it when the system refuses it. The Authorizer applies it to each request. It holds no state; equal ones are
// equal values.
type Authorizer interface {
	// Key tells the credentials of one integration apart. It holds no secret.
	Key() string
	// Ask makes the request for the credential. It does no I/O of its own but may wait for the deployment's identity,
	// which the composition root provides. The error is a sentence for an administrator.
	Ask(ctx context.Context, now time.Time) (Request, error)
	// Read takes the credential out of the answer; the verdict says why there is none in it.
	Read(r Response, now time.Time) (Credential, Verdict)
	// Apply puts the credential into a request, or signs the request with it; it does not change q's header.
	Apply(q Request, c Credential, now time.Time) (Request, error)
}

// Prober is an Authorizer whose credential is given to everybody who names it (a role's ARN), unless its owner
// restricts it to the tenant (an external ID). The credential is used only when a request on behalf of somebody else is
// refused. Otherwise one tenant could use what another one set up.
type Prober interface {
	// Probe makes that request. Error: as Ask.
	Probe(ctx context.Context, now time.Time) (Request, error)
	// Open says what the owner has to do when the answer shows that the request was not refused, "" when it was, or
	// when the answer tells nothing.
	Open(r Response) string
}

// Credential is what an Authorizer was given. It lives in memory only.
type Credential struct {
	ID      string // of a key; "" for a token
	Secret  string // the token, or the key's secret
	Session string // that goes with a temporary key
	Expires time.Time
}

// Secrets are the values that no text may show.
func (c Credential) Secrets() []string {
	var out []string
	for _, s := range []string{c.Session, c.Secret} {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}
