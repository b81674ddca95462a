package wording_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// said is a text of the code that reaches a person: its words, with {} for what is filled in, and where it stands.
type said struct{ text, where string }

// spoken are the calls one of whose arguments is such a text, by the name that is called.
var spoken = map[string]int{
	"NewProblem": 1, "Missing": 1, "Fault": 1, "Failed": 1, "Proved": 2, "Unproven": 1, "fail": 1, "Invalid": 1,
	"JudgeSaid": 2, "wrong": 1, "Addf": 1, "say": 0, "tell": 0, "label": 0,
}

// typed are the structs all of whose texts are for people.
var typed = map[string]bool{"InvalidError": true, "NotAllowedError": true, "UnauthorizedError": true,
	"ForgedError": true, "NotForYouError": true, "AddressError": true, "NotReady": true}

// errs are the files whose errors are told to people as they are.
var errs = []string{"/mail/address/address.go", "/egress/policy.go", "/profile/links.go",
	"/report/period.go", "/filter/uri/uri.go", "/telegram/document.go", "/s3/role.go", "/mail/mail.go",
	"/jira/answer.go", "/slack/token.go", "/report/message.go", "/egress/proxy.go"}

// members are the members of structs that hold such a text.
var members = map[string]bool{"Reason": true, "headline": true, "sentence": true, "linkTitle": true, "Skipped": true}

var verb = regexp.MustCompile(`%(\[\d+\])?[-+#0]*[\d*.]*[a-zA-Z]`)

// labels are the calls of package notification whose texts are headlines and sentences.
var labels = []string{"user", "integration", "assault", "scope", "threshold", "application", "rule", "trigger", "count",
	"command"}

// reader collects what one package says.
type reader struct {
	set    *token.FileSet
	consts map[string]ast.Expr
	found  []said
}

// sources reads the code of all packages of the domain.
func sources(t *testing.T, root string) (all []said) {
	t.Helper()
	packages := map[string]*reader{}
	files := map[string][]*ast.File{}
	set := token.NewFileSet()
	require.NoError(t, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") ||
			strings.Contains(name, "/engine/") || strings.Contains(name, "test/") {
			return err
		}
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		folder := filepath.Dir(name)
		files[folder] = append(files[folder], f)
		return err
	}))
	for folder, list := range files {
		r := &reader{set: set, consts: map[string]ast.Expr{}}
		packages[folder] = r
		for _, f := range list {
			r.names(f)
		}
		for _, f := range list {
			ast.Inspect(f, r.visit)
		}
		all = append(all, r.found...)
	}
	slices.SortFunc(all, func(a, b said) int { return strings.Compare(a.where+a.text, b.where+b.text) })
	return all
}

// names keeps the constants and variables of the package that are texts.
func (r *reader) names(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			for i, name := range v.Names {
				if i < len(v.Values) {
					r.consts[name.Name] = v.Values[i]
				}
			}
		}
		return true
	})
}

func (r *reader) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		r.call(n)
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && members[key.Name] {
			r.add(n.Value)
		}
	case *ast.CompositeLit:
		r.literal(n)
	}
	return true
}

// call finds the texts that a call is given.
func (r *reader) call(n *ast.CallExpr) {
	name := ""
	switch f := n.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	file := r.set.Position(n.Pos()).Filename
	if strings.HasSuffix(file, "notification/text.go") && slices.Contains(labels, name) {
		for _, e := range n.Args {
			r.add(e)
		}
	}
	if name == "Missing" && len(n.Args) > 1 {
		r.add(n.Args[0])
	}
	if at, ok := spoken[name]; ok && at < len(n.Args) {
		r.add(n.Args[at])
	}
	if (name == "Errorf" || name == "New") && len(n.Args) > 0 &&
		slices.ContainsFunc(errs, func(end string) bool { return strings.HasSuffix(file, end) }) {
		r.add(n.Args[0])
	}
	if (name == "Add" || name == "add") && len(n.Args) >= 2 {
		if _, isText := n.Args[1].(*ast.Ident); !isText || r.consts[n.Args[1].(*ast.Ident).Name] != nil {
			r.add(n.Args[1])
		}
	}
}

// literal finds the texts of a value.
func (r *reader) literal(n *ast.CompositeLit) {
	of := n.Type
	if s, ok := of.(*ast.SelectorExpr); ok {
		of = s.Sel
	}
	if id, ok := of.(*ast.Ident); ok && id.Name == "Fact" && len(n.Elts) == 2 {
		r.add(n.Elts[0])
	}
	if id, ok := of.(*ast.Ident); ok && typed[id.Name] {
		for _, e := range n.Elts {
			if text := r.text(e); strings.Contains(text, " ") {
				r.add(e)
			}
		}
	}
	if m, ok := n.Type.(*ast.MapType); ok && fmt.Sprint(m.Value) == "string" &&
		(fmt.Sprint(m.Key) == "int" || fmt.Sprint(m.Key) == "string") {
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				if text := r.text(kv.Value); strings.Contains(text, " ") {
					r.add(kv.Value)
				}
			}
		}
	}
}

func (r *reader) add(e ast.Expr) {
	text := r.text(e)
	if strings.Trim(text, "{} :;.") == "" {
		return
	}
	at := r.set.Position(e.Pos())
	r.found = append(r.found, said{text, fmt.Sprintf("%s:%d", at.Filename, at.Line)})
}

// text is the words of an expression.
func (r *reader) text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, _ := strconv.Unquote(e.Value)
			return verb.ReplaceAllString(strings.ReplaceAll(s, "%%", "\x00"), "{}")
		}
	case *ast.ParenExpr:
		return r.text(e.X)
	case *ast.BinaryExpr:
		return r.text(e.X) + r.text(e.Y)
	case *ast.Ident:
		if of, ok := r.consts[e.Name]; ok {
			delete(r.consts, e.Name) // a name that stands for itself
			defer func() { r.consts[e.Name] = of }()
			return r.text(of)
		}
	case *ast.CallExpr:
		if f, ok := e.Fun.(*ast.SelectorExpr); ok && (f.Sel.Name == "Sprintf" || f.Sel.Name == "Errorf" ||
			f.Sel.Name == "New") && len(e.Args) > 0 {
			return r.text(e.Args[0])
		}
	}
	return "{}"
}
