package report

import (
	"fmt"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"tocsin/shared/notification"
)

// why says why the receiver gets this.
func (b body) why() string {
	if b.Person {
		return "You receive this mail because of the notifications in your profile at " + b.Platform.Name + "."
	}
	return "You receive this mail because someone at " + b.Company + " added your address to reports of " +
		b.Platform.Name + "."
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
	fmt.Fprintf(&out, "Hello,\n\n%s\n%s\n\n", b.Title(), b.Company)
	if a.Late != "" {
		fmt.Fprintf(&out, "%s\n\n", a.Late)
	}
	if b.Quiet() {
		fmt.Fprintln(&out, b.Sentence())
	} else {
		for _, n := range b.Numbers {
			fmt.Fprintf(&out, "%s: %s (%s)\n", n.Label, n.Value, n.Change)
		}
		fmt.Fprintf(&out, "\nThe changes are against %s.\n", b.Against())
	}
	if len(b.Missing) > 0 {
		fmt.Fprintf(&out, "\n%s\n", strings.Join(explain(b.Missing, b.Format), "\n"))
	}
	if len(b.Files) > 0 {
		fmt.Fprintf(&out, "\nAttached: %s.\n", b.attached())
	}
	if b.Link() != "" {
		fmt.Fprintf(&out, "\nOpen the Console: %s\n", b.Link())
	}
	fmt.Fprintf(&out, "\nDays are those of the time zone %s.\n%s\n", b.Period.Zone, b.why())
	if a.Unsubscribe != "" {
		fmt.Fprintf(&out, "Unsubscribe: %s\n", a.Unsubscribe)
	}
	return out.String()
}

const dark = `
@media (prefers-color-scheme: dark) {
  .page { background: #0f172a !important; }
  .card { background: #1e293b !important; color: #e2e8f0 !important; }
  .label { color: #cbd5e1 !important; }
  .foot { color: #94a3b8 !important; }
  .foot a { color: #93c5fd !important; }
  .worse { color: #fca5a5 !important; }
  .better { color: #86efac !important; }
  .line { border-color: #475569 !important; }
}
`

// page is the mail's body as mail clients show it: tables, inline styles, dark colours where the client asks for them.
// It is built of elements for the reason that package email's is.
func (b body) page(a notification.Around) string {
	var out strings.Builder
	// A strings.Builder takes everything.
	_ = h.Doctype(h.HTML(h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.Meta(h.Name("supported-color-schemes"), h.Content("light dark")),
			h.TitleEl(g.Text(b.Title())),
			h.StyleEl(g.Raw(dark)),
		),
		h.Body(h.Class("page"), h.Style("margin:0;padding:0;background:#f1f5f9;"),
			layout("page", "100%", "background:#f1f5f9;",
				h.Tr(h.Td(g.Attr("align", "center"), h.Style("padding:24px 12px;"), b.card(a)))),
		),
	)).Render(&out)
	return out.String()
}

func (b body) card(a notification.Around) g.Node {
	return layout("card", "600",
		"width:100%;max-width:600px;background:#ffffff;color:#0f172a;font-family:Arial,Helvetica,sans-serif;font-size:15px;line-height:22px;",
		row("", "padding:24px 24px 8px;font-size:18px;font-weight:bold;", g.Text(b.Platform.Name)),
		row("", "padding:8px 24px;", g.Text("Hello,")),
		row("", "padding:8px 24px;", h.Strong(g.Text(b.Title())), h.Br(), g.Text(b.Company)),
		g.If(a.Late != "", row("", "padding:8px 24px;", g.Text(a.Late))),
		b.found(),
		g.If(len(b.Files) > 0, row("", "padding:8px 24px;", g.Text("The report is attached: "+b.attached()+"."))),
		g.If(b.Link() != "", row("", "padding:16px 24px;", h.A(h.Href(b.Link()),
			h.Style("display:inline-block;background:#1d4ed8;color:#ffffff;padding:10px 18px;text-decoration:none;"),
			g.Text("Open in the Console")))),
		row("foot", "padding:16px 24px 24px;color:#475569;font-size:12px;line-height:18px;",
			g.Text("Days are those of the time zone "+b.Period.Zone+". "+b.why()),
			g.If(a.Unsubscribe != "", g.Group{h.Br(),
				h.A(h.Href(a.Unsubscribe), h.Style("color:#1d4ed8;"), g.Text("Unsubscribe"))})),
	)
}

// found is the headline numbers, or that there is nothing to tell.
func (b body) found() g.Node {
	if b.Quiet() {
		return row("", "padding:8px 24px;", g.Text(b.Sentence()))
	}
	return g.Group{
		row("", "padding:8px 24px;", h.Table(h.Width("100%"), g.Attr("cellpadding", "0"), g.Attr("cellspacing", "0"),
			h.Style("border-collapse:collapse;"), g.Map(b.Numbers, numberRow))),
		row("label", "padding:0 24px 8px;color:#475569;font-size:13px;",
			g.Text("The changes are against "+b.Against()+".")),
		g.Map(explain(b.Missing, b.Format), func(line string) g.Node {
			return row("", "padding:4px 24px;font-size:14px;", g.Text(line))
		}),
	}
}

func numberRow(n Number) g.Node {
	class, color := "line label", "#475569"
	switch {
	case n.Worse:
		class, color = "line worse", "#b91c1c"
	case n.Better:
		class, color = "line better", "#15803d"
	}
	const border = "border-bottom:1px solid #e2e8f0;"
	return g.Group{g.Raw("\n"), h.Tr(
		h.Td(h.Class("label line"), h.Style("padding:10px 12px 10px 0;color:#475569;"+border), g.Text(n.Label)),
		h.Td(h.Class("line"), g.Attr("align", "right"),
			h.Style("padding:10px 0;font-size:20px;font-weight:bold;"+border), g.Text(n.Value)),
		h.Td(h.Class(class), g.Attr("align", "right"), h.Width("110"),
			h.Style("padding:10px 0 10px 12px;"+border+"color:"+color+";"), g.Text(n.Change)),
	)}
}

// layout is a table that only lays out, for a screen reader too.
func layout(class, width, css string, rows ...g.Node) g.Node {
	return h.Table(h.Role("presentation"), h.Class(class), h.Width(width), g.Attr("cellpadding", "0"),
		g.Attr("cellspacing", "0"), h.Style(css), g.Group(rows))
}

func row(class, css string, content ...g.Node) g.Node {
	return g.Group{g.Raw("\n"), h.Tr(h.Td(g.If(class != "", h.Class(class)), h.Style(css), g.Group(content)))}
}
