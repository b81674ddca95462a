package telegram

import (
	"html"
	"regexp"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/notification"
)

// textLimit is in UTF-16 units. Telegram, Bot API, "sendMessage": 4096 after the entities are parsed; we keep to it
// before.
const textLimit = 4096

// Limits of the parts that every message has, so that there is always room for the facts; in UTF-16 units, escaped.
const (
	headLimit     = 300
	sentenceLimit = 500
	footLimit     = 250
	linkLimit     = 700
	linksLimit    = 1200 // of all links of one message
)

// valueLimits are tried one after the other until the message keeps to textLimit.
var valueLimits = []int{3000, 1500, 700, 300, 150, 80, 40}

// rule parts the notifications of one message.
const rule = "\n\n———\n\n"

// joined is one message, and how many notifications it holds.
type joined struct {
	text  string
	holds int
}

// join writes notifications into as few messages as hold them, each as it would be alone.
func join(ns []notification.Notification) []joined {
	var out []joined
	used := 0
	for _, n := range ns {
		text := write(n)
		size := cut.LenUTF16(text)
		if last := len(out) - 1; last >= 0 && used+cut.LenUTF16(rule)+size <= textLimit {
			out[last].text += rule + text
			out[last].holds++
			used += cut.LenUTF16(rule) + size
			continue
		}
		out, used = append(out, joined{text, 1}), size
	}
	return out
}

// write renders a notification as Telegram's HTML, its values cut no shorter than they must be.
func write(n notification.Notification) string {
	text := ""
	for _, limit := range valueLimits {
		if text = render(n, limit); cut.LenUTF16(text) <= textLimit {
			break
		}
	}
	return text
}

func render(n notification.Notification, limit int) string {
	var b strings.Builder
	b.WriteString(inert("b", n.Summary(), headLimit) + "\n")
	writeBody(&b, n, limit)
	// A link in the text, not a button: Telegram refuses a whole message for a button whose address it does not like.
	used := 0
	for _, l := range destination.WebLinks(n, linkLimit) {
		link := html.EscapeString(l.URL)
		size := cut.LenUTF16(link)
		if size > linkLimit || used+size > linksLimit {
			continue
		}
		if used == 0 {
			b.WriteByte('\n')
		}
		used += size
		b.WriteString("<a href=\"" + link + "\">" + l.Title + "</a>\n")
	}
	b.WriteString("\n" + inert("i", n.Origin(), footLimit))
	return b.String()
}

// writeBody writes the integration's own text, or ours with the facts.
func writeBody(b *strings.Builder, n notification.Notification, limit int) {
	if own := n.Text(); own != "" {
		for l := range strings.SplitSeq(cut.UTF16(own, limit), "\n") {
			if l != "" {
				l = inert("", l, limit)
			}
			b.WriteString(l + "\n")
		}
		return
	}
	b.WriteString(n.Severity().Symbol() + " " + inert("", n.Sentence(), sentenceLimit) + "\n")
	for i, f := range n.Facts() {
		if i == 0 {
			b.WriteByte('\n')
		}
		b.WriteString("<b>" + strings.TrimSpace(n.Mark(destination.Escaped(f.Label, 40))) + "</b> <code>" +
			destination.Escaped(f.Value, limit) +
			"</code>\n")
	}
}

// active is what Telegram makes links, mentions, hashtags and commands of (Bot API, "MessageEntity").
var active = regexp.MustCompile(`[@#$/]|[^\s.]\.[^\s.]`)

// inert writes a text in an element, or as it is for "". What an attacker wrote in it must become nothing to touch:
// such a text is written in <code>, in which Telegram looks for nothing. The kind of an event and its time are ours.
func inert(element, s string, limit int) string {
	text := destination.Escaped(s, limit)
	if active.MatchString(s) {
		element = "code"
	}
	if element == "" {
		return text
	}
	return "<" + element + ">" + text + "</" + element + ">"
}
