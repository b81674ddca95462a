package aws

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"strconv"

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

// row writes a value of any size: the first part, of at most so many bytes, in the row itself, the others in rows of the
// events table.
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
	parts := int(numberOf(row, "parts"))
	if parts > 0 {
		rest, err := d.parts(ctx, key, parts)
		if err != nil {
			return nil, err
		}
		stored = append(bytes.Clone(stored), rest...)
	}
	return inflate(stored)
}

func (d *Deliveries) parts(ctx context.Context, key string, count int) ([]byte, error) {
	var keys []item
	for n := 1; n <= count; n++ {
		keys = append(keys, item{"event": text(partKey(key, n))})
	}
	rows, err := getAll(ctx, d.DB, d.Tables.Events, keys, true)
	if err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for _, r := range rows {
		found[textOf(r, "event")] = blobOf(r, "detail")
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

// load reads events by their keys; those that are kept no longer are missing in the answer.
func (d *Deliveries) load(ctx context.Context, keys []string) (map[string]event.Event, error) {
	wanted := make([]item, len(keys))
	for n, k := range keys {
		wanted[n] = item{"event": text(k)}
	}
	rows, err := getAll(ctx, d.DB, d.Tables.Events, wanted, true)
	if err != nil {
		return nil, fmt.Errorf("load %d events: %w", len(keys), err)
	}
	now := d.Now()
	out := make(map[string]event.Event, len(rows))
	for _, r := range rows {
		if expired(r, now) {
			continue
		}
		key := textOf(r, "event")
		raw, err := d.detail(ctx, key, r)
		if err != nil {
			return nil, fmt.Errorf("load event %q: %w", key, err)
		}
		if out[key], err = event.Decode(textOf(r, "kind"), raw); err != nil {
			return nil, fmt.Errorf("load event %q: %w", key, err)
		}
	}
	return out, nil
}

// Known looks the events' rows up.
func (d *Deliveries) Known(ctx context.Context, events []event.Event) ([]bool, error) {
	known := make([]bool, len(events))
	if len(events) == 0 {
		return known, nil
	}
	keys := make([]item, len(events))
	place := make(map[string][]int, len(events))
	for n, e := range events {
		k := eventKey(e.Tenant, e.ID)
		keys[n] = item{"event": text(k)}
		place[k] = append(place[k], n)
	}
	rows, err := getAll(ctx, d.DB, d.Tables.Events, keys, true, "event", "expires")
	if err != nil {
		return nil, fmt.Errorf("look %d events up: %w", len(events), err)
	}
	now := d.Now()
	for _, r := range rows {
		for _, n := range place[textOf(r, "event")] {
			known[n] = !expired(r, now)
		}
	}
	return known, nil
}
