package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// systems answers as far as operations need it that ask a system something: as Telegram's Bot API, and as a Jira that
// has one project.
func systems() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := `{"ok":true,"result":true}`
		switch {
		case strings.HasSuffix(r.URL.Path, "/getMe"):
			answer = `{"ok":true,"result":{"id":1,"is_bot":true,"first_name":"Tocsin","username":"tocsin_bot"}}`
		case strings.HasSuffix(r.URL.Path, "/getUpdates"):
			select { // as long as it has nothing to tell, it is asked again at once
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
			answer = `{"ok":true,"result":[]}`
		case strings.Contains(r.URL.Path, "/project/search"):
			answer = `{"isLast":true,"total":1,"values":[{"id":"1","key":"SEC","name":"Security"}]}`
		}
		_, _ = w.Write([]byte(answer))
	}))
}
