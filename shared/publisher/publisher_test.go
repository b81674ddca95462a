package publisher_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/keyring"
	"tocsin/shared/patience"
	"tocsin/shared/publisher"
)

func file(t *testing.T) (*publisher.File, string) {
	folder := t.TempDir()
	ring, err := keyring.Open(filepath.Join(folder, "tocsin.key"))
	require.NoError(t, err)
	path := publisher.Beside(filepath.Join(folder, "tocsin.key"))
	require.Equal(t, filepath.Join(folder, "tocsin.publishers"), path)
	return publisher.At(path, ring, time.Now), path
}

func TestAPublisherKeyIsMadeUsedAndRemoved(t *testing.T) {
	f, path := file(t)
	_, _, err := f.Secret(t.Context(), "TCSN")
	require.ErrorIs(t, err, publisher.ErrUnknown, "without a file there is no key")
	_, err = f.Remove("a")
	require.ErrorIs(t, err, publisher.ErrUnknown)

	k, secret, err := f.Add(t.Context(), "platform.eu-1")
	require.NoError(t, err)
	require.Regexp(t, `^TCSN[A-Z2-7]{16}$`, k.ID)
	require.Regexp(t, `^[A-Za-z0-9_-]{40}$`, secret)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(raw), secret)

	second, other, err := f.Add(t.Context(), "platform.eu-1")
	require.NoError(t, err, "a second key of the same publisher takes the place of the first without a gap")
	require.NotEqual(t, secret, other)
	find := func(id string) (string, string) {
		t.Helper()
		var name, found string
		require.Eventually(t, func() bool { name, found, err = f.Secret(t.Context(), id); return err == nil },
			time.Minute, 10*time.Millisecond)
		return name, found
	}
	name, found := find(second.ID)
	require.Equal(t, "platform.eu-1", name)
	require.Equal(t, other, found)
	_, err = f.Remove("platform.eu-1")
	require.ErrorContains(t, err, "name one by its id")
	gone, err := f.Remove(k.ID)
	require.NoError(t, err)
	require.Equal(t, k.ID, gone.ID)
	require.Eventually(t, func() bool { _, _, err := f.Secret(t.Context(), k.ID); return err != nil }, patience.Long,
		10*time.Millisecond, "seen soon")
	_, err = f.Remove("platform.eu-1")
	require.NoError(t, err)
	left, err := f.List()
	require.NoError(t, err)
	require.Empty(t, left)

	for _, bad := range []string{"", " ", "a b", "-a", "a\n", "é", string(make([]byte, 65))} {
		_, _, err = f.Add(t.Context(), bad)
		require.Error(t, err, "%q", bad)
	}
}

func TestSecretsOfAnotherKeyFile(t *testing.T) {
	f, path := file(t)
	k, _, err := f.Add(t.Context(), "a")
	require.NoError(t, err)
	strange, err := keyring.Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	g := publisher.At(path, strange, time.Now)
	_, _, err = g.Secret(t.Context(), k.ID)
	require.ErrorIs(t, err, keyring.ErrUnsealable)
	_, err = g.Reseal(t.Context())
	require.ErrorIs(t, err, keyring.ErrUnsealable)
	gone, err := g.Forget(t.Context())
	require.NoError(t, err)
	require.Len(t, gone, 1)
	left, err := f.List()
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAFileThatCanNotBeReadStaysAsItIs(t *testing.T) {
	f, path := file(t)
	require.NoError(t, os.WriteFile(path, []byte("[{"), 0o600))
	_, _, err := f.Add(t.Context(), "a")
	require.ErrorContains(t, err, "left as it is")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "[{", string(raw))
}

// counted counts how often secrets are opened: each reading of the file opens all of them.
type counted struct {
	publisher.KeyRing
	opened int
}

func (c *counted) Open(ctx context.Context, sealed, with []byte) ([]byte, error) {
	c.opened++
	return c.KeyRing.Open(ctx, sealed, with)
}

func TestAKeyIsTakenFromItsMakingOnAndRefusedFromItsRemovalOn(t *testing.T) {
	ours, path := file(t)
	ring, err := keyring.Open(filepath.Join(filepath.Dir(path), "tocsin.key"))
	require.NoError(t, err)
	count := &counted{KeyRing: ring}
	program := publisher.At(path, count, time.Now)
	for range 20 {
		k, secret, err := ours.Add(t.Context(), "a")
		require.NoError(t, err)
		_, found, err := program.Secret(t.Context(), k.ID)
		require.NoError(t, err, "at once, and not within a second")
		require.Equal(t, secret, found)
		_, err = ours.Remove(k.ID)
		require.NoError(t, err)
		_, _, err = program.Secret(t.Context(), k.ID)
		require.ErrorIs(t, err, publisher.ErrUnknown)
	}
	_, _, err = ours.Add(t.Context(), "a")
	require.NoError(t, err)
	before := count.opened
	for range 100 {
		_, _, err = program.Secret(t.Context(), "TCSNSTRANGER")
		require.ErrorIs(t, err, publisher.ErrUnknown)
	}
	require.Equal(t, before+1, count.opened, "strangers do not make it read the file again")
}
