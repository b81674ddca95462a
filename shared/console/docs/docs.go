// Package docs is the API's page, /docs: its document as Swagger UI shows it, with a list of the operations for
// browsers without scripts; and the page and the document of the events. Swagger UI is 485 KB as it travels, and is
// loaded on this page alone. Nothing comes from another host.
package docs

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html events.html docs.js docs.css lib
var files embed.FS

var pageTemplate = template.Must(template.ParseFS(files, "docs.html"))

// Paths of the page and of its files.
const (
	Path = "/docs"
	root = Path + "/"
)

// Page serves the page. Make it with New.
type Page struct {
	html   []byte
	digest string // of the files, a part of their addresses
}

// operation is a line of the list.
type operation struct{ ID, Method, Path, Summary string }

// group is a part of the list.
type group struct {
	Title      string
	Operations []operation
}

// New makes the page of a document.
func New(doc *huma.OpenAPI, platform string) *Page {
	p := &Page{digest: digest()}
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, map[string]any{"Platform": platform, "Root": root + p.digest + "/",
		"Groups": groups(doc)})
	if err != nil {
		panic(err) // the template and its data are both of this package
	}
	p.html = out.Bytes()
	return p
}

// groups are the operations of a document, in the order of its tags.
func groups(doc *huma.OpenAPI) (all []group) {
	paths := make([]string, 0, len(doc.Paths))
	for p := range doc.Paths {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, tag := range doc.Tags {
		g := group{Title: tag.Name}
		for _, p := range paths {
			item := doc.Paths[p]
			for _, o := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
				if o != nil && slices.Contains(o.Tags, tag.Name) {
					g.Operations = append(g.Operations, operation{o.OperationID, o.Method, p, o.Summary})
				}
			}
		}
		all = append(all, g)
	}
	return all
}

// digest is of all files: their addresses change with them.
func digest() string {
	sum := sha256.New()
	for _, name := range []string{"docs.js", "docs.css", "lib/swagger-ui-bundle.js.gz", "lib/swagger-ui.css.gz"} {
		raw, err := files.ReadFile(name)
		if err != nil {
			panic(err) // it is embedded
		}
		_, _ = sum.Write(raw)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// policy lets the page load its own scripts and styles and call its own API, and nothing else. Swagger UI's arrows are
// in its style.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Mount adds the page and its files to a mux.
func (p *Page) Mount(mux *http.ServeMux) {
	mux.Handle("GET "+Path, p)
	mux.HandleFunc("GET "+root+"{digest}/{name}", p.file)
}

func (p *Page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(p.html)
}

var kinds = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

// file answers with a file: those of the library are kept packed.
func (p *Page) file(w http.ResponseWriter, r *http.Request) {
	name, h := r.PathValue("name"), w.Header()
	kind := kinds[path.Ext(name)]
	raw, err := files.ReadFile(name)
	packed, missing := files.ReadFile("lib/" + name + ".gz")
	if kind == "" || r.PathValue("digest") != p.digest || err != nil && missing != nil {
		http.Error(w, "there is no such file in this release: load the page again", http.StatusNotFound)
		return
	}
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable") // the address has the digest
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Vary", "Accept-Encoding")
	switch {
	case err == nil:
		_, _ = w.Write(raw)
	case strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"):
		h.Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed)
	default:
		if z, err := gzip.NewReader(bytes.NewReader(packed)); err == nil {
			_, _ = io.Copy(w, z) // the reader has gone away if this fails
		}
	}
}
