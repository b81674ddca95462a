package integration

import (
	"reflect"
	"slices"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter"
)

// CheckFit says which filters can never apply to what an integration of the system takes, and which leave all of it
// out for ever. Filters that are wrong in themselves are not asked about, nor is an integration that takes nothing.
func CheckFit(system destination.System, list []filter.Filter, subs []Subscription) InvalidError {
	if len(list) == 0 || len(subs) == 0 || len(filter.CheckIntegration(list, system.Title)) > 0 {
		return nil
	}
	return filter.PlaceOfIntegration(typesOf(subs), system.Events).Check(list)
}

func typesOf(subs []Subscription) []event.Type {
	out := make([]event.Type, len(subs))
	for n, sub := range subs {
		out[n] = sub.Event
	}
	slices.Sort(out)
	return out
}

// narrow sets what the integration takes of events. Whether filters fit the types is asked when either is another: one
// of an earlier release can be renamed or disabled as it is.
func (p Patch) narrow(i *Integration, system destination.System) (problems InvalidError) {
	filters, types := i.Filters, typesOf(i.Subscriptions)
	if p.Subscriptions != nil {
		problems = checkSubscriptions(system, *p.Subscriptions)
		i.Subscriptions = *p.Subscriptions
	}
	if p.Filters != nil {
		problems = append(problems, filter.CheckIntegration(*p.Filters, system.Title)...)
		i.Filters = *p.Filters
	}
	if slices.EqualFunc(filters, i.Filters, func(a, b filter.Filter) bool { return reflect.DeepEqual(a, b) }) &&
		slices.Equal(types, typesOf(i.Subscriptions)) {
		return problems
	}
	return append(problems, CheckFit(system, i.Filters, i.Subscriptions)...)
}
