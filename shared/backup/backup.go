// Package backup is the file that `tocsin backup` writes: a copy of the state, the key file and the publishers' file,
// as a compressed tar that is sealed with a passphrase in the format of age (age-encryption.org/v1). `age -d FILE | tar
// xz` opens it too, should this program be lost. What the file holds is listed in its first member, with its sums.
package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"tocsin/shared/atomicfile"
)

// Format is the number of the archive's form. A reader takes the numbers up to its own.
const Format = 1

// The members of an archive.
const (
	manifestName   = "manifest.json"
	StateName      = "tocsin.db"
	KeyName        = "tocsin.key"
	PublishersName = "publishers.json" // only where there are publishers
)

// workFactor is scrypt's, of which age writes 18: 2^17 blocks of 1 KiB, 128 MiB for a moment, so that a container with
// some 200 MiB to spare can do it. It bounds how fast somebody who has the file can guess.
var workFactor = 17 // tests take less

// ShortestPassphrase is in characters.
const ShortestPassphrase = 12

// Manifest says what an archive holds.
type Manifest struct {
	Format  int    `json:"format"`
	Release string `json:"release"` // that made it: "0.2.0, commit …"
	Layout  int    `json:"layout"`  // of the state file: its schema's number
	// At is when the copy was made: what was acknowledged before is in it.
	At     time.Time        `json:"at"`
	Counts map[string]int64 `json:"counts"`
	Files  []File           `json:"files"`
}

// File is one member.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Errors of Read.
var (
	ErrPassphrase = errors.New("the passphrase is not the one that the backup was sealed with")
	ErrNoBackup   = errors.New("this is no file that `tocsin backup` wrote")
	ErrDamaged    = errors.New("the backup is damaged or cut off: take another one")
	ErrNewer      = errors.New("the backup was made by a newer release")
)

// Contents are what goes into an archive: the path of a copy of the state, and what the files of keys hold.
type Contents struct {
	State           string
	Key, Publishers []byte // Publishers: nil = there is no such file
}

// member is one of Contents.
type member struct {
	File
	path    string
	content []byte // instead of path
}

func (m member) open() (io.ReadCloser, error) {
	if m.path == "" {
		return io.NopCloser(bytes.NewReader(m.content)), nil
	}
	return os.Open(m.path)
}

// members are listed with their sums, the small ones first.
func (c Contents) members() ([]member, error) {
	all := []member{{File: File{Name: KeyName}, content: c.Key}}
	if c.Publishers != nil {
		all = append(all, member{File: File{Name: PublishersName}, content: c.Publishers})
	}
	all = append(all, member{File: File{Name: StateName}, path: c.State})
	for i := range all {
		f, err := all[i].open()
		if err != nil {
			return nil, err
		}
		digest := sha256.New()
		all[i].Size, err = io.Copy(digest, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		all[i].SHA256 = hex.EncodeToString(digest.Sum(nil))
	}
	return all, nil
}

// Write makes an archive, and returns its manifest. The file appears under its name when it is whole, was read back and
// is on disk. Until then it is in the folder of c.State, which is on the same file system.
func Write(path string, m Manifest, c Contents, passphrase string) (Manifest, error) {
	members, err := c.members()
	if err != nil {
		return m, fmt.Errorf("read what the backup %s is to hold: %w", path, err)
	}
	m.Format, m.Files = Format, nil
	for _, one := range members {
		m.Files = append(m.Files, one.File)
	}
	f, err := os.CreateTemp(filepath.Dir(c.State), "sealed-*") // mode 0600
	if err != nil {
		return m, fmt.Errorf("write the backup: %w", err)
	}
	defer os.Remove(f.Name())
	if err = errors.Join(seal(f, m, members, passphrase), f.Sync(), f.Close()); err != nil {
		return m, fmt.Errorf("write the backup %s: %w", path, err)
	}
	if _, err := Read(f.Name(), passphrase, nil); err != nil {
		return m, fmt.Errorf("read the backup %s back: %w", path, err)
	}
	if err := atomicfile.Move(f.Name(), path); err != nil {
		return m, fmt.Errorf("write the backup: %w", err)
	}
	return m, nil
}

func seal(to io.Writer, m Manifest, members []member, passphrase string) error {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return err
	}
	recipient.SetWorkFactor(workFactor)
	sealed, err := age.Encrypt(to, recipient)
	if err != nil {
		return err
	}
	packed, err := gzip.NewWriterLevel(sealed, gzip.BestSpeed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(packed)
	list, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := header(archive, manifestName, int64(len(list)), m.At); err != nil {
		return err
	}
	if _, err := archive.Write(list); err != nil {
		return err
	}
	for _, one := range members {
		if err := add(archive, one, m.At); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), packed.Close(), sealed.Close())
}

