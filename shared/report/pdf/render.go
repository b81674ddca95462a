package pdf

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/shared/notification"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/wording"
)

// Renderer renders reports, one at a time: what a report needs in memory is bounded, what several need is not.
type Renderer struct{}

var one sync.Mutex

// Render writes the PDF.
func (Renderer) Render(s *report.Summary, platform string, c report.Console) ([]byte, error) {
	one.Lock()
	defer one.Unlock()
	d := &sheet{document: newDocument(s.Language.Or(wording.English)), Summary: s, platform: platform, console: c}
	d.cover()
	d.overview()
	d.rankings()
	d.vulnerabilities()
	d.incidents()
	d.attacks()
	d.footers()
	return d.write(info{d.title() + " – " + s.Client + " – " + s.Period.TitleIn(s.Language), platform, s.Made})
}

// sheet is a report being written.
type sheet struct {
	*document
	*report.Summary
	platform string
	console  report.Console
}

// say words a text of ours in the report's language.
func (d *sheet) say(english string) string { return wording.In(d.language, english) }

// label words a text of ours as what stands before a value.
func (d *sheet) label(english string) string {
	return notification.Notification{Language: d.language}.Label(english)
}

// date is when the report was made.
func (d *sheet) date() string {
	if d.language == wording.Japanese {
		return wording.Time(d.language, d.Made)
	}
	return d.Made.Format("2 January 2006 at 15:04 MST")
}

func (d *sheet) title() string {
	if d.Period.Frequency == calendar.Once {
		return d.say("Security report")
	}
	return d.say(d.Period.Frequency.Adjective() + " security report")
}

// coverHeight is that of the dark band of the first page.
const coverHeight = 88.0

func (d *sheet) cover() {
	d.box(0, 0, pageWidth, coverHeight, ink)
	d.box(0, coverHeight, pageWidth, 1.4, accent)
	put := func(kind string, y float64, s string, st style) {
		d.in(kind, "", func() { d.text(margin, y, d.fonts.fit(s, st, inner), st) })
	}
	put("P", 24, d.platform, style{12, true, white})
	d.in("P", "", func() { d.right(pageWidth-margin, 24, d.say("Confidential"), style{9, false, onCover}) })
	put("H1", 46, d.title(), style{26, true, white})
	put("P", 57, d.Client, style{15, false, white})
	put("P", 72, d.Period.TitleIn(d.language), style{11.5, true, white})
	put("P", 79, d.label("Time zone")+d.Period.Zone+"   ·   "+d.label("Made on")+d.date(), style{9, false, onCover})
	d.y = coverHeight + 14
}

func (d *sheet) heading(s string) {
	d.in("H2", "", func() { d.text(margin, d.y+4, s, style{13, true, ink}) })
	d.y += 9
}

// overview is the rest of the first page: the numbers, what they say, the chart over time.
func (d *sheet) overview() {
	d.heading(d.say("At a glance"))
	const gap, height = 5.0, 30.0
	numbers := d.Numbers()
	width := (inner - gap*float64(len(numbers)-1)) / float64(len(numbers))
	for i, n := range numbers {
		d.tile(n, margin+float64(i)*(width+gap), width, height)
	}
	d.y += height + 6
	if said := d.Selected(); said != "" {
		d.paragraph(said)
		d.y += 2.6
	}
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
		d.text(x+5, d.y+8, d.say(n.Label), style{8.5, false, soft})
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
		d.text(x+5, d.y+25, d.say(n.Change), style{8.5, true, color})
	})
}

// chart draws what came over time.
func (d *sheet) chart() {
	parts, heading := d.stacks(), d.say("Malicious requests by day")
	if d.Period.Days() == 1 {
		parts, heading = d.hourly(), d.say("Malicious requests by hour")
	}
	counts := d.labelled()
	d.heading(heading)
	const highest, below = 76.0, 8.0
	height := min(highest, bottom-d.y-below) // the sentences above may be many
	d.in("Figure", d.spoken(heading, counts), func() {
		if len(parts) > 1 {
			d.legend(parts, margin+inner, d.y-5)
		}
		d.overTime(counts, parts, margin, d.y, inner, height)
	})
	d.y += height + below
}

// spoken is the chart in words.
func (d *sheet) spoken(heading string, counts []report.DayCount) string {
	var most report.DayCount
	for _, c := range counts {
		if c.Hits > most.Hits {
			most = c
		}
	}
	return d.say("Bar chart: "+heading+".") + d.between() +
		d.say(fmt.Sprintf("%s in all, most at %s with %s.", report.Thousands(d.Now.Hits), most.Label,
			report.Thousands(most.Hits)))
}

