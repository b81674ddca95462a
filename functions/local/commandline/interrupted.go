package commandline

import (
	"context"
	"errors"
	"fmt"
)

// Stopped is why a command ended in the midst of its work, with what was done before.
type Stopped struct {
	Err  error
	Done string // such as "3 of 10 deliveries were done before it"
}

// Error has both.
func (s *Stopped) Error() string { return fmt.Sprintf("%s (%s)", s.Err, s.Done) }

// Unwrap is why it ended.
func (s *Stopped) Unwrap() error { return s.Err }

// Await does what no context ends, such as reading what a person types, and gives up on it when the context ends. It
// goes on beside until the process ends then.
func Await[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		is  T
		err error
	}
	done := make(chan result, 1)
	go func() {
		is, err := do()
		done <- result{is, err}
	}()
	select {
	case r := <-done:
		return r.is, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// Interrupted is how a command ends whose context a signal ended: by a code of its own, with what was done. That a call
// had no answer is no fault then.
func Interrupted(ctx context.Context, err error) error {
	if exit := (*Exit)(nil); err == nil || ctx.Err() == nil || errors.As(err, &exit) {
		return err
	}
	words := "interrupted"
	var stopped *Stopped
	switch {
	case !errors.Is(err, ctx.Err()) && !errors.Is(err, context.Cause(ctx)):
		words += ": " + err.Error() // there was a fault before
	case errors.As(err, &stopped):
		words += " (" + stopped.Done + ")"
	}
	return &Exit{Code: ExitInterrupted, Words: words}
}
