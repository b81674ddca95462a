package report

import (
	"fmt"
	"strings"

	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/wording"
)

// Missing says that a report lists fewer rows of one kind of event than were counted. There are two causes: the format
// has a limit (see RowsOf), which another report can mend, and the record's day has one (see MaxAttacks), which none
// can.
type Missing struct {
	What     string `json:"what"`     // one of the values of Dropped
	Listed   int64  `json:"listed"`   // rows in the report's file
	Recorded int64  `json:"recorded"` // rows of the record: a CSV file lists RowsCSV of them at most
	// Of is how many were counted. What the record let go of and what then came again is counted again: see anew.
	Of   int64          `json:"of"`
	Days []calendar.Day `json:"days,omitempty"` // on which the record let rows go
}

// Gone is how many rows of one kind the record let go of, and on which days, in their order.
type Gone struct {
	N    int64
	Days []calendar.Day
}

// Gone is how many no report can list.
func (m Missing) Gone() int64 { return m.Of - m.Recorded }

// Missing lists the kinds of event of which the summary has fewer rows than were counted.
func (s *Summary) Missing() (out []Missing) {
	for _, k := range []struct {
		what   string
		listed int
		more   int64
	}{
		{daily.DroppedAttacks, len(s.Attacks), s.MoreAttacks},
		{daily.DroppedIncidents, len(s.Incidents), s.MoreIncidents},
		{daily.DroppedVulns, len(s.Vulnerabilities), s.MoreVulnerabilities},
	} {
		if k.more <= 0 {
			continue
		}
		gone, of := s.Gone[k.what], int64(k.listed)+k.more
		out = append(out, Missing{What: k.what, Listed: int64(k.listed), Recorded: of - gone.N, Of: of,
			Days: gone.Days})
	}
	return out
}

// Sentence says what a report of the format lacks, why, and what would list it.
func (m Missing) Sentence(f Format) string {
	what := strings.ToUpper(m.What[:1]) + m.What[1:]
	return fmt.Sprintf("%s: %s of %s are listed.", what, Thousands(m.Listed), Thousands(m.Of)) + m.because(f)
}

// because is the part of Sentence that follows the numbers.
func (m Missing) because(f Format) string {
	var out strings.Builder
	csv := min(m.Recorded, RowsCSV)
	switch {
	case f == CSV || csv <= m.Listed:
	case csv == m.Of:
		out.WriteString(" A CSV report lists all of them.")
	default:
		fmt.Fprintf(&out, " A CSV report lists %s of them.", Thousands(csv))
	}
	if m.Recorded > csv { // no day has so many: see MaxAttacks
		fmt.Fprintf(&out, " A CSV file has at most %s rows: reports on fewer days list more.", Thousands(RowsCSV))
	}
	if gone := m.Gone(); gone > 0 {
		verb, limit := "are", fmt.Sprintf("the record of a day keeps the first %s", Thousands(daily.MaxFindings))
		if gone == 1 {
			verb = "is"
		}
		if m.What == daily.DroppedAttacks {
			limit = fmt.Sprintf("the record of a day keeps at least %s, and lets go of the smallest so far",
				Thousands(daily.MaxAttacks))
		}
		fmt.Fprintf(&out, " %s %s in no report: %s (%s).", Thousands(gone), verb, limit, spoken(m.Days))
	}
	return out.String()
}

// anew is said wherever the record let rows go: it does not know what it let go of.
const anew = "What was let go and came again is counted again, so fewer may be missing, " +
	"and the row of such an attack has only a part of its hits."

// in words sentences in a language.
func in(l wording.Language, english string) string {
	if l != wording.Japanese {
		return english
	}
	var out strings.Builder
	for s := range strings.SplitAfterSeq(english, ". ") {
		out.WriteString(wording.In(l, strings.TrimSpace(s)))
	}
	return out.String()
}

// Beyond says below a table how many rows it lacks, why, and what would list them.
func (s *Summary) Beyond(what string, more int64, f Format) string {
	said := fmt.Sprintf("And %s more %s.", Thousands(more), what)
	for _, m := range s.Missing() {
		if m.What == what {
			said += m.because(f)
		}
	}
	return in(s.Language, said)
}

// explain says what is missing in sentences, none when nothing is.
func explain(missing []Missing, f Format, l wording.Language) (lines []string) {
	again := false
	for _, m := range missing {
		lines = append(lines, in(l, m.Sentence(f)))
		again = again || m.Gone() > 0
	}
	if again {
		lines = append(lines, wording.In(l, anew))
	}
	return lines
}

// Explain says in sentences what the summary, written in a format, does not list. None = it lists everything.
func (s *Summary) Explain(f Format) []string { return explain(s.Missing(), f, s.Language) }

// brief is what is missing in a few words, for a messenger.
func brief(missing []Missing) string {
	var listed, gone []string
	for _, m := range missing {
		listed = append(listed, fmt.Sprintf("%s of %s %s", Thousands(m.Listed), Thousands(m.Of), m.What))
		if n := m.Gone(); n > 0 {
			gone = append(gone, fmt.Sprintf("%s %s", Thousands(n), m.What))
		}
	}
	if listed == nil {
		return ""
	}
	out := "Listed: " + strings.Join(listed, ", ") + "."
	if gone != nil {
		out += " In no report: up to " + strings.Join(gone, ", ") + "."
	}
	return out
}

// spoken names days for a person: three, or how many between the first and the last.
func spoken(days []calendar.Day) string {
	const named = 3
	names := make([]string, 0, named)
	for _, d := range days[:min(len(days), named)] {
		names = append(names, d.Date().Format("2 January 2006"))
	}
	if len(days) > named {
		return fmt.Sprintf("%d days from %s to %s", len(days), names[0],
			days[len(days)-1].Date().Format("2 January 2006"))
	}
	return strings.Join(names, ", ")
}
