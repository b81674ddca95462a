package report

import (
	"fmt"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"tocsin/shared/mail/page"
	"tocsin/shared/notification"
	"tocsin/shared/wording"
)

// why says why the receiver gets this.
func (b body) why() string {
	if b.Person {
		return b.say("You receive this mail because of the notifications in your profile at " + b.Platform.Name + ".")
	}
	return b.say("You receive this mail because someone at " + b.Company + " added your address to reports of " +
		b.Platform.Name + ".")
}

// zone says whose days the report's are.
func (b body) zone() string { return b.say(zoneWords(b.Period.Zone)) }

func zoneWords(zone string) string { return "Days are those of the time zone " + zone + "." }

// line is one headline number with its change, in a text.
func (b body) line(n Number) string {
	out := b.label(n.Label) + n.Value
	switch {
	case n.Change == "":
		return out
	case b.Language == wording.Japanese:
		return out + "（" + b.say(n.Change) + "）"
	}
	return out + " (" + b.say(n.Change) + ")"
}

// attached names the files.
func (b body) attached() string {
	names := make([]string, len(b.Files))
	for i, f := range b.Files {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}

// text is the mail's body for who reads no HTML.
func (b body) text(a notification.Around) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n\n%s\n%s\n\n", b.say("Hello,"), b.Title(), b.Company)
	if a.Late != "" {
		fmt.Fprintf(&out, "%s\n\n", a.Late)
	}
	if b.Quiet() {
		fmt.Fprintln(&out, b.Sentence())
	} else {
		for _, n := range b.Numbers {
			fmt.Fprintln(&out, b.line(n))
		}
		if !b.Headline.Alone {
			fmt.Fprintf(&out, "\n%s\n", b.say("The changes are against "+b.Against()+"."))
		}
	}
	if said := b.selected(); said != "" {
		fmt.Fprintf(&out, "\n%s\n", said)
	}
	if len(b.Missing) > 0 {
		fmt.Fprintf(&out, "\n%s\n", strings.Join(explain(b.Missing, b.Format, b.Language), "\n"))
	}
	if len(b.Files) > 0 {
		fmt.Fprintf(&out, "\n%s\n", b.say("Attached: "+b.attached()+"."))
	}
	if b.Link() != "" {
		fmt.Fprintf(&out, "\n%s%s\n", b.label("Open the Console"), b.Link())
	}
	fmt.Fprintf(&out, "\n%s\n%s\n", b.zone(), b.why())
	if a.Unsubscribe != "" {
		fmt.Fprintf(&out, "%s%s\n", b.label("Unsubscribe"), a.Unsubscribe)
	}
	return out.String()
}

// dark are the colours of the changes and their lines.
const dark = `  .worse { color: #fca5a5 !important; }
  .better { color: #86efac !important; }
  .line { border-color: #475569 !important; }
`

// page is the mail's body as mail clients show it.
func (b body) page(a notification.Around) string {
	return page.Page{Title: b.Title(), Platform: b.Platform.Name, Language: b.Language, Dark: dark, Rows: []g.Node{
		page.Paragraph(h.Strong(g.Text(b.Title())), h.Br(), g.Text(b.Company)),
		g.If(a.Late != "", page.Paragraph(g.Text(a.Late))),
		b.found(),
		g.If(len(b.Filters) > 0, page.Paragraph(g.Text(b.selected()))),
		g.If(len(b.Files) > 0, page.Paragraph(g.Text(b.say("The report is attached: "+b.attached()+".")))),
		page.Button(b.Language, b.Link()),
		page.Foot(b.Language, a.Unsubscribe, g.Text(b.zone()), h.Br(), g.Text(b.why())),
	}}.Render()
}

// found is the headline numbers, or that there is nothing to tell.
func (b body) found() g.Node {
	if b.Quiet() {
		return page.Paragraph(g.Text(b.Sentence()))
	}
	return g.Group{
		page.Data(g.Map(b.Numbers, b.numberRow)...),
		g.If(!b.Headline.Alone, page.Row("label", "padding:0 24px 8px;color:#475569;font-size:13px;",
			g.Text(b.say("The changes are against "+b.Against()+".")))),
		g.Map(explain(b.Missing, b.Format, b.Language), func(line string) g.Node {
			return page.Row("", "padding:4px 24px;font-size:14px;", g.Text(line))
		}),
	}
}

func (b body) numberRow(n Number) g.Node {
	class, color := "line label", "#475569"
	switch {
	case n.Worse:
		class, color = "line worse", "#b91c1c"
	case n.Better:
		class, color = "line better", "#15803d"
	}
	const border = "border-bottom:1px solid #e2e8f0;"
	return g.Group{page.Newline, h.Tr(
		h.Td(h.Class("label line"), h.Style("padding:10px 12px 10px 0;color:#475569;"+border), g.Text(b.say(n.Label))),
		h.Td(h.Class("line"), g.Attr("align", "right"),
			h.Style("padding:10px 0;font-size:20px;font-weight:bold;"+border), g.Text(n.Value)),
		h.Td(h.Class(class), g.Attr("align", "right"), h.Width("110"),
			h.Style("padding:10px 0 10px 12px;"+border+"color:"+color+";"), g.Text(b.say(n.Change))),
	)}
}
