// Package deliveries is the stores of deliveries in the state file: their queue, their history, the log of the events
// that they carry, and what was rejected. See package sqlite.
package deliveries
