package httpserver

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/rs/cors"
)

// preflightGood is how long a browser may keep the answer to a preflight, in seconds: two hours is the most that
// Chromium keeps one.
const preflightGood = 7200

// CrossOrigin lets pages of the origins call the API under /v1/ from a browser (Fetch standard, "CORS protocol"). The
// token is a header that such a page sets itself, so no cookie is asked for. template.yaml says the same to API
// Gateway, which answers in our place where it can; a test compares them. Without origins nothing is changed.
func CrossOrigin(h http.Handler, origins []string) http.Handler {
	if len(origins) == 0 {
		return h
	}
	api := cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
			http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "If-Match"},
		ExposedHeaders: []string{"ETag", "Location", "Retry-After", "Content-Disposition", "WWW-Authenticate"},
		MaxAge:         preflightGood,
	}).Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") {
			api.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// ParseOrigins reads origins with commas between. An origin is what a browser sends (RFC 6454, 6.2): scheme, host and,
// where it is not the scheme's own, the port.
func ParseOrigins(text string) (origins []string, err error) {
	for origin := range strings.SplitSeq(text, ",") {
		if origin = strings.TrimSpace(origin); origin == "" {
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || origin != u.Scheme+"://"+
			strings.ToLower(u.Host) ||
			strings.Contains(origin, "*") {
			return nil, fmt.Errorf("%q is no origin: it must be such as https://console.example.com, in small "+
				"letters, without a slash at its end", origin)
		}
		origins = append(origins, origin)
	}
	return origins, nil
}
