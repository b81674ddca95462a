package dailytotals

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/report/daily"
)

// The rows of the journal and of days are written by the names of sections: they are those of their structs.
func TestRowsAreThoseOfTheirStructs(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &Store{Now: func() time.Time { return at }}
	add := daily.Entry{Day: "2026-03-01", Counts: []daily.Count{{Dimension: "type", Value: "sqli", N: 2}}}
	written, err := s.Entry(t.Context(), "42", []daily.Entry{add}, "i-0")
	require.NoError(t, err)
	same[entryRow](t, written)
	put, parts, err := s.day(t.Context(), table.TenantKey("42", dayPrefix+"2026-03-01"), nil,
		[]dayPart{dayPartOf(add)})
	require.NoError(t, err)
	require.Empty(t, parts)
	same[dayRow](t, put.Item)
}

// same asks that a struct holds all of a row and nothing else.
func same[R table.Row](t *testing.T, written table.Item) {
	t.Helper()
	row, err := table.Unmarshal[R](written)
	require.NoError(t, err)
	again, err := table.Marshal(row)
	require.NoError(t, err)
	require.Equal(t, written, again)
}
