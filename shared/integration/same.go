package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"slices"

	"tocsin/shared/destination"
)

// keeps reports whether complete parameters are those that the integration has, secrets too.
func (s *Service) keeps(ctx context.Context, i Integration, system destination.System, full json.RawMessage) bool {
	present, err := s.full(ctx, i, system)
	return err == nil && sameJSON(present, full)
}

// sameJSON compares values; the members of an object may be in any order.
func sameJSON(a, b json.RawMessage) bool {
	var values [2]any
	for n, raw := range []json.RawMessage{a, b} {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if d.Decode(&values[n]) != nil {
			return false
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

// sameSettings compares what a person sets. Secrets are sealed anew when they are others.
func sameSettings(a, b Integration) bool {
	return a.Name == b.Name && a.Language == b.Language && a.Rate == b.Rate &&
		a.Grouping == b.Grouping && a.StormGuard == b.StormGuard && a.Fallback == b.Fallback &&
		a.MessageTemplate == b.MessageTemplate &&
		reflect.DeepEqual(a.Filters, b.Filters) && reflect.DeepEqual(a.Hold, b.Hold) &&
		bytes.Equal(a.Parameters, b.Parameters) && bytes.Equal(a.Sealed, b.Sealed) &&
		slices.EqualFunc(a.Subscriptions, b.Subscriptions, func(x, y Subscription) bool {
			return x.Event == y.Event && x.WithHeaders == y.WithHeaders
		})
}
