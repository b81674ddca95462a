// Package ready answers two questions of whoever watches over the program: does it live (/livez), and can it take in
// and keep what it is sent (/readyz). A program that lives and is not ready is not helped by a restart: the answer says
// by what.
package ready

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// Check is one thing that has to be so. Its error is shown to anybody who asks: it names no file and no secret.
type Check struct {
	Name  string
	Probe func(ctx context.Context) error
}

// ErrNoRoom: what keeps the state has no room for a write.
var ErrNoRoom = errors.New("the state file can not be written: the disk may be full")

const (
	// fresh is how long an answer stands: whoever asks more often costs the disk nothing more.
	fresh = 2 * time.Second
	// patience is how long all checks together may take.
	patience = 5 * time.Second
)

// Checker makes checks. Make it with New.
type Checker struct {
	checks []Check

	mu   sync.Mutex
	at   time.Time
	last Answer
}

// New makes a Checker.
func New(checks ...Check) *Checker { return &Checker{checks: checks} }

// Answer is what /readyz answers.
type Answer struct {
	Status  string   `json:"status"` // ready or unready
	Reasons []string `json:"reasons,omitempty"`
	Checks  []Result `json:"checks,omitempty"` // with ?verbose
}

// Result is what became of one check.
type Result struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
	TookMS int64  `json:"took_ms"`
}

// Look makes the checks, or repeats what they said a moment ago.
func (c *Checker) Look(ctx context.Context) Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() && time.Since(c.at) < fresh {
		return c.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	results := make([]Result, len(c.checks))
	var all sync.WaitGroup
	for i, check := range c.checks {
		all.Go(func() {
			begin := time.Now()
			err := check.Probe(ctx)
			results[i] = Result{Name: check.Name, OK: err == nil, TookMS: time.Since(begin).Milliseconds()}
			if err != nil {
				results[i].Reason = err.Error()
			}
		})
	}
	all.Wait()
	c.last = Answer{Status: "ready", Checks: results}
	for _, r := range results {
		if !r.OK {
			c.last.Status = "unready"
			c.last.Reasons = append(c.last.Reasons, r.Name+": "+r.Reason)
		}
	}
	c.at = time.Now()
	return c.last
}

// ServeHTTP is /readyz: 200, or 503 with the reasons; ?verbose has every check.
func (c *Checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := c.Look(r.Context())
	if _, verbose := r.URL.Query()["verbose"]; !verbose {
		a.Checks = nil
	}
	status := http.StatusOK
	if a.Status != "ready" {
		status = http.StatusServiceUnavailable
	}
	write(w, status, a)
}

// Live is /livez: the program answers.
func Live(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, Answer{Status: "live"})
}

// Clock checks that the time of day is one that this program can have been started at.
func Clock(now func() time.Time) Check {
	earliest := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	return Check{"clock", func(context.Context) error {
		if n := now(); n.Before(earliest) || n.After(earliest.AddDate(75, 0, 0)) {
			return clockError{}
		}
		return nil
	}}
}

type clockError struct{}

func (clockError) Error() string {
	return "the machine's clock is wrong: tokens, retries and reports go by it"
}

func write(w http.ResponseWriter, status int, a Answer) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // the caller has gone away if this fails
}
