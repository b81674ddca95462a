package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tocsin/functions/local/backups"
	"tocsin/functions/local/commandline"
	"tocsin/functions/local/completion"
	"tocsin/functions/local/configurations"
	"tocsin/functions/local/deliveries"
	"tocsin/functions/local/doctor"
	"tocsin/functions/local/events"
	"tocsin/functions/local/integrations"
	"tocsin/functions/local/keys"
	"tocsin/functions/local/listening"
	"tocsin/functions/local/publishers"
	"tocsin/functions/local/tenants"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/erasure"
	"tocsin/shared/version"
)

// groups are the commands over the API, which say of themselves what help and completion need.
func groups() []commandline.Group {
	return []commandline.Group{events.Group(), deliveries.Group(), integrations.Group(), listening.Group(),
		completion.Group()}
}

// commands are what the program does instead of running, by its first argument.
var commands = map[string]func(ctx context.Context, args []string) error{
	completion.Ask:  complete,
	"publisher-key": publishers.Command,
	"keys":          keys.Command,
	"user":          administrate("user", userCommand),
	"sign-in":       administrate("sign-in", signInCommand),
	"token":         administrate("token", tokenCommand),
	"tenant":        ofTenants,
	"export":        configurations.Command(configurations.Export),
	"diff":          configurations.Command(configurations.Diff),
	"apply":         configurations.Command(configurations.Apply),
	"compact":       compact,
	"doctor":        examine,
	"backup":        backups.Backup,
	"restore":       backups.Restore,
	"ready":         doctor.Ready,
	"version":       tellVersion,
	"-version":      tellVersion,
	"--version":     tellVersion,
}

// ofTenants is the command of tenants. An export reads the state beside whoever has it; with -url a command asks the
// API of an installation.
func ofTenants(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0:
	case args[0] == "export":
		return tenants.Export(ctx, args[1:], noteExport)
	case args[0] == "erase" && tenants.OverTheAPI(args):
		return tenants.Erase(ctx, args[1:])
	case args[0] == "erasure":
		return tenants.Erasure(ctx, args[1:])
	}
	return administrate("tenant", tenantCommand)(ctx, args)
}

// noteExport has who has the state note an export.
func noteExport(ctx context.Context, state, tenant string, person erasure.Person) error {
	c := call{Command: "tenant", Action: exportAction, Name: tenant, Flags: map[string]string{}}
	if len(person) > 0 {
		c.Flags["person"] = person[0]
	}
	return administer(ctx, state, c, io.Discard)
}

// named is what the first argument names.
func named(name string) (run func(ctx context.Context, args []string) error, ok bool) {
	for _, g := range groups() {
		if g.Name == name {
			return g.Run, true
		}
	}
	if name == "help" {
		return help, true
	}
	run, ok = commands[name]
	return run, ok
}

// others are the commands without a group, by their names, with what they do.
var others = map[string]string{"export": "write the configuration as a file", "diff": "show what apply would change",
	"apply": "make the configuration as a file says", "user": "say who may sign in", "sign-in": "make a sign-in link",
	"token": "make, list and revoke API tokens", "tenant": "link, export and erase tenants",
	"publisher-key": "keep the key pairs of publishers", "keys": "make a new key, or give up a lost one",
	"backup": "back the state and its keys up", "restore": "put a backup back",
	"compact": "rewrite the state file without free pages", "doctor": "look for what is wrong on this machine",
	"ready": "ask whether Tocsin is ready", "version": "tell the release", "help": "list the commands"}

// complete answers a shell.
func complete(_ context.Context, words []string) error {
	completion.Tree{Groups: groups(), Others: others, Help: completion.OwnHelp}.Complete(os.Stdout, words)
	return nil
}

// help says what the commands are, or what one is.
func help(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "help" {
		return listCommands(os.Stdout)
	}
	for _, g := range groups() {
		if g.Name == args[0] {
			return g.Run(ctx, append(args[1:], "-help"))
		}
	}
	if _, ok := others[args[0]]; ok {
		return commands[args[0]](ctx, append(args[1:], "-help"))
	}
	return fmt.Errorf("there is no command %q: `tocsin help` lists them", args[0])
}

func listCommands(to io.Writer) error {
	out := new(strings.Builder)
	fmt.Fprintln(out, "tocsin [flags] starts Tocsin on this machine; `tocsin -help` has its flags.")
	fmt.Fprintln(out, "\nOver the API of any installation, with a token (`tocsin help COMMAND`):")
	for _, g := range groups() {
		fmt.Fprintf(out, "  %-14s %s\n", g.Name, g.Summary)
	}
	fmt.Fprintln(out, "  export, diff, apply: configuration as code")
	fmt.Fprintln(out, "\nOn the machine of an installation (`tocsin help COMMAND`):")
	fmt.Fprintln(out, "  user, sign-in, token, tenant, publisher-key, keys: who may do what")
	fmt.Fprintln(out, "  backup, restore, compact, doctor, ready, version: how it is kept")
	_, err := io.WriteString(to, out.String())
	return err
}

// tellVersion says which release this is.
func tellVersion(_ context.Context, args []string) error {
	f, parse := commandline.Flags("version")
	commandline.Page{Summary: "tell the release and the commit of this program", Usage: "usage: tocsin version",
		Examples: []string{"tocsin version"}}.Of(f)
	if err := parse(args); err != nil {
		return err
	}
	if len(args) > 0 {
		return commandline.Unexpected(args[0])
	}
	_, err := fmt.Println("tocsin " + version.Read().String())
	return err
}

// compact rewrites the state file of a stopped program without its free pages.
func compact(ctx context.Context, args []string) error {
	f, parse := commandline.Flags("compact")
	state := f.String("state", commandline.DefaultState, "the state file")
	commandline.Page{Summary: "rewrite the state file of a stopped program without its free pages",
		Usage: "usage: tocsin compact [-state " + commandline.DefaultState + "]   (stop Tocsin first)",
		Help: "What is removed leaves free pages, which are used again: the file grows to what was needed at most.\n" +
			"Rewriting takes as much room on the disk again as what is kept, twice, until it is done.",
		Examples: []string{"tocsin compact", "sudo tocsin compact -state /var/lib/tocsin/tocsin.db"}}.Of(f)
	if err := parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return commandline.Unexpected(f.Arg(0))
	}
	before, err := os.Stat(*state)
	if err != nil {
		return commandline.Unreached("state", fmt.Errorf("look at the state file: %w", err))
	}
	db, err := sqlite.Open(ctx, *state, sqlite.Options{Log: commandline.Log()})
	if err != nil {
		return err
	}
	rewrite := func() error { return db.Compact(ctx) }
	if err := errors.Join(commandline.Long(ctx, "rewriting "+*state, nil, rewrite), db.Close()); err != nil {
		return err
	}
	after, err := os.Stat(*state)
	if err != nil {
		return fmt.Errorf("look at the state file: %w", err)
	}
	fmt.Printf("%s had %d bytes and has %d.\n", *state, before.Size(), after.Size())
	return nil
}
