package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
)

// lines are the log lines with a text.
func lines(t *testing.T, log *bytes.Buffer, text string) (out []map[string]any) {
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

func TestH32AnIntegrationThatIsDownDoesNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := startLogging(t, slog.New(slog.NewJSONHandler(&log, nil)),
			func(context.Context, destination.Request) (destination.Response, error) {
				return status(503)
			})
		r.add("down")
		var ids []string
		for n := range 500 {
			ids = append(ids, fmt.Sprintf("%026d", n))
		}
		begin := time.Now()
		r.send("down", ids...)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		r.stop()
		minutes := int(time.Since(begin).Minutes())
		failed := lines(t, &log, "delivery failed: will be sent again")
		require.NotEmpty(t, failed)
		require.LessOrEqual(t, len(failed), minutes+1)
		for _, l := range failed {
			require.True(t, strings.Contains(l["reason"].(string), "503") && l["delivery"] != nil, "a sample")
		}
		told := 0.0
		for _, l := range append(failed, lines(t, &log, "delivery is dead")...) {
			if n, ok := l["count"].(float64); ok {
				told += n
			} else {
				told++
			}
		}
		require.GreaterOrEqual(t, told, 500.0, "every delivery is counted")
	})
}
