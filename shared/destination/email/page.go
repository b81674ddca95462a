package email

import (
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"tocsin/shared/cut"
	"tocsin/shared/event"
	"tocsin/shared/mail/page"
	"tocsin/shared/notification"
)

// bars are dark enough for white text (WCAG AA, 4.5 to 1) and stand out on light and dark pages.
var bars = map[notification.Severity]string{
	notification.Info: "#475569", notification.Low: "#1d4ed8", notification.Medium: "#a16207",
	notification.High: "#c2410c", notification.Critical: "#b91c1c",
}

// render writes the page of a notification.
func render(n notification.Notification, why, unsubscribe string) string {
	title := n.Summary()
	digest := n.Event.Kind == event.ScheduledDigest // of many things, of which not all have a risk
	return page.Page{Title: title, Platform: n.Platform.Name, Language: n.Language, Rows: []g.Node{
		body(n, title),
		g.If(!digest || n.Severity() > notification.Info, page.Paragraph(page.Layout("", "100%", "", page.Row("",
			"background:"+bars[n.Severity()]+";color:#ffffff;padding:8px 12px;font-weight:bold;",
			g.Text(n.Say("Risk level is "+strings.ToUpper(n.Severity().String()))))))),
		facts(n),
		links(n),
		page.Foot(n.Language, unsubscribe,
			g.Text(n.Origin()), h.Br(),
			g.Text(why)),
	}}.Render()
}

// body is the title with the integration's own text, or with our sentence.
func body(n notification.Notification, title string) g.Node {
	own := n.Text()
	if own == "" {
		return page.Paragraph(h.Strong(g.Text(title)), h.Br(), g.Text(n.Sentence()))
	}
	content := []g.Node{h.Strong(g.Text(title)), h.Br()}
	for l := range strings.SplitSeq(own, "\n") {
		content = append(content, h.Br(), g.Text(l))
	}
	return page.Paragraph(content...)
}

// facts are the labelled lines of our text.
func facts(n notification.Notification) g.Node {
	list := n.Facts()
	if len(list) == 0 || n.Text() != "" {
		return nil
	}
	return page.Data(g.Map(list, func(f notification.Fact) g.Node {
		return g.Group{page.Newline, h.Tr(
			h.Td(h.Class("label"), g.Attr("valign", "top"),
				h.Style("padding:6px 12px 6px 0;color:#475569;width:140px;"), g.Text(f.Label)),
			h.Td(g.Attr("valign", "top"), h.Style("padding:6px 0;word-break:break-word;"),
				g.Text(cut.Runes(f.Value, valueLimit))),
		)}
	})...)
}

// links are a button, or of a digest a list.
func links(n notification.Notification) g.Node {
	if n.Digest == nil {
		return page.Button(n.Language, n.Link())
	}
	list := n.Links()
	if len(list) == 0 {
		return nil
	}
	return page.Paragraph(g.Map(list, func(l notification.Link) g.Node {
		return g.Group{h.A(h.Href(l.URL), h.Style("color:#1d4ed8;"), g.Text(l.Title)), h.Br(), page.Newline}
	})...)
}
