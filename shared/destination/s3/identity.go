package s3

import (
	"context"
	"regexp"
	"strings"
)

// Keys are an access key of AWS. Session goes with a temporary one.
type Keys struct{ ID, Secret, Session string }

// Account is an AWS account. The zero value is none.
type Account struct {
	ID        string // 12 digits
	Partition string // aws, aws-cn, aws-us-gov; "" = aws
}

// Identity is the deployment's own at AWS, with which it assumes customers' roles.
type Identity interface {
	// Account is the account that a role has to trust, the zero value where there is none. known is false while nobody
	// has looked for it yet. It does not wait.
	Account() (a Account, known bool)
	// Prepare has the account looked for, and waits for it a short time at most.
	Prepare(ctx context.Context)
	// Keys are good ones now. It may wait for them. Error: there are none.
	Keys(ctx context.Context) (Keys, error)
}

// Static is an identity that does not change.
type Static struct {
	Of   Account
	With Keys
}

// Account is the one given.
func (s Static) Account() (Account, bool) { return s.Of, true }

// Prepare does nothing.
func (Static) Prepare(context.Context) {}

// Keys are those given.
func (s Static) Keys(context.Context) (Keys, error) { return s.With, nil }

// Platform is the deployment as a customer's AWS account meets it. The zero value has no identity: then only access
// keys work, and the role option says so.
type Platform struct {
	Identity Identity // nil = none
	// RoleNames are the names of roles that the deployment's own policy lets it assume, with * and ? as in IAM; the
	// policy keeps out roles of the deployment's own account then. "" = it is not known to have such a policy.
	RoleNames string
}

// none reports whether it is certain that the deployment has no identity.
func (p Platform) none() bool {
	if p.Identity == nil {
		return true
	}
	a, known := p.Identity.Account()
	return known && a.ID == ""
}

// refuses says why the deployment's own policy keeps a role out, "" when it does not.
func (p Platform) refuses(role string) string {
	if p.RoleNames == "" {
		return ""
	}
	_, name, _ := strings.Cut(role, ":role/")
	if !matches(p.RoleNames, name) {
		return "this installation may assume only roles whose name, after role/, is " + p.RoleNames +
			" (* is any text): name the role so"
	}
	a, _ := p.Identity.Account()
	if parts := strings.Split(role, ":"); a.ID != "" && len(parts) > 4 && parts[4] == a.ID {
		return "this installation assumes no role of its own AWS account: use a role of yours, or an access key"
	}
	return ""
}

// matches compares as IAM does ("IAM JSON policy elements: Resource"): * is any text, ? any character.
func matches(pattern, name string) bool {
	quoted := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	ok, err := regexp.MatchString("^(?s:"+quoted+")$", name)
	return ok && err == nil
}
