// Package tenants is `tocsin tenant export`. As a backup, an export is made beside the running program or of a stopped
// one, by this process alone, which only reads the state file.
package tenants

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/shared/atomicfile"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/erasure"
)

// ExportUsage says how the command is written.
const ExportUsage = "tocsin tenant export TENANT -to FILE.zip"

// Export writes all that is kept of a tenant to a ZIP archive: a file for each table, each row a line of JSON.
func Export(ctx context.Context, args []string) error {
	f, parse := commandline.Flags("tenant export")
	state := f.String("state", commandline.DefaultState, "the state file")
	to := f.String("to", "", "the archive, which must not be there yet")
	f.Usage = func() { fmt.Fprintln(f.Output(), "usage: "+ExportUsage); f.PrintDefaults() }
	tenant := ""
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		tenant, args = args[0], args[1:]
	}
	if err := parse(args); err != nil {
		return err
	}
	if tenant == "" || *to == "" || f.NArg() > 0 {
		return errors.New("usage: " + ExportUsage)
	}
	return export(ctx, *state, tenant, *to)
}

func export(ctx context.Context, state, tenant, to string) (err error) {
	snapshot, err := sqlite.Look(state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // it is for nobody else
	if err != nil {
		return fmt.Errorf("make the archive: %w", err)
	}
	rows, err := erasure.Export(ctx, snapshot.Tenants(), tenant, time.Now(), f)
	if err == nil {
		err = f.Sync()
	}
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
