package deliveries

import (
	"context"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/console/rest"
	"tocsin/shared/deliverylog"
)

// How many deliveries one file has, and how many are read at once.
const (
	exportRows = 5000
	exportPage = 1000
)

var logHeadings = []string{"time", "delivery", "integration", "integration_name", "system", "state", "kinds", "events",
	"attempts", "last_attempt", "status", "reason", "next_attempt", "summary"}

type logFileInput struct{ LogFilter }

// exportLog writes pages of the log as long as each comes full: what a filter finds little of is asked for again by
// whoever reads, with the cursor.
func (s *API) exportLog(ctx context.Context, in *logFileInput) (*rest.CSVFile, error) {
	q, err := in.query(ctx, exportPage)
	if err != nil {
		return nil, err
	}
	pages := s.index().Pages(q)
	read := func(string) (out rest.CSVPage, err error) {
		page, err := pages.Next(ctx)
		page, err = s.found(ctx, page, err)
		for _, f := range page.Found {
			out.Lines = append(out.Lines, logLine(f))
		}
		out.Rows, out.Next, out.Whole = len(page.Found), page.Next, len(page.Found) == exportPage
		return out, err
	}
	return s.CSV("deliveries", logHeadings, exportRows, logList, q.Tenant, q.Before, read)
}

// logLine is a row with times in UTC.
func logLine(f deliverylog.Found) []string {
	v := logView(f.Delivery, f.To, f.Summary)
	stamp := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	kinds := make([]string, len(v.Kinds))
	for n, k := range v.Kinds {
		kinds[n] = string(k)
	}
	line := []string{v.CreatedAt.UTC().Format(time.RFC3339Nano), v.ID, v.Integration.ID, v.Integration.Name,
		v.Integration.System, string(v.State), strings.Join(kinds, " "), strconv.Itoa(v.Count),
		strconv.Itoa(v.Attempts), "", "", v.Reason, stamp(v.Due), v.Summary}
	if v.Last != nil {
		line[9] = stamp(&v.Last.At)
		if v.Last.Status != 0 {
			line[10] = strconv.Itoa(v.Last.Status)
		}
		if v.Reason == "" {
			line[11] = v.Last.Reason
		}
	}
	return line
}
