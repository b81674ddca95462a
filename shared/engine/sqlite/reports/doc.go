// Package reports is the store of reports in the state file, with their files and their schedule. See package sqlite.
package reports
