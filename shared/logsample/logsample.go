// Package logsample keeps a flood of like facts from being a flood of log lines: of each kind the first is written at
// once, and from then on one line a minute that holds the newest of them and how many there were.
//
// It is called where a line is written and not set around the logger, because only the caller knows what makes two
// facts alike: the reasons of a thousand refused events differ in the values that they quote.
package logsample

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Every is how often a line of one kind is written at the most.
const Every = time.Minute

// Limits of what is told apart. What is beyond them shares a line: of its group, or of all groups.
const (
	maxGroups  = 512 // tenants, or integrations
	maxClasses = 8   // of a group
	maxClass   = 96  // bytes of a class that count
)

// Kind says what makes two facts alike. A line whose kind was cut for the limits has `others` true.
type Kind struct {
	Group string // a tenant, or an integration of one
	Class string // the reason without its values: see Class
}

// Sampler writes samples. Its zero value is ready, and it is safe for concurrent use.
type Sampler struct {
	mu     sync.Mutex
	kinds  map[Kind]*kept
	groups map[string]int // how many classes each has
	looked time.Time      // when all kinds were looked at
	newest time.Time      // that a fact was counted
	timer  *time.Timer    // runs while there is something that no line told yet
}

// lookEvery is how often Add looks at all kinds: in a flood a look for each fact would cost more than the fact.
const lookEvery = time.Second

// kept is what is known of one kind.
type kept struct {
	last  time.Time // when a line was written
	count int       // since then
	line  line      // the newest of those
}

type line struct {
	log    *slog.Logger
	level  slog.Level
	text   string
	args   []any
	others bool
}

// Add counts a fact and writes a line of it when one is due. The line has the text, args, and `count`: how many facts
// it stands for, itself included, when there is more than one. The lines of other kinds that are due are written too.
func (s *Sampler) Add(log *slog.Logger, now time.Time, level slog.Level, kind Kind, text string, args ...any) {
	if !log.Enabled(context.Background(), level) {
		return
	}
	kind.Class = kind.Class[:min(len(kind.Class), maxClass)]
	s.mu.Lock()
	k, others := s.find(kind, text, now)
	k.count++
	k.line = line{log, level, text, args, others}
	var due []written
	if now.Sub(k.last) >= Every || now.Before(k.last.Add(-Every)) { // or the clock was set back
		due = append(due, k.take(now))
	}
	if since := now.Sub(s.looked); since >= lookEvery || since < 0 {
		due = append(due, s.due(now)...)
	}
	s.newest = now
	if k.count > 0 && s.timer == nil {
		s.timer = time.AfterFunc(Every, s.end)
	}
	s.mu.Unlock()
	write(due)
}

// end tells what was counted before a flood ended: nobody calls Add then. Only when to look is by the machine's clock.
func (s *Sampler) end() {
	s.mu.Lock()
	s.timer = nil
	now := s.newest.Add(Every)
	s.mu.Unlock()
	s.Flush(now)
}

// Flush writes the lines that are due.
func (s *Sampler) Flush(now time.Time) {
	s.mu.Lock()
	due := s.due(now)
	s.mu.Unlock()
	write(due)
}

type written struct {
	line
	count int
}

func (k *kept) take(now time.Time) written {
	w := written{k.line, k.count}
	k.last, k.count, k.line = now, 0, line{}
	return w
}

// due takes the lines whose minute is over, and forgets kinds that were quiet for one.
func (s *Sampler) due(now time.Time) (out []written) {
	s.looked = now
	for kind, k := range s.kinds {
		switch {
		case now.Sub(k.last) < Every:
		case k.count > 0:
			out = append(out, k.take(now))
		default:
			delete(s.kinds, kind)
			if s.groups[kind.Group]--; s.groups[kind.Group] <= 0 {
				delete(s.groups, kind.Group)
			}
		}
	}
	slices.SortFunc(out, func(a, b written) int { return strings.Compare(a.text, b.text) })
	return out
}

// find is what is kept of a kind, or of the one that takes its place beyond the limits.
func (s *Sampler) find(kind Kind, text string, now time.Time) (k *kept, others bool) {
	if s.kinds == nil {
		s.kinds, s.groups = map[Kind]*kept{}, map[string]int{}
	}
	if k, ok := s.kinds[kind]; ok {
		return k, false
	}
	switch classes, known := s.groups[kind.Group]; {
	case !known && len(s.groups) >= maxGroups:
		kind, others = Kind{Group: "", Class: "others: " + text}, true
	case classes >= maxClasses:
		kind, others = Kind{Group: kind.Group, Class: "others"}, true
	}
	if k, ok := s.kinds[kind]; ok {
		return k, others
	}
	k = &kept{last: now.Add(-2 * Every)}
	s.kinds[kind] = k
	s.groups[kind.Group]++
	return k, others
}

func write(lines []written) {
	for _, w := range lines {
		args := w.args
		if w.count > 1 {
			args = append(slices.Clone(args), "count", w.count)
		}
		if w.others {
			args = append(slices.Clone(args), "others", true)
		}
		w.log.Log(context.Background(), w.level, w.text, args...)
	}
}

// Class is a reason without what differs between like ones: quoted values and digits.
func Class(reason string) string {
	var b strings.Builder
	quoted, digits := false, false
	for i := 0; i < len(reason) && b.Len() < maxClass; i++ {
		c := reason[i]
		switch {
		case quoted && c == '\\':
			i++
		case c == '"':
			if quoted = !quoted; quoted {
				b.WriteByte('"')
			}
		case quoted:
		case c >= '0' && c <= '9':
			if !digits {
				b.WriteByte('#')
			}
			digits = true
			continue
		default:
			b.WriteByte(c)
		}
		digits = false
	}
	return b.String()
}
