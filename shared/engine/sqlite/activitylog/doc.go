// Package activitylog is the store of the activity log in the state file. See package sqlite.
package activitylog
