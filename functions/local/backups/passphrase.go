package backups

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"tocsin/shared/backup"
)

// passphraseVariable holds the passphrase itself. There is no flag of it: every user of a machine can read a command
// line.
const passphraseVariable = "TOCSIN_PASSPHRASE"

// asked are the ways to a passphrase.
type asked struct {
	file   string // its file; "" = none
	getenv func(string) string
	// prompt asks a person; nil = nobody is there.
	prompt func(question string) (string, error)
}

// passphrase finds it: in the file, in the environment, or by asking. again has a person say a new one twice.
func (a asked) passphrase(again bool) (string, error) {
	var said string
	switch {
	case a.file != "":
		raw, err := os.ReadFile(a.file)
		if err != nil {
			return "", fmt.Errorf("read the passphrase of -passphrase-file: %w", err)
		}
		said = strings.TrimRight(string(raw), "\r\n")
	case a.getenv(passphraseVariable) != "":
		said = a.getenv(passphraseVariable)
	case a.prompt == nil:
		return "", errors.New("a passphrase is needed: write it to a file that -passphrase-file names, or give it as " +
			passphraseVariable)
	default:
		var err error
		if said, err = a.prompt("Passphrase of the backup: "); err != nil {
			return "", err
		}
		if !again {
			break
		}
		second, err := a.prompt("The same again: ")
		if err != nil {
			return "", err
		}
		if second != said {
			return "", errors.New("the two passphrases differ: nothing was done")
		}
	}
	if again && utf8.RuneCountInString(said) < backup.ShortestPassphrase {
		return "", fmt.Errorf("the passphrase must have at least %d characters: whoever has the backup can try as "+
			"many as they like", backup.ShortestPassphrase)
	}
	if said == "" {
		return "", errors.New("the passphrase is empty")
	}
	return said, nil
}

// terminal asks at the terminal, and shows nothing of what is typed.
func terminal() func(string) (string, error) {
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		return nil
	}
	return func(question string) (string, error) {
		fmt.Fprint(os.Stderr, question)
		said, err := term.ReadPassword(in)
		fmt.Fprintln(os.Stderr)
		if err != nil {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		return string(said), nil
	}
}
