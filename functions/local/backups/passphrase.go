package backups

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"tocsin/functions/local/commandline"
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
	prompt func(ctx context.Context, question string) (string, error)
}

// passphrase finds it: in the file, in the environment, or by asking. again has a person say a new one twice.
func (a asked) passphrase(ctx context.Context, again bool) (string, error) {
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
		if said, err = a.prompt(ctx, "Passphrase of the backup: "); err != nil {
			return "", err
		}
		if !again {
			break
		}
		second, err := a.prompt(ctx, "The same again: ")
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
func terminal() func(context.Context, string) (string, error) {
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		return nil
	}
	return func(ctx context.Context, question string) (string, error) {
		before, err := term.GetState(in)
		if err != nil {
			return "", fmt.Errorf("look at the terminal: %w", err)
		}
		fmt.Fprint(os.Stderr, question)
		said, err := commandline.Await(ctx, func() ([]byte, error) { return term.ReadPassword(in) })
		fmt.Fprintln(os.Stderr)
		if ctx.Err() != nil {
			// What reads still waits: it can not give the terminal its echo back.
			return "", errors.Join(ctx.Err(), term.Restore(in, before))
		}
		if err != nil {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		return string(said), nil
	}
}
