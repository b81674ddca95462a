package messagetemplate

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode/utf8"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

// Names of the fields in which problems are told.
const (
	titleField = "message_template.title"
	textField  = "message_template.text"
)

// maxShown is how much of a template a problem shows, in characters.
const maxShown = 60

// Check says what is wrong with a Source, nothing when nothing is. It is run on an example of each kind that the
// integration subscribes to.
func Check(s Source, subscribed []event.Kind) destination.InvalidParameters {
	t, problems := Compile(s)
	if t == nil {
		return problems
	}
	for _, k := range subscribed {
		t.try(k, "which it subscribes to", &problems)
	}
	return problems
}

// Triggered is a kind that a trigger sends to an integration, whatever that subscribes to.
type Triggered struct {
	Kind    event.Kind
	Trigger string // its name
}

// CheckTriggered is Check of what triggers send. What can not be read is Check's to tell.
func CheckTriggered(s Source, sent []Triggered) (problems destination.InvalidParameters) {
	t, _ := Compile(s)
	if t == nil {
		return nil
	}
	for _, of := range sent {
		t.try(of.Kind, fmt.Sprintf(`which the trigger "%s" sends to it`, of.Trigger), &problems)
	}
	return problems
}

// try tells of the parts that make nothing of a kind. Such a part is not run again: one kind is enough to tell.
func (t *Template) try(k event.Kind, why string, problems *destination.InvalidParameters) {
	title, text := t.unsaid(k)
	if title {
		problems.Addf(titleField, "makes no title of an event of the kind %s, %s", k, why)
		t.title = nil
	}
	if text {
		problems.Addf(textField, "makes no text of an event of the kind %s, %s", k, why)
		t.text = nil
	}
}

// Unsaid reports which parts of a Source make nothing of an example of a kind: of such an event the standard ones are
// sent.
func Unsaid(s Source, k event.Kind) (title, text bool) {
	t, _ := Compile(s)
	if t == nil {
		return false, false
	}
	return t.unsaid(k)
}

func (t *Template) unsaid(k event.Kind) (title, text bool) {
	if !Words(k) {
		return false, false
	}
	v := valuesOf(notification.Notification{Event: k.Example(),
		Platform: notification.Platform{Name: "Tocsin", Cloud: "EU", Console: "https://console.example.com",
			Pages: "https://tocsin.example.com"}})
	return t.title != nil && t.run(t.title, v, maxTitleOut) == "", t.text != nil && t.run(t.text, v, maxTextOut) == ""
}

// Kinds are those of what an integration subscribes to that are worded by templates, in the order of their names.
func Kinds(subscribed []event.Type) (out []event.Kind) {
	for _, k := range event.Kinds() {
		if Words(k) && slices.ContainsFunc(k.Types(), func(t event.Type) bool {
			return slices.Contains(subscribed, t)
		}) {
			out = append(out, k)
		}
	}
	return out
}

// Compile reads both parts and refuses what is not in the closed set. It returns nil where something is wrong, or the
// Source is empty.
func Compile(s Source) (*Template, destination.InvalidParameters) {
	if s == (Source{}) {
		return nil, nil
	}
	t := &Template{}
	var problems destination.InvalidParameters
	t.title = compilePart(titleField, s.Title, MaxTitle, &problems)
	t.text = compilePart(textField, s.Text, MaxText, &problems)
	if len(problems) > 0 {
		return nil, problems
	}
	return t, nil
}

