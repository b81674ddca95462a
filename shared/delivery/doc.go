// Package delivery carries events to integrations: Fanout decides who receives what, Courier sends one delivery
// and judges the answer, Dispatcher keeps every integration's work going side by side, Tester serves the test
// button. Delivery is at least once: a delivery keeps its id through every repeat, retry and replay.
//
// The state of a delivery is decided here and written by an engine behind Log and Queue.
package delivery
