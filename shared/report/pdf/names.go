package pdf

import (
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"tocsin/shared/wording"
)

// typeNames are the attack codes of the product facts, 4.7, in words.
var typeNames = map[string]string{
	"sqli":            "SQL injection",
	"xss":             "Cross-site scripting",
	"rce":             "Remote code execution",
	"xxe":             "XML external entity",
	"ptrav":           "Path traversal",
	"crlf":            "CRLF injection",
	"nosqli":          "NoSQL injection",
	"ldapi":           "LDAP injection",
	"ssti":            "Template injection",
	"ssi":             "Server-side include",
	"mail_injection":  "E-mail injection",
	"ssrf":            "Server-side request forgery",
	"redir":           "Open redirect",
	"csrf":            "Cross-site request forgery",
	"brute":           "Brute force",
	"dirbust":         "Forced browsing",
	"bola":            "Broken object authorization",
	"idor":            "Broken object authorization",
	"scanner":         "Scanner",
	"data_bomb":       "Data bomb",
	"overlimit_res":   "Resource overlimit",
	"vpatch":          "Virtual patch",
	"invalid_xml":     "Invalid XML",
	"mass_assignment": "Mass assignment",
	"weak_auth":       "Weak authentication",
	"api_abuse":       "API abuse",
	"infoleak":        "Information exposure",
	"vuln_component":  "Vulnerable component",
	"auth":            "Authentication flaw",
}

// TypeName is an attack code in words; an unknown code is its own name.
func TypeName(code string) string {
	if name, ok := typeNames[code]; ok {
		return name
	}
	return code
}

// CountryName is a country's code (ISO 3166) in words; what is none is its own name.
func CountryName(code string, in wording.Language) string {
	region, err := language.ParseRegion(code)
	if err != nil || !region.IsCountry() {
		return code
	}
	names := display.English
	if in == wording.Japanese {
		names = display.Japanese
	}
	if name := names.Regions().Name(region); name != "" {
		return name
	}
	return code
}
