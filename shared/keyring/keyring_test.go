package keyring_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/keyring"
)

func TestWhatWasSealedOpensWithTheSameFileAndContextOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "key")
	r, err := keyring.Open(path)
	require.NoError(t, err)
	sealed, err := r.Seal(t.Context(), []byte("hunter2"), []byte("42/a"))
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "hunter2")

	again, err := keyring.Open(path)
	require.NoError(t, err)
	plain, err := again.Open(t.Context(), sealed, []byte("42/a"))
	require.NoError(t, err)
	require.Equal(t, "hunter2", string(plain))

	_, err = again.Open(t.Context(), sealed, []byte("43/a"))
	require.ErrorIs(t, err, keyring.ErrUnsealable)
	for i := range sealed {
		bad := append([]byte(nil), sealed...)
		bad[i] ^= 1
		_, err = again.Open(t.Context(), bad, []byte("42/a"))
		require.ErrorIs(t, err, keyring.ErrUnsealable, "byte %d", i)
	}
	for n := range sealed {
		_, err = again.Open(t.Context(), sealed[:n], []byte("42/a"))
		require.ErrorIs(t, err, keyring.ErrUnsealable)
	}
	other, err := keyring.Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	_, err = other.Open(t.Context(), sealed, []byte("42/a"))
	require.ErrorIs(t, err, keyring.ErrUnsealable)
}

func TestAFileWithANewKeyOnTopOpensWhatTheOldOneSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	old, err := keyring.Open(path)
	require.NoError(t, err)
	sealed, err := old.Seal(t.Context(), []byte("x"), nil)
	require.NoError(t, err)
	oldSeed, err := old.Derive("tokens")
	require.NoError(t, err)

	second := filepath.Join(t.TempDir(), "key")
	_, err = keyring.Open(second)
	require.NoError(t, err)
	top, err := os.ReadFile(second)
	require.NoError(t, err)
	below, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(top, below...), 0o600))

	rotated, err := keyring.Open(path)
	require.NoError(t, err)
	plain, err := rotated.Open(t.Context(), sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "x", string(plain))
	anew, err := rotated.Seal(t.Context(), []byte("x"), nil)
	require.NoError(t, err)
	_, err = old.Open(t.Context(), anew, nil)
	require.ErrorIs(t, err, keyring.ErrUnsealable, "the new key seals")
	seeds, err := rotated.Derive("tokens")
	require.NoError(t, err)
	require.Equal(t, oldSeed[0], seeds[1])
	require.NotEqual(t, seeds[0], seeds[1])
}

func TestABadKeyFileIsAnErrorThatNamesIt(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		says    string
	}{
		"open to others": {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0o644, "chmod 600"},
		"empty":          {"", 0o600, "holds no key"},
		"not base64":     {"!!!\n", 0o600, "line 1 is not a key"},
		"too short":      {"\nAAAA\n", 0o600, "line 2 is not a key"},
		"cut off":        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", 0o600, "restore it from a backup"},
		"only blanks":    {" \n\n", 0o600, "restore it from a backup"},
		"all retired":    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= retired=2023-11-14\n", 0o600, "line 1"},
		"a bad day": {
			"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= retired=soon\n",
			0o600, "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			require.NoError(t, os.WriteFile(path, []byte(c.content), c.mode))
			_, err := keyring.Open(path)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, path)
		})
	}
}

func TestTheFileIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	_, err := keyring.Open(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestS8ARotatedFileSealsWithTheNewKeyAndMarksTheOldOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	old, err := keyring.Open(path)
	require.NoError(t, err)
	sealed, err := old.Seal(t.Context(), []byte("x"), nil)
	require.NoError(t, err)
	require.True(t, old.Current(sealed))
	require.False(t, old.Rotating())

	require.NoError(t, keyring.Rotate(path))
	ring, err := keyring.Read(path)
	require.NoError(t, err)
	require.True(t, ring.Rotating())
	require.True(t, ring.Knows(sealed))
	require.False(t, ring.Current(sealed))
	anew, err := ring.Seal(t.Context(), []byte("x"), nil)
	require.NoError(t, err)
	require.False(t, old.Knows(anew))

	require.NoError(t, keyring.Retire(path, time.Unix(1_700_000_000, 0)))
	require.NoError(t, keyring.Retire(path, time.Unix(1_800_000_000, 0)), "a second time changes nothing")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Regexp(t, `^\S{44}\n\S{44} retired=2023-11-14\n$`, string(raw))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	ring, err = keyring.Read(path)
	require.NoError(t, err)
	require.False(t, ring.Rotating())
	plain, err := ring.Open(t.Context(), sealed, nil)
	require.NoError(t, err, "a backup of the state opens")
	require.Equal(t, "x", string(plain))
	require.NoError(t, os.WriteFile(path, append([]byte("# made by hand\n\n"), raw...), 0o600))
	_, err = keyring.Read(path)
	require.NoError(t, err)
	_, err = keyring.Read(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist, "Read makes no file")
}
