package erasure

import (
	"context"
	"encoding/json"

	"tocsin/shared/erasure/pseudonym"
)

// Person are the texts by which what is kept names a person: the address first, how else it is written, and the id.
// None is nobody in particular.
type Person []string

// Of are the rows of a source that name the person.
func (p Person) Of(source Source) Source {
	if len(p) == 0 {
		return source
	}
	return naming{source, pseudonym.NamesOf(p)}
}

// naming are the rows of a source that hold one of some texts.
type naming struct {
	source Source
	names  pseudonym.Names
}

// Page reads a page, which may be empty although others follow.
func (s naming) Page(ctx context.Context, tenant, after string) ([]Row, string, error) {
	rows, next, err := s.source.Page(ctx, tenant, after)
	if err != nil {
		return nil, "", err
	}
	var named []Row
	for _, r := range rows {
		var v any
		if err := json.Unmarshal(r.Body, &v); err != nil {
			return nil, "", err
		}
		if s.names.In(v) {
			named = append(named, r)
		}
	}
	return named, next, nil
}