// between is what stands between sentences.
func (d *sheet) between() string {
	if d.language == wording.Japanese {
		return ""
	}
	return " "
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
	var out []string
	tell := func(format string, args ...any) { out = append(out, d.say(fmt.Sprintf(format, args...))) }
	n := d.Now
	if n.Empty() && d.Alone {
		tell("Nothing that the filters select was recorded in this period.")
	} else if n.Empty() {
		tell("Nothing was recorded in this period: no malicious requests, no attacks, no incidents and no new " +
			"vulnerabilities.")
	}
	if n.Hits > 0 {
		tell("%s of %s malicious requests were blocked.", share(n.Blocked, n.Hits), report.Thousands(n.Hits))
	}
	if len(d.Types) > 0 && d.Types[0].Value != daily.Other {
		if of := d.Types[0]; of.N == n.Hits {
			tell("The only attack type was %s.", TypeName(of.Value))
		} else {
			tell("The most frequent attack type was %s with %s of them.", TypeName(of.Value), share(of.N, n.Hits))
		}
	}
	switch seen := report.Thousands(int64(d.SourcesSeen)); {
	case d.SourcesSeen == 1 && d.SourcesAtLeast:
		tell("They came from at least 1 address.")
	case d.SourcesSeen == 1:
		tell("They came from 1 address.")
	case d.SourcesAtLeast && d.SourcesSeen > 0:
		tell("They came from at least %s addresses.", seen)
	case d.SourcesSeen > 0:
		tell("They came from %s addresses.", seen)
	}
	if n.Incidents == 1 {
		tell("1 attack exploited a known vulnerability: see Incidents.")
	} else if n.Incidents > 1 {
		tell("%s attacks exploited a known vulnerability: see Incidents.", report.Thousands(n.Incidents))
	}
	if !d.Alone {
		tell("The changes above are against %s.", d.Against())
	}
	return strings.Join(out, d.between())
}

// share is a part of the whole: 85%. A small part is not none.
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
		types[i] = report.Ranked{Value: d.say(TypeName(t.Value)), N: t.N}
	}
	countries := make([]report.Ranked, len(d.Countries))
	for i, c := range d.Countries {
		countries[i] = report.Ranked{Value: CountryName(c.Value, d.language), N: c.N}
	}
	threats := make([]report.Ranked, len(d.Threats))
	for i, t := range d.Threats {
		threats[i] = report.Ranked{Value: d.say(t.Value), N: t.N}
	}
	d.heading(d.say("What happened"))
	d.y += 2
	pairs := []struct {
		title string
		rows  []report.Ranked
	}{
		{d.say("Attack types"), types}, {d.say("Attacked hosts"), d.Hosts},
		{d.say("Source addresses"), d.Sources}, {d.say("Source countries"), countries},
		{d.say("Applications"), d.Applications}, {d.say("Vulnerabilities by risk"), threats},
		{d.say("Response status"), d.Statuses}, {d.say("Outcome"), d.Blocks},
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
		if r.Value != daily.Other { // what it sums up would dwarf the rest
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
			if name == daily.Other {
				name = d.say("All others")
			}
			d.in("TR", "", func() {
				d.in("TD", "", func() { d.text(x, y+3.6, d.fonts.fit(name, st, label-3), st) })
				d.in("TD", "", func() { d.right(x+w, y+3.6, report.Thousands(r.N), st) })
			})
			if r.Value != daily.Other {
				d.rounded(x+label, y+0.9, max(0.6, room*float64(r.N)/float64(largest)), 3.6, 0.3, accent)
			}
		}
	})
}

// footers number the pages once their number is known, and name the zone of the times on each.
func (d *sheet) footers() {
	st := style{8, false, soft}
	for i, p := range d.pages {
		d.page = p
		d.box(margin, pageHeight-14, inner, 0.2, rule)
		left := d.platform + "  ·  " + d.Client + "  ·  " + d.Period.TitleIn(d.language)
		right := d.label("Time zone") + d.Period.Zone + "  ·  " +
			d.say(fmt.Sprintf("Page %d of %d", i+1, len(d.pages)))
		d.aside(func() {
			d.text(margin, pageHeight-9, d.fonts.fit(left, st, inner-d.fonts.width(right, st)-4), st)
			d.right(pageWidth-margin, pageHeight-9, right, st)
		})
	}
}

// clock writes a time of the tenant's zone.
func (d *sheet) clock(t time.Time) string {
	layout := "2 Jan 15:04"
	if d.language == wording.Japanese {
		layout = "1月2日 15:04"
	}
	return t.In(d.Made.Location()).Format(layout)
}

// place is where an attack or a vulnerability is.
func place(method, host, path, parameter string) string {
	out := strings.TrimSpace(method + " " + host + path)
	if parameter != "" {
		out += "  [" + parameter + "]"
	}
	return cmp.Or(out, "–")
}
