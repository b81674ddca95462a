package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"tocsin/shared/engine/sqlite"
	"tocsin/shared/keyring"
	"tocsin/shared/publisher"
)

const (
	// quickLimit is the size up to which the state file is read page by page: some 10 s on a slow disk.
	quickLimit = 2 << 30 // bytes
	// leastFree is where a call of events may find no room; littleFree is where somebody should look.
	leastFree, littleFree = 64 << 20, 1 << 30 // bytes
	// slowSync is how long a sync may take until it is what bounds the events per second.
	slowSync = 50 * time.Millisecond
)

func (d *Doctor) state(context.Context) []Finding {
	const name = "state"
	info, err := os.Stat(d.State)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found(name, OK, "there is no state file "+d.State+" yet: the first start makes it", "")
	case err != nil:
		return found(name, Fault, err.Error(), "run this as the user that Tocsin runs as, and look at the rights of "+
			"the folders above it")
	case info.Size() == 0:
		return found(name, OK, "the state file "+d.State+" is empty: the next start fills it", "")
	}
	var all []Finding
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		all = append(all, Finding{name, Warning, fmt.Sprintf("the state file %s may be read by others (mode %04o): it "+
			"holds customers' events", d.State, info.Mode().Perm()), "chmod 600 " + d.State})
	}
	for _, path := range []string{d.State, d.State + "-wal", d.State + ".lock", d.Key} {
		if says := strangeOwner(path); says != "" {
			all = append(all, Finding{name, Fault, says, "chown it to the owner of its folder"})
		}
	}
	if err := sqlite.Writable(d.State); err != nil {
		all = append(all, Finding{name, Fault, err.Error(), "run this as the user that Tocsin runs as: if it says so " +
			"then too, chmod 600 the file, or chown it to that user"})
	}
	return append(all, d.contents(info.Size())...)
}

func (d *Doctor) contents(size int64) []Finding {
	const name = "state"
	s, err := sqlite.Look(d.State)
	if err != nil {
		return found(name, Fault, err.Error(), "restore it with `tocsin restore -replace`, or name another with -state")
	}
	defer s.Close()
	knows, err := sqlite.Layout()
	if err != nil {
		return found(name, Fault, err.Error(), "install this release again")
	}
	if err := s.Known(); err != nil {
		return found(name, Fault, err.Error(), "start that release, or restore a backup that this one made")
	}
	says := fmt.Sprintf("the state file %s opens (layout %d, %d MB)", d.State, s.Layout(), size>>20)
	if s.Layout() < knows {
		says += fmt.Sprintf("; the next start brings it to layout %d, and an older release can not open it then: take "+
			"a backup before", knows)
	}
	if size > quickLimit {
		return found(name, OK, says+"; it is too large to be read whole here", "")
	}
	if err := s.QuickCheck(); err != nil {
		return found(name, Fault, err.Error(), "stop Tocsin, and restore the last backup with `tocsin restore -replace`")
	}
	return found(name, OK, says+", and is whole", "")
}

func (d *Doctor) disk(context.Context) []Finding {
	const name = "disk"
	folder := filepath.Dir(d.State)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return found(name, OK, "the folder "+folder+" is made at the first start", "")
	}
	var all []Finding
	free, err := d.free(folder)
	switch says := fmt.Sprintf("%d MB are free in %s", free>>20, folder); {
	case err != nil:
		all = found(name, Skipped, "the free room in "+folder+" is not known: "+err.Error(), "")
	case free < leastFree:
		all = found(name, Fault, says+": events are refused when there is none", "make room, or move the state to a "+
			"larger disk")
	case free < littleFree:
		all = found(name, Warning, says, "make room: events wait on this disk while a system is out of order")
	default:
		all = found(name, OK, says, "")
	}
	took, err := d.sync(folder)
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return append(all, Finding{name, Fault, "nothing can be written to " + folder + ": " + err.Error(),
			"make room, or move the state to a larger disk"})
	case err != nil:
		return append(all, Finding{name, Fault, "nothing can be written to " + folder + ": " + err.Error(),
			"run this as the user that Tocsin runs as; look at the rights of the folder, and whether the disk is " +
				"mounted for reading alone"})
	case took > slowSync:
		return append(all, Finding{name, Warning, fmt.Sprintf("a sync to %s takes %s", folder,
			took.Round(time.Millisecond)), "events are acknowledged after a sync: move the state to a faster disk"})
	}
	return append(all, Finding{name, OK, fmt.Sprintf("a sync to %s takes %s", folder, took.Round(10*time.Microsecond)),
		""})
}

// syncTime writes a page to a new file and syncs it, some times, and returns the middle one.
func syncTime(folder string) (time.Duration, error) {
	f, err := os.CreateTemp(folder, ".doctor-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took [5]time.Duration
	page := make([]byte, 4096)
	for n := range took {
		begin := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took[n] = time.Since(begin)
	}
	return middle(took[:]), nil
}

func (d *Doctor) key(context.Context) []Finding {
	const name = "key"
	sealed, err := sealedSecrets(d.State)
	if err != nil {
		return found(name, Skipped, "the secrets of the state can not be looked at: see the state", "")
	}
	ring, err := keyring.Read(d.Key)
	missing := errors.Is(err, fs.ErrNotExist)
	if missing && len(sealed) == 0 {
		return found(name, OK, "there is no key file "+d.Key+" yet: the first start makes it", "")
	}
	if missing {
		return found(name, Fault, fmt.Sprintf("the key file %s is missing, and %d secrets were sealed with it", d.Key,
			len(sealed)), "put it back from the backup (`tocsin restore`), or name it with -key; if it is lost for "+
			"good, run `tocsin keys forget`")
	}
	if err != nil {
		return found(name, Fault, err.Error(), "chmod 600 it if others may read it, else restore it from the backup")
	}
	keys, err := publisher.At(publisher.Beside(d.Key), ring, d.now).List()
	if err != nil {
		return found(name, Fault, err.Error(), "restore it with `tocsin restore`, or move it away and make new keys with "+
			"`tocsin publisher-key add`")
	}
	for _, k := range keys {
		sealed = append(sealed, k.Sealed)
	}
	strange, older := 0, 0
	for _, value := range sealed {
		if !ring.Knows(value) {
			strange++
		} else if !ring.Current(value) {
			older++
		}
	}
	switch {
	case strange > 0:
		return found(name, Fault, fmt.Sprintf("the key file %s is not the one: %d of %d secrets were sealed with "+
			"another", d.Key, strange, len(sealed)), "put the right one back from the backup, or name it with -key; "+
			"if it is lost for good, run `tocsin keys forget`")
	case older > 0 || ring.Rotating():
		return found(name, Warning, fmt.Sprintf("a rotation of the keys is unfinished: %d of %d secrets are sealed "+
			"with an older key", older, len(sealed)), "stop Tocsin and run `tocsin keys rotate`")
	}
	if len(sealed) == 0 {
		return found(name, OK, fmt.Sprintf("the key file %s can be used; there is no secret yet", d.Key), "")
	}
	return found(name, OK, fmt.Sprintf("the key file %s opens all %d secrets", d.Key, len(sealed)), "")
}

func sealedSecrets(state string) (all [][]byte, err error) {
	info, err := os.Stat(state)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil, nil
	}
	s, err := sqlite.Look(state)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	err = s.Sealed(func(_, _ string, sealed []byte) error {
		all = append(all, sealed)
		return nil
	})
	return all, err
}