func header(archive *tar.Writer, name string, size int64, at time.Time) error {
	return archive.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: at, Format: tar.FormatPAX})
}

func add(archive *tar.Writer, m member, at time.Time) error {
	f, err := m.open()
	if err != nil {
		return err
	}
	defer f.Close()
	if err := header(archive, m.Name, m.Size, at); err != nil {
		return err
	}
	if n, err := io.Copy(archive, f); err != nil || n != m.Size {
		return errors.Join(fmt.Errorf("%s changed while it was read", m.Name), err)
	}
	return nil
}

// Read opens an archive, hands the manifest to begin and then writes the members to the folder that it names; "" for
// none: then the sums are compared and nothing is written. begin may refuse; nil = it names none. Errors: those above,
// each with the file's name, and those of begin.
func Read(path, passphrase string, begin func(Manifest) (folder string, err error)) (m Manifest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return m, fmt.Errorf("read the backup: %w", err)
	}
	defer f.Close()
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return m, err
	}
	plain, err := age.Decrypt(f, identity)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return m, fmt.Errorf("%s: %w", path, ErrPassphrase)
	case err != nil && sealedByAge(f):
		return m, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	case err != nil:
		return m, fmt.Errorf("%s: %w", path, ErrNoBackup)
	}
	m, archive, err := open(plain)
	if err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	folder := ""
	if begin != nil {
		if folder, err = begin(m); err != nil {
			return m, err
		}
	}
	for _, file := range m.Files {
		if err := extract(archive, file, folder); err != nil {
			return m, fmt.Errorf("%s, %s: %w", path, file.Name, err)
		}
	}
	if _, err := archive.Next(); !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("%s: %w", path, errors.Join(ErrDamaged, err))
	}
	if _, err := io.Copy(io.Discard, plain); err != nil { // the seal covers the end too
		return m, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	return m, nil
}

// sealedByAge looks at a file's beginning.
func sealedByAge(f *os.File) bool {
	const begins = "age-encryption.org/"
	head := make([]byte, len(begins))
	_, err := f.ReadAt(head, 0)
	return err == nil && string(head) == begins
}

// open reads the manifest.
func open(plain io.Reader) (m Manifest, archive *tar.Reader, err error) {
	packed, err := gzip.NewReader(plain)
	if err != nil {
		return m, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	archive = tar.NewReader(packed)
	first, err := archive.Next()
	if err != nil {
		return m, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if first.Name != manifestName {
		return m, nil, fmt.Errorf("%w: it has no list of what it holds", ErrNoBackup)
	}
	if err := json.NewDecoder(io.LimitReader(archive, 1<<20)).Decode(&m); err != nil {
		return m, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if m.Format > Format {
		return m, nil, fmt.Errorf("%w, %s (form %d, this one knows %d): restore it with that release", ErrNewer,
			m.Release, m.Format, Format)
	}
	return m, archive, nil
}

// extract writes a member, or reads it only, and compares it with the list.
func extract(archive *tar.Reader, file File, folder string) error {
	switch file.Name { // a name from a file is no path until it is one of ours
	case StateName, KeyName, PublishersName:
	default:
		return fmt.Errorf("%w: it lists a file that no backup has", ErrNoBackup)
	}
	next, err := archive.Next()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if next.Name != file.Name {
		return fmt.Errorf("%w: %s is in its place", ErrDamaged, next.Name)
	}
	digest := sha256.New()
	var to io.Writer = digest
	var f *os.File
	if folder != "" {
		path := filepath.Join(folder, file.Name)
		if f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err != nil {
			return err
		}
		to = io.MultiWriter(digest, f)
	}
	n, err := io.Copy(to, archive)
	if f != nil {
		if e := errors.Join(f.Sync(), f.Close()); e != nil {
			return e // the disk's
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if n != file.Size || hex.EncodeToString(digest.Sum(nil)) != file.SHA256 {
		return fmt.Errorf("%w: it has another sum than the list says", ErrDamaged)
	}
	return nil
}
