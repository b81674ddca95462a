// Package delivery carries events to integrations: Fanout decides who receives what, Sender sends one delivery
// and judges the answer, WorkerPool keeps every integration's work going side by side, Tester serves the test
// button. Delivery is at least once: a delivery keeps its id through every repeat, retry and replay.
//
// A delivery that travels as several requests has an outcome for each (see Part): a refused receiver or a bad record
// keeps nobody else from theirs, and what arrived is not sent again. What an attempt says of the health of its system
// is decided in one place for both workers (see count).
//
// The state of a delivery is decided here and written by an engine behind Log and Queue.
package delivery
