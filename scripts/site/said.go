package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// errorsOf are the sentences of the code, by its folders: every text that reads like one. Which of them an error, a
// log or a command says can not be told from the text's place: it goes through variables, tables and functions.
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
			if d.IsDir() && ofTests(relative) {
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
			for _, words := range spoken(file) {
				said[sentence{words: words, where: filepath.ToSlash(filepath.Dir(relative))}] = true
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

// ofTests reports whether a folder's code runs in tests alone.
func ofTests(folder string) bool {
	return strings.HasSuffix(folder, "test") || folder == "shared/engine/memory" || folder == "shared/patience"
}

// spoken are the lines of a file's texts that read like a sentence.
func spoken(file ast.Node) (all []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.StructType:
			for _, field := range n.Fields.List {
				field.Tag = nil // the pages of the API have what the tags say
			}
		case *ast.CallExpr:
			return !isPattern(n)
		case ast.Expr:
			words, ok := literal(n)
			if !ok {
				return true
			}
			for line := range strings.Lines(filled(words)) {
				if line = strings.Join(strings.Fields(line), " "); readsAsSentence(line) {
					all = append(all, line)
				}
			}
			for _, between := range fillings(n) {
				all = append(all, spoken(between)...)
			}
			return false
		}
		return true
	})
	return all
}

// fillings are the parts of a text that are no texts themselves, and may hold some.
func fillings(e ast.Expr) []ast.Expr {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return append(fillings(e.X), fillings(e.Y)...)
	case *ast.ParenExpr:
		return fillings(e.X)
	case *ast.BasicLit:
		return nil
	}
	return []ast.Expr{e}
}

// isPattern reports whether a call takes a regular expression.
func isPattern(call *ast.CallExpr) bool {
	of, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	from, ok := of.X.(*ast.Ident)
	return ok && from.Name == "regexp"
}

// verb is what is filled into a text of the code.
var verb = regexp.MustCompile(`%[-+# 0-9.*\[\]]*[a-zA-Z]`)

func filled(words string) string {
	const percent = "\x00"
	words = verb.ReplaceAllString(strings.ReplaceAll(words, "%%", percent), "…")
	return strings.ReplaceAll(words, percent, "%")
}

var (
	word = regexp.MustCompile(`\pL[\pL'’-]*`)
	// notSaid are texts of several words that no person is told: SQL, DynamoDB's expressions, style sheets, headers,
	// JSON, HTML, addresses, times of Go, and lists of columns.
	notSaid = []*regexp.Regexp{
		regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH|PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|` +
			`RELEASE|VACUUM|WHERE|FROM|ORDER|GROUP|LIMIT|SET|AND|OR|ON|JOIN|REMOVE|ADD|UNION|EXPLAIN)\b.*( [A-Z(]|[=(?_]|$)`),
		regexp.MustCompile(`attribute_(not_)?exists\(|begins_with\(|[:#]\w+ (AND|=|<|>)|(=|<|>|AND) [:#]\w+`),
		regexp.MustCompile(`^([a-z-]+: ?[^;]+;)+$|^[{\[]["{]|^</?[a-z!]|^(GET|PUT|POST|DELETE|PATCH|HEAD) /|; charset=|max-age=|\?\w+=|\?\d\b| = \?`),
		regexp.MustCompile(`\b2006\b|^[a-z0-9_]+(, ?[a-z0-9_]+)+,?$|^(# )?tocsin completion `),
	}
)

// readsAsSentence reports whether a text is of words, and for people.
func readsAsSentence(words string) bool {
	said := strings.TrimSpace(strings.ReplaceAll(words, "…", " "))
	if !strings.Contains(said, " ") || len(word.FindAllString(said, -1)) < leastWords {
		return false
	}
	return !slices.ContainsFunc(notSaid, func(p *regexp.Regexp) bool { return p.MatchString(words) })
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
