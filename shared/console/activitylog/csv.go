package activitylog

import (
	"bytes"
	"context"
	"encoding/csv"
	"strconv"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/plaintext"
)

// Bounds of one file. API Gateway and Lambda answer with at most 6 MB.
const (
	exportEntries = 2000
	exportBytes   = 4 << 20
	exportPage    = 200
)

var headings = []string{"time", "by", "name", "source", "token", "object", "object_id", "object_name", "action",
	"field",
	"before", "after", "request_id"}

func (s *API) export(ctx context.Context, in *activityFileInput) (*activityFile, error) {
	q, err := s.query(ctx, in.Filter, exportPage)
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	w := csv.NewWriter(&file)
	if in.Cursor == "" {
		_ = w.Write(headings) // a buffer takes everything
	}
	for n := 0; n < exportEntries && file.Len() < exportBytes; {
		page, err := s.Log.List(ctx, q)
		if err != nil {
			return nil, s.Answer(err)
		}
		for _, e := range page.Entries {
			write(w, e)
		}
		w.Flush()
		n += len(page.Entries)
		if q.Before = page.Next; q.Before == "" {
			break
		}
	}
	out := &activityFile{ContentType: "text/csv; charset=utf-8", Body: file.Bytes(),
		Disposition: `attachment; filename="activity-` + s.Now().UTC().Format(time.DateOnly) + `.csv"`}
	if q.Before != "" {
		out.NextCursor = rest.MakeCursor(entryList, q.Tenant, q.Before)
	}
	return out, nil
}

// write adds a line for each change of an entry, and one for an entry without any.
func write(w *csv.Writer, e activity.Entry) {
	changes := e.Changes
	if len(changes) == 0 {
		changes = []activity.Change{{}}
	}
	if e.More > 0 {
		changes = append(changes, activity.Change{Field: "(more)", After: strconv.Itoa(e.More)})
	}
	for _, c := range changes {
		line := []string{e.At.UTC().Format(time.RFC3339Nano), e.Who(), e.Name, string(e.Source), e.Token,
			string(e.Object), e.ObjectID, e.ObjectName, string(e.Action), c.Field, c.Before, c.After, e.RequestID}
		for n := range line {
			line[n] = plaintext.Cell(line[n])
		}
		_ = w.Write(line) // a buffer takes everything
	}
}
