// Package sending makes one attempt at a delivery. Sender encodes the events for their system, authorizes the requests,
// sends them through a Transport, judges the answers and returns the delivery in its next state: delivered, retrying
// with the time of its next attempt, or dead. Where a receiver takes a part of a delivery, the next attempt sends the
// rest (see try). The package also serves the test button, the preview of a request and the lists of values that a form
// offers.
//
// It stores nothing, and it does not decide when an attempt is made: package worker does, and calls it. It holds in
// memory only what can be lost: opened integrations, short-lived credentials, and what it learned of what systems take.
package sending
