package notification

// Words are what an integration says of an event in place of our title and text; "" = ours. Like all that is for people
// they hold nothing that turns or hides a text (package plaintext), and can hold markup, which is the destination's to
// escape.
type Words struct {
	Title string // on one line
	Text  string // each line ends with \n but the last
}

// titled reports whether the integration has a title of its own.
func (n Notification) titled() bool { return n.Words != nil && n.Words.Title != "" }

// summary marks a test, whoever wrote the title.
func (n Notification) summary(withCloud bool) string {
	switch {
	case !n.titled():
		return n.prefix(withCloud) + n.Headline()
	case n.Test:
		return n.prefix(withCloud) + n.Words.Title
	}
	return n.Words.Title
}

// Text is the integration's own text, in place of Sentence and Facts; "" where it has none. Of a late notification, and
// of one that came by fallback, it says so first, whoever wrote it.
func (n Notification) Text() string {
	if n.Words == nil || n.Words.Text == "" {
		return ""
	}
	before := ""
	for _, note := range []string{n.FallbackNote(), n.LateNote()} {
		if note != "" {
			before += note + "\n\n"
		}
	}
	return before + n.Words.Text
}

// Labelled are the values of Facts by their English labels, the first of each.
func (n Notification) Labelled() map[string]string {
	english := n.english()
	worded := english.in(n.locale())
	out := make(map[string]string, len(english.facts))
	for k, f := range english.facts {
		if _, ok := out[f.Label]; !ok {
			out[f.Label] = worded.facts[k].Value
		}
	}
	return out
}
