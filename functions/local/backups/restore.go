package backups

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/shared/atomicfile"
	"tocsin/shared/backup"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/publisher"
)

const restoreUsage = "usage: tocsin restore FILE   [-state var/tocsin.db] [-key var/tocsin.key] " +
	"[-passphrase-file FILE] [-replace]   (stop Tocsin first)"

// Restore is the command.
func Restore(ctx context.Context, args []string) error {
	o, err := parse("restore", "move what is there aside", args)
	if err != nil {
		return err
	}
	return o.restore(ctx, time.Now())
}

// restore puts the files of a backup where the program looks for them. The state comes last: until it is there nothing
// was restored, and the command can be run again.
func (o order) restore(ctx context.Context, now time.Time) (err error) {
	absent := missing(filepath.Dir(o.state))
	release, err := sqlite.Hold(o.state)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, release()); err != nil && len(absent) > 0 {
			err = errors.Join(err, o.takeBack(absent))
		}
	}()
	if err := o.room(); err != nil {
		return err
	}
	passphrase, err := o.asked.passphrase(ctx, false)
	if err != nil {
		return err
	}
	folder, remove, err := workFolder(filepath.Dir(o.state), ".restore-")
	if err != nil {
		return fmt.Errorf("restore into %s: %w", filepath.Dir(o.state), err)
	}
	defer func() { err = errors.Join(err, remove()) }()
	var m backup.Manifest
	if err := commandline.Long(ctx, "reading "+o.file, nil, func() (err error) {
		m, err = backup.Read(o.file, passphrase, func(m backup.Manifest) (string, error) { return folder, suits(m) })
		return err
	}); err != nil {
		return err
	}
	contents, err := read(folder)
	if err != nil {
		return err
	}
	if err := examine(ctx, contents, &m); err != nil {
		return fmt.Errorf("%s: %w", o.file, err)
	}
	aside, err := o.clear(folder, now)
	if err != nil {
		return err
	}
	if err := o.put(folder); err != nil {
		return err
	}
	for _, path := range aside {
		fmt.Fprintln(o.out, "What was there is kept as", path)
	}
	fmt.Fprintf(o.out, "%s is as it was at %s: %s (layout %d, made by %s).\n"+
		"Start Tocsin. What was waiting then is sent; what went out since is sent again, with the same delivery id "+
		"(webhook-id).\nEvents that were published since are gone, unless their publishers send them again. Sessions, "+
		"tokens and people that were ended since are as they were: end them again.\n", o.state,
		m.At.Format(time.RFC3339), counts(m.Counts), m.Layout, m.Release)
	return nil
}

// missing are the folders of a path that are not there, the innermost first.
func missing(folder string) (all []string) {
	for ; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
			return all
		}
		all = append(all, folder)
	}
}

// takeBack removes what a restore that was refused made to have the state: folders that were not there before. One that
// holds something by now stays.
func (o order) takeBack(folders []string) error {
	if _, err := os.Stat(o.state); err == nil {
		return nil
	}
	err := os.Remove(o.state + ".lock")
	for _, folder := range folders {
		if there, _ := os.ReadDir(folder); len(there) > 0 { // what can not be read is not removed either
			break
		}
		err = errors.Join(err, os.Remove(folder))
	}
	return err
}

// read reads what was extracted.
func read(folder string) (c backup.Contents, err error) {
	c.State = filepath.Join(folder, backup.StateName)
	if c.Key, err = os.ReadFile(filepath.Join(folder, backup.KeyName)); err != nil {
		return c, err
	}
	c.Publishers, err = os.ReadFile(filepath.Join(folder, backup.PublishersName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return c, err
}

// suits refuses what this release can not read.
func suits(m backup.Manifest) error {
	knows, err := sqlite.Layout()
	if err != nil {
		return err
	}
	if m.Layout > knows {
		return fmt.Errorf("%w, %s (layout %d, this one knows %d): restore it with that release or a later one",
			backup.ErrNewer, m.Release, m.Layout, knows)
	}
	return nil
}

type place struct{ member, path string }

// places are where the members of a backup go, in the order in which they are put there.
func (o order) places() []place {
	return []place{{backup.KeyName, o.key}, {backup.PublishersName, publisher.Beside(o.key)},
		{backup.StateName, o.state}}
}

// room refuses where something would be lost.
func (o order) room() error {
	if o.replace {
		return nil
	}
	info, err := os.Stat(o.state)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0:
		return nil
	case err != nil:
		return fmt.Errorf("look at the state file: %w", err)
	}
	return fmt.Errorf("there is a state file %s already, and nothing was changed: name another with -state and -key, "+
		"or say -replace, which moves it aside", o.state)
}

// clear moves aside what stands where the backup goes, and is not the same.
func (o order) clear(folder string, now time.Time) (aside []string, err error) {
	mark, places := ".before-restore-"+now.UTC().Format("20060102T150405Z"), o.places()
	for _, p := range []string{places[2].path, o.state + "-wal", o.state + "-shm", places[1].path, places[0].path} {
		info, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return aside, fmt.Errorf("look at what is there: %w", err)
		}
		if o.isEmpty(p, info) || o.isTheSame(folder, p) {
			continue
		}
		if !o.replace {
			return aside, fmt.Errorf("there is a %s already that is not the backup's, and nothing was changed: move "+
				"it away, or say -replace, which keeps it aside", p)
		}
		if err := os.Rename(p, p+mark); err != nil {
			return aside, fmt.Errorf("move %s aside: %w", p, err)
		}
		aside = append(aside, p+mark)
	}
	return aside, nil
}

func (o order) isEmpty(path string, info fs.FileInfo) bool {
	return path == o.state && info.Size() == 0
}

// isTheSame is so of a key file and a publishers' file that an interrupted restore left.
func (o order) isTheSame(folder, path string) bool {
	for _, p := range o.places()[:2] {
		if p.path != path {
			continue
		}
		there, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		comes, err := os.ReadFile(filepath.Join(folder, p.member))
		return err == nil && bytes.Equal(there, comes)
	}
	return false
}

// put moves the files to their places.
func (o order) put(folder string) error {
	if err := os.MkdirAll(filepath.Dir(o.key), 0o700); err != nil {
		return fmt.Errorf("make the folder of the key file: %w", err)
	}
	for _, p := range o.places() {
		from := filepath.Join(folder, p.member)
		if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
			continue // there were no publishers
		}
		if p.member == backup.StateName {
			if err := atomicfile.Move(from, p.path); err != nil {
				return fmt.Errorf("restore %s: %w", p.path, err)
			}
			continue
		}
		raw, err := os.ReadFile(from) // their folder may be on another file system
		if err == nil {
			err = atomicfile.Write(p.path, raw)
		}
		if err != nil {
			return fmt.Errorf("restore %s: %w", p.path, err)
		}
	}
	return nil
}