func compilePart(field, source string, limit int, problems *destination.InvalidParameters) *template.Template {
	if source == "" {
		return nil
	}
	if n := utf8.RuneCountInString(source); n > limit {
		problems.Addf(field, "must have at most %d characters, has %d", limit, n)
		return nil
	}
	if !utf8.ValidString(source) || strings.TrimSpace(source) == "" {
		problems.Addf(field, "must not be empty")
		return nil
	}
	tree := parse.New(field)
	tree.Mode = parse.SkipFuncCheck
	set := map[string]*parse.Tree{}
	w := walk{field: field, source: source, problems: problems}
	if _, err := tree.Parse(source, "", "", set); err != nil {
		w.unreadable(err)
		return nil
	}
	for name := range set {
		if name != field {
			w.problems.Addf(field, "holds %s, which is not available here", "define")
			return nil
		}
	}
	if w.list(tree.Root); w.wrong {
		return nil
	}
	made, err := template.New(field).Funcs(functions).AddParseTree(field, tree)
	if err != nil {
		w.unreadable(err)
		return nil
	}
	return made
}

// walk goes through a tree until the first node that is refused.
type walk struct {
	field, source string
	problems      *destination.InvalidParameters
	wrong         bool
}

// at is the line of a node, from 1.
func (w *walk) at(n parse.Node) int {
	return 1 + strings.Count(w.source[:min(int(n.Position()), len(w.source))], "\n")
}

var parseError = regexp.MustCompile(`^template: [^:]*:(\d+): `)

// unreadable words an error of the parser: it names the line, and says in English what it met.
func (w *walk) unreadable(err error) {
	line := "1"
	if m := parseError.FindStringSubmatch(err.Error()); m != nil {
		line = m[1]
	}
	said := err.Error()
	w.wrong = true
	switch {
	case strings.Contains(said, "unclosed action"), strings.Contains(said, "unclosed left paren"),
		strings.Contains(said, "unterminated"):
		w.problems.Addf(w.field, "line %s: something is opened and not closed: {{, a quotation mark or a parenthesis",
			line)
	case strings.Contains(said, "unexpected EOF"):
		w.problems.Addf(w.field, "line %s: an if has no end", line)
	case strings.Contains(said, "unexpected {{end}}"), strings.Contains(said, "unexpected {{else}}"):
		w.problems.Addf(w.field, "line %s: there is an end or else without an if", line)
	case strings.Contains(said, "missing value"):
		w.problems.Addf(w.field, "line %s: nothing stands between {{ and }}, or after if", line)
	default:
		w.problems.Addf(w.field, "line %s: what stands between {{ and }} can not be read", line)
	}
}

func (w *walk) refuse(at parse.Node, what string) kind {
	if !w.wrong {
		w.problems.Addf(w.field, "line %d: %s is not available here", w.at(at), cut.Runes(what, maxShown))
	}
	w.wrong = true
	return nothing
}

func (w *walk) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.TextNode, *parse.CommentNode:
		case *parse.ActionNode:
			if is := w.pipe(n.Pipe); is != text && !w.wrong {
				w.problems.Addf(w.field, "line %d: %s is not a text, which alone can be written", w.at(n),
					cut.Runes(n.Pipe.String(), maxShown))
				w.wrong = true
			}
		case *parse.IfNode:
			w.pipe(n.Pipe)
			w.list(n.List)
			w.list(n.ElseList)
		default:
			w.refuse(n, keyword(n))
		}
		if w.wrong {
			return
		}
	}
}

// keyword is the first word of an action.
func keyword(n parse.Node) string {
	words := strings.FieldsFunc(n.String(), func(r rune) bool { return strings.ContainsRune("{} -\n\t", r) })
	if len(words) == 0 {
		return "{{}}"
	}
	return words[0]
}

// kind is what a value is. Values have kinds so that no run can fail.
type kind int

const (
	nothing kind = iota
	text
	number
	truth
)

// pipe is the kind of what a pipeline makes.
func (w *walk) pipe(p *parse.PipeNode) (is kind) {
	if len(p.Decl) > 0 {
		return w.refuse(p, p.Decl[0].String())
	}
	for n, c := range p.Cmds {
		if is = w.command(c, is, n > 0); w.wrong {
			return nothing
		}
	}
	return is
}

