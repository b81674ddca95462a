// Package commandline is what the commands of the program have in common: their flags, which have the variables of the
// program's flags, and where the program keeps what is its own.
package commandline

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

// Where the program keeps its own, unless flags say otherwise.
const (
	DefaultState = "var/tocsin.db"
	DefaultKey   = "var/tocsin.key"
)

// Flags are those of a command: each has the variable of the program's flag of its name.
func Flags(command string) (f *flag.FlagSet, parse func(args []string) error) {
	f = flag.NewFlagSet("tocsin "+command, flag.ContinueOnError)
	return f, func(args []string) error {
		if err := Environment(f, os.Getenv); err != nil {
			return err
		}
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		return err
	}
}

// Environment sets the flags that have a variable: -listen is TOCSIN_LISTEN.
func Environment(f *flag.FlagSet, getenv func(string) string) (bad error) {
	f.VisitAll(func(fl *flag.Flag) {
		name := "TOCSIN_" + strings.ToUpper(strings.ReplaceAll(fl.Name, "-", "_"))
		if v := getenv(name); v != "" {
			if err := f.Set(fl.Name, v); err != nil {
				// The value is not repeated: one of these is a password.
				bad = errors.Join(bad, fmt.Errorf("the environment's %s is not right for -%s", name, fl.Name))
			}
		}
	})
	return bad
}
