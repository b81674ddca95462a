package telegrambot

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination/telegram"
	"tocsin/shared/integration"
)

func TestATokenHoldsForItsIntegrationItsTenantItsStateAndItsTime(t *testing.T) {
	now := time.Unix(1772366400, 0).UTC()
	at := now.Add(-time.Hour)
	i := integration.Integration{ID: "01GTD8R4000000000000000001", Tenant: "42"}
	p := telegram.Parameters{ChatID: -100, BoundAt: &at}
	key := bytes.Repeat([]byte{1}, 32)
	text, err := issue(key, i, &p, now.Add(linkGood))
	require.NoError(t, err)
	require.Len(t, text, 48)
	token, err := parse(text)
	require.NoError(t, err)
	require.Equal(t, i.ID, token.id)
	require.NoError(t, token.verify(key, i, &p, now))

	other, bound := i, at.Add(time.Nanosecond)
	other.Tenant = "43"
	for name, err := range map[string]error{
		"another tenant": token.verify(key, other, &p, now),
		"another chat":   token.verify(key, i, &telegram.Parameters{ChatID: -101, BoundAt: &at}, now),
		"no chat":        token.verify(key, i, &telegram.Parameters{}, now),
		"bound since":    token.verify(key, i, &telegram.Parameters{ChatID: -100, BoundAt: &bound}, now),
		"another key":    token.verify(bytes.Repeat([]byte{2}, 32), i, &p, now),
	} {
		require.ErrorIs(t, err, errForged, name)
	}
	require.ErrorIs(t, token.verify(key, i, &p, now.Add(linkGood)), errExpired)
	_, err = issue(key, integration.Integration{ID: "not a ULID"}, &p, now)
	require.ErrorContains(t, err, "no ULID")
}

func FuzzParse(f *testing.F) {
	f.Add("AYWrWAAAAAAAAAAAAAAAAWP-hQAbcAYWrWAAAAAAAAAAAAAA")
	f.Add("")
	f.Add("/start")
	f.Fuzz(func(t *testing.T, s string) {
		token, err := parse(s)
		if err != nil {
			require.ErrorIs(t, err, errForged)
			return
		}
		require.Len(t, token.raw, tokenSize)
		require.ErrorIs(t, token.verify(bytes.Repeat([]byte{1}, 32), integration.Integration{ID: token.id},
			&telegram.Parameters{}, time.Unix(0, 0)), errForged)
	})
}
