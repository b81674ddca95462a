package erasure

import (
	"context"
	"encoding/json"
	"fmt"

	"tocsin/shared/erasure/pseudonym"
	"tocsin/shared/mail/address"
)

// Person are the texts by which what is kept names a person: the address first, how else it is written, and the id.
// nil is nobody in particular.
type Person []string

// PersonError says why somebody is named by no address. It is ErrPerson.
type PersonError struct {
	Given string
	Why   error // the end of a sentence that begins with what was given
}

// Error quotes what was given.
func (e *PersonError) Error() string { return fmt.Sprintf("%q %s: %s", e.Given, e.Why, ErrPerson) }

// Unwrap is what callers tell it by.
func (e *PersonError) Unwrap() error { return ErrPerson }

// check refuses who is named by no address: a domain alone would be found, or replaced, in all that is kept.
func (p Person) check() error {
	given := ""
	if len(p) > 0 {
		given = p[0]
	}
	if _, err := address.Parse(given); err != nil {
		return &PersonError{given, err}
	}
	return nil
}

// Of are the rows of a source that name the person; of nil all. Error: ErrPerson.
func (p Person) Of(source Source) (Source, error) {
	if p == nil {
		return source, nil
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return naming{source, pseudonym.NamesOf(p)}, nil
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
