package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/publisher"
)

// secrets is a stopped program's folder with integrations and publishers.
func secrets(t *testing.T) (state, key string) {
	t.Helper()
	state, key = filepath.Join(t.TempDir(), "tocsin.db"), filepath.Join(t.TempDir(), "tocsin.key")
	db, err := sqlite.Open(t.Context(), state, sqlite.Options{})
	require.NoError(t, err)
	ring, err := keyring.Open(key)
	require.NoError(t, err)
	service := sealer(db, ring)
	for n := range 3 {
		_, err := service.Create(t.Context(), activity.Actor{Tenant: "42"}, integration.Draft{
			System: "slack", Name: fmt.Sprint("Channel ", n),
			Subscriptions: []integration.Subscription{{Event: "system"}},
			Parameters:    []byte(`{"webhook_url":"https://hooks.slack.com/services/T0/B0/abc"}`)})
		require.NoError(t, err)
		_, _, err = publisher.At(publisher.Beside(key), ring, time.Now).Add(t.Context(), fmt.Sprint("p", n))
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
	return state, key
}

// opens wants every secret to open with the key file as it is, and says how many are not sealed with its first key.
func opens(t *testing.T, state, key string) (older int) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), state, sqlite.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	ring, err := Open(t.Context(), db, state, key, slog.New(slog.DiscardHandler))
	require.NoError(t, err, "the program starts")
	all := 0
	require.NoError(t, db.Integrations().Each(t.Context(), func(i integration.Integration) error {
		all++
		opened, err := sealer(db, ring).Opens(t.Context(), i)
		require.True(t, opened, i.Name)
		return err
	}))
	require.NoError(t, publisher.At(publisher.Beside(key), nil, time.Now).Each(func(k publisher.Key, in []byte) error {
		all++
		_, err := ring.Open(t.Context(), k.Sealed, in)
		return err
	}))
	require.Equal(t, 6, all)
	n, err := count(kept(t.Context(), db), publisher.At(publisher.Beside(key), nil, time.Now), ring)
	require.NoError(t, err)
	return n.older
}

func rotate(t *testing.T, state, key string, step func(string) error) error {
	t.Helper()
	db, err := sqlite.Open(t.Context(), state, sqlite.Options{})
	require.NoError(t, err)
	return errors.Join(rotation{db: db, state: state, path: key, step: step}.run(context.Background()), db.Close())
}

func lines(t *testing.T, key string) []string {
	t.Helper()
	raw, err := os.ReadFile(key)
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}

// A rotation that ends at any of its steps leaves all secrets readable, and is finished by the next one with the same
// new key. The old key is needed no more then.
func TestARotationMayEndAtEveryStep(t *testing.T) {
	stop := errors.New("the power went out")
	steps := 0
	for at := 0; ; at++ {
		state, key := secrets(t)
		before := lines(t, key)
		n, reached := 0, ""
		err := rotate(t, state, key, func(next string) error {
			if n++; n > at {
				reached = next
				return stop
			}
			return nil
		})
		if err == nil {
			steps = n
			break
		}
		require.ErrorIs(t, err, stop)
		opens(t, state, key)
		during := lines(t, key)
		require.Contains(t, during, before[0], "the old key stays until all is sealed anew")
		require.NoError(t, rotate(t, state, key, func(string) error { return nil }), "after %q", reached)
		after := lines(t, key)
		require.Len(t, after, 2)
		if len(during) == 2 {
			require.Equal(t, during[0], after[0], "no third key, after %q", reached)
		}
		require.Contains(t, after[1], before[0]+" retired=")
		require.NoError(t, os.WriteFile(key, []byte(after[0]+"\n"), 0o600))
		require.Zero(t, opens(t, state, key), "the old key is needed no more, after %q", reached)
	}
	require.Equal(t, 6, steps, "a new key, three integrations, publishers, the end")
}
