// Package db is the state file of the embedded engine: its lock, its schema, the one writer and the readers. What is in
// the tables is the business of the packages beside it.
package db
