// Package fanouttest holds the suites of what fan-out and its stores make of events: what comes twice, filters, holds,
// and the property test of what becomes of each event.
package fanouttest
