package report

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/plaintext"
	"tocsin/shared/report/daily"
	"tocsin/shared/wording"
)

// Files writes a summary as CSV: one file for each kind of event, at most RowsCSV rows, attacks and incidents with the
// most hits first (facts, 5.2), vulnerabilities, which have none, with the highest risk first. What they lack is said
// beside them: see missingRows. The facts are silent on the columns; their names are in the language of the report,
// their order is the same in each. A byte order mark makes spreadsheets read UTF-8. People open these files: a text is
// on one line and holds nothing that hides or turns (package plaintext), and no text is a formula (plaintext.Cell). The
// exact characters are in the events that integrations receive.
func (s *Summary) Files(c Console) ([]File, error) {
	var out []File
	for _, t := range []struct {
		name   string
		header []string
		rows   func(func(...string))
	}{
		{"attacks", []string{"type", "host", "path", "method", "parameter", "hits", "blocked", "first_seen",
			"last_seen", "source_addresses", "applications", "id", "link"}, s.attackRows(c)},
		{"incidents", []string{"id", "vulnerability", "threat", "type", "host", "path", "method", "parameter", "hits",
			"blocked", "first_seen", "last_seen", "source_addresses", "link"}, s.incidentRows(c)},
		{"vulnerabilities", []string{"id", "title", "threat", "type", "host", "path", "method", "parameter",
			"discovered_by", "found", "link"}, s.vulnRows(c)},
	} {
		var buf bytes.Buffer
		buf.WriteString("\ufeff")
		for i := range t.header {
			t.header[i] = wording.Text{Code: "heading." + t.header[i]}.In(s.Language.Or(wording.English))
		}
		writeRow(&buf, t.header)
		t.rows(func(cells ...string) { writeRow(&buf, cells) })
		out = append(out, File{Name: t.name + "-" + s.Period.Key() + ".csv", Type: "text/csv; charset=utf-8",
			Data: buf.Bytes()})
	}
	return out, nil
}

// missingRows is the text beside CSV files that lack rows, with the ends of lines that every editor knows. None when
// they list everything. CSV has no comments (RFC 4180), and a row that is no event would be counted as one. The name
// ends in .txt, so that who reads *.csv does not meet it.
func (s *Summary) missingRows() []File {
	said := s.Explain(CSV)
	if len(said) == 0 {
		return nil
	}
	lines := append([]string{
		wording.In(s.Language, "These CSV files do not list everything that was counted."),
		s.Period.TitleIn(s.Language), wording.In(s.Language, zoneWords(s.Period.Zone)), "",
	}, said...)
	data := []byte(strings.Join(lines, "\r\n") + "\r\n")
	return []File{{Name: "rows-missing-" + s.Period.Key() + ".txt", Type: "text/plain; charset=utf-8", Data: data}}
}

// selectedBy is the text beside CSV files that says by which filters they were made. None when by none.
func (s *Summary) selectedBy() []File {
	if len(s.Filters) == 0 {
		return nil
	}
	data := []byte(strings.Join([]string{s.Period.TitleIn(s.Language), wording.In(s.Language, zoneWords(s.Period.Zone)),
		"", s.Selected()}, "\r\n") + "\r\n")
	return []File{{Name: "filters-" + s.Period.Key() + ".txt", Type: "text/plain; charset=utf-8", Data: data}}
}

// writeRow writes a row as RFC 4180 has it, each cell in quotes.
func writeRow(buf *bytes.Buffer, cells []string) {
	for i, c := range cells {
		if i > 0 {
			buf.WriteByte(',')
		}
		buf.WriteString(`"` + strings.ReplaceAll(plaintext.Cell(c), `"`, `""`) + `"`)
	}
	buf.WriteString("\r\n")
}

func (s *Summary) clock(t time.Time) string { return t.In(s.Made.Location()).Format(time.RFC3339) }

// some lists values, and marks that there are more.
func some(values []string, more bool) string {
	out := strings.Join(values, " ")
	if more {
		out += " …"
	}
	return out
}

func (s *Summary) attackRows(c Console) func(func(...string)) {
	return func(row func(...string)) {
		for _, a := range s.Attacks {
			row(a.Type, a.Host, a.Path, a.Method, a.Parameter, strconv.FormatInt(a.Hits(), 10),
				strconv.FormatInt(a.Blocked, 10),
				s.clock(a.First), s.clock(a.Last), some(a.Sources, a.More), some(a.Applications, a.MoreApplications),
				a.ID, c.Attack(a))
		}
	}
}

func (s *Summary) incidentRows(c Console) func(func(...string)) {
	return func(row func(...string)) {
		for _, i := range s.Incidents {
			row(i.ID, i.Vulnerability, i.Threat, i.Type, i.Host, i.Path, i.Method, i.Parameter,
				strconv.FormatInt(i.Hits(), 10),
				strconv.FormatInt(i.Blocked, 10), s.clock(i.First), s.clock(i.Last), some(i.Sources, i.More),
				c.object(i.ObjectID, "/incidents"))
		}
	}
}

func (s *Summary) vulnRows(c Console) func(func(...string)) {
	return func(row func(...string)) {
		for _, v := range s.Vulnerabilities {
			row(v.ShownID(), v.Title, v.Threat, v.Type, v.Host, v.Path, v.Method, v.Parameter, v.DiscoveredBy,
				s.clock(v.At), c.Vulnerability(v))
		}
	}
}

// Console is the Console's address, "" when there is none: then nothing is linked.
type Console string

func (c Console) object(id int64, page string) string {
	switch {
	case c == "":
		return ""
	case id == 0:
		return string(c) + page
	}
	return string(c) + "/object/" + strconv.FormatInt(id, 10)
}

// Attack is the link to an attack.
func (c Console) Attack(a daily.Attack) string { return c.object(a.ObjectID, "/attacks") }

// Incident is the link to an incident.
func (c Console) Incident(i daily.Incident) string { return c.object(i.ObjectID, "/incidents") }

// Vulnerability is the link to a vulnerability.
func (c Console) Vulnerability(v daily.Vulnerability) string {
	return c.object(v.ObjectID, "/vulnerabilities")
}

// Page is the link to a page of the Console.
func (c Console) Page(path string) string {
	if c == "" {
		return ""
	}
	return string(c) + path
}
