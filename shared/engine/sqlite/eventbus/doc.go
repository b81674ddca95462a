// Package eventbus is the bus of the embedded engine: it takes events into the state file and hands them to fan-out.
package eventbus
