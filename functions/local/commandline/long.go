package commandline

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// quiet is how long a step may take until a person is told that it goes on.
	quiet = 3 * time.Second
	// again is how long after that the person is told once more.
	again = 10 * time.Second
	// ending is how long a step may go on that was interrupted, until a person is told so.
	ending = time.Second
)

// Long does a step of a command that can take minutes, and tells on standard error that it goes on. What is done reads
// behind "still", such as "copying the state file". far says how far it is, such as "120 rows"; nil = nobody knows. It
// is called beside do. Not every step ends with the context: the second signal ends the command (main.go).
func Long(ctx context.Context, what string, far func() string, do func() error) error {
	return long(ctx, os.Stderr, what, far, do)
}

func long(ctx context.Context, out io.Writer, what string, far func() string, do func() error) error {
	began, over, told := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		interrupted := ctx.Done()
		for wait := quiet; ; wait = again {
			select {
			case <-over:
				return
			case <-interrupted:
				interrupted = nil
				select {
				case <-over:
					return
				case <-time.After(ending):
				}
				fmt.Fprintln(out, "interrupted: it ends after "+what+"; once more ends it at once")
				continue
			case <-time.After(wait):
			}
			words := ""
			if far != nil {
				words = ", " + far()
			}
			fmt.Fprintf(out, "still %s (%s%s)\n", what, time.Since(began).Round(time.Second), words)
		}
	}()
	defer func() {
		close(over)
		<-told // so that it says nothing behind the command's own words
	}()
	return do()
}
