// Package page is the HTML of the mails: the frame that all have, and the parts that they are made of. Mail clients
// need tables, inline styles, and dark colours in a style sheet for the clients that ask for them.
//
// A page is built of elements, not of html/template: a template's reflection keeps the linker from dropping what is
// not called, which makes a function's binary half as large again (make bench-cold). Text is escaped either way.
package page

import (
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"tocsin/shared/wording"
)

// dark are the colours for clients that ask for dark ones. A page adds the rules of classes of its own.
const dark = `
@media (prefers-color-scheme: dark) {
  .page { background: #0f172a !important; }
  .card { background: #1e293b !important; color: #e2e8f0 !important; }
  .label { color: #cbd5e1 !important; }
  .foot { color: #94a3b8 !important; }
  .foot a { color: #93c5fd !important; }
`

// Page is the body of a mail.
type Page struct {
	Title    string // names the document; clients do not show it
	Platform string // stands at the head
	Dark     string // CSS rules of the page's own classes for clients with dark colours, each ends in a newline
	// Language is that of the rows; "" = English.
	Language wording.Language
	Rows     []g.Node
}

// Render writes the page.
func (p Page) Render() string {
	var out strings.Builder
	// A strings.Builder takes everything.
	_ = h.Doctype(h.HTML(h.Lang(string(p.Language.Or(wording.English))),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.Meta(h.Name("supported-color-schemes"), h.Content("light dark")),
			h.TitleEl(g.Text(p.Title)),
			h.StyleEl(g.Raw(dark+p.Dark+"}\n")),
		),
		h.Body(h.Class("page"), h.Style("margin:0;padding:0;background:#f1f5f9;"),
			Layout("page", "100%", "background:#f1f5f9;",
				h.Tr(h.Td(g.Attr("align", "center"), h.Style("padding:24px 12px;"), p.card()))),
		),
	)).Render(&out)
	return out.String()
}

func (p Page) card() g.Node {
	return Layout("card", "600", "width:100%;max-width:600px;background:#ffffff;color:#0f172a;"+
		"font-family:Arial,Helvetica,sans-serif;font-size:15px;line-height:22px;",
		Row("", "padding:24px 24px 8px;font-size:18px;font-weight:bold;", g.Text(p.Platform)),
		Paragraph(g.Text(wording.In(p.Language.Or(wording.English), "Hello,"))),
		g.Group(p.Rows))
}

// Row is one row with one cell. The class may be empty.
func Row(class, css string, content ...g.Node) g.Node {
	return g.Group{Newline, h.Tr(h.Td(g.If(class != "", h.Class(class)), h.Style(css), g.Group(content)))}
}

// Paragraph is a row of text.
func Paragraph(content ...g.Node) g.Node { return Row("", "padding:8px 24px;", content...) }

// Button is a row with a link into the Console; without an address there is none.
func Button(l wording.Language, address string) g.Node {
	return g.If(address != "", Row("", "padding:16px 24px;", h.A(h.Href(address),
		h.Style("display:inline-block;background:#1d4ed8;color:#ffffff;padding:10px 18px;text-decoration:none;"),
		g.Text(wording.In(l.Or(wording.English), "Open in the Console")))))
}

// Foot is the last row, in small letters. It ends in a link to unsubscribe, where there is an address.
func Foot(l wording.Language, unsubscribe string, content ...g.Node) g.Node {
	return Row("foot", "padding:16px 24px 24px;color:#475569;font-size:12px;line-height:18px;", g.Group(content),
		g.If(unsubscribe != "", g.Group{h.Br(),
			h.A(h.Href(unsubscribe), h.Style("color:#1d4ed8;"),
				g.Text(wording.In(l.Or(wording.English), "Unsubscribe")))}))
}

// Layout is a table that only lays out; a screen reader is told so. Class and css may be empty.
func Layout(class, width, css string, rows ...g.Node) g.Node {
	return h.Table(h.Role("presentation"), g.If(class != "", h.Class(class)), h.Width(width),
		g.Attr("cellpadding", "0"), g.Attr("cellspacing", "0"), g.If(css != "", h.Style(css)), g.Group(rows))
}

// Data is a row with a table of data, whose rows a screen reader reads as such.
func Data(rows ...g.Node) g.Node {
	return Paragraph(h.Table(h.Width("100%"), g.Attr("cellpadding", "0"), g.Attr("cellspacing", "0"),
		h.Style("border-collapse:collapse;"), g.Group(rows)))
}

// Newline keeps the source of a mail readable, and its lines short.
var Newline = g.Raw("\n")
