// Package accounts is the stores in the state file of what lets people and programs in. See package sqlite.
package accounts
