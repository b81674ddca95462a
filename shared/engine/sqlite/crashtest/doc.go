// Package crashtest is a disk for tests below SQLite: it forgets what was not synced when its power fails, tears what
// was being written, fills up, and fails. It knows every write, truncation, deletion and sync of the files in its
// folder, because it stands between SQLite and SQLite's own access to files (a VFS of SQLite, made the default one of
// the process). Files of other folders pass through it untouched.
//
// What it takes for granted is what SQLite documents that it does: a sector of 512 bytes is written as a whole or not
// at all, and a write leaves the bytes beside it alone (powersafe overwrite). The name of a new file is durable once
// the file was synced.
package crashtest
