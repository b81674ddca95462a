// Package tenants is `tocsin tenant export`, and what commands of tenants do over the API. As a backup, an export is
// made beside the running program or of a stopped one, by this process alone, which only reads the state file; or over
// the API of any installation.
package tenants

import (
	"context"
	"errors"
	"flag"
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

// order is what an export is told.
type order struct {
	tenant, to, state string
	person            string
	names             erasure.Person // nil = nobody in particular
	over              *remote.Session
}

// ordered reads the arguments.
func ordered(args []string) (o order, err error) {
	s := remote.New()
	f, parse := flags("tenant export", s)
	f.StringVar(&o.state, "state", commandline.DefaultState, "the state file, where -url names no installation")
	f.StringVar(&o.to, "to", "", "the archive, which must not be there yet")
	f.StringVar(&o.person, "person", "", "the address of a person: the rows alone that name this person")
	commandline.Page{Summary: "write all that is kept of a tenant, or of a person of one, to an archive",
		Usage: "usage: " + ExportUsage, Examples: []string{"tocsin tenant export 42 -to 42.zip",
			"tocsin tenant export 42 -person ada@example.com -to ada.zip"}}.Of(f)
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		o.tenant, args = args[0], args[1:]
	}
	if OverTheAPI(args) {
		o.over = s
	}
	if err := parse(args); err != nil {
		return o, err
	}
	if o.tenant == "" || o.to == "" || f.NArg() > 0 {
		return o, errors.New("usage: " + ExportUsage)
	}
	f.Visit(func(fl *flag.Flag) {
		if fl.Name == "person" { // an empty one too, as a variable of a shell can be, is not everybody
			o.names = profile.Names(o.person)
		}
	})
	if _, err := o.names.Of(nil); err != nil {
		return o, fmt.Errorf("export a person of tenant %s: %w", o.tenant, err)
	}
	return o, nil
}

// Export writes all that is kept of a tenant to a ZIP archive: a file for each table, each row a line of JSON. note
// notes in the activity log that somebody exports it; the API does so by itself.
func Export(ctx context.Context, args []string, note func(ctx context.Context, state, tenant string,
	person erasure.Person) error) error {
	o, err := ordered(args)
	if err != nil {
		return err
	}
	if o.over != nil {
		c, err := o.over.API()
		if err != nil {
			return err
		}
		return o.archive(ctx, func(w io.Writer) (erasure.Counts, error) {
			return erasure.Archive(ctx, source{c, o.person}, o.tenant, o.person, time.Now(), w)
		})
	}
	return o.archive(ctx, func(w io.Writer) (erasure.Counts, error) {
		if err := o.known(ctx); err != nil {
			return nil, err
		}
		if err := note(ctx, o.state, o.tenant, o.names); err != nil {
			return nil, err
		}
		return o.read(ctx, w)
	})
}

// read exports the state as it is now.
func (o order) read(ctx context.Context, w io.Writer) (rows erasure.Counts, err error) {
	snapshot, err := sqlite.Look(o.state)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	source, err := o.names.Of(snapshot.Tenants())
	if err != nil {
		return nil, err
	}
	return erasure.Archive(ctx, source, o.tenant, o.person, time.Now(), w)
}

// known refuses a state of another release, which can have tables that this one does not read, and a tenant of whom
// nothing is kept, who would get an entry of the activity log otherwise.
func (o order) known(ctx context.Context) (err error) {
	snapshot, err := sqlite.Look(o.state)
	if err != nil {
		return commandline.Unreached("state", err)
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	if err := snapshot.Known(); err != nil {
		return fmt.Errorf("%w: export with that release", err)
	}
	if err := snapshot.Current(); err != nil {
		return fmt.Errorf("%w: an export does not change the layout, after which that release can not open the file "+
			"any more: export with that release, or start Tocsin first", err)
	}
	kept, err := erasure.Kept(ctx, snapshot.Tenants(), o.tenant)
	if err == nil && !kept {
		err = o.nothing()
	}
	return err
}

// nothing: there is no archive without a row.
func (o order) nothing() error {
	return fmt.Errorf("nothing is kept of %s: no archive was made", erasure.Whose(o.tenant, o.person))
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
func (o order) archive(ctx context.Context, write func(io.Writer) (erasure.Counts, error)) error {
	to := o.to
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // it is for nobody else
	if err != nil {
		return fmt.Errorf("make the archive: %w", err)
	}
	var rows erasure.Counts
	err = commandline.Long(ctx, "writing "+to, sizeOf(to), func() (err error) {
		if rows, err = write(f); err != nil {
			return err
		}
		if rows.Total() == 0 {
			return o.nothing()
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
	fmt.Printf("%s has %d rows of %d tables that are kept of %s.\n", to, rows.Total(), len(rows),
		erasure.Whose(o.tenant, o.person))
	return nil
}
