// Package variables has the environment variables of a configuration: references to them in texts, and the names of
// those that an export asks for.
package variables

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
)

// reference is `${NAME}`; `$${` stands for the two characters.
var reference = regexp.MustCompile(`\$\$\{|\$\{[^}]*\}?`)

// variable is the name of an environment variable (POSIX, "Environment Variable Definition", with small letters too).
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Escape writes a text so that Expand gives it back.
func Escape(s string) string { return strings.ReplaceAll(s, "${", "$${") }

// Expand puts variables in. wrong has what is no name of a variable, missing those that are not set: an empty one is
// not, because a secret must not become empty by an accident.
func Expand(s string, getenv func(string) string) (out string, missing, wrong []string) {
	out = reference.ReplaceAllStringFunc(s, func(found string) string {
		if found == "$${" {
			return "${"
		}
		name := strings.TrimSuffix(strings.TrimPrefix(found, "${"), "}")
		if !strings.HasSuffix(found, "}") || !variable.MatchString(name) {
			wrong = append(wrong, found)
			return found
		}
		value := getenv(name)
		if value == "" {
			missing = append(missing, name)
			return found
		}
		return value
	})
	return out, missing, wrong
}

// maxWord bounds the part of a variable's name that comes from one name, in bytes.
const maxWord = 60

// Word is a name as a part of a variable's name, "" when nothing of it can be: SLACK_OPS of "Slack, Ops".
func Word(name string) string {
	var out strings.Builder
	for _, r := range strings.ToUpper(name) {
		switch {
		case r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			out.WriteRune(r)
		case out.Len() > 0 && !strings.HasSuffix(out.String(), "_"):
			out.WriteByte('_')
		}
	}
	w := out.String()
	return strings.TrimRight(w[:min(len(w), maxWord)], "_")
}

// Integration is what names the variables of one.
type Integration struct{ System, Name string }

// Stems are the beginnings of the variables' names of integrations: system and name. Where two would have the same one,
// or a name has nothing to give, each of them has a digest of its name behind it: whichever others come or go, no
// variable becomes that of another integration.
func Stems(list []Integration) []string {
	out := make([]string, len(list))
	count := map[string]int{}
	for n, i := range list {
		system, name := Word(i.System), Word(i.Name)
		out[n] = system
		switch {
		case name == system || strings.HasPrefix(name, system+"_"):
			out[n] = name
		case name != "":
			out[n] = system + "_" + name
		}
		if name == "" {
			count[out[n]]++ // never alone
		}
		count[out[n]]++
	}
	for n, i := range list {
		if count[out[n]] > 1 {
			out[n] += fmt.Sprintf("_%X", sha256.Sum256([]byte(i.Name)))[:9]
		}
	}
	return out
}
