// Package publisher keeps the key pairs with which other machines publish events to the embedded program: an access key
// id that may be seen, and a secret that signs. They are in a file of their own beside the key file, because the state
// file belongs to the running program alone, which sees a change of this one at the next call: it looks at the file
// each time, and reads it when it was changed. The secrets are sealed, and not hashed: a signature is verified by
// making it again.
package publisher

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"tocsin/shared/atomicfile"
)

// Key is one key pair.
type Key struct {
	ID        string    `json:"id"` // the access key id
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	Sealed    []byte    `json:"sealed"`
}

// KeyRing seals the secrets.
type KeyRing interface {
	Seal(ctx context.Context, plain, context []byte) ([]byte, error)
	Open(ctx context.Context, sealed, context []byte) ([]byte, error)
}

// File is the file of key pairs. Make it with At. It is safe for concurrent use.
type File struct {
	path string
	ring KeyRing
	now  func() time.Time

	mu   sync.Mutex
	last fs.FileInfo // of what was read last; nil = there was no file
	keys map[string]opened
}

type opened struct {
	name, secret string
	err          error
}

// At is the file of the path; it need not exist.
func At(path string, ring KeyRing, now func() time.Time) *File {
	return &File{path: path, ring: ring, now: now}
}

// ErrUnknown: there is no such key pair.
var ErrUnknown = errors.New("there is no such publisher key")

// Secret returns the name and the secret of an access key id. Errors: ErrUnknown, or that the file can not be read.
func (f *File) Secret(ctx context.Context, id string) (name, secret string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.load(ctx); err != nil {
		return "", "", err
	}
	k, ok := f.keys[id]
	if !ok {
		return "", "", ErrUnknown
	}
	return k.name, k.secret, k.err
}

func (f *File) load(ctx context.Context) error {
	info, err := os.Stat(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at the file of publisher keys %s: %w", f.path, err)
	}
	if err != nil {
		info = nil
	}
	if f.keys != nil && same(f.last, info) {
		return nil
	}
	keys, err := f.List()
	if err != nil {
		return err
	}
	all := make(map[string]opened, len(keys))
	for _, k := range keys {
		plain, err := f.ring.Open(ctx, k.Sealed, sealContext(k))
		if err != nil {
			err = fmt.Errorf("open the secret of publisher key %s (%s): %w", k.ID, k.Name, err)
		}
		all[k.ID] = opened{k.Name, string(plain), err}
	}
	f.keys, f.last = all, info
	return nil
}

// same reports whether the file is as it was: each change makes another file of it.
func same(was, is fs.FileInfo) bool {
	if was == nil || is == nil {
		return was == nil && is == nil
	}
	return os.SameFile(was, is) && was.ModTime().Equal(is.ModTime()) && was.Size() == is.Size()
}

func sealContext(k Key) []byte { return []byte("publisher/" + k.ID) }

// List returns the key pairs in the order of their making.
func (f *File) List() ([]Key, error) {
	raw, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the file of publisher keys %s: %w", f.path, err)
	}
	keys, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("the file of publisher keys %s can not be read; it was left as it is: restore it from "+
			"a backup, or move it away and make new keys: %w", f.path, err)
	}
	return keys, nil
}

