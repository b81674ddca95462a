package sending

import (
	"slices"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/sending/reference"
)

// InTurn puts deliveries of a lane in the order in which they are to be sent, where the system keeps what it is sent by
// its object: of each object those of older events first, and the first ones of all objects before the second ones, so
// that they wait for one another as little as can be. objects are those that they tell of then, "" of none; nil = no
// order matters. Deliveries of one object are to be sent one after the other.
func (r *Target) InTurn(all []delivery.Delivery) (objects []string) {
	if !keeps(r.destination) {
		return nil
	}
	objects = make([]string, len(all))
	told := make([]reference.Told, len(all))
	places := map[string][]int{}
	for n := range all {
		if len(all[n].Events) != 1 {
			continue
		}
		e := all[n].Events[0]
		if o, ok := e.Object(); ok {
			objects[n], told[n] = o.Key, reference.ToldOf(all[n].ID, e, o.Step)
			places[o.Key] = append(places[o.Key], n)
		}
	}
	rounds, order := make([]int, len(all)), make([]int, len(all)) // which of its object, from 0; where it stands now
	for n := range all {
		order[n] = n
	}
	for _, at := range places {
		slices.SortStableFunc(at, func(a, b int) int { return told[a].Compare(told[b]) })
		for round, n := range at {
			rounds[n] = round
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return rounds[a] - rounds[b] })
	sorted, of := make([]delivery.Delivery, len(all)), make([]string, len(all))
	for to, from := range order {
		sorted[to], of[to] = all[from], objects[from]
	}
	copy(all, sorted)
	return of
}

// keeps reports whether a system keeps one thing of an object, which the last event that it is sent changes.
func keeps(d destination.Destination) bool {
	_, follows := d.(destination.Follower)
	_, keyed := d.(destination.Keyed)
	return follows || keyed
}
