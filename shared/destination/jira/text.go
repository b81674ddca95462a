package jira

import (
	"strings"

	"tocsin/shared/destination"
	"tocsin/shared/notification"
)

// valueLimit is in UTF-16 units, for one value of a description: all of them together stay below descriptionLimit.
const valueLimit = 1500

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

// document is the description for version 3: the notification's text, its facts as a list.
func document(n notification.Notification) node {
	doc := node{Type: "doc", Version: 1, Content: []node{
		paragraph(words("Notification type: " + string(n.Event.Kind))), paragraph(words(n.Sentence())),
	}}
	var items []node
	for _, f := range n.Facts() {
		label := words(f.Label + ": ")
		label.Marks = []node{{Type: "strong"}}
		items = append(items, node{Type: "listItem", Content: []node{paragraph(label, words(f.Value))}})
	}
	if len(items) > 0 {
		doc.Content = append(doc.Content, node{Type: "bulletList", Content: items})
	}
	if link := destination.WebLink(n.Link(), linkLimit); link != "" {
		text := words("Open in the Console")
		text.Marks = []node{{Type: "link", Attrs: &attrs{Href: link}}}
		doc.Content = append(doc.Content, paragraph(text))
	}
	doc.Content = append(doc.Content, paragraph(words("Client: "+n.Event.Client()+", cloud: "+n.Platform.Cloud+", event: "+n.Event.ID+", "+n.At())))
	return doc
}

func paragraph(content ...node) node { return node{Type: "paragraph", Content: content} }

// words is a text node; an empty one would be refused.
func words(s string) node {
	return node{Type: "text", Text: destination.CutUTF16(destination.Printable(s), valueLimit)}
}

// markup are what makes wiki notation of a text: macros, links, and images, which a browser would fetch. Jira, "Text
// Formatting Notation Help": a backslash escapes.
var markup = strings.NewReplacer(`\`, "&#92;", "{", `\{`, "[", `\[`, "!", `\!`)

// plain is the description for version 2.
func plain(n notification.Notification) string {
	var b strings.Builder
	b.WriteString("Notification type: " + string(n.Event.Kind) + "\n\n" + n.Sentence() + "\n\n")
	for _, f := range n.Facts() {
		b.WriteString(f.Label + ": " + markup.Replace(destination.CutUTF16(destination.Printable(f.Value), valueLimit)) + "\n")
	}
	if link := destination.WebLink(n.Link(), linkLimit); link != "" {
		b.WriteString("\nMore details: " + link + "\n")
	}
	b.WriteString("\nClient: " + markup.Replace(n.Event.Client()) + "\nCloud: " + n.Platform.Cloud + "\nEvent: " + n.Event.ID + "\n")
	return destination.CutUTF16(b.String(), descriptionLimit)
}