// Parse reads what a file of key pairs holds.
func Parse(raw []byte) (keys []Key, err error) {
	err = json.Unmarshal(raw, &keys)
	return keys, err
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Sizes of a new pair, in bytes: 16 characters of base32 behind the prefix, as long as AWS's ids; 40 of base64.
const (
	idPrefix   = "TCSN"
	idBytes    = 10
	secretSize = 30
)

// Add makes a key pair for a publisher. The secret is returned this once. A publisher may have several, so that one can
// take the place of another without a gap.
func (f *File) Add(ctx context.Context, name string) (k Key, secret string, err error) {
	if !validName.MatchString(name) {
		return k, "",
			fmt.Errorf("the publisher's name %q is not right: up to 64 letters, digits, dots, dashes and underscores",
				name)
	}
	id, random := make([]byte, idBytes), make([]byte, secretSize)
	for _, b := range [][]byte{id, random} {
		if _, err := rand.Read(b); err != nil {
			return k, "", fmt.Errorf("make a publisher key: %w", err)
		}
	}
	k = Key{ID: idPrefix + base32.StdEncoding.EncodeToString(id), Name: name,
		CreatedAt: f.now().UTC().Truncate(time.Second)}
	secret = base64.RawURLEncoding.EncodeToString(random)
	if k.Sealed, err = f.ring.Seal(ctx, []byte(secret), sealContext(k)); err != nil {
		return k, "", err
	}
	return k, secret, f.change(func(keys []Key) ([]Key, error) { return append(keys, k), nil })
}

// Remove ends a key pair, by its id, or by its name if there is one of the name. Error: ErrUnknown.
func (f *File) Remove(which string) (k Key, err error) {
	err = f.change(func(keys []Key) ([]Key, error) {
		var at []int
		for i, c := range keys {
			if c.ID == which || c.Name == which {
				at = append(at, i)
			}
		}
		switch len(at) {
		case 0:
			return nil, fmt.Errorf("%w: %q", ErrUnknown, which)
		case 1:
			k = keys[at[0]]
			return slices.Delete(keys, at[0], at[0]+1), nil
		}
		return nil, fmt.Errorf("%d publisher keys have the name %s: name one by its id", len(at), which)
	})
	return k, err
}

// Each visits the key pairs as they are sealed, with the context that they are sealed in.
func (f *File) Each(visit func(k Key, context []byte) error) error {
	keys, err := f.List()
	for _, k := range keys {
		if err == nil {
			err = visit(k, sealContext(k))
		}
	}
	return err
}

// Reseal seals the secrets again, with the key that seals now. It returns how many.
func (f *File) Reseal(ctx context.Context) (n int, err error) {
	err = f.change(func(keys []Key) ([]Key, error) {
		for i, k := range keys {
			plain, err := f.ring.Open(ctx, k.Sealed, sealContext(k))
			if err != nil {
				return nil, fmt.Errorf("open the secret of publisher key %s (%s): %w", k.ID, k.Name, err)
			}
			if keys[i].Sealed, err = f.ring.Seal(ctx, plain, sealContext(k)); err != nil {
				return nil, err
			}
		}
		n = len(keys)
		return keys, nil
	})
	return n, err
}

// Forget removes the key pairs whose secret can not be opened, and returns them.
func (f *File) Forget(ctx context.Context) (gone []Key, err error) {
	err = f.change(func(keys []Key) ([]Key, error) {
		return slices.DeleteFunc(keys, func(k Key) bool {
			if _, err := f.ring.Open(ctx, k.Sealed, sealContext(k)); err == nil {
				return false
			}
			gone = append(gone, k)
			return true
		}), nil
	})
	return gone, err
}

// change replaces the file as a whole, one process at a time. A file that would be empty and is not there stays away.
func (f *File) change(apply func([]Key) ([]Key, error)) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the publisher keys: %w", err)
	}
	lock := flock.New(f.path+".lock", flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("lock the file of publisher keys %s: %w", f.path, err)
	}
	defer func() { _ = lock.Unlock() }()
	keys, err := f.List()
	if err != nil {
		return err
	}
	empty := len(keys) == 0
	if keys, err = apply(keys); err != nil || empty && len(keys) == 0 {
		return err
	}
	raw, err := json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return err
	}
	return f.write(append(raw, '\n'))
}

func (f *File) write(raw []byte) error {
	if err := atomicfile.Write(f.path, raw); err != nil {
		return fmt.Errorf("write the file of publisher keys %s: %w", f.path, err)
	}
	return nil
}

// Beside is the path of the file that goes with a key file.
func Beside(keyFile string) string {
	return strings.TrimSuffix(keyFile, filepath.Ext(keyFile)) + ".publishers"
}
