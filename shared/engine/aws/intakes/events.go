package intakes

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/event"
)

// EventKey is unique: neither a tenant nor an event's id holds a space.
func EventKey(tenant, id string) string { return tenant + " " + id }

// SplitDetail writes a value of any size: the first part, of at most so many bytes, in the row itself, the others in
// rows of the events table.
func (t *Store) SplitDetail(key string, into table.Item, raw []byte, inRow int, expires int64) ([]table.Write, error) {
	stored, err := table.Deflate(raw)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	var extra []table.Write
	into["detail"] = table.Blob(stored[:min(inRow, len(stored))])
	for n, rest := 1, stored[min(inRow, len(stored)):]; len(rest) > 0; n++ {
		size := min(table.PartSize, len(rest))
		extra = append(extra, table.Write{Table: t.Tables.Events, Item: table.Item{
			"event": table.Text(table.PartKey(key, n)), "detail": table.Blob(rest[:size]),
			"expires": table.Number(expires),
		}})
		rest = rest[size:]
		into["parts"] = table.Number(n)
	}
	return extra, nil
}

// Detail reads a value that SplitDetail wrote.
func (t *Store) Detail(ctx context.Context, key string, row table.Item) ([]byte, error) {
	stored := table.BlobOf(row, "detail")
	if parts := int(table.NumberOf(row, "parts")); parts > 0 {
		rest, err := t.readParts(ctx, t.Tables.Events, "event", "detail", key, parts)
		if err != nil {
			return nil, err
		}
		stored = append(bytes.Clone(stored), rest...)
	}
	return table.Inflate(stored)
}

// readParts reads the rows that a value goes on in.
func (t *Store) readParts(ctx context.Context, in, keyName, valueName, key string, count int) ([]byte, error) {
	var keys []table.Item
	for n := 1; n <= count; n++ {
		keys = append(keys, table.Item{keyName: table.Text(table.PartKey(key, n))})
	}
	rows, err := table.GetAll(ctx, t.DB, in, keys, true)
	if err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for _, r := range rows {
		found[table.TextOf(r, keyName)] = table.BlobOf(r, valueName)
	}
	var out []byte
	for n := 1; n <= count; n++ {
		part, ok := found[table.PartKey(key, n)]
		if !ok {
			return nil, fmt.Errorf("part %d of %d of %q is missing", n, count, key)
		}
		out = append(out, part...)
	}
	return out, nil
}

// Sources are events to be loaded, and the intakes that may hold them.
type Sources struct {
	wanted  map[string]bool // eventKeys
	intakes map[string]bool // intakeIDs
}

func (s *Sources) Add(tenant string, events, intakes []string) {
	if s.wanted == nil {
		s.wanted, s.intakes = map[string]bool{}, map[string]bool{}
	}
	for _, id := range events {
		s.wanted[EventKey(tenant, id)] = true
	}
	for _, id := range intakes {
		s.intakes[ID(tenant, id)] = true
	}
}

// Load reads events; those that are kept no longer are missing in the answer. What none of the intakes holds is looked
// up by its key: rows of version 1 hold the event, later ones name its intake.
func (t *Store) Load(ctx context.Context, s Sources) (map[string]event.Event, error) {
	out := make(map[string]event.Event, len(s.wanted))
	if err := t.loadFrom(ctx, slices.Collect(maps.Keys(s.intakes)), s.wanted, out); err != nil {
		return nil, err
	}
	var keys []table.Item
	for key := range s.wanted {
		if _, ok := out[key]; !ok {
			keys = append(keys, table.Item{"event": table.Text(key)})
		}
	}
	rows, err := table.GetAll(ctx, t.DB, t.Tables.Events, keys, true)
	if err != nil {
		return nil, fmt.Errorf("load %d events: %w", len(keys), err)
	}
	now := t.Now()
	more := map[string]bool{}
	for _, r := range rows {
		if err := table.KnownVersion(r, "an event", claimRow{}.Newest()); err != nil {
			return nil, err
		}
		key := table.TextOf(r, "event")
		tenant, _, _ := strings.Cut(key, " ")
		if id := ID(tenant, table.TextOf(r, "intake")); table.TextOf(r, "intake") != "" && !s.intakes[id] {
			more[id] = true
		}
		if table.Expired(r, now) || table.TextOf(r, "intake") != "" {
			continue
		}
		raw, err := t.Detail(ctx, key, r)
		if err == nil {
			out[key], err = event.Decode(table.TextOf(r, "kind"), raw)
		}
		if err != nil {
			return nil, fmt.Errorf("load event %q: %w", key, err)
		}
	}
	return out, t.loadFrom(ctx, slices.Collect(maps.Keys(more)), s.wanted, out)
}

// loadFrom reads the wanted events of intakes.
func (t *Store) loadFrom(ctx context.Context, intakes []string, wanted map[string]bool,
	out map[string]event.Event) error {
	packs, err := t.packs(ctx, intakes)
	if err != nil {
		return err
	}
	for id, p := range packs {
		tenant, _, _ := strings.Cut(id, " ")
		for _, e := range p.Events {
			key := EventKey(tenant, e.ID)
			if !wanted[key] {
				continue
			}
			if out[key], err = e.decode(); err != nil {
				return fmt.Errorf("load from intake %q: %w", id, err)
			}
		}
	}
	return nil
}
