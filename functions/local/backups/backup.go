// Package backups is `tocsin backup` and `tocsin restore`. A backup is made beside the running program or of a stopped
// one, by this process alone: it reads the state file as SQLite lets any process read it, and writes nothing there. So
// the copy can go to another disk, to which the program itself may not write, and a program that starts, stops or is
// killed meanwhile does not change it.
package backups

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/shared/backup"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/keyring"
	"tocsin/shared/publisher"
	"tocsin/shared/version"
)

const backupUsage = "usage: tocsin backup FILE   [-state var/tocsin.db] [-key var/tocsin.key] " +
	"[-passphrase-file FILE] [-replace]\n       tocsin backup FOLDER -keep N   [...]"

// pages are the help of both commands.
var pages = map[string]commandline.Page{
	"backup": {Summary: "copy the state with its keys into a sealed file, of a program that runs or not",
		Usage: backupUsage,
		Examples: []string{"tocsin backup tocsin.backup", "sudo tocsin backup /var/lib/tocsin-backup -keep 7 " +
			"-passphrase-file FILE -state /var/lib/tocsin/tocsin.db -key /var/lib/tocsin/tocsin.key"}},
	"restore": {Summary: "put back what a backup has, of a stopped program", Usage: restoreUsage,
		Examples: []string{"tocsin restore tocsin.backup", "tocsin restore tocsin.backup -replace"}},
}

// order is what both commands are told.
type order struct {
	file, state, key string
	replace          bool
	keep             int             // backups of a folder; 0: file is a file
	said             map[string]bool // the flags that are there
	asked            asked
	out              io.Writer
}

// parse reads flags, which may stand on both sides of the file's name.
func parse(command, replace string, args []string, more ...func(*flag.FlagSet, *order)) (o order, err error) {
	o = order{asked: asked{getenv: os.Getenv, prompt: terminal()}, out: os.Stdout}
	f, parse := commandline.Flags(command)
	f.StringVar(&o.state, "state", commandline.DefaultState, "the state file")
	f.StringVar(&o.key, "key", commandline.DefaultKey, "the key file; the publishers' file is beside it")
	f.StringVar(&o.asked.file, "passphrase-file", "", "a file with the passphrase; without one "+passphraseVariable+
		" has it, or it is asked for")
	f.BoolVar(&o.replace, "replace", false, replace)
	for _, add := range more {
		add(f, &o)
	}
	pages[command].Of(f)
	if err := parse(args); err != nil {
		return o, err
	}
	rest := f.Args()
	if len(rest) > 0 {
		o.file = rest[0]
		if err := parse(rest[1:]); err != nil {
			return o, err
		}
		rest = f.Args()
	}
	if o.file == "" || len(rest) > 0 {
		return o, errors.New(pages[command].Usage)
	}
	o.said = map[string]bool{}
	f.Visit(func(fl *flag.Flag) { o.said[fl.Name] = true })
	return o, nil
}

// Backup is the command.
func Backup(ctx context.Context, args []string) error {
	o, err := parse("backup", "replace FILE when it is there", args, func(f *flag.FlagSet, o *order) {
		f.IntVar(&o.keep, "keep", 0, "how many backups of a folder are kept; older ones that can be opened are removed")
	})
	if err != nil {
		return err
	}
	if o.said["keep"] && o.keep < 1 {
		return fmt.Errorf("-keep %d: say how many backups are kept", o.keep)
	}
	return o.backup(ctx)
}

func (o order) backup(ctx context.Context) (err error) {
	folder := o.file
	if o.keep > 0 {
		release, err := holdFolder(folder)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, release()) }()
		o.file = unused(folder, time.Now())
	}
	switch info, err := os.Lstat(o.file); {
	case err == nil && !info.IsDir() && !info.Mode().IsRegular():
		return fmt.Errorf("%s is there, and is no file that a backup could replace: name another", o.file)
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a folder: say with -keep how many backups are kept in it, or name a file", o.file)
	case err == nil && !o.replace:
		return fmt.Errorf("%s is there already: name another file, or say -replace", o.file)
	}
	passphrase, err := o.asked.passphrase(ctx, true)
	if err != nil {
		return err
	}
	m, err := o.write(ctx, passphrase)
	if err != nil {
		return err
	}
	info, err := os.Stat(o.file)
	if err != nil {
		return fmt.Errorf("look at the backup: %w", err)
	}
	fmt.Fprintf(o.out, "%s has all that was acknowledged before %s: %s (layout %d, %d bytes). It was read back and "+
		"checked.\nWithout its passphrase nobody can open it, you neither: keep that apart from it.\n", o.file,
		m.At.Format(time.RFC3339), counts(m.Counts), m.Layout, info.Size())
	if o.keep == 0 {
		return nil
	}
	return o.rotate(ctx, folder, passphrase)
}

