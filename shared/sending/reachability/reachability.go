// Package reachability tells the failure of one system from the loss of our own way out, which looks the same to each
// integration alone.
package reachability

import (
	"context"
	"sync"
	"time"
)

// Report is what one process of a worker knows of the last minute.
type Report struct {
	At time.Time `json:"at"`
	// Answered is how many integrations answered when they were last tried.
	Answered int `json:"answered,omitempty"`
	// Lost are those that could not be reached, at most lostTold.
	Lost []Unreached `json:"lost,omitempty"`
}

// Unreached is an integration that could not be reached when it was last tried.
type Unreached struct {
	Tenant      string    `json:"tenant"`
	Integration string    `json:"integration"`
	Host        string    `json:"host"`
	At          time.Time `json:"at"`
}

// Store is where the processes of a worker tell each other what they reach. One process alone sees too
// little: it may know one integration, or nothing but the failing ones.
type Store interface {
	// Tell replaces what the process said before. It may be forgotten after two minutes.
	Tell(ctx context.Context, process string, o Report) error
	// Others are the newest of each process but the given one, of that time or later.
	Others(ctx context.Context, but string, since time.Time) ([]Report, error)
}

// Memory is the store of processes that share their memory. The zero value is ready.
type Memory struct {
	mu  sync.Mutex
	all map[string]Report
}

// Tell keeps one.
func (s *Memory) Tell(_ context.Context, process string, o Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]Report{}
	}
	s.all[process] = o
	return nil
}

// Others lists the others.
func (s *Memory) Others(_ context.Context, but string, since time.Time) (out []Report, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for process, o := range s.all {
		if process != but && !o.At.Before(since) {
			out = append(out, o)
		}
	}
	return out, nil
}
