package pdf

import (
	_ "embed"
	"strings"
	"sync"

	"golang.org/x/text/language"

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

// countryRows has a line for each country: code, English, Japanese. The names are the CLDR's, as
// golang.org/x/text/language/display has them, which brings those of all languages: 2.4 MB of the binary.
//
//go:embed countries.tsv
var countryRows string

var countryNames = sync.OnceValue(func() map[language.Region][2]string {
	out := map[language.Region][2]string{}
	for line := range strings.Lines(countryRows) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(f) == 3 {
			out[language.MustParseRegion(f[0])] = [2]string{f[1], f[2]}
		}
	}
	return out
})

// CountryName is a country's code (ISO 3166) in words; what is none is its own name.
func CountryName(code string, in wording.Language) string {
	region, err := language.ParseRegion(code)
	if err != nil || !region.IsCountry() {
		return code
	}
	names, ok := countryNames()[region]
	switch {
	case !ok:
		return code
	case in == wording.Japanese:
		return names[1]
	}
	return names[0]
}
