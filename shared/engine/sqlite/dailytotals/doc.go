// Package dailytotals is the store of the daily totals in the state file, which reports are made of. See package
// sqlite.
package dailytotals
