// Package tenants is `tocsin tenant export`, and what commands of tenants do over the API. As a backup, an export is
// made beside the running program or of a stopped one, by this process alone, which only reads the state file; or over
// the API of any installation.
package tenants

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/remote"
	"tocsin/shared/atomicfile"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/erasure"
	"tocsin/shared/profile"
)

// ExportUsage says how the command is written.
const ExportUsage = "tocsin tenant export TENANT -to FILE.zip [-person ADDRESS] [-url CONSOLE]"

// Export writes all that is kept of a tenant to a ZIP archive: a file for each table, each row a line of JSON. note
// notes in the activity log that somebody exports it; the API does so by itself.
func Export(ctx context.Context, args []string, note func(ctx context.Context, state, tenant,
	person string) error) error {
	s := remote.New()
	f, parse := flags("tenant export", s)
	state := f.String("state", commandline.DefaultState, "the state file, where -url names no installation")
	to := f.String("to", "", "the archive, which must not be there yet")
	person := f.String("person", "", "the address of a person: the rows alone that name this person")
	f.Usage = func() { fmt.Fprintln(f.Output(), "usage: "+ExportUsage); f.PrintDefaults() }
	tenant := ""
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		tenant, args = args[0], args[1:]
	}
	over := OverTheAPI(args)
	if err := parse(args); err != nil {
		return err
	}
	if tenant == "" || *to == "" || f.NArg() > 0 {
		return errors.New("usage: " + ExportUsage)
	}
	if over {
		c, err := s.API()
		if err != nil {
			return err
		}
		return archive(tenant, *to, func(w io.Writer) (erasure.Counts, error) {
			return erasure.Archive(ctx, source{c, *person}, tenant, time.Now(), w)
		})
	}
	return archive(tenant, *to, func(w io.Writer) (rows erasure.Counts, err error) {
		if err := known(*state); err != nil {
			return nil, err
		}
		if err := note(ctx, *state, tenant, *person); err != nil {
			return nil, err
		}
		snapshot, err := sqlite.Look(*state)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, snapshot.Close()) }()
		return erasure.Archive(ctx, Person(*person).Of(snapshot.Tenants()), tenant, time.Now(), w)
	})
}

// known refuses a state of a newer release, which can have tables that this one does not read.
func known(state string) error {
	snapshot, err := sqlite.Look(state)
	if err != nil {
		return commandline.Unreached("state", err)
	}
	if err = snapshot.Known(); err != nil {
		err = fmt.Errorf("%w: export with that release", err)
	}
	return errors.Join(err, snapshot.Close())
}

// Person are the texts that name a person; none for "".
func Person(address string) erasure.Person {
	if address == "" {
		return nil
	}
	return profile.Names(address)
}

// sizeOf says how large a file is by now.
func sizeOf(path string) func() string {
	return func() string {
		info, err := os.Stat(path)
		if err != nil {
			return "its size is not known"
		}
		return fmt.Sprintf("%.1f MB", float64(info.Size())/1e6)
	}
}

// archive makes the file. What fails leaves none.
func archive(tenant, to string, write func(io.Writer) (erasure.Counts, error)) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // it is for nobody else
	if err != nil {
		return fmt.Errorf("make the archive: %w", err)
	}
	var rows erasure.Counts
	err = commandline.Long("writing "+to, sizeOf(to), func() (err error) {
		if rows, err = write(f); err != nil {
			return err
		}
		return f.Sync()
	})
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	if err := atomicfile.Inherit(to); err != nil {
		return err
	}
	atomicfile.SyncFolder(filepath.Dir(to))
	fmt.Printf("%s has %d rows of %d tables that are kept of tenant %s.\n", to, rows.Total(), len(rows), tenant)
	return nil
}
