package filter

import (
	"slices"

	"tocsin/shared/event"
)

// Rule describes a filter for a form.
type Rule struct {
	ID      ID
	Title   string
	Kind    string // choice, text or integer
	Choices []Option
	Help    string
	// Events are, of an integration's filter, the event types that can have what it looks at; nil = all have.
	Events []event.Type
}

// Option is a value with its name.
type Option struct{ Value, Title string }

// Kinds of values.
const (
	KindChoice  = "choice"
	KindText    = "text"
	KindInteger = "integer"
)

func choices(pairs ...string) []Option {
	var out []Option
	for pair := range slices.Chunk(pairs, 2) {
		out = append(out, Option{pair[0], pair[1]})
	}
	return out
}

var rules = map[ID]Rule{
	ByURL: {Title: "URI", Kind: KindText, Help: "A full URI without its query, such as example.com/login. * stands " +
		"for one part of the path, ** for any number of them; a value that begins with ~ is a regular expression. " +
		"The first 2,048 bytes of a URI are looked at."},
	ByType: {Title: "Attack type", Kind: KindChoice,
		Choices: choices("sqli", "SQLi", "xss", "XSS", "rce", "RCE", "xxe", "XXE", "ptrav", "Path traversal", "crlf",
			"CRLF injection",
			"nosqli", "NoSQL injection", "ldapi", "LDAP injection", "ssti", "SSTI", "ssi", "SSI", "mail_injection",
			"Mail injection", "ssrf", "SSRF", "redir", "Open redirect", "csrf", "CSRF",
			"brute", "Brute force", "dirbust", "Forced browsing", "bola", "BOLA", "scanner", "Scanner", "data_bomb",
			"Data bomb", "overlimit_res", "Resource overlimit",
			"vpatch", "Virtual patch", "invalid_xml", "Invalid XML", "mass_assignment", "Mass assignment", "weak_auth",
			"Weak JWT", "api_abuse", "API abuse", "infoleak", "Information exposure",
			"vuln_component", "Vulnerable component", "auth", "Authentication bypass")},
	ByApplication: {Title: "Application", Kind: KindInteger,
		Help: "The application's number; -1 is the default application."},
	ByIP:     {Title: "IP", Kind: KindText, Help: "A single IPv4 or IPv6 address, no subnet."},
	ByDomain: {Title: "Domain", Kind: KindText, Help: "A host name, such as shop.example.com."},
	ByStatus: {Title: "Response status", Kind: KindText,
		Help: "An exact status such as 404, or a class such as 5xx."},
	ByTarget: {Title: "Target", Kind: KindChoice,
		Choices: choices("server", "Server", "client", "Client", "database", "Database")},
	ByRole: {Title: "User's role", Kind: KindChoice,
		Choices: choices("admin", "Administrator", "analytic", "Analyst", "auditor", "Read only", "api_developer",
			"API developer", "deploy", "Deploy",
			"partner_admin", "Global administrator", "partner_analytic", "Global analyst", "partner_auditor",
			"Global read only")},
	ByChange: {Title: "Endpoint change type", Kind: KindChoice,
		Choices: choices("added", "New", "changed", "Changed", "unused", "Unused")},
	ByPII: {Title: "Sensitive data", Kind: KindText,
		Help: "A kind of sensitive data, as the API inventory names it."},
	ByDeviation: {Title: "Deviation", Kind: KindChoice,
		Choices: choices("shadow", "Shadow", "orphan", "Orphan", "zombie", "Zombie")},
	BySpec: {Title: "Specification", Kind: KindInteger, Help: "The specification's number."},
	ByKind: {Title: "Kind of event", Kind: KindText, Help: "The notification_type of the messages, such as new_hits."},
	BySeverity: {Title: "Severity", Kind: KindChoice,
		Choices: choices("critical", "Critical", "high", "High", "medium", "Medium", "low", "Low", "info", "Info")},
	ByCountry: {Title: "Source country", Kind: KindText, Help: "A country's two letters (ISO 3166), such as NL."},
}

// Rules describe filters for a form.
func Rules(ids []ID) []Rule {
	out := make([]Rule, len(ids))
	for n, id := range ids {
		out[n] = id.Rule()
	}
	return out
}

// Rule describes the filter for a form.
func (id ID) Rule() Rule {
	r := rules[id]
	r.ID = id
	return r
}
