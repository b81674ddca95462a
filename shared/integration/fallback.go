package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// What can not be delivered to an integration goes to its Fallback, once: what came by fallback and can not be
// delivered there either stays there. So nothing goes round, whoever changed what at the same time. That a save is
// refused which would make a circle is for the people who read the settings.

// FallbackError says whose fallback an integration is.
type FallbackError struct{ Of []Integration }

func (e *FallbackError) Error() string {
	var names []string
	for _, i := range e.Of[:min(len(e.Of), toldNames)] {
		names = append(names, i.Name)
	}
	return fmt.Sprintf("integrations that have this one as their fallback: %d, such as %s", len(e.Of),
		strings.Join(names, ", "))
}

// toldNames is how many integrations an error names.
const toldNames = 5

// checkFallback looks at the fallback of an integration, of which id is "" while it is new.
func (s *Service) checkFallback(ctx context.Context, tenant, id, fallback string) (InvalidError, error) {
	if fallback == "" {
		return nil, nil
	}
	if fallback == id {
		return InvalidError{{Field: "fallback", Reason: "must be another integration"}}, nil
	}
	list, err := All(ctx, s.Store, tenant)
	if err != nil {
		return nil, fmt.Errorf("look at the fallback of integration %s: %w", id, err)
	}
	by := make(map[string]Integration, len(list))
	for _, i := range list {
		by[i.ID] = i
	}
	if _, ok := by[fallback]; !ok {
		return InvalidError{{Field: "fallback", Reason: "is no integration of this tenant"}}, nil
	}
	if loop := LoopOf(id, fallback, func(id string) string { return by[id].Fallback }); loop != nil {
		names := make([]string, len(loop))
		for n, id := range loop {
			names[n] = by[id].Name
		}
		return InvalidError{{Field: "fallback", Reason: "would go round in a circle: " + strings.Join(names, " → ")}},
			nil
	}
	return nil, nil
}

// LoopOf is the way round that the fallback of an integration would close, from it to itself; nil when it closes none.
// next is the fallback of each of the others.
func LoopOf(id, fallback string, next func(id string) string) []string {
	way := []string{id}
	for at := fallback; at != ""; at = next(at) {
		if at == id {
			return append(way, at)
		}
		if slices.Contains(way, at) {
			return nil // a circle of others
		}
		way = append(way, at)
	}
	return nil
}

// FallbackOf lists the integrations of a tenant whose fallback is another one.
func (s *Service) FallbackOf(ctx context.Context, tenant, id string) (out []Integration, err error) {
	list, err := All(ctx, s.Store, tenant)
	if err != nil {
		return nil, fmt.Errorf("look whose fallback integration %s is: %w", id, err)
	}
	return slices.DeleteFunc(list, func(i Integration) bool { return i.Fallback != id }), nil
}
