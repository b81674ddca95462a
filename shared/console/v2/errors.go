package v2

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"tocsin/shared/console/rest"
)

// Errors writes problems (RFC 9457) in the shape of the platform's errors, {"status": N, "body": "words"}: those of the
// operations here and all that is answered before them, such as a refused token.
func Errors(w http.ResponseWriter) http.ResponseWriter { return &errorWriter{ResponseWriter: w} }

type errorWriter struct {
	http.ResponseWriter
	problem bool
}

// WriteHeader finds out whether a problem follows.
func (w *errorWriter) WriteHeader(status int) {
	h := w.Header()
	if w.problem = h.Get("Content-Type") == (*rest.Problem)(nil).ContentType(""); w.problem {
		h.Set("Content-Type", "application/json")
		h.Del("Content-Length")
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write takes a problem as a whole: all of ours are written at once.
func (w *errorWriter) Write(b []byte) (int, error) {
	var p rest.Problem
	if !w.problem || json.Unmarshal(b, &p) != nil {
		return w.ResponseWriter.Write(b)
	}
	_, err := w.ResponseWriter.Write(asPlatform(&p, w.Header().Get(rest.RequestIDHeader)))
	return len(b), err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *errorWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// asPlatform is a problem in that shape. The clients print the words and no header: those of a failure that is not the
// caller's name the call, as our log does.
func asPlatform(p *rest.Problem, request string) []byte {
	words := p.Detail
	if p.Status >= http.StatusInternalServerError && request != "" {
		words += " (request " + request + ")"
	}
	if len(p.Errors) > 0 {
		var lines []string
		for _, e := range p.Errors {
			lines = append(lines, e.Field+": "+e.Reason)
		}
		words = strings.Join(lines, "; ")
	}
	b, err := json.Marshal(struct {
		Status int    `json:"status"`
		Body   string `json:"body"`
	}{p.Status, words})
	if err != nil {
		panic(err) // a number and a text always encode
	}
	return append(b, '\n')
}

// asSent names the fields of a problem as the request of this API does. one is the parameter that a target without
// members is, "" for a target that has members.
func asSent(err error, one string) error {
	var p *rest.Problem
	if !errors.As(err, &p) {
		return err
	}
	for n, e := range p.Errors {
		name, parameter := strings.CutPrefix(e.Field, "parameters.")
		switch {
		case parameter && one != "" && (name == one || strings.HasPrefix(name, one+".")):
			p.Errors[n].Field = "target" + strings.TrimPrefix(name, one)
		case parameter:
			p.Errors[n].Field = "target." + name
		case e.Field == "parameters":
			p.Errors[n].Field = "target"
		case e.Field == "enabled":
			p.Errors[n].Field = "active"
		case e.Field == "system":
			p.Errors[n].Field = "type"
		}
	}
	return err
}
