package jira

import (
	"fmt"
	"regexp"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
	"tocsin/shared/plaintext"
)

// valueLimits are tried one after the other until a description keeps to descriptionLimit: of one value, in UTF-16
// units.
var valueLimits = []int{1500, 750, 350, 150, 75, 30}

// linkLimit is in bytes. Atlassian Document Format, mark "link": none published; browsers take this much.
const linkLimit = 2000

// node is a node of the Atlassian Document Format.
type node struct {
	Type    string `json:"type"`
	Version int    `json:"version,omitempty"` // of the document
	Text    string `json:"text,omitempty"`
	Marks   []node `json:"marks,omitempty"`
	Attrs   *attrs `json:"attrs,omitempty"`
	Content []node `json:"content,omitempty"`
}

type attrs struct {
	Href string `json:"href"`
}

// document is the description for version 3: the integration's own text, or ours with the facts as a list. Jira does
// not say whether its limit is on the text or on the document, so that the document keeps to it.
func document(n notification.Notification) node {
	var doc node
	for _, limit := range valueLimits {
		doc = documentWithin(n, limit)
		if raw, err := ijson.Marshal(doc); err != nil || cut.LenUTF16(string(raw)) <= descriptionLimit {
			break
		}
	}
	return doc
}

// comment is a document for what becomes of an issue: its headline, and the text.
func comment(n notification.Notification) node {
	var doc node
	for _, limit := range valueLimits {
		doc = documentWithin(n, limit)
		head := words(n.Headline(), limit)
		head.Marks = []node{{Type: "strong"}}
		doc.Content = append([]node{paragraph(head)}, doc.Content...)
		if raw, err := ijson.Marshal(doc); err != nil || cut.LenUTF16(string(raw)) <= descriptionLimit {
			break
		}
	}
	return doc
}

func documentWithin(n notification.Notification, limit int) node {
	doc := node{Type: "doc", Version: 1}
	if own := n.Text(); own != "" {
		for part := range strings.SplitSeq(cut.UTF16(own, ownFactor*limit), "\n\n") {
			doc.Content = append(doc.Content, lines(part))
		}
	} else {
		doc.Content = facts(n, limit)
	}
	for _, l := range destination.WebLinks(n, linkLimit) {
		text := words(l.Title, limit)
		text.Marks = []node{{Type: "link", Attrs: &attrs{Href: l.URL}}}
		doc.Content = append(doc.Content, paragraph(text))
	}
	doc.Content = append(doc.Content,
		paragraph(words(n.Say("Client: "+n.Client()+", cloud: "+n.Platform.Cloud+", event: "+n.Event.ID+", "+n.At()),
			footLimit)))
	return doc
}

// ownFactor is how much longer an integration's own text may be than one value.
const ownFactor = 8

// lines is a paragraph with line breaks.
func lines(part string) node {
	var content []node
	for l := range strings.SplitSeq(part, "\n") {
		if len(content) > 0 {
			content = append(content, node{Type: "hardBreak"})
		}
		if l = plaintext.Lines(l); l != "" { // an empty text node would be refused
			content = append(content, node{Type: "text", Text: l})
		}
	}
	return paragraph(content...)
}

// facts is our text: the sentence, and the facts as a list.
func facts(n notification.Notification, limit int) []node {
	out := []node{
		paragraph(words(n.Label("Notification type")+string(n.Event.Kind), limit)),
		paragraph(words(n.Sentence(), limit)),
	}
	var items []node
	for _, f := range n.Facts() {
		label := words(n.Mark(f.Label), limit)
		label.Marks = []node{{Type: "strong"}}
		items = append(items, node{Type: "listItem", Content: []node{paragraph(label, words(f.Value, limit))}})
	}
	if len(items) > 0 {
		out = append(out, node{Type: "bulletList", Content: items})
	}
	return out
}

// footLimit is in UTF-16 units: a company's name, an event's id and what is ours are shorter.
const footLimit = 600

func paragraph(content ...node) node { return node{Type: "paragraph", Content: content} }

// words is a text node, in which nothing is markup; an empty one would be refused.
func words(s string, limit int) node {
	return node{Type: "text", Text: cut.UTF16(destination.Printable(s), limit)}
}

// escaped takes the meaning from what makes wiki notation of a text. Jira, "Text Formatting Notation Help": a backslash
// does it for most characters. It does not for a backslash, an ampersand (which begins an entity) and a colon (in a web
// address, which becomes a link, and in :D): those are written as entities. Notation of whole lines (`h1.`, `bq.`, a
// table) needs nothing: no value begins a line.
func escaped(s string) string {
	var out strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\' || c == '&' || c == ':' || c == '<' || c == '>':
			fmt.Fprintf(&out, "&#%d;", c)
		case (c == '-' || c == '_') && i > 0 && i+1 < len(s) && alphanumeric(s[i-1]) && alphanumeric(s[i+1]):
			out.WriteByte(c) // inside of a word it is no notation, and a backslash would be hard to read
		case strings.IndexByte("-#*_+?^~|%{}[]()!@", c) >= 0:
			out.WriteByte('\\')
			out.WriteByte(c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// heading is what makes a heading or a quotation of a line, and what no backslash helps against.
var heading = regexp.MustCompile(`^\s*(h[1-6]|bq)\.`)

// begins is an escaped text that begins a line.
func begins(s string) string {
	if at := heading.FindStringIndex(s); at != nil {
		return s[:at[1]-1] + "&#46;" + s[at[1]:]
	}
	return s
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// plain is the description for version 2, cut no shorter than it must be.
func plain(n notification.Notification) string {
	text := ""
	for _, limit := range valueLimits {
		if text = plainWithin(n, limit); cut.LenUTF16(text) <= descriptionLimit {
			break
		}
	}
	return text
}

// plainComment is a comment for version 2.
func plainComment(n notification.Notification) string {
	text := ""
	for _, limit := range valueLimits {
		text = "*" + escaped(cut.UTF16(destination.Printable(n.Headline()), limit)) + "*\n\n" + plainWithin(n, limit)
		if cut.LenUTF16(text) <= descriptionLimit {
			break
		}
	}
	return text
}

func plainWithin(n notification.Notification, limit int) string {
	value := func(s string) string { return escaped(cut.UTF16(destination.Printable(s), limit)) }
	var b strings.Builder
	if own := n.Text(); own != "" {
		for l := range strings.SplitSeq(cut.UTF16(own, ownFactor*limit), "\n") {
			b.WriteString(begins(escaped(plaintext.Lines(l))) + "\n")
		}
	} else {
		b.WriteString(n.Label("Notification type") + string(n.Event.Kind) + "\n\n" + value(n.Sentence()) + "\n\n")
		for _, f := range n.Facts() {
			b.WriteString(n.Mark(f.Label) + value(f.Value) + "\n")
		}
	}
	for i, l := range destination.WebLinks(n, linkLimit) {
		if i == 0 {
			b.WriteByte('\n')
		}
		title := l.Title
		if n.Digest == nil {
			title = n.Say("More details")
		}
		b.WriteString(n.Mark(title) + l.URL + "\n")
	}
	b.WriteString("\n" + n.Label("Client") + value(n.Client()) + "\n" + n.Label("Cloud") + n.Platform.Cloud + "\n" +
		n.Label("Event") + escaped(n.Event.ID) + "\n")
	return b.String()
}