// write makes the file, in a folder beside it.
func (o order) write(ctx context.Context, passphrase string) (m backup.Manifest, err error) {
	folder, remove, err := workFolder(filepath.Dir(o.file), ".backup-")
	if err != nil {
		return m, fmt.Errorf("write the backup %s: %w", o.file, err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	m.Release = version.Read().String()
	contents, err := o.copy(ctx, filepath.Join(folder, backup.StateName), &m)
	if err != nil {
		return m, err
	}
	if err := examine(ctx, contents, &m); err != nil {
		return m, err
	}
	err = commandline.Long(ctx, "writing "+o.file+", and reading it back", nil, func() (err error) {
		m, err = backup.Write(o.file, m, contents, passphrase)
		return err
	})
	return m, err
}

// copy makes a copy of the state, and reads the files of keys. They are read behind it, so that the key file has every
// key that anything in the copy can be sealed with. They are not copied in the plain.
func (o order) copy(ctx context.Context, to string, m *backup.Manifest) (c backup.Contents, err error) {
	m.At = time.Now().UTC().Truncate(time.Second)
	s, err := sqlite.Look(o.state)
	if err != nil {
		return c, commandline.Unreached("state", err)
	}
	if err := s.Known(); err != nil { // secrets of a newer layout can lie where this release does not look
		return c, errors.Join(fmt.Errorf("%w: make the backup with that release", err), s.Close())
	}
	c.State = to
	err = commandline.Long(ctx, "copying "+o.state, nil, func() error { return s.CopyTo(ctx, to) })
	if err = errors.Join(err, s.Close()); err != nil {
		return c, err
	}
	if c.Key, err = os.ReadFile(o.key); err != nil {
		return c, commandline.Unreached("key", fmt.Errorf("read the key file: %w", err))
	}
	if c.Publishers, err = os.ReadFile(publisher.Beside(o.key)); errors.Is(err, fs.ErrNotExist) {
		c.Publishers, err = nil, nil
	}
	if err != nil {
		return c, fmt.Errorf("read the file of publisher keys: %w", err)
	}
	return c, nil
}

// examine looks at what a backup holds: that the state is whole, and that the key opens what is sealed.
func examine(ctx context.Context, c backup.Contents, m *backup.Manifest) (err error) {
	s, err := sqlite.Look(c.State)
	if err != nil {
		return fmt.Errorf("open the copy: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := commandline.Long(ctx, "checking the copy of the state", nil, s.Check); err != nil {
		return err
	}
	ring, err := keyring.Parse(c.Key)
	if err != nil {
		return fmt.Errorf("the key file %w", err)
	}
	all, strange := 0, 0
	look := func(sealed []byte) {
		if all++; !ring.Knows(sealed) {
			strange++
		}
	}
	if err := s.Sealed(func(_, _ string, sealed []byte) error {
		look(sealed)
		return nil
	}); err != nil {
		return err
	}
	if c.Publishers != nil {
		publishers, err := publisher.Parse(c.Publishers)
		if err != nil {
			return fmt.Errorf("the file of publisher keys: %w", err)
		}
		for _, k := range publishers {
			look(k.Sealed)
		}
	}
	if strange > 0 {
		return fmt.Errorf("%d of %d secrets were sealed with another key than those of the key file: a backup without "+
			"that key is none; name the right key file with -key, or run `tocsin keys forget` first", strange, all)
	}
	m.Layout = s.Layout()
	if m.Counts, err = s.Counts(); err != nil {
		return err
	}
	return ctx.Err() // what checks the copy does not ask
}

// counts are those of a manifest, for a person.
func counts(of map[string]int64) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		out = append(out, fmt.Sprintf("%d %s", of[name], name))
	}
	return strings.Join(out, ", ")
}
