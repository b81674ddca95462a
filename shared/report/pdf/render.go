package pdf

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/shared/report"
)

// Renderer renders reports, one at a time: what a report needs in memory is bounded, what several need is not.
type Renderer struct{}

var one sync.Mutex

// Render writes the PDF.
func (Renderer) Render(s *report.Summary, platform string, c report.Console) ([]byte, error) {
	one.Lock()
	defer one.Unlock()
	d := &sheet{document: newDocument(), Summary: s, platform: platform, console: c}
	d.cover()
	d.overview()
	d.rankings()
	d.vulnerabilities()
	d.incidents()
	d.attacks()
	d.footers()
	return d.write(info{d.title() + " – " + s.Client + " – " + s.Period.Title(), platform, s.Made})
}

// sheet is a report being written.
type sheet struct {
	*document
	*report.Summary
	platform string
	console  report.Console
}

func (d *sheet) title() string {
	f := d.Period.Frequency.Adjective()
	if d.Period.Frequency == report.Once {
		return "Security report"
	}
	return f + " security report"
}

// coverHeight is that of the dark band of the first page.
const coverHeight = 88.0

func (d *sheet) cover() {
	d.box(0, 0, pageWidth, coverHeight, ink)
	d.box(0, coverHeight, pageWidth, 1.4, accent)
	say := func(kind string, y float64, s string, st style) {
		d.in(kind, "", func() { d.text(margin, y, d.fonts.fit(s, st, inner), st) })
	}
	say("P", 24, d.platform, style{12, true, white})
	d.in("P", "", func() { d.right(pageWidth-margin, 24, "Confidential", style{9, false, onCover}) })
	say("H1", 46, d.title(), style{26, true, white})
	say("P", 57, d.Client, style{15, false, white})
	say("P", 72, d.Period.Title(), style{11.5, true, white})
	zone := "Time zone " + d.Period.Zone + "   ·   Made on " + d.Made.Format("2 January 2006 at 15:04 MST")
	say("P", 79, zone, style{9, false, onCover})
	d.y = coverHeight + 14
}

func (d *sheet) heading(s string) {
	d.in("H2", "", func() { d.text(margin, d.y+4, s, style{13, true, ink}) })
	d.y += 9
}

// overview is the rest of the first page: the numbers, what they say, the chart over time.
func (d *sheet) overview() {
	d.heading("At a glance")
	const gap, height = 5.0, 30.0
	numbers := d.Numbers()
	width := (inner - gap*float64(len(numbers)-1)) / float64(len(numbers))
	for i, n := range numbers {
		d.tile(n, margin+float64(i)*(width+gap), width, height)
	}
	d.y += height + 6
	d.paragraph(d.sentences())
	if lacks := d.Explain(report.PDF); len(lacks) > 0 {
		d.y += 2.6
		for _, said := range lacks {
			d.paragraph(said)
		}
	}
	d.y += 8
	if d.Now.Hits > 0 {
		d.chart()
	}
}

// tile is one number with its change.
func (d *sheet) tile(n report.Number, x, width, height float64) {
	d.rounded(x, d.y, width, height, 1.5, shade)
	d.box(x, d.y, 1, height, accent)
	d.in("P", "", func() {
		d.text(x+5, d.y+8, n.Label, style{8.5, false, soft})
		size := 20.0
		for size > 9 && d.fonts.width(n.Value, style{size, true, ink}) > width-9 {
			size--
		}
		d.text(x+5, d.y+18.5, n.Value, style{size, true, ink})
		color := soft
		if n.Worse {
			color = bad
		} else if n.Better {
			color = good
		}
		d.text(x+5, d.y+25, n.Change, style{8.5, true, color})
	})
}

// chart draws what came over time.
func (d *sheet) chart() {
	parts, heading := stacks, "Malicious requests by day"
	if d.Period.Days() == 1 {
		parts, heading = hourly, "Malicious requests by hour"
	}
	d.heading(heading)
	const highest, below = 76.0, 8.0
	height := min(highest, bottom-d.y-below) // the sentences above may be many
	d.in("Figure", d.spoken(heading), func() {
		if len(parts) > 1 {
			d.legend(parts, margin+inner, d.y-5)
		}
		d.overTime(d.Over, parts, margin, d.y, inner, height)
	})
	d.y += height + below
}

// spoken is the chart in words.
func (d *sheet) spoken(heading string) string {
	var most report.DayCount
	for _, c := range d.Over {
		if c.Hits > most.Hits {
			most = c
		}
	}
	return fmt.Sprintf(
		"Bar chart: %s. %s in all, most at %s with %s.",
		heading,
		report.Thousands(d.Now.Hits),
		most.Label,
		report.Thousands(most.Hits),
	)
}

func (d *sheet) paragraph(s string) {
	st := style{10, false, ink}
	d.in("P", "", func() {
		for _, line := range d.fonts.wrap(s, st, inner) {
			d.text(margin, d.y+3, line, st)
			d.y += 5.2
		}
	})
}

