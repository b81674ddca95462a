package fanout_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

// logged are the log lines with a text.
func logged(t *testing.T, log *bytes.Buffer, text string) (out []map[string]any) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(log.Bytes())); d.More(); {
		line := map[string]any{}
		require.NoError(t, d.Decode(&line))
		if line["msg"] == text {
			out = append(out, line)
		}
	}
	return out
}

func TestH32AFloodOfBadEventsIsALineAMinuteForATenantAndReason(t *testing.T) {
	var log bytes.Buffer
	f, m := newFanout()
	f.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	now := time.Unix(1677628800, 0)
	f.Now = func() time.Time { return now }
	n := 0
	for range 120 { // two minutes of three hundred a second
		var batch []delivery.Entry
		for range 100 {
			n++
			batch = append(batch,
				entry(event.Vuln, fmt.Sprint("a", n), "42", fmt.Sprintf(`{"vuln":{"threat":"Dreadful %d"}}`, n)),
				entry("made_up_"+event.Kind(fmt.Sprint(n)), fmt.Sprint("b", n), "42", `{}`),
				entry(event.Vuln, fmt.Sprint("c", n), "43", `{"vuln":{"threat":"No"}}`))
		}
		_, err := f.Process(t.Context(), batch)
		require.NoError(t, err)
		now = now.Add(time.Second)
	}
	got := logged(t, &log, "event kept as dead letter")
	require.Len(t, got, 6, "two minutes, two reasons of one tenant and one of another")
	require.NotContains(t, got[0], "count")
	require.Equal(t, "a1", got[0]["event"], "a sample's id")
	require.EqualValues(t, 6000, got[3]["count"].(float64))
	kept := 0
	for _, in := range m.accepted {
		kept += len(in.Rejected)
	}
	require.Equal(t, 36_000, kept, "every one is kept all the same")
}
