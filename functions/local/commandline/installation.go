package commandline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// installed are the files of an installation with the unit for systemd, by the flag that names each.
var installed = map[string]string{"state": "/var/lib/tocsin/tocsin.db", "key": "/var/lib/tocsin/tocsin.key"}

// Unreached says what to do where a command can not look at the file that a flag names, the state or the key of an
// installation.
func Unreached(flag string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: run the command as root, or as the user that Tocsin runs as", err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: name it with -%s (the unit for systemd has %s), or start Tocsin once, which makes "+
			"it", err, flag, installed[flag])
	}
	return err
}

// Typed is a command of this program on a state, as somebody types it: in the folder where this program was started
// if it has the state that is that folder's own, else anywhere on the machine.
func Typed(state string, words ...string) string {
	program := os.Args[0]
	if state != DefaultState {
		if program != filepath.Base(program) {
			program = absolute(program)
		}
		words = append(words, "-state", absolute(state))
	}
	out := quoted(program)
	for _, w := range words {
		out += " " + quoted(w)
	}
	return out
}

func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// plain is what every shell takes as it is; a backslash is a folder's on Windows alone.
var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./` + regexp.QuoteMeta(string(filepath.Separator)) + `-]+$`)

// quoted is a word as a shell takes it.
func quoted(word string) string {
	switch {
	case plain.MatchString(word):
		return word
	case filepath.Separator == '\\':
		return `"` + word + `"`
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
