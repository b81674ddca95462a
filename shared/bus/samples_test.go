package bus_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
)

func TestTheSampleEventsAreEvents(t *testing.T) {
	files, err := filepath.Glob("../../events/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	ids := map[string]string{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		var entries []struct{ Source, DetailType, Detail string }
		require.NoError(t, json.Unmarshal(raw, &entries), file)
		require.LessOrEqual(t, len(entries), 10, file)
		for _, e := range entries {
			parsed, err := event.Parse(e.DetailType, []byte(e.Detail))
			if strings.HasSuffix(file, "unknown_kind.json") {
				require.ErrorContains(t, err, "not a known kind")
				continue
			}
			require.NoError(t, err, file)
			require.Empty(t, ids[parsed.ID], "an id counts once: %s has that of %s", file, ids[parsed.ID])
			ids[parsed.ID] = file
		}
	}
}
