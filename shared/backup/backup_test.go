package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
)

const passphrase = "correct horse battery staple"

func TestMain(m *testing.M) {
	workFactor = 10
	os.Exit(m.Run())
}

// written is an archive with a state of random bytes, which do not compress.
func written(t *testing.T, size int) (path string, state []byte, m Manifest) {
	t.Helper()
	folder := t.TempDir()
	state = make([]byte, size)
	_, err := rand.Read(state)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(folder+"/state", state, 0o600))
	path = filepath.Join(folder, "backup")
	m, err = Write(path, Manifest{Release: "0.2.0", Layout: 16, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Counts: map[string]int64{"events": 3}}, Contents{State: folder + "/state", Key: []byte("key\n"),
		Publishers: []byte("[]")}, passphrase)
	require.NoError(t, err)
	return path, state, m
}

func into(folder string) func(Manifest) (string, error) {
	return func(Manifest) (string, error) { return folder, nil }
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	path, state, wrote := written(t, 200_000)
	folder := t.TempDir()
	m, err := Read(path, passphrase, into(folder))
	require.NoError(t, err)
	require.Equal(t, wrote, m)
	require.Equal(t, Format, m.Format)
	for name, want := range map[string][]byte{StateName: state, KeyName: []byte("key\n"),
		PublishersName: []byte("[]")} {
		got, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		require.Equal(t, want, got, name)
		info, err := os.Stat(filepath.Join(folder, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}

// What `age -d FILE | tar xz` does.
func TestTheFormatIsOneThatOtherToolsOpen(t *testing.T) {
	path, state, wrote := written(t, 10_000)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	identity, err := age.NewScryptIdentity(passphrase)
	require.NoError(t, err)
	plain, err := age.Decrypt(f, identity)
	require.NoError(t, err)
	packed, err := gzip.NewReader(plain)
	require.NoError(t, err)
	archive, found := tar.NewReader(packed), map[string][]byte{}
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		found[h.Name], err = io.ReadAll(archive)
		require.NoError(t, err)
	}
	require.Equal(t, state, found["tocsin.db"])
	require.Equal(t, "key\n", string(found["tocsin.key"]))
	var m Manifest
	require.NoError(t, json.Unmarshal(found["manifest.json"], &m))
	require.Equal(t, wrote, m)
}

func TestADamagedArchiveIsNeverTakenForAWholeOne(t *testing.T) {
	path, _, _ := written(t, 150_000)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	bad := filepath.Join(t.TempDir(), "bad")
	try := func(raw []byte) error {
		require.NoError(t, os.WriteFile(bad, raw, 0o600))
		_, err := Read(bad, passphrase, nil)
		return err
	}
	require.NoError(t, try(whole))
	for _, at := range []int{0, 30, 100, 150, 200, 250, 70_000, 100_000, len(whole) - 1} {
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1
		require.Error(t, try(flipped), "byte %d", at)
	}
	for _, length := range []int{0, 10, 300, 66_000, 131_500, len(whole) - 1} {
		require.Error(t, try(whole[:length]), "%d bytes", length)
	}
	require.ErrorIs(t, try(append(bytes.Clone(whole), 'x')), ErrDamaged)
	require.ErrorIs(t, try(whole[:len(whole)-1]), ErrDamaged)
	require.ErrorIs(t, try([]byte("a letter")), ErrNoBackup)
	_, err = Read(path, passphrase+"!", nil)
	require.ErrorIs(t, err, ErrPassphrase)
}

// forged seals a tar as Write does.
func forged(t *testing.T, files ...[2]string) string {
	t.Helper()
	var out bytes.Buffer
	recipient, err := age.NewScryptRecipient(passphrase)
	require.NoError(t, err)
	recipient.SetWorkFactor(10)
	sealed, err := age.Encrypt(&out, recipient)
	require.NoError(t, err)
	packed := gzip.NewWriter(sealed)
	archive := tar.NewWriter(packed)
	for _, f := range files {
		require.NoError(t, header(archive, f[0], int64(len(f[1])), time.Now()))
		_, err := archive.Write([]byte(f[1]))
		require.NoError(t, err)
	}
	require.NoError(t, errors.Join(archive.Close(), packed.Close(), sealed.Close()))
	path := filepath.Join(t.TempDir(), "forged")
	require.NoError(t, os.WriteFile(path, out.Bytes(), 0o600))
	return path
}

func TestAnArchiveThatIsNotAsItsListSaysIsRefused(t *testing.T) {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for name, c := range map[string]struct {
		files [][2]string
		want  error
	}{
		"a newer form": {[][2]string{{manifestName, `{"format":2,"release":"9.0.0"}`}}, ErrNewer},
		"no list":      {[][2]string{{KeyName, "k"}}, ErrNoBackup},
		"a name that is a path": {[][2]string{{manifestName, `{"format":1,"files":[{"name":"../x"}]}`}, {"../x", ""}},
			ErrNoBackup},
		"a file missing": {[][2]string{{manifestName, `{"format":1,"files":[{"name":"tocsin.db"}]}`}}, ErrDamaged},
		"another file in its place": {[][2]string{{manifestName, `{"format":1,"files":[{"name":"tocsin.db","sha256":"` +
			empty + `"}]}`}, {KeyName, ""}}, ErrDamaged},
		"another sum": {[][2]string{{manifestName, `{"format":1,"files":[{"name":"tocsin.db","size":1}]}`},
			{StateName, "x"}}, ErrDamaged},
		"a file too many": {[][2]string{{manifestName, `{"format":1}`}, {StateName, "x"}}, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			in := filepath.Join(folder, "in")
			require.NoError(t, os.Mkdir(in, 0o700))
			_, err := Read(forged(t, c.files...), passphrase, into(in))
			require.ErrorIs(t, err, c.want)
			require.NotContains(t, err.Error(), "%!")
			require.NoFileExists(t, filepath.Join(folder, "x"))
		})
	}
	_, err := Read(forged(t, [2]string{manifestName, `{"format":1}`}), passphrase, nil)
	require.NoError(t, err)
}

func TestWhoReadsMayRefuse(t *testing.T) {
	path, _, _ := written(t, 10)
	refused := errors.New("no")
	_, err := Read(path, passphrase, func(m Manifest) (string, error) {
		require.Equal(t, 16, m.Layout)
		return "", refused
	})
	require.ErrorIs(t, err, refused)
}
