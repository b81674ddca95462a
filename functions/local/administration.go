package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/shared/account"
	"tocsin/shared/activity"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/erasure"
	"tocsin/shared/integration"
	"tocsin/shared/session"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
)

// administration is what commands work on: see control.go. The program's API works on the same.
type administration struct {
	people  *account.Service
	links   *account.Links
	tenants *tenant.Service
	erasure *erasure.Service
	tokens  *token.Service
	log     *activity.Log // who did what
	state   string        // the state file
	own     string        // where people sign in; "" = the program does not run
}

func newAdministration(db *sqlite.DB, state string, log *slog.Logger) *administration {
	done := &activity.Log{Store: db.ActivityLog(), Now: time.Now, NewID: newID}
	tokens := &token.Service{Store: db.Tokens(), Links: db.Tenants(), Random: rand.Reader, Now: time.Now, NewID: newID,
		Log: log}
	links := &account.Links{Store: db.SignInLinks(), People: db.Accounts(), Now: time.Now, Random: rand.Reader}
	leaving := &erasure.Service{Store: db.Erasure(), Source: db.Erasure(), Jobs: db.Erasures(), Log: db.ActivityLog(),
		Now: time.Now, NewID: newID, Logger: log, Settle: settle,
		Integrations: db.Erasure().Overwriting(&integration.Service{Store: db.Integrations(), Now: time.Now,
			NewID: newID, Systems: catalogue.Default(), Log: log})}
	return &administration{state: state, links: links, erasure: leaving, tokens: tokens, log: done,
		tenants: &tenant.Service{Store: db.Tenants(), Now: time.Now, NewID: newID, Log: log},
		people: &account.Service{Store: db.Accounts(), Links: links, Now: time.Now, NewID: newID, Log: log,
			Ends: []account.Credentials{&session.Service{Store: db.Sessions()}, tokens}}}
}

// administrative is a command on the state.
type administrative struct {
	commandline.Page
	actions map[string]bool // true = it takes a name; the action "" is that of a command without actions
	// inner are actions that the program's own commands take, with a name, and nobody types.
	inner []string
	// reads are actions that change nothing.
	reads []string
	flags func(f *flag.FlagSet)
	run   func(ctx context.Context, a *administration, c call, out io.Writer) error
}

// changesNothing reports whether a call only reads.
func (c call) changesNothing() bool {
	return slices.Contains(administrativeCommands[c.Command].reads, c.Action) || c.Flags["dry-run"] == "true"
}

// administrativeCommands by their names.
var administrativeCommands = map[string]administrative{"user": userCommand, "sign-in": signInCommand,
	"tenant": tenantCommand, "token": tokenCommand}

// run does what a command says. The flags were checked by who wrote it.
func (a *administration) run(ctx context.Context, c call, out io.Writer) error {
	command, ok := administrativeCommands[c.Command]
	if !ok {
		return fmt.Errorf("this release of Tocsin has no command %q", c.Command)
	}
	if _, ok := command.actions[c.Action]; !ok && !slices.Contains(command.inner, c.Action) {
		return fmt.Errorf("this release of Tocsin has no command `tocsin %s %s`", c.Command, c.Action)
	}
	return command.run(ctx, a, c, out)
}

// administrate reads a command's arguments and runs it.
func administrate(name string, command administrative) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		c, state, err := command.parse(name, args)
		if err != nil {
			return err
		}
		return administer(ctx, state, c, os.Stdout)
	}
}

// parse reads the arguments of a command: an action, a name and flags.
func (command administrative) parse(name string, args []string) (c call, state string, err error) {
	c = call{Command: name, Flags: map[string]string{}}
	take := func() (word string) {
		if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			word, args = args[0], args[1:]
		}
		return word
	}
	if _, none := command.actions[""]; !none {
		c.Action = take()
	}
	f, parse := commandline.Flags(name)
	f.StringVar(&state, "state", commandline.DefaultState, "the state file")
	command.flags(f)
	command.Page.Of(f)
	named, known := command.actions[c.Action]
	if named {
		c.Name = take()
	}
	if err := parse(args); err != nil {
		return c, state, err
	}
	rest := f.Args()
	if named && c.Name == "" && len(rest) > 0 {
		c.Name = rest[0]
		if err := parse(rest[1:]); err != nil { // flags may stand on both sides of the name
			return c, state, err
		}
		rest = f.Args()
	}
	if !known || named && c.Name == "" || len(rest) > 0 {
		return c, state, errors.New(command.Usage)
	}
	f.Visit(func(fl *flag.Flag) {
		if fl.Name != "state" {
			c.Flags[fl.Name] = fl.Value.String()
		}
	})
	return c, state, nil
}
