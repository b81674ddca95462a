package backups

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/backup"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/keyring"
)

const passphrase = "correct horse battery staple"

// installation has a state and a key, and an order to back them up.
func installation(t *testing.T, keep int) (o order, folder string, said *bytes.Buffer) {
	t.Helper()
	where := t.TempDir()
	folder, said = t.TempDir(), &bytes.Buffer{}
	o = order{file: folder, state: filepath.Join(where, "tocsin.db"), key: filepath.Join(where, "tocsin.key"),
		keep: keep, out: said, asked: asked{getenv: func(string) string { return passphrase }}}
	db, err := sqlite.Open(t.Context(), o.state, sqlite.Options{})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = keyring.Open(o.key)
	require.NoError(t, err)
	return o, folder, said
}

func day(n int) time.Time { return time.Date(2026, 3, n, 3, 0, 0, 0, time.UTC) }

// sealed is a backup that -keep made on a day.
func sealed(t *testing.T, folder, passphrase string, n int) string {
	t.Helper()
	state := filepath.Join(t.TempDir(), backup.StateName)
	require.NoError(t, os.WriteFile(state, []byte(rand.Text()), 0o600))
	path := named(folder, day(n))
	_, err := backup.Write(path, backup.Manifest{At: day(n)}, backup.Contents{Key: []byte("key"), State: state},
		passphrase)
	require.NoError(t, err)
	return path
}

func TestTheOldestBackupsThatCanBeOpenedAreRemoved(t *testing.T) {
	o, folder, said := installation(t, 2)
	oldest, older := sealed(t, folder, passphrase, 1), sealed(t, folder, passphrase, 2)
	other := sealed(t, folder, "another passphrase of somebody", 3)
	damaged := sealed(t, folder, passphrase, 4)
	require.NoError(t, os.Truncate(damaged, 400))
	strange := filepath.Join(folder, "tocsin-20260101T030000Z.backup.old")
	require.NoError(t, os.WriteFile(strange, nil, 0o600))
	require.NoError(t, o.backup(t.Context()))
	require.NoFileExists(t, oldest)
	for _, kept := range []string{older, other, damaged, strange} {
		require.FileExists(t, kept)
	}
	require.Contains(t, said.String(), oldest+" is removed")
	require.Contains(t, said.String(), other+" is kept, and does not count")
	require.Contains(t, said.String(), damaged+" is kept, and does not count")
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 5, "the new one, and those above")
}

func TestAFolderIsNoBackupThatIsReplaced(t *testing.T) {
	o, folder, _ := installation(t, 0)
	o.file = folder
	for _, o.replace = range []bool{false, true} {
		require.EqualError(t, o.backup(t.Context()),
			folder+" is a folder: say with -keep how many backups are kept in it, or name a file")
	}
}

func TestABackupThatFailsRemovesNothing(t *testing.T) {
	o, folder, _ := installation(t, 1)
	one, two := sealed(t, folder, passphrase, 1), sealed(t, folder, passphrase, 2)
	require.NoError(t, os.Remove(o.key))
	require.ErrorContains(t, o.backup(t.Context()), "read the key file")
	require.FileExists(t, one)
	require.FileExists(t, two)
	o.file = filepath.Join(folder, "none")
	require.ErrorContains(t, o.backup(t.Context()), "is no folder: -keep takes one")
}

func TestWhatAKilledBackupLeftIsRemovedByTheNext(t *testing.T) {
	o, folder, _ := installation(t, 1)
	dead, alive, foreign := filepath.Join(folder, ".backup-1"), filepath.Join(folder, ".backup-2"),
		filepath.Join(folder, ".backup-3")
	for _, f := range []string{dead, alive, foreign} {
		require.NoError(t, os.Mkdir(f, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(f, backup.StateName), []byte("state"), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dead, lockName), nil, 0o600))
	held := flock.New(filepath.Join(alive, lockName))
	_, err := held.TryLock()
	require.NoError(t, err)
	defer func() { require.NoError(t, held.Unlock()) }()
	require.NoError(t, o.backup(t.Context()))
	require.NoDirExists(t, dead)
	require.DirExists(t, alive, "its process lives")
	require.DirExists(t, foreign, "nobody says that it is ours")
}

func TestAStateOfANewerReleaseIsNotBackedUpWithWhatThisOneKnows(t *testing.T) {
	o, folder, _ := installation(t, 1)
	kept := sealed(t, folder, passphrase, 1)
	conn, err := driver.OpenConn(o.state, driver.OpenReadWrite)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(conn, "PRAGMA user_version = 9000", nil))
	require.NoError(t, conn.Close())
	require.ErrorContains(t, o.backup(t.Context()), "was written by a newer release (layout 9000, this one knows")
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.FileExists(t, kept)
}

func TestTheNumberOfBackupsThatAreKeptIsSaidAndTheirFolderIsThere(t *testing.T) {
	o, folder, _ := installation(t, 1)
	for _, keep := range []string{"0", "-1"} {
		at := filepath.Join(t.TempDir(), "backups")
		require.ErrorContains(t, Backup(t.Context(), []string{at, "-keep", keep, "-state", o.state, "-key", o.key}),
			"say how many backups are kept")
		require.NoFileExists(t, at)
	}
	o.file = filepath.Join(folder, "not-there")
	require.ErrorContains(t, o.backup(t.Context()), "make it first (mkdir -m 700 "+o.file)
}

func TestTwoBackupsOfOneSecondHaveTwoNamesAndTwoAtOnceAreRefused(t *testing.T) {
	folder := t.TempDir()
	first := unused(folder, day(1))
	require.NoError(t, os.WriteFile(first, nil, 0o600))
	require.Equal(t, named(folder, day(1).Add(time.Second)), unused(folder, day(1)))
	release, err := holdFolder(folder)
	require.NoError(t, err)
	_, err = holdFolder(folder)
	require.ErrorContains(t, err, "another backup is being made in "+folder)
	require.NoError(t, release())
	release, err = holdFolder(folder)
	require.NoError(t, err)
	require.NoError(t, release())
}

func TestABackupReplacesNothingButAFile(t *testing.T) {
	o, folder, _ := installation(t, 0)
	o.replace, o.file = true, filepath.Join(folder, "link")
	for _, to := range []string{"/dev/null", filepath.Join(folder, "nowhere")} {
		require.NoError(t, os.Symlink(to, o.file))
		require.ErrorContains(t, o.backup(t.Context()), "is no file that a backup could replace")
		at, err := os.Readlink(o.file)
		require.NoError(t, err)
		require.Equal(t, to, at)
		require.NoError(t, os.Remove(o.file))
	}
}

func TestARestoreThatIsRefusedLeavesNoFolder(t *testing.T) {
	o, folder, _ := installation(t, 0)
	o.file = filepath.Join(folder, "no-backup")
	require.NoError(t, os.WriteFile(o.file, []byte("a letter to my mother"), 0o600))
	there := filepath.Join(folder, "there")
	require.NoError(t, os.Mkdir(there, 0o700))
	o.state = filepath.Join(there, "a", "b", "tocsin.db")
	require.Error(t, o.restore(t.Context(), time.Now()))
	require.NoDirExists(t, filepath.Join(there, "a"))
	require.DirExists(t, there)
}
