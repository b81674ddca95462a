package wording_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/wording"
)

// TestEveryTimeOfAMessageIsInTheZoneOfItsReader fills each message that has a time.
func TestEveryTimeOfAMessageIsInTheZoneOfItsReader(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	found := 0
	for code, text := range catalogue(t, "en") {
		if !strings.Contains(text, ":time}") {
			continue
		}
		found++
		filled := places.ReplaceAllStringFunc(text, func(p string) string {
			return samples[strings.TrimPrefix(places.FindStringSubmatch(p)[2], ":")]
		})
		zoned := func(l wording.Language) string { return wording.Locale{Language: l, Zone: berlin}.Say(filled) }
		require.Equal(t, strings.ReplaceAll(filled, samples["time"], "27 November 2026, 10:05 CET"),
			zoned(wording.English), code)
		require.Contains(t, zoned(wording.Japanese), "2026年11月27日 10:05 CET", code)
		require.Equal(t, filled, wording.Locale{}.Say(filled), "what machines read stays")
	}
	require.Greater(t, found, 5)
	for _, other := range []string{"at 2026-11-27T09:05:00Z somebody wrote this", "T", "2026-11-27T", "1-2-3T4", "",
		"Terminated"} {
		require.Equal(t, other, wording.Locale{Zone: berlin}.Say(other), "what is not ours stays")
	}
}
