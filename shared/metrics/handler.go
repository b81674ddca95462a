package metrics

import (
	"crypto/sha256"
	"crypto/subtle"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// The formats, as the answer names them.
const (
	protobuf    = `application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited`
	openMetrics = `application/openmetrics-text; version=1.0.0; charset=utf-8`
	plain       = `text/plain; version=0.0.4; charset=utf-8`
)

// Handler answers /metrics in the format that the reader likes best. token "" = anybody may read them.
func Handler(r *Registry, token string) http.Handler {
	want := sha256.Sum256([]byte(token))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, q *http.Request) {
		got := sha256.Sum256([]byte(strings.TrimPrefix(q.Header.Get("Authorization"), "Bearer ")))
		if token != "" && subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
			http.Error(w, "send the token of -metrics-token as Authorization: Bearer", http.StatusUnauthorized)
			return
		}
		format := negotiate(strings.Join(q.Header.Values("Accept"), ","))
		families := r.Gather(q.Context())
		w.Header().Set("Content-Type", format)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Vary", "Accept")
		var body []byte
		switch format {
		case protobuf:
			body = writeProto(families)
		default:
			body = writeText(families, format == openMetrics)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // the reader has gone away if this fails
	})
	return mux
}

// negotiate chooses what a reader's Accept likes best of what there is; of the same worth, what it names first.
func negotiate(accept string) string {
	best, format := 0.0, plain
	for _, part := range strings.Split(accept, ",") {
		kind, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if v, ok := parameters["q"]; ok {
			if q, err = strconv.ParseFloat(v, 64); err != nil {
				continue
			}
		}
		if f := formatOf(kind, parameters); f != "" && q > best {
			best, format = q, f
		}
	}
	return format
}

// formatOf is the format that a part of Accept names; "" for one that there is not.
func formatOf(kind string, parameters map[string]string) string {
	version := parameters["version"]
	switch kind {
	case "application/vnd.google.protobuf":
		if parameters["proto"] == "io.prometheus.client.MetricFamily" && parameters["encoding"] == "delimited" {
			return protobuf
		}
	case "application/openmetrics-text":
		if version == "" || version == "1.0.0" || version == "0.0.1" {
			return openMetrics
		}
	case "text/plain":
		if version == "" || version == "0.0.4" {
			return plain
		}
	case "text/*", "*/*":
		return plain
	}
	return ""
}
