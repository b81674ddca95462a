// Command site writes the documents as a site of static pages, with a search that needs no server.
//
//	go run ./scripts/site            (make docs: into bin/site)
//
// Pages are those of docs, of events and of the top; those of the systems, the API, the kinds of events and of what
// the product says are made from the code, so that they say what it does. Nothing on a page comes from another host.
package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"flag"
	"fmt"
	"html/template"
	"os"
	"path"
	"path/filepath"
	"strings"

	"tocsin/scripts/tool"
)

//go:embed page.html site.css look.js search.js
var files embed.FS

var layout = template.Must(template.ParseFS(files, "page.html"))

func main() {
	tool.Main("site", func(_ context.Context, args []string) error {
		f := flag.NewFlagSet("site", flag.ContinueOnError)
		out := f.String("out", "bin/site", "the folder to write to; what is in it is removed")
		if err := f.Parse(args); err != nil {
			return err
		}
		s, err := build(".")
		if err != nil {
			return err
		}
		if err := os.RemoveAll(*out); err != nil {
			return err
		}
		for name, data := range s.written {
			at := filepath.Join(*out, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(at, data, 0o644); err != nil {
				return err
			}
		}
		fmt.Printf("%d files are in %s; open %s\n", len(s.written), *out, filepath.Join(*out, "index.html"))
		return nil
	})
}

// page is a page of the site.
type page struct {
	URL, Title string // the address is from the top
	Body       template.HTML
	Entries    []entry
}

// entry is what the search finds: a page, a section of it, or a sentence.
type entry struct {
	Title, URL, Page, Text string
	Said                   bool // a sentence of the product
}

// group is the entries of a page in the index, which a browser loads whole: what they have in common stands there once.
type group struct {
	Page string `json:"p"`
	URL  string `json:"u"`
	Said bool   `json:"s,omitempty"`
	// Entries are the place on the page, the title, and the text where there is one.
	Entries [][]string `json:"e"`
}

// grouped puts entries that follow each other together.
func grouped(all []entry) (groups []group) {
	for _, e := range all {
		url, place, _ := strings.Cut(e.URL, "#")
		n := len(groups) - 1
		if n < 0 || groups[n].URL != url || groups[n].Page != e.Page || groups[n].Said != e.Said {
			groups = append(groups, group{Page: e.Page, URL: url, Said: e.Said})
			n++
		}
		line := []string{place, e.Title}
		if e.Text != "" {
			line = append(line, e.Text)
		}
		groups[n].Entries = append(groups[n].Entries, line)
	}
	return groups
}

// section is a part of the list of pages.
type section struct {
	Title string
	Pages []page
}

// site is what is made.
type site struct {
	root     string
	sections []section
	// documents are the addresses of the repository's documents, by their paths; wanted are other files that they link
	// to.
	documents map[string]string
	wanted    map[string]bool
	written   map[string][]byte
}

// build makes the site of the repository at a path.
func build(root string) (*site, error) {
	s := &site{root: root, documents: map[string]string{}, wanted: map[string]bool{}, written: map[string][]byte{}}
	names, err := s.tracked()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		s.documents[name] = address(name)
	}
	for _, part := range outline {
		made := section{Title: part.title}
		for _, name := range expand(part.documents, names) {
			p, err := s.document(name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			made.Pages = append(made.Pages, p)
		}
		if part.generated != nil {
			more, err := part.generated(s)
			if err != nil {
				return nil, err
			}
			made.Pages = append(made.Pages, more...)
		}
		s.sections = append(s.sections, made)
	}
	return s, s.write()
}

// address is where a document of the repository stands.
func address(name string) string {
	dir, file := path.Split(name)
	if file == "README.md" {
		return dir + "index.html"
	}
	return dir + strings.TrimSuffix(file, ".md") + ".html"
}

// link is a line of the list of pages.
type link struct{ Title, URL string }

// write writes the pages, the files that they link to, and the index of the search.
func (s *site) write() error {
	var index []entry
	for _, part := range s.sections {
		for _, p := range part.Pages {
			if err := s.page(p, part.Title); err != nil {
				return err
			}
			index = append(index, p.Entries...)
		}
	}
	if err := s.sources(); err != nil {
		return err
	}
	var raw bytes.Buffer
	raw.WriteString("window.siteIndex = ")
	encoder := json.NewEncoder(&raw)
	encoder.SetEscapeHTML(false) // it is a file of its own
	if err := encoder.Encode(grouped(index)); err != nil {
		return err
	}
	s.written["index.js"] = raw.Bytes()
	var err error
	for _, name := range []string{"site.css", "look.js", "search.js"} {
		if s.written[name], err = files.ReadFile(name); err != nil {
			return err
		}
	}
	return nil
}

// page writes a page with the list of all.
func (s *site) page(p page, open string) error {
	type part struct {
		Title string
		Open  bool
		Links []link
	}
	var parts []part
	for _, of := range s.sections {
		made := part{Title: of.Title, Open: of.Title == open}
		for _, other := range of.Pages {
			made.Links = append(made.Links, link{other.Title, other.URL})
		}
		parts = append(parts, made)
	}
	var out strings.Builder
	err := layout.Execute(&out, map[string]any{"Title": p.Title, "Body": p.Body, "URL": p.URL, "Sections": parts,
		"Root": strings.Repeat("../", strings.Count(p.URL, "/"))})
	if err != nil {
		return err
	}
	if _, twice := s.written[p.URL]; twice {
		return fmt.Errorf("two pages are at %s", p.URL)
	}
	s.written[p.URL] = []byte(out.String())
	return nil
}
