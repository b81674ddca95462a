package pdf

import (
	"fmt"
	"image/color"

	"tocsin/shared/report"
	"tocsin/shared/report/daily"
	"tocsin/shared/wording"
)

// column of a table; widths are in mm and add up to inner.
type column struct {
	title string
	width float64
	right bool
}

// cell of a table.
type cell struct {
	text  string
	badge color.RGBA // a filled label, when its A is not 0
	link  string
	bold  bool
	soft  bool
}

// row has a first line of cells and, under it, lines that reach over the whole width.
type row struct {
	cells  []cell
	under  []cell
	indent float64 // of the lines under it
}

const (
	lineHeight = 4.6
	rowPadding = 2.6
)

// table writes rows and repeats its head on each page.
func (d *sheet) table(columns []column, rows []row, more int64, what string) {
	d.in("Table", "", func() {
		d.head(columns)
		for i, r := range rows {
			height := rowPadding + lineHeight*float64(1+len(r.under))
			if d.room(height) {
				d.aside(func() { d.head(columns) })
			}
			if i%2 == 1 {
				d.box(margin, d.y, inner, height, shade)
			}
			d.row(columns, r)
			d.y += height
		}
	})
	d.box(margin, d.y, inner, 0.2, rule)
	d.y += 5
	if more > 0 {
		d.beyond(more, what)
	}
	d.y += 6
}

// beyond says how many rows the table lacks, and whether another report lists them.
func (d *sheet) beyond(more int64, what string) {
	said := d.Beyond(what, more, report.PDF)
	st := style{9, false, soft}
	d.in("P", "", func() {
		for _, line := range d.fonts.wrap(said, st, inner) {
			d.room(lineHeight)
			d.text(margin, d.y, line, st)
			d.y += 4
		}
	})
}

func (d *sheet) head(columns []column) {
	d.box(margin, d.y, inner, 6.4, ink)
	x := margin
	d.in("TR", "", func() {
		for _, c := range columns {
			d.in("TH", "", func() {
				if c.right {
					d.right(x+c.width-2, d.y+4.4, c.title, style{8, true, white})
				} else {
					d.text(x+2, d.y+4.4, c.title, style{8, true, white})
				}
			})
			x += c.width
		}
	})
	d.y += 6.4
}

func (d *sheet) row(columns []column, r row) {
	x, y := margin, d.y+1+lineHeight-1.2
	d.in("TR", "", func() {
		for i, c := range r.cells {
			d.in("TD", "", func() { d.cell(c, x, y, columns[i].width, columns[i].right) })
			x += columns[i].width
		}
	})
	for _, c := range r.under {
		y += lineHeight
		c.soft = true
		d.in("TR", "", func() {
			d.in("TD", "", func() {
				d.open.span = len(columns)
				d.cell(c, margin+r.indent, y, inner-r.indent, false)
			})
		})
	}
}

func (d *sheet) cell(c cell, x, y, width float64, right bool) {
	st := style{8.2, c.bold, ink}
	if c.soft {
		st.color = soft
	}
	s := d.fonts.fit(c.text, st, width-4)
	w := d.fonts.width(s, st)
	at := x + 2
	if right {
		at = x + width - 2 - w
	}
	switch {
	case c.badge.A != 0:
		st = style{7.2, true, white}
		w = d.fonts.width(s, st) + 3
		d.rounded(at, y-3.1, w, 4.2, 0.8, c.badge)
		d.text(at+1.5, y-0.1, s, st)
		return
	case c.link != "":
		st.color = accent
	}
	d.anchor(c.link, at, y-3.2, w, 4.2, func() { d.text(at, y, s, st) })
}

// section begins a table's part of the document: on the same page when there is room for its head and some rows.
func (d *sheet) section(title string, n int64) {
	if d.y > margin {
		d.room(40)
	}
	if d.language == wording.Japanese {
		d.heading(title + "（" + report.Thousands(n) + " 件）")
		return
	}
	d.heading(fmt.Sprintf("%s (%s)", title, report.Thousands(n)))
}

func (d *sheet) none(what string) {
	d.in("P", "", func() { d.text(margin, d.y+3, what, style{9.5, false, soft}) })
	d.y += 12
}

