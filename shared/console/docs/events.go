package docs

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"

	"tocsin/shared/event"
	"tocsin/shared/notification"
)

// EventsPath is the page of the events; a kind's own page is below it.
const EventsPath = Path + "/events"

var eventsTemplate = template.Must(template.New("events.html").Funcs(template.FuncMap{"marked": marked}).
	ParseFS(files, "events.html"))

// marked writes what is code in Markdown as code.
func marked(text string) template.HTML {
	var out strings.Builder
	for n, part := range strings.Split(template.HTMLEscapeString(text), "`") {
		if n > 0 {
			out.WriteString([]string{"</code>", "<code>"}[n%2])
		}
		out.WriteString(part)
	}
	return template.HTML(out.String()) //nolint:gosec // its text was escaped
}

// Receiver is a system that gets a kind of event, and what it is sent of one.
type Receiver struct {
	Title  string
	Sent   []string // requests and mails, as texts
	Reason string   // why nothing can be shown
}

// Events serves the document of the events and its page.
type Events struct {
	Platform string
	// Receivers are the systems that get an event, each with what it is sent of it.
	Receivers func(event.Event) []Receiver
}

// Mount adds the document and the page to a mux.
func (s Events) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET "+AsyncAPIPath, serveAsyncAPI(s.Platform))
	mux.HandleFunc("GET "+EventsPath, s.page)
	mux.HandleFunc("GET "+EventsPath+"/{kind}", s.page)
}

// kindView is a kind on the page.
type kindView struct {
	Kind                 event.Kind
	Title, Said, Reaches string
	Schema, Entry        string
	Receivers            []Receiver
}

func (s Events) page(w http.ResponseWriter, r *http.Request) {
	view := map[string]any{"Platform": s.Platform, "Root": root + digest() + "/"}
	if k := event.Kind(r.PathValue("kind")); k == "" {
		var all []kindView
		for _, k := range event.Kinds() {
			all = append(all, brief(k))
		}
		view["Kinds"] = all
	} else if !k.Known() {
		http.Error(w, "there is no such kind of event: "+EventsPath+" lists them", http.StatusNotFound)
		return
	} else {
		view["One"] = s.whole(k)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-cache")
	_ = eventsTemplate.Execute(w, view) // the reader has gone away if this fails
}

func brief(k event.Kind) kindView {
	e := k.Example()
	n := notification.Notification{Event: e}
	return kindView{Kind: k, Title: n.Headline(), Said: n.Sentence(), Reaches: subscribed(e)}
}

// whole is a kind with its schema, its entry of PutEvents, and what each system is sent.
func (s Events) whole(k event.Kind) kindView {
	v, e := brief(k), k.Example()
	detail, err := e.Encode()
	if err != nil {
		panic(err) // an example encodes
	}
	source := "platform"
	if k.Own() {
		source = "tocsin"
	}
	v.Schema = indented(k.Schema())
	v.Entry = indented([]object{{"Source": source, "DetailType": k, "Detail": string(detail)}})
	if s.Receivers != nil {
		v.Receivers = s.Receivers(e)
	}
	return v
}

func indented(v any) string {
	var out bytes.Buffer
	to := json.NewEncoder(&out)
	to.SetEscapeHTML(false)
	to.SetIndent("", "  ")
	if err := to.Encode(v); err != nil {
		panic(err) // it is made of maps and texts
	}
	return out.String()
}
