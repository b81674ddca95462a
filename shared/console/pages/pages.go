package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"tocsin/shared/destination"
	"tocsin/shared/wording"
)

//go:embed web
var web embed.FS

// Root is the folder of the files in addresses. A digest follows it.
const Root = "/pages/"

// paths are the addresses of views: each is the same page, which reads its address.
var paths = []string{
	"/{$}", "/add", "/add/{system}", "/integrations/{id}", "/integrations/{id}/deliveries",
	"/integrations/{id}/deliveries/{delivery}",
	"/triggers", "/triggers/add", "/triggers/add/{template}", "/triggers/{id}", "/reports", "/profile", "/tokens",
	"/mail-log", "/rejected", "/activity", "/log", "/events/{id}", "/leaving", "/addresses", "/sign-in", "/signed-in",
}

// policy lets the page load its own files and call its own API, and nothing else. Mails are shown in a frame:
// letter.html.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"frame-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types " +
	"'none'"

// letterPolicy is for the frame: its mail may bring styles, and pictures within itself. Its origin is nobody's.
const letterPolicy = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; base-uri " +
	"'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"

// policies are for files that a browser can show as a page. A policy on a module or a style says nothing: that of the
// page holds for it.
var policies = map[string]string{".html": letterPolicy, ".svg": "default-src 'none'; frame-ancestors 'none'"}

// immutable: an address with a digest never changes what it answers.
const immutable = "public, max-age=31536000, immutable"

// file is a file as it is sent.
type file struct {
	kind          string
	plain, packed []byte
}

// Pages serves the Console. Make it with New.
type Pages struct {
	index   file
	base    string
	sources map[string][]byte // of the files that are served, by their name below web/
	files   func() map[string]file
}

// New makes the pages for a platform of that name, with the icons and texts of the systems that it offers.
func New(platform string, systems []destination.System) *Pages {
	p := &Pages{sources: sources(systems)}
	p.base, p.files = Root+digest(p.sources)+"/", sync.OnceValue(p.pack)
	var modules []string
	for _, name := range p.firstModules() {
		modules = append(modules, p.base+name)
	}
	source, err := template.ParseFS(web, "web/index.html")
	var out bytes.Buffer
	if err == nil {
		err = source.Execute(&out, map[string]any{"Platform": platform, "Base": p.base, "Modules": modules,
			"Languages": languages()})
	}
	if err != nil {
		panic(fmt.Sprintf("pages: index.html: %v", err)) // the template and its data are both of this package
	}
	p.index = makeFile("index.html", out.Bytes())
	return p
}

// imported finds the modules that a module needs at once, which leaves out those of import("…").
var imported = regexp.MustCompile(`(?m)^(?:import|export|\}) [^;]*?from "(\.[^"]+)";`)

// firstModules are app.js and what it needs at once, the others of these included.
func (p *Pages) firstModules() []string {
	found := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		if found[name] {
			return
		}
		found[name] = true
		for _, m := range imported.FindAllSubmatch(p.sources[name], -1) {
			add(path.Join(path.Dir(name), string(m[1])))
		}
	}
	add("app.js")
	return slices.Sorted(maps.Keys(found))
}

// Mount adds the pages to a mux: the views and their files.
func (p *Pages) Mount(mux *http.ServeMux) {
	for _, pattern := range paths {
		mux.HandleFunc("GET "+pattern, p.page)
	}
	mux.HandleFunc("GET "+Root+"{digest}/{name...}", p.file)
}

// Paths lists the patterns at which the page is served.
func Paths() []string { return slices.Clone(paths) }

// Files lists the files that are served, by their names below web/.
func (p *Pages) Files() []string { return slices.Sorted(maps.Keys(p.sources)) }

// sources are the files below web/, and those that the systems make: their icons, and the texts of the API in further
// languages with those of their folders.
func sources(systems []destination.System) map[string][]byte {
	out := map[string][]byte{}
	err := fs.WalkDir(web, "web", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || kind(name) == "" {
			return err
		}
		out[strings.TrimPrefix(name, "web/")], err = web.ReadFile(name)
		return err
	})
	icons, languages := map[string]string{}, map[string]map[string]string{}
	for _, s := range systems {
		icons[s.Name] = s.Icon
		for language, texts := range s.Texts {
			if languages[language] == nil {
				languages[language] = map[string]string{}
			}
			maps.Copy(languages[language], texts)
		}
	}
	for language, texts := range languages {
		maps.Copy(texts, wording.Terms(wording.Language(language)))
		raw, failed := json.Marshal(texts)
		out["messages/catalogue."+language+".json"], err = raw, errors.Join(err, failed)
	}
	raw, failed := json.Marshal(icons)
	out["systems.json"] = raw
	if err = errors.Join(err, failed); err != nil {
		panic(fmt.Sprintf("pages: %v", err)) // embedded files can be read, and a test reads each
	}
	return out
}

// digest changes with any file.
func digest(sources map[string][]byte) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		fmt.Fprintf(h, "%s %d ", name, len(sources[name]))
		h.Write(sources[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

var kinds = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".json": "application/json",
	".svg": "image/svg+xml", ".html": "text/html; charset=utf-8",
}

// kind is the media type of a file that is served, "" for one that only tells about others.
func kind(name string) string { return kinds[path.Ext(name)] }

func (p *Pages) pack() map[string]file {
	files := map[string]file{}
	for name, content := range p.sources {
		files[name] = makeFile(name, content)
	}
	return files
}

func makeFile(name string, content []byte) file {
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is a valid one
	_, _ = z.Write(content)
	_ = z.Close() // a buffer takes everything
	return file{kind: kind(name), plain: content, packed: packed.Bytes()}
}

func (p *Pages) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Cache-Control", "no-cache")
	p.index.send(w, r)
}

func (p *Pages) file(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	f, ok := p.files()[name]
	if !ok || Root+r.PathValue("digest")+"/" != p.base || name == "index.html" {
		// A page that is open while a new release starts asks for files of the old one.
		http.Error(w, "there is no such file in this release: load the page again", http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", immutable)
	if p := policies[path.Ext(name)]; p != "" {
		w.Header().Set("Content-Security-Policy", p)
	}
	f.send(w, r)
}

func (f file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	body := f.plain
	if takesGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body = f.packed
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the reader has gone away if this fails
}

// takesGzip reads an Accept-Encoding header; a quality of 0 is a refusal.
func takesGzip(accept string) bool {
	for _, part := range strings.Split(accept, ",") {
		name, parameters, err := mime.ParseMediaType("x/" + strings.TrimSpace(part))
		if err == nil && (name == "x/gzip" || name == "x/*") {
			q, err := strconv.ParseFloat(parameters["q"], 64)
			return err != nil || q > 0
		}
	}
	return false
}

// languages are those that the product speaks, as the pages read them.
func languages() string {
	var out []string
	for _, l := range wording.Languages() {
		out = append(out, string(l))
	}
	return strings.Join(out, " ")
}
