package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"html"
	"html/template"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// sentence is what the product can say, with … for what is filled in.
type sentence struct {
	words string
	where string // the heading that it stands under
}

// leastWords tells a sentence from a label.
const leastWords = 3

// faults makes the pages of what the product says, so that each sentence is found.
func faults(s *site) ([]page, error) {
	texts, err := wordings(filepath.Join(s.root, "shared/wording/texts/en"))
	if err != nil {
		return nil, err
	}
	console, err := messages(filepath.Join(s.root, "shared/console/pages/web/messages/en.json"))
	if err != nil {
		return nil, err
	}
	errs, err := errorsOf(s.root)
	if err != nil {
		return nil, err
	}
	return []page{
		told("troubleshooting/answers.html", "What the API and deliveries say",
			"Reasons of deliveries and tests, answers of the API, and notices, by subject. What is wrong and what to "+
				"do stand in the sentence; … is what is filled in.", texts),
		told("troubleshooting/console.html", "What the Console says",
			"Sentences of the Console's own pages.", console),
		told("troubleshooting/program.html", "What the program and its commands say",
			"Errors that are printed or logged, by the folder of the code that says them. A sentence can "+
				"be several of these, with colons between: what was tried comes first.", errs),
	}, nil
}

// told makes a page of sentences.
func told(url, title, about string, all []sentence) page {
	p := page{URL: url, Title: title, Entries: []entry{{Title: title, URL: url, Page: title, Text: about}}}
	var out strings.Builder
	fmt.Fprintf(&out, "<h1>%s</h1>\n<p>%s</p>\n", html.EscapeString(title), html.EscapeString(about))
	where := ""
	for n, s := range all {
		if s.where != where {
			if where != "" {
				out.WriteString("</ul>\n")
			}
			where = s.where
			fmt.Fprintf(&out, "<h2 id=\"%s\">%s</h2>\n<ul>\n", anchor(where), html.EscapeString(where))
		}
		id := fmt.Sprintf("say-%d", n+1)
		fmt.Fprintf(&out, "<li id=%q>%s</li>\n", id, html.EscapeString(s.words))
		p.Entries = append(p.Entries, entry{Title: s.words, URL: url + "#" + id, Page: title + ", " + where})
	}
	out.WriteString("</ul>\n")
	p.Body = template.HTML(out.String()) //nolint:gosec // its texts were escaped
	return p
}

var notInAnchors = regexp.MustCompile(`[^a-z0-9]+`)

func anchor(s string) string {
	return strings.Trim(notInAnchors.ReplaceAllString(strings.ToLower(s), "-"), "-")
}

// place is what is filled into a text: {host:word} of the catalogue, {name} of the Console, %s of the code.
var (
	place = regexp.MustCompile(`\{[^{}]*\}`)
	verb  = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)
)

func isSentence(words string) bool { return len(strings.Fields(words)) >= leastWords }

// wordings are the texts of the catalogue, by their subjects.
func wordings(folder string) (all []sentence, err error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var texts map[string]string
		if err := json.Unmarshal(raw, &texts); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		subject := strings.TrimSuffix(filepath.Base(name), ".json")
		for _, code := range slices.Sorted(maps.Keys(texts)) {
			if words := place.ReplaceAllString(texts[code], "…"); isSentence(words) {
				all = append(all, sentence{words, subject})
			}
		}
	}
	return all, nil
}

