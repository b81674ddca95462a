package activity

import (
	"strings"

	"tocsin/shared/cut"
)

// Bounds of an entry: it is kept with the change that it tells of, on every engine.
const (
	MaxChanges = 100
	MaxValue   = 1 << 10  // bytes of a value, before or after
	MaxValues  = 24 << 10 // bytes of the changes of an entry, with the names of their fields
	maxText    = 256      // bytes of a name, an address or an id
)

// Bounded is the entry as it is kept: long texts are cut, and what is too much is counted in More.
func (e Entry) Bounded() Entry {
	for _, s := range []*string{&e.Email, &e.Name, &e.Subject, &e.Token, &e.RequestID, &e.ObjectID, &e.ObjectName} {
		*s = text(*s, maxText)
	}
	e.At = e.At.UTC()
	changes, size := make([]Change, 0, min(len(e.Changes), MaxChanges)), 0
	for _, c := range e.Changes {
		c.Field, c.Before, c.After = text(c.Field, maxText), text(c.Before, MaxValue), text(c.After, MaxValue)
		if size += len(c.Field) + len(c.Before) + len(c.After); len(changes) == MaxChanges || size > MaxValues {
			e.More += len(e.Changes) - len(changes)
			break
		}
		changes = append(changes, c)
	}
	e.Changes = changes
	return e
}

// text is valid UTF-8 of at most so many bytes.
func text(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	return cut.Keep(s, limit-len(cut.Mark))
}
