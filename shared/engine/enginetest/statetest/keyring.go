package statetest

import (
	"bytes"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/enginetest"
	"tocsin/shared/integration"
)

// OpenKeyRing opens a key ring with keys of its own.
type OpenKeyRing func(t *testing.T) integration.KeyRing

// KeyRing is the suite of integration.KeyRing.
func KeyRing(t *testing.T, open OpenKeyRing) {
	run := enginetest.Parallel(t, open)
	run("what was sealed opens with its context, whatever its size", sealedOpens)
	run("what was sealed for one integration opens for no other", sealedOpensInItsContext)
	run("the same secret is sealed differently each time, and is not to be seen", sealsDiffer)
	run("what was tampered with does not open", tamperedDoesNotOpen)
	run("what another ring sealed does not open", foreignDoesNotOpen)
	run("many seal and open at once", sealSideBySide)
}

func sealed(t *testing.T, ring integration.KeyRing, plain []byte, context string) []byte {
	t.Helper()
	out, err := ring.Seal(t.Context(), plain, []byte(context))
	require.NoError(t, err)
	return out
}

func sealedOpens(t *testing.T, open OpenKeyRing) {
	ring := open(t)
	for _, plain := range [][]byte{{}, {0}, []byte("hunter2"), bytes.Repeat([]byte("é\x00"), 32<<10)} {
		for _, context := range []string{"42/i", "42/j", "43/i", "a/b/i"} {
			got, err := ring.Open(t.Context(), sealed(t, ring, plain, context), []byte(context))
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, got), "%d bytes, %s", len(plain), context)
		}
	}
}

func sealedOpensInItsContext(t *testing.T, open OpenKeyRing) {
	ring := open(t)
	s := sealed(t, ring, []byte("hunter2"), "42/i")
	for _, other := range []string{"42/j", "43/i", "42/", "/i", "42/i/", "42/ii", ""} {
		_, err := ring.Open(t.Context(), s, []byte(other))
		require.ErrorIs(t, err, integration.ErrUnsealable, other)
	}
}

func sealsDiffer(t *testing.T, open OpenKeyRing) {
	ring := open(t)
	seen := map[string]bool{}
	for range 20 {
		s := sealed(t, ring, []byte("hunter2"), "42/i")
		require.NotContains(t, string(s), "hunter2")
		require.False(t, seen[string(s)])
		seen[string(s)] = true
	}
}

func tamperedDoesNotOpen(t *testing.T, open OpenKeyRing) {
	ring := open(t)
	s := sealed(t, ring, []byte("hunter2"), "42/i")
	unsealable := func(bad []byte, why string) {
		t.Helper()
		_, err := ring.Open(t.Context(), bad, []byte("42/i"))
		require.ErrorIs(t, err, integration.ErrUnsealable, why)
	}
	for n := range s {
		bad := bytes.Clone(s)
		bad[n] ^= 0x80
		unsealable(bad, "a bit is another")
		unsealable(s[:n], "the end is missing")
	}
	unsealable(append(bytes.Clone(s), 0), "there is more")
	unsealable(bytes.Repeat([]byte{255}, len(s)), "garbage")
	unsealable(nil, "nothing")
}

func foreignDoesNotOpen(t *testing.T, open OpenKeyRing) {
	one, other := open(t), open(t)
	_, err := other.Open(t.Context(), sealed(t, one, []byte("hunter2"), "42/i"), []byte("42/i"))
	require.ErrorIs(t, err, integration.ErrUnsealable)
}

func sealSideBySide(t *testing.T, open OpenKeyRing) {
	ring := open(t)
	var work sync.WaitGroup
	for n := range 8 {
		work.Go(func() {
			context := []byte{'4', '0' + byte(n%3), '/', 'i'}
			for range 20 {
				s, err := ring.Seal(t.Context(), []byte("hunter2"), context)
				if err == nil {
					_, err = ring.Open(t.Context(), s, context)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
}
