// Package keyring is the embedded mode's key ring: a key file that only its owner may read, and AES-256-GCM. The
// first key of the file seals, every key opens: to rotate, put a new line on top and keep the old one until every
// integration was saved again.
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
	"strings"
)

// keySize is that of AES-256, in bytes.
const keySize = 32

// idSize is how many bytes of a key's digest name it in front of what it sealed.
const idSize = 8

// ErrUnsealable: what is to be opened was not sealed by a key of this ring, belongs elsewhere, or was tampered with.
var ErrUnsealable = errors.New("the secret can not be opened: the key file is not the one that it was sealed with")

// Ring is a set of keys. It is safe for concurrent use.
type Ring struct {
	keys []key
}

type key struct {
	id   [idSize]byte
	raw  []byte
	aead cipher.AEAD
}

// Open reads the key file, and makes one with a new key where there is none. A file that others may read, or that
// is malformed, is an error.
func Open(path string) (*Ring, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make the key file %s: %w", path, err)
		}
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key file %s: %w", path, err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the key file %s may be read by others (mode %04o): run chmod 600 on it", path, info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key file %s: %w", path, err)
	}
	r, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("the key file %s: %w", path, err)
	}
	return r, nil
}

// create writes a new key under another name first: a half-written key file never stands.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	k := make([]byte, keySize)
	if _, err := rand.Read(k); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(k) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func parse(raw []byte) (*Ring, error) {
	r := &Ring{}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		k, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(k) != keySize {
			return nil, fmt.Errorf("line %d is not a key: it must be %d bytes in base64", n, keySize)
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
		r.keys = append(r.keys, key{id: [idSize]byte(digest[:idSize]), raw: k, aead: aead})
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
