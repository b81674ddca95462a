package deliveries

import (
	"bytes"
	"context"
	"encoding/csv"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/console/rest"
	"tocsin/shared/deliverylog"
	"tocsin/shared/plaintext"
)

// Bounds of one file. API Gateway and Lambda answer with at most 6 MB.
const (
	exportRows  = 5000
	exportBytes = 4 << 20
	exportPage  = 1000
)

var logHeadings = []string{"time", "delivery", "integration", "integration_name", "system", "state", "kinds", "events",
	"attempts", "last_attempt", "status", "reason", "next_attempt", "summary"}

type logFileInput struct{ LogFilter }

type logFile struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	NextCursor  string `header:"X-Next-Cursor" doc:"there is more: ask again with it; the file has no headings then"`
	Body        []byte
}

// exportLog writes pages of the log as long as each comes full: what a filter finds little of is asked for again by
// whoever reads, with the cursor.
func (s *API) exportLog(ctx context.Context, in *logFileInput) (*logFile, error) {
	q, err := in.query(ctx, exportPage)
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	w := csv.NewWriter(&file)
	if in.Cursor == "" {
		_ = w.Write(logHeadings) // a buffer takes everything
	}
	for n := 0; n < exportRows && file.Len() < exportBytes; {
		page, err := s.search(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, f := range page.Found {
			_ = w.Write(logLine(f))
		}
		w.Flush()
		n += len(page.Found)
		if q.Before = page.Next; q.Before == "" || len(page.Found) < exportPage {
			break
		}
	}
	out := &logFile{ContentType: "text/csv; charset=utf-8", Body: file.Bytes(),
		Disposition: `attachment; filename="deliveries-` + s.Now().UTC().Format(time.DateOnly) + `.csv"`}
	if q.Before != "" {
		out.NextCursor = rest.MakeCursor(logList, q.Tenant, q.Before)
	}
	return out, nil
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
	for n := range line {
		line[n] = plaintext.Cell(line[n])
	}
	return line
}
