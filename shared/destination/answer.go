package destination

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"tocsin/shared/cut"
	"tocsin/shared/notification"
	"tocsin/shared/plaintext"
)

// saidLimit is in runes: enough for the sentence of a vendor's answer, too little for a page of HTML.
const saidLimit = 300

// Said prepares the words of a system's answer for a reason: on one line, printable, cut. The parts that are empty are
// left out.
func Said(parts ...string) string {
	var kept []string
	for _, p := range parts {
		p = strings.ReplaceAll(plaintext.Line(p), " "+plaintext.Break, "")
		if p = strings.Join(strings.Fields(p), " "); p != "" {
			kept = append(kept, p)
		}
	}
	return cut.Runes(strings.Join(kept, "; "), saidLimit)
}

// JudgeSaid is JudgeStatus with the system's own words after the reason. Where they are not in the form that the system
// documents, they are those of a plain text. Of a web page, which is no system's own answer but that of something
// before it, they are its title.
func JudgeSaid(r Response, reasons map[int]string, said string) Verdict {
	v := JudgeStatus(r, reasons)
	if title, page := webPage(r); said == "" && page {
		said = title
	} else if said == "" {
		said = plainWords(r)
	}
	if !v.Delivered && said != "" {
		v.Reason += " (it says: " + said + ")"
	}
	return v
}

// sentenceLimit is how long a text is that says what is wrong, in bytes; what is longer is something else.
const sentenceLimit = 500

// plainWords are those of an answer that is neither JSON nor XML nor binary.
func plainWords(r Response) string {
	text := bytes.TrimSpace(r.Body)
	if len(text) == 0 || len(text) > sentenceLimit || bytes.ContainsAny(text[:1], "{[<\"") || !utf8.Valid(text) ||
		r.Header.Get("Content-Encoding") != "" || bytes.ContainsRune(text, 0) {
		return ""
	}
	return Said(string(text))
}

// BrokenOff is the verdict on a success (2xx) whose words decide and did not come whole (Response.Broken). The system
// may have taken the message all the same, so that the next attempt can be a repeat: at least once, not at most.
func BrokenOff(r Response) Verdict {
	return Failed(r, "answered "+StatusText(r.Status)+
		", but the answer broke off before its end: the message may have arrived all the same")
}

// WebLink returns a link that a system accepts as one, "" when it is none (see plaintext.Link) or is longer than limit
// bytes: a link that is cut leads nowhere, and a system that checks it would refuse the message.
func WebLink(link string, limit int) string {
	if link = plaintext.Link(link); len(link) > limit {
		return ""
	}
	return link
}

// WebLinks are the links of a notification that a system accepts: see WebLink.
func WebLinks(n notification.Notification, limit int) []notification.Link {
	var out []notification.Link
	for _, l := range n.Links() {
		if l.URL = WebLink(l.URL, limit); l.URL != "" {
			out = append(out, l)
		}
	}
	return out
}
