// Package timezone knows the time zones that a person can choose: those of the IANA database. Their rules are the
// system's where it has them, else those that the program brings along: a Lambda function's image has none.
package timezone

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata"
)

// Default is the zone of who has chosen none.
const Default = "UTC"

// Err: the name is not a time zone's. What wraps it is for a person.
var Err = errors.New("must be a time zone such as Europe/Berlin")

// noPlaces are in the database and are no zone that anybody is in: the machine's own, the one of a clock that nobody
// has set, and the rules for those that have none.
var noPlaces = []string{"", "Local", "localtime", "Factory", "posixrules"}

// Check says whether a name is that of a zone. The same zones in folders, with leap seconds or without, are none: some
// systems have them. Error: Err.
func Check(name string) error {
	if slices.Contains(noPlaces, name) {
		return Err
	}
	_, err := time.LoadLocation(name)
	if err != nil || strings.HasPrefix(name, "posix/") || strings.HasPrefix(name, "right/") {
		return fmt.Errorf("%w, %q is none", Err, name)
	}
	return nil
}

// Open opens a zone that was checked when it was saved. It is Default for "".
func Open(name string) *time.Location {
	l, err := time.LoadLocation(cmp.Or(name, Default))
	if err != nil {
		return time.UTC
	}
	return l
}
