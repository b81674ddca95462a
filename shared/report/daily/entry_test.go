package daily_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/report/daily"
)

// Hits that come together are counted as hits that come one by one are: what the last one had in common with the next
// is only a short cut.
func TestABatchCountsAsItsHitsDoAlone(t *testing.T) {
	t.Parallel()
	r := &daily.Recorder{Now: time.Now, Zone: func(_ context.Context, tenant string) (string, error) {
		return map[string]string{"a": "Asia/Tokyo", "b": "UTC"}[tenant], nil
	}}
	record := func(events ...event.Event) []daily.Entry {
		out, err := r.Records(t.Context(), events)
		require.NoError(t, err)
		return out
	}
	for seed := range uint64(50) {
		chance := rand.New(rand.NewPCG(seed, 1))
		one := func(values ...any) any { return values[chance.IntN(len(values))] }
		var batch []event.Event
		alone := map[string]*daily.Totals{}
		for n := range 60 {
			hit := map[string]any{"type": one("xss", "sqli"), "domain": one("a.example", "b.example", ""),
				"path": one("/", "/login"), "parameter": one("", "q\x01", "q "), "method": one("GET", "POST"),
				"remote_addr4": one("192.0.2.1", "192.0.2.2"), "remote_country": one(nil, "JP", "FR"),
				"response_status": one(0, 200, 403), "block_status": one("", "blocked", "monitored"),
				"request_time": 1677628800 + chance.IntN(4)*3600*7, "applications": one(nil, []string{"1"})}
			data, err := json.Marshal(map[string]any{"hit": hit})
			require.NoError(t, err)
			e := event.Event{ID: fmt.Sprint(n), Tenant: one("a", "b").(string), Kind: event.NewHits, Data: data,
				Time: time.Unix(1677628800+24*3600, 0).UTC()}
			batch = append(batch, e)
			add(alone, record(e))
		}
		together := map[string]*daily.Totals{}
		add(together, record(batch...))
		require.Equal(t, alone, together, "seed %d", seed)
	}
}

func add(days map[string]*daily.Totals, entries []daily.Entry) {
	for _, e := range entries {
		of := fmt.Sprint(e.Tenant, " ", e.Day)
		if days[of] == nil {
			days[of] = &daily.Totals{}
		}
		days[of].Add(e)
	}
}