// sentences say in words what the numbers are.
func (d *sheet) sentences() string {
	if d.Now.Empty() {
		return "Nothing was recorded in this period: no malicious requests, no attacks, no incidents and no new " +
			"vulnerabilities. " +
			"The changes above are against " + d.Against() + "."
	}
	var out []string
	if d.Now.Hits > 0 {
		out = append(
			out,
			fmt.Sprintf(
				"%s of %s malicious requests were blocked.",
				share(d.Now.Blocked, d.Now.Hits),
				report.Thousands(d.Now.Hits),
			),
		)
	}
	if len(d.Types) > 0 && d.Types[0].Value != report.Other {
		out = append(
			out,
			fmt.Sprintf(
				"The most frequent attack type was %s with %s of them.",
				TypeName(d.Types[0].Value),
				share(d.Types[0].N, d.Now.Hits),
			),
		)
	}
	if d.SourcesSeen > 0 {
		more := ""
		if d.SourcesAtLeast {
			more = "at least "
		}
		out = append(
			out,
			fmt.Sprintf("They came from %s%s.", more, count(int64(d.SourcesSeen), "address", "addresses")),
		)
	}
	if d.Now.Incidents > 0 {
		out = append(
			out,
			fmt.Sprintf(
				"%s exploited a known vulnerability: see Incidents.",
				count(d.Now.Incidents, "attack", "attacks"),
			),
		)
	}
	out = append(out, "The changes above are against "+d.Against()+".")
	return strings.Join(out, " ")
}

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return report.Thousands(n) + " " + many
}

func share(part, whole int64) string {
	switch {
	case part == 0:
		return "None"
	case part == whole:
		return "All"
	}
	return strconv.FormatInt(max(1, part*100/whole), 10) + "%"
}

// rankings are the bars of what was attacked, how, and from where, two beside each other.
func (d *sheet) rankings() {
	if d.Now.Hits == 0 {
		return
	}
	d.next()
	types := make([]report.Ranked, len(d.Types))
	for i, t := range d.Types {
		types[i] = report.Ranked{Value: TypeName(t.Value), N: t.N}
	}
	countries := make([]report.Ranked, len(d.Countries))
	for i, c := range d.Countries {
		countries[i] = report.Ranked{Value: CountryName(c.Value), N: c.N}
	}
	d.heading("What happened")
	d.y += 2
	pairs := []struct {
		title string
		rows  []report.Ranked
	}{
		{
			"Attack types",
			types,
		}, {"Attacked hosts", d.Hosts}, {"Source addresses", d.Sources}, {"Source countries", countries},
		{
			"Applications",
			d.Applications,
		}, {"Vulnerabilities by risk", d.Threats}, {"Response status", d.Statuses}, {"Outcome", d.Blocks},
	}
	shown := pairs[:0]
	for _, p := range pairs {
		if len(p.rows) > 0 {
			shown = append(shown, p)
		}
	}
	const gap = 12.0
	width := (inner - gap) / 2
	for i := 0; i < len(shown); i += 2 {
		pair := shown[i:min(i+2, len(shown))]
		height := 0.0
		for _, p := range pair {
			height = max(height, rankingHeight(p.rows))
		}
		d.room(height)
		for k, p := range pair {
			d.ranking(p.title, p.rows, margin+float64(k)*(width+gap), width)
		}
		d.y += height + 8
	}
}

const rankingRow = 6.4

func rankingHeight(rows []report.Ranked) float64 { return 7 + rankingRow*float64(len(rows)) }

// ranking draws bars beside their values, all against the largest.
func (d *sheet) ranking(title string, rows []report.Ranked, x, w float64) {
	d.in("H3", "", func() { d.text(x, d.y+3.5, title, style{10, true, ink}) })
	largest := int64(1)
	widest := ""
	for _, r := range rows {
		if r.Value != report.Other { // what it sums up would dwarf the rest
			largest = max(largest, r.N)
		}
		if s := report.Thousands(r.N); len(s) > len(widest) {
			widest = s
		}
	}
	st := style{8.5, false, ink}
	label := w * 0.52
	room := w - label - d.fonts.width(widest, st) - 3
	d.in("Table", "", func() {
		for i, r := range rows {
			y := d.y + 7 + rankingRow*float64(i)
			name := r.Value
			if name == report.Other {
				name = "All others"
			}
			d.in("TR", "", func() {
				d.in("TD", "", func() { d.text(x, y+3.6, d.fonts.fit(name, st, label-3), st) })
				d.in("TD", "", func() { d.right(x+w, y+3.6, report.Thousands(r.N), st) })
			})
			if r.Value != report.Other {
				d.rounded(x+label, y+0.9, max(0.6, room*float64(r.N)/float64(largest)), 3.6, 0.3, accent)
			}
		}
	})
}

// footers number the pages once their number is known.
func (d *sheet) footers() {
	st := style{8, false, soft}
	for i, p := range d.pages {
		d.page = p
		d.box(margin, pageHeight-14, inner, 0.2, rule)
		left := d.platform + "  ·  " + d.Client + "  ·  " + d.Period.Title()
		d.aside(func() {
			d.text(margin, pageHeight-9, d.fonts.fit(left, st, inner-30), st)
			d.right(pageWidth-margin, pageHeight-9, fmt.Sprintf("Page %d of %d", i+1, len(d.pages)), st)
		})
	}
}

// clock writes a time of the tenant's zone.
func (d *sheet) clock(t time.Time) string { return t.In(d.Made.Location()).Format("2 Jan 15:04") }

// place is where an attack or a vulnerability is.
func place(method, host, path, parameter string) string {
	out := strings.TrimSpace(method + " " + host + path)
	if parameter != "" {
		out += "  [" + parameter + "]"
	}
	return cmp.Or(out, "–")
}
