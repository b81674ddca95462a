package activitylog

import (
	"context"
	"strconv"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
)

// How many entries one file has, and how many are read at once.
const (
	exportEntries = 2000
	exportPage    = 200
)

var headings = []string{"time", "by", "name", "source", "token", "object", "object_id", "object_name", "action",
	"field", "before", "after", "request_id"}

func (s *API) export(ctx context.Context, in *activityFileInput) (*rest.CSVFile, error) {
	q, err := s.query(ctx, in.Filter, exportPage)
	if err != nil {
		return nil, err
	}
	read := func(from string) (rest.CSVPage, error) {
		q.Before = from
		page, err := s.Log.List(ctx, q)
		if err != nil {
			return rest.CSVPage{}, s.Answer(ctx, err)
		}
		out := rest.CSVPage{Rows: len(page.Entries), Next: page.Next, Whole: true}
		for _, e := range page.Entries {
			out.Lines = append(out.Lines, lines(e)...)
		}
		return out, nil
	}
	return s.CSV("activity", headings, exportEntries, entryList, q.Tenant, q.Before, read)
}

// lines are one for each change of an entry, and one for an entry without any.
func lines(e activity.Entry) (out [][]string) {
	changes := e.Changes
	if len(changes) == 0 {
		changes = []activity.Change{{}}
	}
	if e.More > 0 {
		changes = append(changes, activity.Change{Field: "(more)", After: strconv.Itoa(e.More)})
	}
	for _, c := range changes {
		out = append(out, []string{e.At.UTC().Format(time.RFC3339Nano), e.Who(), e.Name, string(e.Source), e.Token,
			string(e.Object), e.ObjectID, e.ObjectName, string(e.Action), c.Field, c.Before, c.After, e.RequestID})
	}
	return out
}
