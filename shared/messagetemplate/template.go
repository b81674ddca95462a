package messagetemplate

import (
	"errors"
	"strings"
	"text/template"

	"tocsin/shared/cut"
	"tocsin/shared/event"
	"tocsin/shared/notification"
	"tocsin/shared/plaintext"
)

// Source is what an administrator wrote; "" = ours.
type Source struct {
	Title string `json:"title,omitempty"`
	Text  string `json:"text,omitempty"`
}

// Trimmed is the Source without the space around its parts, which would not be seen.
func (s Source) Trimmed() Source {
	return Source{strings.TrimSpace(s.Title), strings.TrimSpace(s.Text)}
}

// Changed are the parts of the Source that are other ones than before.
func (s Source) Changed(before Source) Source {
	if s.Title == before.Title {
		s.Title = ""
	}
	if s.Text == before.Text {
		s.Text = ""
	}
	return s
}

// Limits of a template, in characters.
const (
	MaxTitle = 500
	MaxText  = 4000
)

// Limits of what a template makes: of bytes, and of lines. Systems cut it further.
const (
	maxTitleOut = 1 << 10
	maxTextOut  = 16 << 10
	maxLines    = 200
)

// Template is a Source that is ready to run. It is safe for concurrent use.
type Template struct {
	title, text *template.Template // nil = ours
	broken      string             // why the Source can not be run, for a person
}

// New makes a template of a Source that was checked when it was saved; nil of one that is empty. One that this release
// does not take any more leaves the messages ours, and Apply says so.
func New(s Source) *Template {
	if s == (Source{}) {
		return nil
	}
	t, problems := Compile(s)
	if len(problems) > 0 {
		return &Template{broken: "the message template can not be run any more: the standard message was sent"}
	}
	return t
}

// Words reports whether templates word events of the kind. A report and a scheduled digest say what they hold, and have
// no words that a template could take the place of.
func Words(k event.Kind) bool { return k != event.Report && k != event.ScheduledDigest }

// Apply gives a notification the title and the text that the template makes of its event. Where it makes none, ours
// stays, and the sentences say so.
func (t *Template) Apply(n notification.Notification) (notification.Notification, []string) {
	if !Words(n.Event.Kind) {
		return n, nil
	}
	if t.broken != "" {
		return n, []string{t.broken}
	}
	var said []string
	kind := string(n.Event.Kind)
	words := notification.Words{}
	n.Words = nil
	of := n // what the fields are read of: how it came here is said before the text, whoever wrote that
	of.FellBack, of.Late = nil, false
	v := valuesOf(of)
	if t.title != nil {
		if words.Title = t.run(t.title, v, maxTitleOut); words.Title == "" {
			said = append(said, "the message template made no title of "+kind+": the standard title was sent")
		}
	}
	if t.text != nil {
		if words.Text = t.run(t.text, v, maxTextOut); words.Text == "" {
			said = append(said, "the message template made no text of "+kind+": the standard text was sent")
		}
	}
	words.Title = plaintext.Line(words.Title)
	n.Words = &words
	return n, said
}

// FellBack reports whether the reason of an attempt says that a message had our words because its template made none:
// what Apply says stands in it as one of what is told one after the other.
func FellBack(reason string) bool {
	for s := range strings.SplitSeq(reason, "; ") {
		if strings.HasPrefix(s, "the message template ") && strings.HasSuffix(s, " was sent") {
			return true
		}
	}
	return false
}

// run is what a template makes of the values, cut where it is too long; "" where that is nothing that a person sees.
func (t *Template) run(of *template.Template, v *values, limit int) string {
	out := bounded{left: limit}
	if err := of.Execute(&out, v); err != nil && !errors.Is(err, errFull) {
		return ""
	}
	made := out.String()
	if out.full {
		made = strings.ToValidUTF8(made, "") + cut.Mark
	}
	return tidy(made)
}

// tidy takes the spaces off the ends of lines, and leaves of several empty lines one: fields without a value leave
// many.
func tidy(s string) string {
	var out []string
	empty := false
	for line := range strings.SplitSeq(strings.TrimSpace(plaintext.Lines(s)), "\n") {
		line = strings.TrimRight(line, " \t")
		if line == "" && empty {
			continue
		}
		empty = line == ""
		if out = append(out, line); len(out) == maxLines {
			out[len(out)-1] = cut.Mark
			break
		}
	}
	return strings.Join(out, "\n")
}

// bounded keeps what is written up to a limit of bytes; what is beyond it ends the run.
type bounded struct {
	strings.Builder
	left int
	full bool
}

var errFull = errors.New("the output is full")

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.Builder.Write(p[:n])
	if b.left -= n; n < len(p) {
		b.full = true
		return n, errFull
	}
	return n, nil
}
