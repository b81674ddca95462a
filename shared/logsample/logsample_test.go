package logsample_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/logsample"
)

func capture() (*slog.Logger, func() []map[string]any) {
	var buf bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&buf, nil))
	return log, func() (out []map[string]any) {
		for d := json.NewDecoder(bytes.NewReader(buf.Bytes())); d.More(); {
			line := map[string]any{}
			if err := d.Decode(&line); err != nil {
				panic(err)
			}
			out = append(out, line)
		}
		return out
	}
}

var noon = time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)

func TestAFloodIsOneLineAMinuteWithACount(t *testing.T) {
	log, lines := capture()
	var s logsample.Sampler
	for n := range 6000 { // a hundred a second, for a minute
		s.Add(log, noon.Add(time.Duration(n)*10*time.Millisecond), slog.LevelWarn,
			logsample.Kind{Group: "42", Class: "a"}, "refused", "id", n)
	}
	require.Len(t, lines(), 1, "the first one, at once")
	require.NotContains(t, lines()[0], "count")
	s.Add(log, noon.Add(time.Minute), slog.LevelWarn, logsample.Kind{Group: "42", Class: "a"}, "refused", "id", 6000)
	require.Len(t, lines(), 2)
	require.EqualValues(t, 6000, lines()[1]["count"])
	require.EqualValues(t, 6000, lines()[1]["id"], "a sample")
}

func TestWhatWasCountedBeforeAFloodEndedIsWritten(t *testing.T) {
	log, lines := capture()
	var s logsample.Sampler
	for range 5 {
		s.Add(log, noon, slog.LevelWarn, logsample.Kind{Group: "42"}, "refused")
	}
	s.Flush(noon.Add(59 * time.Second))
	require.Len(t, lines(), 1)
	s.Flush(noon.Add(time.Minute))
	require.EqualValues(t, 4, lines()[1]["count"])
	s.Flush(noon.Add(time.Hour))
	require.Len(t, lines(), 2)
	s.Add(log, noon.Add(time.Hour), slog.LevelWarn, logsample.Kind{Group: "42"}, "refused")
	require.Len(t, lines(), 3, "after a quiet time the first one is written at once")
}

func TestManyTenantsAndReasonsShareLines(t *testing.T) {
	log, lines := capture()
	var s logsample.Sampler
	for n := range 100_000 {
		s.Add(log, noon, slog.LevelWarn, logsample.Kind{Group: fmt.Sprint("tenant", n), Class: fmt.Sprint(n)},
			"refused")
		s.Add(log, noon, slog.LevelWarn, logsample.Kind{Group: "one", Class: fmt.Sprint(n)}, "refused")
	}
	require.Less(t, len(lines()), 600)
	s.Flush(noon.Add(time.Minute))
	total := 0.0
	for _, l := range lines() {
		if n, ok := l["count"].(float64); ok {
			total += n
		} else {
			total++
		}
	}
	require.EqualValues(t, 200_000, total, "every one is counted")
}

func TestAClockThatIsSetBackKeepsNoLineBack(t *testing.T) {
	log, lines := capture()
	var s logsample.Sampler
	s.Add(log, noon, slog.LevelWarn, logsample.Kind{}, "refused")
	s.Add(log, noon.Add(-time.Hour), slog.LevelWarn, logsample.Kind{}, "refused")
	require.Len(t, lines(), 2)
}

func TestASamplerIsSafeForConcurrentUse(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	var s logsample.Sampler
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range 1000 {
				s.Add(log, noon.Add(time.Duration(n)*time.Second), slog.LevelWarn,
					logsample.Kind{Class: fmt.Sprint(n % 20)}, "refused")
			}
		})
	}
	wg.Wait()
}

func TestClass(t *testing.T) {
	for reason, want := range map[string]string{
		`data.vuln.threat: must be High, Medium or Low, is "Dre\"adful"`: `data.vuln.threat: must be High, Medium or Low, is "`,
		`detail-type: "a_kind_2" is not a known kind of event`:           `detail-type: " is not a known kind of event`,
		`data.hits.123.ip: must be an address`:                           `data.hits.#.ip: must be an address`,
		`id: must be at most 128 printable ASCII characters`:             `id: must be at most # printable ASCII characters`,
		`answered 503 Service Unavailable`:                               `answered # Service Unavailable`,
		`no end: "`:                                                      `no end: "`,
		"":                                                               "",
	} {
		require.Equal(t, want, logsample.Class(reason))
	}
}
