package report_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/report"
	"tocsin/shared/wording"
)

// settings answers with what it has.
type settings struct {
	has report.Settings
	err error
}

func (s *settings) Settings(context.Context, string) (report.Settings, error) { return s.has, s.err }

func TestTheLocaleOfATenantIsWhatItChose(t *testing.T) {
	now := time.Date(2026, 11, 27, 9, 5, 0, 0, time.UTC)
	store := &settings{err: errors.New("away")}
	locales := &report.Locales{Store: store, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)}
	says := func() string { return locales.Locale(t.Context(), "42").Time(now) }
	require.Equal(t, "27 November 2026, 09:05 UTC", says(), "what can not be read keeps nothing back, and is not kept")
	store.err = nil
	require.Equal(t, "27 November 2026, 09:05 UTC", says(), "nothing was chosen")
	store.has = report.Settings{Zone: "Asia/Tokyo", Language: wording.Japanese}
	require.Equal(t, "27 November 2026, 09:05 UTC", says(), "what was read holds a minute")
	now = now.Add(time.Minute)
	require.Equal(t, "2026年11月27日 18:06 JST", says())
}
