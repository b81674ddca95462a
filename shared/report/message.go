package report

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/event"
	"tocsin/shared/notification"
	"tocsin/shared/plaintext"
	"tocsin/shared/wording"
)

// Messages finds the message of an event.Report: what delivery sends.
type Messages struct {
	Store    Archive
	Platform notification.Platform
}

// Report loads a report for its receiver. The error is a sentence for an administrator.
func (m Messages) Report(ctx context.Context, e event.Event, l wording.Language) (*notification.Report, error) {
	d := event.Data[event.ReportData](e)
	r, err := m.Store.Get(ctx, e.Tenant, d.Report)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("report %s is kept no longer: order it anew", d.Report)
	}
	if err != nil {
		return nil, err
	}
	b := body{Report: r, Platform: m.Platform, Numbers: numbers(r), Company: plaintext.Line(e.Client()),
		Person: KindOf(d.Integration) == PersonReceiver, Language: l.Or(wording.English)}
	out := &notification.Report{Title: b.Title(), Sentence: b.Sentence(), Address: d.Address, Caption: b.caption()}
	for _, f := range r.Files {
		file, err := m.Store.File(ctx, e.Tenant, r.ID, f.Name)
		if err != nil {
			return nil, fmt.Errorf("report %s: its file %s can not be read: order it anew: %w", r.ID, f.Name, err)
		}
		out.Files = append(out.Files, notification.File(file))
	}
	out.Text, out.HTML = b.text, b.page
	return out, nil
}

// PersonPrefix begins the id of a person as a receiver.
const PersonPrefix = "person."

// body is what a message is written from.
type body struct {
	Report
	Platform notification.Platform
	Company  string
	Numbers  []Number
	Person   bool
	Language wording.Language
}

// say words a text of ours in the message's language.
func (b body) say(english string) string { return wording.In(b.Language, english) }

// label words a text of ours as what stands before a value.
func (b body) label(english string) string {
	return notification.Notification{Language: b.Language}.Label(english)
}

// Title names the report and its period.
func (b body) Title() string {
	return b.label(b.Period.Frequency.Adjective()+" report") + b.Period.TitleIn(b.Language)
}

// Title names the report and its period.
func (r Report) Title() string {
	return r.Period.Frequency.Adjective() + " report: " + r.Period.Title()
}

// Sentence says what the report found.
func (b body) Sentence() string {
	h := b.Headline.Now
	if h.Empty() {
		if len(b.Filters) > 0 {
			return b.say("Nothing that the filters select was recorded in this period.")
		}
		return b.say("Nothing was recorded in this period: no attacks, no incidents, no new vulnerabilities.")
	}
	return b.say(fmt.Sprintf("%s in %s, %s, %s.", plural(h.Hits, "malicious request", "malicious requests"),
		plural(h.Attacks, "attack", "attacks"),
		plural(h.Incidents, "incident", "incidents"),
		plural(h.Vulnerabilities, "new vulnerability", "new vulnerabilities")))
}

// Quiet reports whether there is nothing to tell.
func (b body) Quiet() bool { return b.Headline.Now.Empty() }

// selected says by which filters the report was made, "" when by none.
func (b body) selected() string { return saidFilters(b.Filters, b.Language) }

// Against says what the numbers are compared with.
func (b body) Against() string { return b.Period.Frequency.Before() }

// Link leads to the Console.
func (b body) Link() string { return Console(b.Platform.Console).Page("/attacks") }

// captionCompany bounds the company's name, in characters: a messenger cuts a long caption, and what is missing stands
// at its end.
const captionCompany = 80

func (b body) caption() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n%s\n\n%s", b.Title(), cut.Runes(b.Company, captionCompany), b.Sentence())
	if said := b.selected(); said != "" {
		out.WriteString("\n" + said)
	}
	if said := brief(b.Missing); said != "" {
		listed, gone, more := strings.Cut(said, ". ")
		out.WriteString("\n" + b.say(strings.TrimSuffix(listed, ".")+"."))
		if more {
			out.WriteString(" " + b.say(gone))
		}
	}
	return out.String()
}

// Number is one headline number and its change.
type Number struct {
	Label  string
	Value  string
	Change string // against the period before, "" = it is compared with nothing
	Worse  bool
	Better bool
}

func numbers(r Report) []Number {
	now, before := r.Headline.Now, r.Headline.Before
	out := []Number{
		number("Malicious requests", now.Hits, before.Hits),
		number("Attacks", now.Attacks, before.Attacks),
		number("Incidents", now.Incidents, before.Incidents),
		number("New vulnerabilities", now.Vulnerabilities, before.Vulnerabilities),
	}
	if r.Headline.Alone {
		for n := range out {
			out[n] = Number{Label: out[n].Label, Value: out[n].Value}
		}
	}
	return out
}

func number(label string, now, before int64) Number {
	return Number{Label: label, Value: Thousands(now), Change: Change(now, before), Worse: now > before,
		Better: now < before}
}

// Numbers are the headline numbers of a summary.
func (s *Summary) Numbers() []Number { return numbers(Report{Headline: s.Comparison}) }

// Against says what a summary's numbers are compared with.
func (s *Summary) Against() string { return s.Period.Frequency.Before() }

// Change is a number against the one before, in words: +12 %, −3 %, none before.
func Change(now, before int64) string {
	switch {
	case now == before:
		return "no change"
	case before == 0:
		return "none before"
	case now >= 10*before:
		return "×" + Thousands(now/before)
	}
	percent := (now - before) * 100 / before
	switch {
	case percent == 0 && now > before:
		return "+under 1 %"
	case percent == 0:
		return "−under 1 %"
	case percent < 0:
		return "−" + strconv.FormatInt(-percent, 10) + " %"
	}
	return "+" + strconv.FormatInt(percent, 10) + " %"
}

// Thousands writes a number with its thousands apart: 1,048,576.
func Thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

func plural(n int64, one, many string) string {
	switch n {
	case 0:
		return "no " + many
	case 1:
		return "1 " + one
	}
	return Thousands(n) + " " + many
}
