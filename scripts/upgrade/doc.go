// Package upgrade has older programs, built from this repository's history, leave a state, which the current program
// takes over: what waited is sent under the ids that it had, and the log shows what was. The older program then
// refuses the file, and leaves it as it is.
//
// The test needs the build tag upgrade and the older programs; `make test-upgrade` builds them and starts it.
package upgrade