// command is the kind of what a command makes; piped is that of its last argument, which comes from the command before.
func (w *walk) command(c *parse.CommandNode, piped kind, isPiped bool) kind {
	name, ok := c.Args[0].(*parse.IdentifierNode)
	if !ok {
		if len(c.Args) > 1 || isPiped {
			return w.refuse(c, c.String())
		}
		return w.value(c.Args[0])
	}
	f, ok := takes[name.Ident]
	if !ok {
		if !w.wrong {
			w.problems.Addf(w.field, "line %d: there is no function %s", w.at(c), cut.Runes(name.Ident, maxShown))
		}
		w.wrong = true
		return nothing
	}
	var kinds []kind
	for _, a := range c.Args[1:] {
		if kinds = append(kinds, w.value(a)); w.wrong {
			return nothing
		}
	}
	if isPiped {
		kinds = append(kinds, piped)
	}
	is, good := f.of(kinds)
	if n, ok := c.Args[min(1, len(c.Args)-1)].(*parse.NumberNode); good && name.Ident == "cut" {
		good = ok && n.IsInt && n.Int64 >= 1 && n.Int64 <= MaxText
	}
	if !good {
		w.problems.Addf(w.field, "line %d: %s is used as in %s", w.at(c), name.Ident, f.usage)
		w.wrong = true
		return nothing
	}
	return is
}

func (w *walk) value(n parse.Node) kind {
	switch n := n.(type) {
	case *parse.FieldNode:
		if len(n.Ident) == 1 && slices.Contains(names, n.Ident[0]) {
			return text
		}
		if !w.wrong {
			w.problems.Addf(w.field, "line %d: there is no field %s", w.at(n), cut.Runes(n.String(), maxShown))
		}
		w.wrong = true
		return nothing
	case *parse.StringNode:
		return text
	case *parse.NumberNode:
		return number
	case *parse.BoolNode:
		return truth
	case *parse.PipeNode:
		return w.pipe(n)
	}
	return w.refuse(n, n.String())
}

var names = Fields()

// function says what a function takes.
type function struct {
	usage string
	// of is the kind of what it makes of arguments; false for such as it does not take.
	of func(args []kind) (kind, bool)
}

// exactly is a function of these arguments.
func exactly(usage string, makes kind, args ...kind) function {
	return function{usage, func(got []kind) (kind, bool) { return makes, slices.Equal(got, args) }}
}

// like is a function of one argument or more, all of one kind, at least so many.
func like(usage string, least int, makes func(kind) kind) function {
	return function{usage, func(got []kind) (kind, bool) {
		if len(got) < least {
			return nothing, false
		}
		for _, k := range got {
			if k != got[0] || k == number || k == nothing {
				return nothing, false
			}
		}
		return makes(got[0]), true
	}}
}

func same(k kind) kind { return k }
func is(kind) kind     { return truth }

// takes are the functions that there are.
var takes = map[string]function{
	"upper":    exactly("upper .Severity", text, text),
	"lower":    exactly("lower .Host", text, text),
	"cut":      exactly("cut 80 .Path", text, number, text),
	"contains": exactly(`contains .Path "admin"`, truth, text, text),
	"eq":       like(`eq .Severity "high" "critical"`, 2, is),
	"ne": {`ne .Kind "vuln"`, func(got []kind) (kind, bool) {
		return truth, len(got) == 2 && got[0] == got[1] && got[0] != number
	}},
	"not": {"not .Host", func(got []kind) (kind, bool) { return truth, len(got) == 1 && got[0] != number }},
	"and": like("and .Host .Path", 2, same),
	"or":  like(`or .Host "unknown"`, 2, same),
}

// Functions are how each function is used, in the order of their names.
func Functions() []string {
	var out []string
	for _, f := range takes {
		out = append(out, f.usage)
	}
	slices.Sort(out)
	return out
}

// functions are ours; the others are those of text/template.
var functions = template.FuncMap{
	"upper": strings.ToUpper, "lower": strings.ToLower, "contains": strings.Contains,
	"cut": func(n int, s string) string { return cut.Runes(s, n) },
}
