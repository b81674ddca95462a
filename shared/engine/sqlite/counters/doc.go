// Package counters is the store of the counts of attempts in the state file. See package sqlite.
package counters
