// Package enginetest says what an engine must do: one suite for each interface that the domain declares, run over every
// implementation. A suite assumes nothing about how the engine stores; where an engine may be late (a cache, an index
// that is only eventually right) the interface's comment says so and the suite waits.
package enginetest