func (d *sheet) threat(t string) cell { return cell{text: d.say(t), badge: threatColors[t]} }

func (d *sheet) vulnerabilities() {
	if d.Now.Empty() {
		return
	}
	if len(d.pages) == 1 {
		d.next()
	}
	d.section(d.say("New vulnerabilities"), d.Now.Vulnerabilities)
	if len(d.Vulnerabilities) == 0 && d.MoreVulnerabilities == 0 {
		d.none(d.say("No new vulnerabilities in this period."))
		return
	}
	columns := []column{{d.say("Risk"), 20, false}, {d.say("Vulnerability"), 88, false}, {d.say("Type"), 38, false},
		{d.say("Found"), 28, true}}
	var rows []row
	for _, v := range d.Vulnerabilities {
		name := v.Title
		if id := v.ShownID(); id != "" {
			name = id
			if v.Title != "" {
				name += "  " + v.Title
			}
		}
		if name == "" {
			name = d.say("Without a title")
		}
		rows = append(rows, row{
			cells: []cell{
				d.threat(v.Threat),
				{text: name, link: d.console.Vulnerability(v), bold: true},
				{text: v.Type},
				{text: d.clock(v.At)},
			},
			indent: columns[0].width, under: []cell{{text: place(v.Method, v.Host, v.Path, v.Parameter)}},
		})
	}
	d.table(columns, rows, d.MoreVulnerabilities, "vulnerabilities")
}

func (d *sheet) incidents() {
	if d.Now.Empty() {
		return
	}
	d.section(d.say("Incidents"), d.Now.Incidents)
	if len(d.Incidents) == 0 && d.MoreIncidents == 0 {
		d.none(d.say("No incidents in this period."))
		return
	}
	columns := []column{
		{d.say("Risk"), 20, false},
		{d.say("Incident"), 62, false},
		{d.say("Vulnerability"), 42, false},
		{d.say("Hits"), 22, true},
		{d.say("Last seen"), 28, true},
	}
	var rows []row
	for _, i := range d.Incidents {
		risk := cell{text: "–"}
		if _, ok := threatColors[i.Threat]; ok {
			risk = d.threat(i.Threat)
		}
		rows = append(rows, row{
			cells: []cell{
				risk,
				{text: i.ID + "  " + d.say(TypeName(i.Type)), link: d.console.Incident(i), bold: true},
				{text: i.Vulnerability},
				{text: report.Thousands(i.Hits())},
				{text: d.clock(i.Last)},
			},
			indent: columns[0].width, under: []cell{{text: place(i.Method, i.Host, i.Path, i.Parameter)},
				{text: d.label("Sources") + d.from(i.Attack)}},
		})
	}
	d.table(columns, rows, d.MoreIncidents, "incidents")
}

func (d *sheet) attacks() {
	if d.Now.Empty() {
		return
	}
	d.section(d.say("Largest attacks"), d.Now.Attacks)
	if len(d.Attacks) == 0 && d.MoreAttacks == 0 {
		d.none(d.say("No attacks in this period."))
		return
	}
	columns := []column{
		{d.say("Attack"), 54, false},
		{d.say("Sources"), 52, false},
		{d.say("Hits"), 20, true},
		{d.say("Blocked"), 20, true},
		{d.say("Last seen"), 28, true},
	}
	var rows []row
	for _, a := range d.Attacks {
		rows = append(rows, row{
			cells: []cell{
				{text: d.say(TypeName(a.Type)), link: d.console.Attack(a), bold: true},
				{text: d.from(a)},
				{text: report.Thousands(a.Hits())},
				{text: report.Thousands(a.Blocked)},
				{text: d.clock(a.Last)},
			},
			under: []cell{{text: place(a.Method, a.Host, a.Path, a.Parameter)}},
		})
	}
	d.table(columns, rows, d.MoreAttacks, "attacks")
}

// from names the first source and how many others are known.
func (d *sheet) from(a daily.Attack) string {
	if len(a.Sources) == 0 {
		return "–"
	}
	switch first, n := a.Sources[0], len(a.Sources)-1; {
	case a.More:
		return d.say(fmt.Sprintf("%s and %d or more", first, n))
	case n > 0:
		return d.say(fmt.Sprintf("%s and %d more", first, n))
	default:
		return first
	}
}
