package integration_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/integration"
	"tocsin/shared/keyring"
)

func TestH23SecretsOfALostKeyAreEnteredAgain(t *testing.T) {
	s, _ := service(t)
	i := create(t, s)
	other, err := keyring.Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	s.Keys = other

	shown, err := s.Masked(t.Context(), i)
	require.Equal(t, integration.LostSecrets, integration.Unreadable(err))
	require.JSONEq(t, `{"authorization":"webhook"}`, string(shown))
	opens, err := s.Opens(t.Context(), i)
	require.NoError(t, err)
	require.False(t, opens)
	_, err = s.Reseal(t.Context(), i)
	require.ErrorIs(t, err, integration.ErrUnsealable)
	name := "Ops 2"
	i, err = s.Update(t.Context(), ada, i.ID, 0, integration.Patch{Name: &name})
	require.NoError(t, err, "what needs no secret can be changed")

	require.NoError(t, s.Forget(t.Context(), i))
	i, err = s.Store.Get(t.Context(), "42", i.ID)
	require.NoError(t, err)
	require.Equal(t, integration.LostSecrets, i.Off.Reason)
	opens, err = s.Opens(t.Context(), i)
	require.NoError(t, err)
	require.True(t, opens, "what was given up keeps no start from happening")
	_, err = s.Masked(t.Context(), i)
	require.Equal(t, integration.LostSecrets, integration.Unreadable(err))

	var invalid integration.InvalidError
	_, err = s.SetEnabled(t.Context(), ada, i.ID, 0, true)
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "enabled", invalid[0].Field)
	on := true
	_, err = s.Update(t.Context(), ada, i.ID, 0, integration.Patch{Parameters: json.RawMessage(`{}`), Enabled: &on})
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "parameters.webhook_url", invalid[0].Field)
	_, err = s.Update(t.Context(), ada, i.ID, 0,
		integration.Patch{Parameters: json.RawMessage(`{"webhook_url":"••••••••"}`)})
	require.Error(t, err)
	i, err = s.Update(t.Context(), ada, i.ID, 0,
		integration.Patch{Parameters: json.RawMessage(`{"webhook_url":"` + secret + `"}`), Enabled: &on})
	require.NoError(t, err)
	opened, err := s.Open(t.Context(), i)
	require.NoError(t, err)
	require.Equal(t, []string{secret}, opened.Secrets)
}

// away is a key service that does not answer.
type away struct{ integration.KeyRing }

func (away) Open(context.Context, []byte, []byte) ([]byte, error) {
	return nil, errors.New("KMS: DisabledException")
}

func TestH23AKeyServiceThatIsAwayLosesNothing(t *testing.T) {
	s, _ := service(t)
	i := create(t, s)
	keys := s.Keys
	s.Keys = away{keys}
	shown, err := s.Masked(t.Context(), i)
	require.Equal(t, integration.AwaySecrets, integration.Unreadable(err))
	require.JSONEq(t, `{"authorization":"webhook"}`, string(shown))
	_, err = s.Update(t.Context(), ada, i.ID, 0,
		integration.Patch{Parameters: json.RawMessage(`{"webhook_url":"` + secret + `"}`)})
	require.Error(t, err, "secrets that only can not be read now are not overwritten")
	_, err = s.Opens(t.Context(), i)
	require.Error(t, err)
	s.Keys = keys
	_, err = s.Masked(t.Context(), i)
	require.NoError(t, err)
}
