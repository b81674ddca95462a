// Package erasure reads and removes all that the state file holds of a tenant. It asks the file which tables there are
// and by which column a row names its tenant: a table that comes later is not forgotten, and one of which nobody said
// how it does so is an error.
package erasure
