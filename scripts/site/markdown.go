package main

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"html/template"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM),
	goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// document makes the page of a document of the repository.
func (s *site) document(name string) (page, error) {
	raw, err := os.ReadFile(filepath.Join(s.root, name))
	if err != nil {
		return page{}, err
	}
	return s.render(name, address(name), raw)
}

// render makes a page of Markdown; from is the path that its links are relative to.
func (s *site) render(from, url string, source []byte) (page, error) {
	p := page{URL: url}
	tree := markdown.Parser().Parse(text.NewReader(source))
	if err := diagrams(tree, source); err != nil {
		return p, err
	}
	err := ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		var err error
		switch n := n.(type) {
		case *ast.Link:
			var to string
			to, err = s.lead(from, url, string(n.Destination))
			n.Destination = []byte(to)
		case *ast.Image:
			var to string
			to, err = s.lead(from, url, string(n.Destination))
			n.Destination = []byte(to)
		}
		return ast.WalkContinue, err
	})
	if err != nil {
		return p, err
	}
	var out bytes.Buffer
	if err := markdown.Renderer().Render(&out, source, tree); err != nil {
		return p, err
	}
	p.Body = template.HTML(reachable(out.String())) //nolint:gosec // goldmark leaves raw HTML out
	p.Title, p.Entries = parts(tree, source, url)
	if p.Title == "" {
		return p, errors.New("it has no title")
	}
	return p, nil
}

// reachable lets the keyboard scroll what is wider than the page, and takes empty cells for what they are.
var reach = strings.NewReplacer("<table>", `<div class="wide" tabindex="0" role="group" aria-label="Table"><table>`,
	"</table>", "</table></div>", "<pre>", `<pre tabindex="0">`, "<th></th>", "<td></td>")

func reachable(body string) string { return reach.Replace(body) }

// parts are the title, and an entry for each section.
func parts(tree ast.Node, source []byte, url string) (title string, all []entry) {
	var words strings.Builder
	end := func() {
		if len(all) > 0 {
			all[len(all)-1].Text = strings.Join(strings.Fields(words.String()), " ")
		}
		words.Reset()
	}
	for n := tree.FirstChild(); n != nil; n = n.NextSibling() {
		h, ok := n.(*ast.Heading)
		if !ok {
			words.WriteString(plain(n, source) + " ")
			continue
		}
		end()
		said := strings.TrimSpace(plain(h, source))
		at := url
		if title == "" {
			title = said
		} else if id, ok := h.AttributeString("id"); ok {
			at += "#" + string(id.([]byte))
		}
		all = append(all, entry{Title: said, URL: at, Page: title})
	}
	end()
	return title, all
}

// plain is the text of a node.
func plain(n ast.Node, source []byte) string {
	var out strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			if n.Type() == ast.TypeBlock {
				out.WriteByte(' ')
			}
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			out.Write(n.Segment.Value(source))
			if n.SoftLineBreak() || n.HardLineBreak() {
				out.WriteByte(' ')
			}
		case *ast.String:
			out.Write(n.Value)
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				out.Write(line.Value(source))
			}
		}
		return ast.WalkContinue, nil
	})
	return out.String()
}

// lead is where a link leads on the site: another page, or a page with a file of the repository.
func (s *site) lead(from, url, to string) (string, error) {
	file, fragment, _ := strings.Cut(to, "#")
	if file == "" || strings.Contains(file, ":") {
		return to, nil
	}
	target := path.Join(path.Dir(from), file)
	if fragment != "" {
		fragment = "#" + fragment
	}
	at, ok := s.documents[target]
	switch {
	case ok:
	case strings.HasPrefix(target, "site/"): // a page that is made: docs/site is nowhere in the repository
		at = strings.TrimPrefix(target, "site/")
	case strings.HasSuffix(target, ".png"):
		raw, err := os.ReadFile(filepath.Join(s.root, target))
		if err != nil {
			return "", err
		}
		at, s.written[target] = target, raw
	default:
		about, err := os.Stat(filepath.Join(s.root, target))
		if err != nil {
			return "", fmt.Errorf("it links to %s: %w", to, err)
		}
		if about.IsDir() && s.documents[target+"/README.md"] != "" {
			at = s.documents[target+"/README.md"]
			break
		}
		s.wanted[target] = true
		at = source(target)
	}
	back, err := filepath.Rel(path.Dir("/"+url), "/"+at)
	return filepath.ToSlash(back) + fragment, err
}

// source is the address of the page of a file of the repository.
func source(target string) string { return "files/" + target + ".html" }

// maxShown bounds a file that is shown, in bytes.
const maxShown = 256 << 10

// sources writes the pages of files that documents link to, and of those that their folders have.
func (s *site) sources() error {
	for len(s.wanted) > 0 {
		var names []string
		for name := range s.wanted {
			names = append(names, name)
		}
		slices.Sort(names)
		s.wanted = map[string]bool{}
		for _, name := range names {
			if _, done := s.written[source(name)]; done {
				continue
			}
			body, err := s.shown(name)
			if err != nil {
				return err
			}
			//nolint:gosec // it is escaped
			text := template.HTML("<h1>" + html.EscapeString(name) + "</h1>\n" + body)
			p := page{URL: source(name), Title: name, Body: text}
			if err := s.page(p, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// shown is a file, or the list of a folder.
func (s *site) shown(name string) (string, error) {
	about, err := os.Stat(filepath.Join(s.root, name))
	if err != nil {
		return "", err
	}
	if !about.IsDir() {
		raw, err := os.ReadFile(filepath.Join(s.root, name))
		if len(raw) > maxShown || bytes.IndexByte(raw, 0) >= 0 {
			raw = []byte("This file is too long to be shown, or is no text.")
		}
		return `<pre tabindex="0"><code>` + html.EscapeString(string(raw)) + "</code></pre>", err
	}
	out, err := exec.Command("git", "-C", s.root, "ls-files", name).Output()
	if err != nil {
		return "", fmt.Errorf("list %s with git: %w", name, err)
	}
	list := "<ul>\n"
	for file := range strings.FieldsSeq(string(out)) {
		to, err := s.lead("README.md", source(name), file)
		if err != nil {
			return "", err
		}
		list += fmt.Sprintf("<li><a href=%q>%s</a></li>\n", html.EscapeString(to), html.EscapeString(file))
	}
	return list + "</ul>", nil
}
