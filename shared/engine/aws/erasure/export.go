package erasure

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/erasure"
)

// pageBytes is less than an answer of a function may have: 6 MB (Lambda, "Quotas").
const pageBytes = 3 << 20

// Page reads rows of one table: those of a page of DynamoDB, less where they are too many as JSON.
func (s *Store) Page(ctx context.Context, tenant, from string) (rows []erasure.Row, next string, err error) {
	at, err := readPlace(from)
	if err != nil {
		return nil, "", err
	}
	all := s.Tables.kinds()
	n, err := at.among(all)
	if err != nil {
		return nil, "", err
	}
	k, size := all[n], 0
	items, last, err := s.read(ctx, k, tenant, at.start())
	for read := 1; err == nil && len(items) == 0 && last != nil && read < pagesAtOnce; read++ {
		items, last, err = s.read(ctx, k, tenant, last)
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the table of %s: %w", k.name, err)
	}
	for i, item := range items {
		body, err := k.readable(item)
		if err != nil {
			return nil, "", fmt.Errorf("read a row of the table of %s: %w", k.name, err)
		}
		if body != nil {
			rows = append(rows, erasure.Row{Table: k.name, Body: body})
		}
		if size += len(body); size > pageBytes && i+1 < len(items) {
			return rows, after(k, k.keyOf(item)).write(), nil
		}
	}
	if last != nil {
		return rows, after(k, last).write(), nil
	}
	return rows, s.next(all, n), nil
}

// readable is a row as a person can read it; nil for one that only finds another, by a digest.
func (k kind) readable(item table.Item) (json.RawMessage, error) {
	fields := map[string]any{}
	for name, v := range item {
		if name != "sealed" {
			fields[name] = valueOf(v)
		}
	}
	if k.name == "accounts" { // the keys of sessions and tokens are digests
		if fields["body"] == nil {
			return nil, nil
		}
		delete(fields, "pk")
		delete(fields, "sk")
	}
	return json.Marshal(fields)
}

func valueOf(v types.AttributeValue) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return json.Number(v.Value)
	case *types.AttributeValueMemberBOOL:
		return v.Value
	case *types.AttributeValueMemberL:
		out := []any{}
		for _, one := range v.Value {
			out = append(out, valueOf(one))
		}
		return out
	case *types.AttributeValueMemberM:
		out := map[string]any{}
		for name, one := range v.Value {
			out[name] = valueOf(one)
		}
		return out
	case *types.AttributeValueMemberB:
		return opened(v.Value)
	}
	return nil
}

// opened is JSON, also where it is compressed; else the bytes.
func opened(raw []byte) any {
	var v any
	if utf8.Valid(raw) && json.Unmarshal(raw, &v) == nil {
		return erasure.Open(v)
	}
	if inflated, err := table.Inflate(raw); err == nil && utf8.Valid(inflated) {
		if json.Unmarshal(inflated, &v) == nil {
			return erasure.Open(v)
		}
		return string(inflated)
	}
	return raw // base64
}
