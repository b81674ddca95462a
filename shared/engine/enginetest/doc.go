// Package enginetest says what an engine must do: one suite for each interface that the domain declares, run over every
// implementation. A suite assumes nothing about how the engine stores; where an engine may be late (a cache, an index
// that is only eventually right) the interface's comment says so and the suite waits.
//
// The suites of events and their deliveries are here, with what all suites share. Package settingstest has those of the
// stores that people fill, package reporttest those of reports.
package enginetest
