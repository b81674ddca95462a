// Package version says which release a binary is.
package version

import (
	"fmt"
	"runtime/debug"
	"time"
)

// Number is the release that is worked on (CHANGELOG.md, Unreleased), or that this is. Between releases it ends in
// -dev.
const Number = "0.2.0-dev"

// Info is what a binary knows of itself.
type Info struct {
	Number string `json:"version" example:"0.2.0" doc:"the release; -dev behind it: between two releases"`
	// Commit is git's digest; "" in a binary that was not built in a clone.
	Commit string `json:"commit,omitempty" doc:"the commit it was built from; absent where that is not known"`
	// At is the commit's time, RFC 3339.
	At string `json:"commit_time,omitempty" format:"date-time" doc:"when that commit was made"`
	// Changed: files were not committed when it was built.
	Changed bool   `json:"changed,omitempty" doc:"files were changed since that commit when it was built"`
	Go      string `json:"go" example:"go1.26.0" doc:"the version of Go that built it"`
}

// Read reads what the toolchain wrote into the binary.
func Read() Info {
	out := Info{Number: Number}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return out
	}
	out.Go = build.GoVersion
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			out.Commit = s.Value
		case "vcs.time":
			out.At = s.Value
		case "vcs.modified":
			out.Changed = s.Value == "true"
		}
	}
	return out
}

// String is one line: "0.2.0-dev, commit 1a2b3c4 of 2026-11-26 with changes, go1.26.0".
func (i Info) String() string {
	out := i.Number
	if i.Commit != "" {
		out += ", commit " + i.Commit[:min(12, len(i.Commit))]
		if at, err := time.Parse(time.RFC3339, i.At); err == nil {
			out += " of " + at.UTC().Format(time.DateOnly)
		}
		if i.Changed {
			out += " with changes"
		}
	}
	if i.Go != "" {
		out += fmt.Sprintf(", %s", i.Go)
	}
	return out
}
