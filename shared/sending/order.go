package sending

import (
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/sending/reference"
)

// InTurn puts deliveries of a lane in the order in which they are to be sent (reference.InTurn), where the system keeps
// what it is sent by its object. objects are those that they tell of then, "" of none; nil = no order matters.
// Deliveries of one object are to be sent one after the other.
func (r *Target) InTurn(all []delivery.Delivery) (objects []string) {
	if !keeps(r.destination) {
		return nil
	}
	return reference.InTurn(all)
}

// keeps reports whether a system keeps one thing of an object, which the last event that it is sent changes.
func keeps(d destination.Destination) bool {
	_, follows := d.(destination.Follower)
	_, keyed := d.(destination.Keyed)
	return follows || keyed
}
