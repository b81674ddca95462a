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

const (
	// maxWait bounds what Retry-After may ask for.
	maxWait = time.Minute
	// maxWords is how much of a refusal is read, in bytes.
	maxWords = 64 << 10
)

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
		body, _ := io.ReadAll(io.LimitReader(r.Body, maxWords)) // what is cut off has no words
		_ = r.Body.Close()
		fmt.Fprintf(p.err, "the API asks to wait, try %d of %d: %s; going on in %s\n", try, maxTries, Refusal(r, body),
			wait)
		if err := Sleep(q.Context(), wait); err != nil {
			return nil, err
		}
		q = again
	}
}
