package access

import (
	"maps"
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

// custom is the role whose rights are given to one person, one by one: see Custom.
const custom = "custom"

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
	if claim == custom {
		return Custom()
	}
	if permissions, ok := strings.CutPrefix(claim, custom+":"); ok {
		return Custom(strings.Split(permissions, ",")...)
	}
	return Role(claim)
}

// Custom is the role of a person with custom permissions (product facts, section 7): everything is denied but what is
// named, such as `integrations.view` or `integrations.manage`; to manage is nothing without to view. A name that is not
// known allows nothing and is dropped. The permissions are a part of the role, so that they go where it goes: into
// sessions, tokens and what a person may be sent.
func Custom(permissions ...string) Role {
	var kept []string
	for _, p := range permissions {
		if p = strings.TrimSpace(p); len(customRights[p]) > 0 && !slices.Contains(kept, p) {
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 {
		return custom
	}
	slices.Sort(kept)
	return Role(custom + ":" + strings.Join(kept, ","))
}

// Permissions are those of a custom role; none for every other.
func (r Role) Permissions() []string {
	permissions, ok := strings.CutPrefix(string(r), custom+":")
	if !ok {
		return nil
	}
	return strings.Split(permissions, ",")
}

// Name is the role without the permissions of a custom one.
func (r Role) Name() string {
	if r.custom() {
		return custom
	}
	return string(r)
}

// Words are the role for the person who has it: why it allows nothing, if so. One that is not known is not repeated: it
// is what somebody wrote in a token, at length.
func (r Role) Words() string {
	switch {
	case r == "":
		return "not in your token"
	case !r.Known():
		return "not known here"
	}
	return r.Name()
}

func (r Role) custom() bool { return r == custom || strings.HasPrefix(string(r), custom+":") }

// customRights are what each permission allows. The entities are the rows of section 7 that we have something of.
var customRights = map[string][]Right{
	"integrations.view":   {ViewIntegrations, Addresses},
	"integrations.manage": {Administer},
	"triggers.view":       {ViewTriggers},
	"triggers.manage":     {Triggers},
	"events.view":         {ViewEvents, ViewReportSettings},
	"events.manage":       {ManageEvents, ReportSettings},
	"users.view":          {ViewUsers},
	"users.manage":        {ManageUsers},
	"activity_log.view":   {ViewActivity},
	"applications.view":   {ViewApplications},
	"profile.view":        {OwnProfile},
}

// CustomPermissions are the names that Custom knows, in their order.
func CustomPermissions() []string { return slices.Sorted(maps.Keys(customRights)) }

// customMay reports whether a custom role has a right. A permission to manage counts beside the one to view.
func (r Role) customMay(right Right) bool {
	permissions := r.Permissions()
	for _, p := range permissions {
		entity, manage := strings.CutSuffix(p, ".manage")
		if slices.Contains(customRights[p], right) && (!manage || slices.Contains(permissions, entity+".view")) {
			return true
		}
	}
	return false
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

// The rights. An operation of the API declares the one that it takes; one that only reads takes its View.
const (
	// SignIn is everybody's whose token is good, of whatever role: to be told who one is, and what there is to see.
	SignIn Right = "sign in"
	// OwnProfile: the row "own profile". Deploy has no Console access.
	OwnProfile Right = "own profile"
	// Administer is to manage integrations and all that belongs to them: their deliveries, mails and addresses, what
	// was rejected. ViewIntegrations is to see them.
	Administer       Right = "integrations"
	ViewIntegrations Right = "integrations.view"
	// Addresses is where our requests come from. The platform's documents tell everybody (facts, 1.13).
	Addresses Right = "addresses to admit"
	// Triggers and ViewTriggers are their row.
	Triggers     Right = "triggers"
	ViewTriggers Right = "triggers.view"
	// ReportSettings are a tenant's: the facts are silent, so they are as integrations.
	ReportSettings     Right = "report settings"
	ViewReportSettings Right = "report settings.view"
	// ViewEvents is the row "events, attacks, incidents, vulnerabilities", and reports, which are made of them.
	ViewEvents Right = "reports"
	// ManageEvents orders a report.
	ManageEvents Right = "new reports"
	// ViewUsers is to see people, ManageUsers to add, change and disable them.
	ViewUsers   Right = "users"
	ManageUsers Right = "changes of users"
	// ViewApplications is a row of which we show nothing, but tell by mail.
	ViewApplications Right = "applications"
	// ViewActivity is the row "activity log". Nobody changes it.
	ViewActivity Right = "entries of the activity log"
	// PersonalTokens and SharedTokens are who may make API tokens (facts, "tokens"). The first sees and revokes one's
	// own, the second all of the tenant.
	PersonalTokens Right = "API tokens"
	SharedTokens   Right = "shared API tokens"
	// LinkTenants is to set which tenants hang under a technical tenant.
	LinkTenants Right = "links of tenants"
	// Leaving is to export all that is kept of a tenant, and to erase it.
	Leaving Right = "exports and erasures of tenants"
	// Unowned is what no tenant owns.
	Unowned Right = "what no tenant owns"
)

// views is the right to see what another right changes.
var views = map[Right]Right{
	Administer: ViewIntegrations, Triggers: ViewTriggers, ReportSettings: ViewReportSettings, ManageEvents: ViewEvents,
	ManageUsers: ViewUsers,
}

// View is the right to see what this one changes; one that changes nothing is its own.
func (right Right) View() Right {
	if v, ok := views[right]; ok {
		return v
	}
	return right
}

// Words name what the right is about, for a sentence.
func (right Right) Words() string { return strings.TrimSuffix(string(right), ".view") }

// rights is section 7 of the product facts: what each role may see, change and be sent (profile.Allowed asks for the
// same rights). What is not here is not allowed: a role that is not known has SignIn alone.
var rights = map[Role][]Right{
	Administrator: {OwnProfile, Addresses, ViewIntegrations, Administer, ViewTriggers, Triggers, ViewReportSettings,
		ReportSettings, ViewEvents, ManageEvents, ViewUsers, ManageUsers, ViewApplications, ViewActivity,
		PersonalTokens, SharedTokens},
	Analyst:      {OwnProfile, Addresses, ViewEvents, ManageEvents, ViewApplications, PersonalTokens},
	ReadOnly:     {OwnProfile, Addresses, ViewEvents, ViewUsers, ViewApplications, ViewActivity},
	APIDeveloper: {OwnProfile, Addresses},
	Deploy:       {},
	Operator: {OwnProfile, Addresses, ViewIntegrations, Administer, ViewTriggers, Triggers, ViewReportSettings,
		ReportSettings, ViewEvents, ManageEvents, ViewUsers, ManageUsers, ViewApplications, ViewActivity,
		PersonalTokens, SharedTokens, LinkTenants, Leaving, Unowned},
}

// local is the role in one tenant that a global one has in each tenant it reaches.
var local = map[Role]Role{GlobalAdministrator: Administrator, GlobalAnalyst: Analyst, GlobalReadOnly: ReadOnly}

// Global reports whether the role reaches the tenants that are linked to its own.
func (r Role) Global() bool { _, ok := local[r]; return ok }

// May reports whether the role has a right.
func (r Role) May(right Right) bool {
	if l, ok := local[r]; ok {
		r = l
	}
	return right == SignIn || slices.Contains(rights[r], right) || r.custom() && r.customMay(right)
}

// Known reports whether the role is one of the product facts, or ours.
func (r Role) Known() bool {
	_, ok := rights[r]
	return ok || r.Global() || r.custom()
}

// Within is the order of roles: it reports whether r is not above other. It has no right that other lacks, and reaches
// no tenant that other does not. Operator is within itself alone, and a role that is not known within none.
func (r Role) Within(other Role) bool {
	if !r.Known() || !other.Known() || r.Global() && !other.Global() {
		return false
	}
	for _, right := range rights[Operator] {
		if r.May(right) && !other.May(right) {
			return false
		}
	}
	return true
}

// Roles are those that a person or a token can be given, the highest first; not Operator, and not a custom one.
func Roles() []Role {
	return []Role{GlobalAdministrator, Administrator, GlobalAnalyst, Analyst, GlobalReadOnly, ReadOnly, APIDeveloper,
		Deploy}
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
