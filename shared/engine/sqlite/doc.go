// Package sqlite is the embedded engine: every store and queue on one SQLite file that one process owns.
//
// One goroutine writes. Callers hand it operations, and all that wait go into one transaction and one fsync (group
// commit), so that ten thousand small writes a second cost a few hundred commits. Readers have connections of
// their own. A write is durable (WAL, synchronous=FULL) when its call returns.
//
// Because the process owns the file, leases live in memory: a process that was killed has voided them, and that is
// what a restart wants. An event is written once, when the bus takes it; fan-out's progress is one number, and a
// delivery refers to its events by that number, so ten integrations do not store an event ten times. What waits
// and what has ended are different tables: the hot ones stay small however long the log grows. What goes well has no
// row of its own at all: see package blocks.
//
// The state file itself is package db: its lock, its schema, the writer and the readers. Each subject has a package of
// its own beside it, whose files have the names of those of engine/aws. This package puts them together.
//
// The driver is zombiezen.com/go/sqlite, on the pure Go modernc.org/sqlite: `make run` needs no C compiler, and its API
// is SQLite's own (prepared statements, no database/sql between). It was not measured against the other pure Go
// drivers; what this one costs is BenchmarkHotPath.
package sqlite
