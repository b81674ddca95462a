// Package keyring is the embedded mode's key ring: a key file that only its owner may read, and AES-256-GCM. Each line
// has a key. The first seals and signs; the others open what they sealed and verify the unsubscribe links of mails that
// were sent, and sign nobody in. `tocsin keys rotate` puts a new key on top, seals all secrets again and then marks the
// older keys as retired: they are kept for those links, and for copies of the state file that were made without the key
// file (a `tocsin backup` has its own), until somebody deletes their lines.
package keyring

import (
	"bufio"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"tocsin/shared/atomicfile"
	"tocsin/shared/integration"
)

// keySize is that of AES-256, in bytes.
const keySize = 32

// idSize is how many bytes of a key's digest name it in front of what it sealed.
const idSize = 8

// ErrUnsealable: what is to be opened was not sealed by a key of this ring, belongs elsewhere, or was tampered with.
var ErrUnsealable = fmt.Errorf("%w: the key file is not the one that it was sealed with", integration.ErrUnsealable)

// Ring is a set of keys. It is safe for concurrent use.
type Ring struct {
	keys []key
}

type key struct {
	id      [idSize]byte
	raw     []byte
	aead    cipher.AEAD
	retired bool
}

// Open reads the key file, and makes one with a new key where there is none. A file that others may read, or that
// is malformed, is an error.
func Open(path string) (*Ring, error) {
	r, err := Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make the key file %s: %w", path, err)
		}
		return Read(path)
	}
	return r, err
}

// Read is Open for a file that must exist. Errors: fs.ErrNotExist, and those of Open.
func Read(path string) (*Ring, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the key file %s: %w", path, err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the key file %s may be read by others (mode %04o): run chmod 600 on it", path,
			info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("read the key file %s: %w: run this as its owner, or chown it to the user that Tocsin "+
			"runs as", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key file %s: %w", path, err)
	}
	r, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("the key file %s %w: restore it from a backup", path, err)
	}
	return r, nil
}

func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	line, err := newLine()
	if err != nil {
		return err
	}
	return atomicfile.Write(path, []byte(line))
}

func newLine() (string, error) {
	k := make([]byte, keySize)
	if _, err := rand.Read(k); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(k) + "\n", nil
}

// retiredMark stands behind a key that seals nothing any more, with the day.
const retiredMark = " retired="

// Rotate puts a new key on top of the file: it seals from the next Open on.
func Rotate(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("rotate the key file %s: %w", path, err)
	}
	line, err := newLine()
	if err == nil {
		err = atomicfile.Write(path, append([]byte(line), raw...))
	}
	if err != nil {
		return fmt.Errorf("rotate the key file %s: %w", path, err)
	}
	return nil
}

// Retire marks every key below the first: nothing is sealed with them any more.
func Retire(path string, now time.Time) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("mark the old keys of %s: %w", path, err)
	}
	var out strings.Builder
	first := true
	for _, line := range strings.Split(strings.TrimRight(string(raw), "\r\n"), "\n") {
		line = strings.TrimRight(line, "\r")
		isKey := strings.TrimSpace(line) != "" && !strings.HasPrefix(strings.TrimSpace(line), "#")
		if out.WriteString(line); isKey && !first && !strings.Contains(line, retiredMark) {
			out.WriteString(retiredMark + now.UTC().Format(time.DateOnly))
		}
		first = first && !isKey
		out.WriteByte('\n')
	}
	if err := atomicfile.Write(path, []byte(out.String())); err != nil {
		return fmt.Errorf("mark the old keys of %s: %w", path, err)
	}
	return nil
}

// Parse reads what a key file holds.
func Parse(raw []byte) (*Ring, error) {
	r := &Ring{}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for n := 1; lines.Scan(); n++ {
		line, mark, retired := strings.Cut(strings.TrimSpace(lines.Text()), retiredMark)
		if line == "" || line[0] == '#' {
			continue
		}
		if _, err := time.Parse(time.DateOnly, mark); retired && (err != nil || len(r.keys) == 0) {
			return nil, fmt.Errorf(
				"can not be used: line %d is marked as retired and is the first, or its day can not be read", n)
		}
		k, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(k) != keySize {
			return nil, fmt.Errorf("can not be used: line %d is not a key: it must be %d bytes in base64", n, keySize)
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		digest := sha256.Sum256(k)
		r.keys = append(r.keys, key{id: [idSize]byte(digest[:idSize]), raw: k, aead: aead, retired: retired})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("can not be used: %w", err)
	}
	if len(r.keys) == 0 {
		return nil, errors.New("holds no key")
	}
	return r, nil
}

// Seal encrypts with the first key; what it returns opens only with the same context.
func (r *Ring) Seal(_ context.Context, plain, context []byte) ([]byte, error) {
	k := r.keys[0]
	out := make([]byte, idSize+k.aead.NonceSize(), idSize+k.aead.NonceSize()+len(plain)+k.aead.Overhead())
	copy(out, k.id[:])
	if _, err := rand.Read(out[idSize:]); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return k.aead.Seal(out, out[idSize:], plain, context), nil
}

// Open decrypts. Error: ErrUnsealable.
func (r *Ring) Open(_ context.Context, sealed, context []byte) ([]byte, error) {
	for _, k := range r.keys {
		head := idSize + k.aead.NonceSize()
		if len(sealed) < head || [idSize]byte(sealed[:idSize]) != k.id {
			continue
		}
		plain, err := k.aead.Open(nil, sealed[idSize:head], sealed[head:], context)
		if err != nil {
			return nil, ErrUnsealable
		}
		return plain, nil
	}
	return nil, ErrUnsealable
}

// Current reports whether something was sealed by the key that seals now.
func (r *Ring) Current(sealed []byte) bool {
	return len(sealed) >= idSize && [idSize]byte(sealed[:idSize]) == r.keys[0].id
}

// Knows reports whether something was sealed by a key of this ring, as far as its head says.
func (r *Ring) Knows(sealed []byte) bool {
	return len(sealed) >= idSize && slices.ContainsFunc(r.keys,
		func(k key) bool { return k.id == [idSize]byte(sealed[:idSize]) })
}

// Rotating reports whether keys below the first are not retired: a rotation was begun and is not at its end.
func (r *Ring) Rotating() bool {
	return slices.ContainsFunc(r.keys[1:], func(k key) bool { return !k.retired })
}

// Derive makes a secret of 32 bytes for one purpose from each key, the sealing one first: the same file always
// gives the same.
func (r *Ring) Derive(purpose string) ([][]byte, error) {
	var out [][]byte
	for _, k := range r.keys {
		d, err := hkdf.Key(sha256.New, k.raw, nil, "tocsin "+purpose, keySize)
		if err != nil {
			return nil, fmt.Errorf("derive a key for %s: %w", purpose, err)
		}
		out = append(out, d)
	}
	return out, nil
}
