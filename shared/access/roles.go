package access

import (
	"slices"
	"strings"
)

// Role of a person (product facts, section 7).
type Role string

// The roles. Operator is ours: an engineer of the platform, who reads what no tenant owns.
const (
	Administrator       Role = "administrator"
	GlobalAdministrator Role = "global_administrator"
	Analyst             Role = "analyst"
	GlobalAnalyst       Role = "global_analyst"
	ReadOnly            Role = "read_only"
	GlobalReadOnly      Role = "global_read_only"
	APIDeveloper        Role = "api_developer"
	Deploy              Role = "deploy"
	Operator            Role = "operator"
)

// codes are the platform's (product facts, section 7, "role codes"; silent about one for API developers). _ext is an
// administrator with more rights at the platform, none of which is ours.
var codes = map[string]Role{
	"admin": Administrator, "admin_ext": Administrator, "analytic": Analyst, "auditor": ReadOnly,
	"partner_admin": GlobalAdministrator, "partner_admin_ext": GlobalAdministrator, "partner_analytic": GlobalAnalyst,
	"partner_auditor": GlobalReadOnly,
}

// ParseRole reads a role as a token says it: the platform's code, or our own name. Any other text is kept as it is: it
// is a role that may do nothing.
func ParseRole(claim string) Role {
	if r, ok := codes[claim]; ok {
		return r
	}
	return Role(claim)
}

// RoleOfTitle reads a role as the platform's events say it: the title of the facts ("Read Only") or a code, in any
// case.
func RoleOfTitle(title string) Role {
	name := strings.ToLower(strings.TrimSpace(title))
	return ParseRole(strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return '_'
		}
		return r
	}, name))
}

// Right is something that a role may do, or see.
type Right string

// The rights. An operation of the API declares the one that it takes.
const (
	// SignIn is everybody's whose token is good, of whatever role: to be told who one is, and what there is to see.
	SignIn Right = "sign in"
	// OwnProfile: the row "own profile". Deploy has no Console access.
	OwnProfile Right = "own profile"
	// Administer is integrations and all that belongs to them: their deliveries, mails and addresses, what was
	// rejected.
	Administer Right = "integrations"
	// Addresses is where our requests come from. The platform's documents tell everybody (facts, 1.13).
	Addresses Right = "addresses to admit"
	// Triggers is their row.
	Triggers Right = "triggers"
	// ReportSettings are a tenant's: the facts are silent, so they are as integrations.
	ReportSettings Right = "report settings"
	// ViewEvents is the row "events, attacks, incidents, vulnerabilities", and reports, which are made of them.
	ViewEvents Right = "reports"
	// ManageEvents orders a report.
	ManageEvents Right = "new reports"
	// ViewUsers and ViewApplications are rows of which we show nothing, but tell by mail.
	ViewUsers        Right = "users"
	ViewApplications Right = "applications"
	// Unowned is what no tenant owns.
	Unowned Right = "what no tenant owns"
)

// rights is section 7 of the product facts. What is not here is not allowed: a role that is not known has SignIn alone.
var rights = map[Role][]Right{
	Administrator: {OwnProfile, Addresses, Administer, Triggers, ReportSettings, ViewEvents, ManageEvents, ViewUsers,
		ViewApplications},
	Analyst:      {OwnProfile, Addresses, ViewEvents, ManageEvents, ViewApplications},
	ReadOnly:     {OwnProfile, Addresses, ViewEvents, ViewUsers, ViewApplications},
	APIDeveloper: {OwnProfile, Addresses},
	Deploy:       {},
	Operator: {OwnProfile, Addresses, Administer, Triggers, ReportSettings, ViewEvents, ManageEvents, ViewUsers,
		ViewApplications, Unowned},
}

// local is the role in one tenant that a global one has in each tenant it reaches.
var local = map[Role]Role{GlobalAdministrator: Administrator, GlobalAnalyst: Analyst, GlobalReadOnly: ReadOnly}

// May reports whether the role has a right.
func (r Role) May(right Right) bool {
	if l, ok := local[r]; ok {
		r = l
	}
	return right == SignIn || slices.Contains(rights[r], right)
}

// Known reports whether the role is one of the product facts, or ours.
func (r Role) Known() bool {
	_, ok := rights[r]
	_, global := local[r]
	return ok || global
}

// Holders names the roles that have a right, for a sentence: "administrators and analysts".
func (right Right) Holders() string {
	titles := []struct {
		role  Role
		title string
	}{{Administrator, "administrators"}, {Analyst, "analysts"}, {ReadOnly, "read-only users"},
		{APIDeveloper, "API developers"}, {Operator, "operators"}}
	var out []string
	for _, t := range titles {
		if t.role.May(right) && (t.role != Operator || len(out) == 0) {
			out = append(out, t.title)
		}
	}
	if n := len(out); n > 1 {
		return strings.Join(out[:n-1], ", ") + " and " + out[n-1]
	}
	return strings.Join(out, "")
}
