package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"tocsin/functions/local/backups"
	"tocsin/functions/local/commandline"
	"tocsin/functions/local/doctor"
	"tocsin/functions/local/keys"
	"tocsin/functions/local/publishers"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/version"
)

// commands are what the program does instead of running, by its first argument.
var commands = map[string]func(ctx context.Context, args []string) error{
	"publisher-key": publishers.Command,
	"keys":          keys.Command,
	"user":          administrate("user", userCommand),
	"sign-in":       administrate("sign-in", signInCommand),
	"token":         administrate("token", tokenCommand),
	"tenant":        administrate("tenant", tenantCommand),
	"export":        configuringCommand(exportCommand),
	"diff":          configuringCommand(diffCommand),
	"apply":         configuringCommand(applyCommand),
	"compact":       compact,
	"doctor":        examine,
	"backup":        backups.Backup,
	"restore":       backups.Restore,
	"ready":         doctor.Ready,
	"version":       tellVersion,
	"-version":      tellVersion,
	"--version":     tellVersion,
}

// tellVersion says which release this is.
func tellVersion(context.Context, []string) error {
	_, err := fmt.Println("tocsin " + version.Read().String())
	return err
}

// compact rewrites the state file of a stopped program without its free pages.
func compact(ctx context.Context, args []string) error {
	f, parse := commandline.Flags("compact")
	state := f.String("state", commandline.DefaultState, "the state file")
	if err := parse(args); err != nil {
		return err
	}
	before, err := os.Stat(*state)
	if err != nil {
		return fmt.Errorf("look at the state file: %w", err)
	}
	db, err := sqlite.Open(ctx, *state, sqlite.Options{})
	if err != nil {
		return err
	}
	if err := errors.Join(db.Compact(ctx), db.Close()); err != nil {
		return err
	}
	after, err := os.Stat(*state)
	if err != nil {
		return fmt.Errorf("look at the state file: %w", err)
	}
	fmt.Printf("%s had %d bytes and has %d.\n", *state, before.Size(), after.Size())
	return nil
}
