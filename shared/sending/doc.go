// Package sending makes one attempt at a delivery: Sender encodes the events for their system, sends the requests
// through a Transport, judges the answers and returns the delivery in its next state. It also serves the test button,
// the preview of a request and the lists of values that a form offers.
//
// It stores nothing and decides nothing about when an attempt is made: package worker does, and calls it.
package sending
