// Package settings is the stores of integrations and triggers in the state file, and of what triggers ask of the
// platform. See package sqlite.
package settings
