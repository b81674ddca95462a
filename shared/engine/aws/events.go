package aws

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tocsin/shared/event"
)

const (
	// partSize is what one row holds of a large detail, in bytes. DynamoDB, "Service quotas": an item has at most
	// 400 KB with its names.
	partSize = 350 << 10
	// compressFrom is the size from which a detail is compressed: below a kilobyte a row costs one write unit anyway.
	compressFrom = 900
)

// deflate compresses what is worth it; the first byte says whether it did.
func deflate(raw []byte) ([]byte, error) {
	if len(raw) < compressFrom {
		return append([]byte{0}, raw...), nil
	}
	out := bytes.NewBuffer(make([]byte, 0, len(raw)/2))
	out.WriteByte(1)
	w, err := flate.NewWriter(out, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(raw); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func inflate(stored []byte) ([]byte, error) {
	if len(stored) == 0 || stored[0] == 0 {
		return stored[min(1, len(stored)):], nil
	}
	return io.ReadAll(flate.NewReader(bytes.NewReader(stored[1:])))
}

// eventKey is unique: neither a tenant nor an event's id holds a space.
func eventKey(tenant, id string) string { return tenant + " " + id }

// row writes a value of any size: the first part, of at most so many bytes, in the row itself, the others in rows of
// the events table.
func (d *Deliveries) row(key string, into item, raw []byte, inRow int, expires int64) ([]tableWrite, error) {
	stored, err := deflate(raw)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	var extra []tableWrite
	into["detail"] = blob(stored[:min(inRow, len(stored))])
	for n, rest := 1, stored[min(inRow, len(stored)):]; len(rest) > 0; n++ {
		size := min(partSize, len(rest))
		extra = append(extra, tableWrite{d.Tables.Events, item{
			"event": text(partKey(key, n)), "detail": blob(rest[:size]), "expires": number(expires),
		}})
		rest = rest[size:]
		into["parts"] = number(n)
	}
	return extra, nil
}

func partKey(key string, n int) string { return key + " " + strconv.Itoa(n) }

// detail reads a value that row wrote.
func (d *Deliveries) detail(ctx context.Context, key string, row item) ([]byte, error) {
	stored := blobOf(row, "detail")
	if parts := int(numberOf(row, "parts")); parts > 0 {
		rest, err := readParts(ctx, d, d.Tables.Events, "event", "detail", key, parts)
		if err != nil {
			return nil, err
		}
		stored = append(bytes.Clone(stored), rest...)
	}
	return inflate(stored)
}

// readParts reads the rows that a value goes on in.
func readParts(ctx context.Context, d *Deliveries, table, keyName, valueName, key string, count int) ([]byte, error) {
	var keys []item
	for n := 1; n <= count; n++ {
		keys = append(keys, item{keyName: text(partKey(key, n))})
	}
	rows, err := getAll(ctx, d.DB, table, keys, true)
	if err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for _, r := range rows {
		found[textOf(r, keyName)] = blobOf(r, valueName)
	}
	var out []byte
	for n := 1; n <= count; n++ {
		part, ok := found[partKey(key, n)]
		if !ok {
			return nil, fmt.Errorf("part %d of %d of %q is missing", n, count, key)
		}
		out = append(out, part...)
	}
	return out, nil
}

// sources are events to be loaded, and the intakes that may hold them.
type sources struct {
	wanted  map[string]bool // eventKeys
	intakes map[string]bool // intakeIDs
}

func (s *sources) add(tenant string, events, intakes []string) {
	if s.wanted == nil {
		s.wanted, s.intakes = map[string]bool{}, map[string]bool{}
	}
	for _, id := range events {
		s.wanted[eventKey(tenant, id)] = true
	}
	for _, id := range intakes {
		s.intakes[intakeID(tenant, id)] = true
	}
}

// load reads events; those that are kept no longer are missing in the answer. What none of the intakes holds is looked
// up by its key: rows of version 1 hold the event, later ones name its intake.
func (d *Deliveries) load(ctx context.Context, s sources) (map[string]event.Event, error) {
	out := make(map[string]event.Event, len(s.wanted))
	if err := d.loadFrom(ctx, slices.Collect(maps.Keys(s.intakes)), s.wanted, out); err != nil {
		return nil, err
	}
	var keys []item
	for key := range s.wanted {
		if _, ok := out[key]; !ok {
			keys = append(keys, item{"event": text(key)})
		}
	}
	rows, err := getAll(ctx, d.DB, d.Tables.Events, keys, true)
	if err != nil {
		return nil, fmt.Errorf("load %d events: %w", len(keys), err)
	}
	now := d.Now()
	more := map[string]bool{}
	for _, r := range rows {
		if err := known(r, "an event", claimRow{}.newest()); err != nil {
			return nil, err
		}
		key := textOf(r, "event")
		tenant, _, _ := strings.Cut(key, " ")
		if id := intakeID(tenant, textOf(r, "intake")); textOf(r, "intake") != "" && !s.intakes[id] {
			more[id] = true
		}
		if expired(r, now) || textOf(r, "intake") != "" {
			continue
		}
		raw, err := d.detail(ctx, key, r)
		if err == nil {
			out[key], err = event.Decode(textOf(r, "kind"), raw)
		}
		if err != nil {
			return nil, fmt.Errorf("load event %q: %w", key, err)
		}
	}
	return out, d.loadFrom(ctx, slices.Collect(maps.Keys(more)), s.wanted, out)
}

// loadFrom reads the wanted events of intakes.
func (d *Deliveries) loadFrom(ctx context.Context, intakes []string, wanted map[string]bool,
	out map[string]event.Event) error {
	packs, err := d.packs(ctx, intakes)
	if err != nil {
		return err
	}
	for id, p := range packs {
		tenant, _, _ := strings.Cut(id, " ")
		for _, e := range p.Events {
			key := eventKey(tenant, e.ID)
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
