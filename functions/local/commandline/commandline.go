// Package commandline is what the commands of the program have in common: their flags, some of which have the variables
// of the program's flags, and where the program keeps what is its own.
package commandline

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"
)

// Where the program keeps its own, unless flags say otherwise.
const (
	DefaultState = "var/tocsin.db"
	DefaultKey   = "var/tocsin.key"
)

// shared are the flags that mean the same to the program and to its commands. The variables of others are the
// program's alone: its -role is that of its first person, its -keep a time, and neither is what a command's is.
var shared = map[string]bool{"state": true, "key": true, "listen": true, "tls-cert": true, "tenant": true,
	"email": true}

// Flags are those of a command: those that mean the same to the program have the program's variables. own defines flags
// that have not, whatever their names are.
func Flags(command string, own ...func(f *flag.FlagSet)) (f *flag.FlagSet, parse func(args []string) error) {
	f = flag.NewFlagSet("tocsin "+command, flag.ContinueOnError)
	begun := false // flags may stand on both sides of a name, and are read in two steps
	return f, func(args []string) error {
		if !begun {
			begun = true
			if err := environment(f, os.Getenv, func(name string) bool { return shared[name] }); err != nil {
				return err
			}
			for _, define := range own {
				define(f)
			}
		}
		return Parse(f, args)
	}
}

// Environment sets the program's flags that have a variable: -listen is TOCSIN_LISTEN.
func Environment(f *flag.FlagSet, getenv func(string) string) error {
	return environment(f, getenv, func(string) bool { return true })
}

func environment(f *flag.FlagSet, getenv func(string) string, has func(name string) bool) (bad error) {
	f.VisitAll(func(fl *flag.Flag) {
		if !has(fl.Name) {
			return
		}
		name := "TOCSIN_" + strings.ToUpper(strings.ReplaceAll(fl.Name, "-", "_"))
		if v := getenv(name); v != "" {
			if err := f.Set(fl.Name, v); err != nil {
				// The value is not repeated: one of these is a password.
				bad = errors.Join(bad, fmt.Errorf("the environment's %s is not right for -%s%s", name, fl.Name,
					span(fl)))
			}
		}
	})
	return bad
}

// Log is where a command that changes the state file tells what it does with the file itself.
func Log() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
}

// span says how a span of time is written, where a flag takes one.
func span(f *flag.Flag) string {
	if v, ok := f.Value.(flag.Getter); ok {
		if _, ok := v.Get().(time.Duration); ok {
			return ": write 720h for thirty days, 90m or 30s"
		}
	}
	return ""
}

// Explained is an error of reading flags, with how a span of time is written: package flag says "parse error" alone.
func Explained(f *flag.FlagSet, err error) error {
	if err == nil {
		return nil
	}
	_, name, _ := strings.Cut(err.Error(), " for flag -")
	name, _, _ = strings.Cut(name, ":")
	if fl := f.Lookup(name); fl != nil {
		return fmt.Errorf("%w%s", err, span(fl))
	}
	return err
}

// Unexpected is an argument that a command does not take.
func Unexpected(argument string) error {
	return fmt.Errorf("unexpected argument %q: `tocsin help` lists the commands", argument)
}
