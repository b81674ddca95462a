package email

import (
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"tocsin/shared/cut"
	"tocsin/shared/notification"
)

// The page is built of elements, not of html/template: a template's reflection keeps the linker from dropping what is
// not called, which makes a function's binary half as large again (make bench-cold). Text is escaped either way.

// bars are dark enough for white text (WCAG AA, 4.5 to 1) and stand out on light and dark pages.
var bars = map[notification.Severity]string{
	notification.Info: "#475569", notification.Low: "#1d4ed8", notification.Medium: "#a16207",
	notification.High: "#c2410c", notification.Critical: "#b91c1c",
}

const dark = `
@media (prefers-color-scheme: dark) {
  .page { background: #0f172a !important; }
  .card { background: #1e293b !important; color: #e2e8f0 !important; }
  .label { color: #cbd5e1 !important; }
  .foot { color: #94a3b8 !important; }
  .foot a { color: #93c5fd !important; }
}
`

// render writes a page that mail clients show: tables, inline styles, and dark colours where the client asks for them.
func render(n notification.Notification, why, unsubscribe string) (string, error) {
	title := n.Summary()
	var out strings.Builder
	err := h.Doctype(h.HTML(h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.Meta(h.Name("supported-color-schemes"), h.Content("light dark")),
			h.TitleEl(g.Text(title)),
			h.StyleEl(g.Raw(dark)),
		),
		h.Body(h.Class("page"), style("margin:0;padding:0;background:#f1f5f9;"),
			table("page", "100%", "background:#f1f5f9;",
				h.Tr(h.Td(g.Attr("align", "center"), style("padding:24px 12px;"), card(n, title, why, unsubscribe)))),
		),
	)).Render(&out)
	return out.String(), err
}

func card(n notification.Notification, title, why, unsubscribe string) g.Node {
	return table("card", "600",
		"width:100%;max-width:600px;background:#ffffff;color:#0f172a;font-family:Arial,Helvetica,sans-serif;font-size:15px;line-height:22px;",
		row("padding:24px 24px 8px;font-size:18px;font-weight:bold;", g.Text(n.Platform.Name)),
		row("padding:8px 24px;", g.Text("Hello,")),
		row("padding:8px 24px;", h.Strong(g.Text(title)), h.Br(), g.Text(n.Sentence())),
		row("padding:8px 24px;", table("", "100%", "",
			row("background:"+bars[n.Severity()]+";color:#ffffff;padding:8px 12px;font-weight:bold;",
				g.Text("Risk level is "+strings.ToUpper(n.Severity().String()))))),
		facts(n.Facts()),
		link(n.Link()),
		foot(n, why, unsubscribe),
	)
}

func facts(list []notification.Fact) g.Node {
	if len(list) == 0 {
		return nil
	}
	return row("padding:8px 24px;", h.Table(h.Width("100%"), g.Attr("cellpadding", "0"), g.Attr("cellspacing", "0"),
		style("border-collapse:collapse;"),
		g.Map(list, func(f notification.Fact) g.Node {
			return g.Group{newline, h.Tr(
				h.Td(h.Class("label"), g.Attr("valign", "top"),
					style("padding:6px 12px 6px 0;color:#475569;width:140px;"), g.Text(f.Label)),
				h.Td(g.Attr("valign", "top"), style("padding:6px 0;word-break:break-word;"),
					g.Text(cut.Runes(f.Value, valueLimit))),
			)}
		})))
}

func link(address string) g.Node {
	if address == "" {
		return nil
	}
	return row("padding:16px 24px;", h.A(h.Href(address),
		style("display:inline-block;background:#1d4ed8;color:#ffffff;padding:10px 18px;text-decoration:none;"),
		g.Text("Open in the Console")))
}

func foot(n notification.Notification, why, unsubscribe string) g.Node {
	return g.Group{newline,
		h.Tr(h.Td(h.Class("foot"), style("padding:16px 24px 24px;color:#475569;font-size:12px;line-height:18px;"),
			g.Text(strings.Join([]string{n.Client(), n.Platform.Cloud, string(n.Event.Kind), n.At()}, " · ")), h.Br(),
			g.Text(why),
			g.If(unsubscribe != "", g.Group{h.Br(),
				h.A(h.Href(unsubscribe), style("color:#1d4ed8;"), g.Text("Unsubscribe"))})))}
}

func style(s string) g.Node { return h.Style(s) }

// table is one that only lays out, for a screen reader too.
func table(class, width, css string, rows ...g.Node) g.Node {
	return h.Table(h.Role("presentation"), g.If(class != "", h.Class(class)), h.Width(width),
		g.Attr("cellpadding", "0"), g.Attr("cellspacing", "0"),
		g.If(css != "", style(css)), g.Group(rows))
}

func row(css string, content ...g.Node) g.Node {
	return g.Group{newline, h.Tr(h.Td(style(css), g.Group(content)))}
}

// newline keeps the source of a mail readable.
var newline = g.Raw("\n")
