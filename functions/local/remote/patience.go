package remote

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// patient makes a call again that the API refused for now.
type patient struct {
	err  io.Writer
	http *http.Client
}

// maxWait bounds what Retry-After may ask for.
const maxWait = time.Minute

// Do makes a call. Nothing has come of what is answered 429.
func (p *patient) Do(q *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		r, err := p.http.Do(q)
		if err != nil || r.StatusCode != http.StatusTooManyRequests || try == maxTries {
			return r, err
		}
		seconds, err := strconv.Atoi(r.Header.Get("Retry-After"))
		wait := time.Duration(seconds) * time.Second
		if err != nil || wait < 0 || wait > maxWait {
			return r, nil
		}
		again := q.Clone(q.Context())
		if q.Body != nil && q.GetBody == nil {
			return r, nil
		}
		if q.GetBody != nil {
			if again.Body, err = q.GetBody(); err != nil {
				return r, nil //nolint:nilerr // what was answered says more
			}
		}
		_ = r.Body.Close()
		fmt.Fprintf(p.err, "the API asks to wait: going on in %s\n", wait)
		if err := Sleep(q.Context(), wait); err != nil {
			return nil, err
		}
		q = again
	}
}