// messages are the texts of the Console's own pages.
func messages(file string) (all []sentence, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var texts map[string]any // a text, or one for each number of things
	if err := json.Unmarshal(raw, &texts); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, code := range slices.Sorted(maps.Keys(texts)) {
		subject, _, _ := strings.Cut(code, ".")
		forms, ok := texts[code].(map[string]any)
		if !ok {
			forms = map[string]any{"": texts[code]}
		}
		for _, form := range slices.Sorted(maps.Keys(forms)) {
			words, ok := forms[form].(string)
			if words = place.ReplaceAllString(words, "…"); ok && isSentence(words) {
				all = append(all, sentence{words, subject})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b sentence) int { return strings.Compare(a.where, b.where) })
	return all, nil
}

// speakers are the calls whose first text is said: of errors, and of logs.
var speakers = []string{"New", "Errorf", "Error", "Warn", "Fatal", "Printf", "Fprintf", "Fprintln"}

// tests are folders of code that runs in tests alone.
var tests = []string{"shared/engine/enginetest", "shared/engine/memory", "shared/patience"}

// reasoning are the folders in which what a function answers with is told to people: a reason, the end of a sentence.
// Elsewhere it can be a query, a part of a message, or the text of a document.
var reasoning = regexp.MustCompile(
	`^shared/(bus|client|configuration(/client|/tree)?|console(/v2)?|trigger|report|account|token)/[^/]*$|` +
		`^functions/local/([^/]*$|(backups|configurations|deliveries|events|integrations)/)|` +
		`^functions/local/(keys|listening|remote|tenants)/`)

// errorsOf are the errors that the code makes and logs, by its folders.
func errorsOf(root string) (all []sentence, err error) {
	said := map[sentence]bool{}
	for _, folder := range []string{"functions", "shared"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(at string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			relative, err := filepath.Rel(root, at)
			if err != nil {
				return err
			}
			relative = filepath.ToSlash(relative)
			if d.IsDir() && slices.Contains(tests, relative) {
				return fs.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(at, ".go") || strings.HasSuffix(at, "_test.go") ||
				strings.HasSuffix(at, ".gen.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), at, nil, 0)
			if err != nil {
				return err
			}
			whole := strings.HasPrefix(relative, "functions/local/doctor/")
			for _, words := range spoken(file, whole, reasoning.MatchString(relative)) {
				said[sentence{words, filepath.ToSlash(filepath.Dir(relative))}] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	all = slices.SortedFunc(maps.Keys(said), func(a, b sentence) int {
		if a.where != b.where {
			return strings.Compare(a.where, b.where)
		}
		return strings.Compare(a.words, b.words)
	})
	return all, nil
}

// spoken are the sentences of a file: what its errors and logs say, its reasons too, or all that it says.
func spoken(file *ast.File, whole, reasons bool) (all []string) {
	keep := func(e ast.Expr) bool {
		words, ok := literal(e)
		if ok {
			words = strings.Join(strings.Fields(verb.ReplaceAllString(words, "…")), " ")
		}
		if ok && isSentence(strings.ReplaceAll(words, "…", "")) {
			all = append(all, words)
		}
		return ok
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			of, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains(speakers, of.Sel.Name) {
				return true
			}
			for _, arg := range n.Args {
				if keep(arg) {
					break
				}
			}
		case *ast.ReturnStmt:
			for _, e := range answers(n, reasons) {
				keep(e)
			}
		case *ast.KeyValueExpr:
			if name, ok := n.Key.(*ast.Ident); ok && reasons && (name.Name == "Reason" || name.Name == "Message") {
				keep(n.Value)
			}
		case *ast.BasicLit, *ast.BinaryExpr:
			if whole {
				return !keep(n.(ast.Expr))
			}
		}
		return true
	})
	return all
}

// answers are the texts that a function answers with, or makes its answer of.
func answers(n *ast.ReturnStmt, reasons bool) (all []ast.Expr) {
	for _, result := range n.Results {
		if call, ok := result.(*ast.CallExpr); ok {
			all = append(all, call.Args...)
		} else {
			all = append(all, result)
		}
	}
	if !reasons {
		return nil
	}
	return all
}

// literal is a text of the code, whose parts that are no texts are ….
func literal(e ast.Expr) (words string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		words, err := strconv.Unquote(e.Value)
		return words, err == nil
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		a, isA := literal(e.X)
		b, isB := literal(e.Y)
		if !isA {
			a = "…"
		}
		if !isB {
			b = "…"
		}
		return a + b, isA || isB
	case *ast.ParenExpr:
		return literal(e.X)
	}
	return "", false
}
