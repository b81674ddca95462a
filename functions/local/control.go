package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/control"
	"tocsin/shared/engine/sqlite"
)

// call is a command as it was written, with the flags that were set.
type call struct {
	Command, Action, Name string
	Flags                 map[string]string
}

// control listens for the commands of other processes.
func (p *program) control(ctx context.Context) (*http.Server, net.Listener, error) {
	return control.Listen(ctx, p.state, p.log, func(ctx context.Context, order json.RawMessage, out io.Writer) error {
		var c call
		if err := json.Unmarshal(order, &c); err != nil {
			return fmt.Errorf("this is no command: %w", err)
		}
		return p.admin.run(ctx, c, out)
	})
}

// patience is how long a command waits for a program that is starting or stopping.
const patience = 10 * time.Second

// administer runs a command on the state: in this process where no other has the file, else in the running program. A
// command that changes nothing leaves a file of an older release as it is.
func administer(ctx context.Context, state string, c call, out io.Writer) error {
	if _, err := os.Stat(state); err != nil {
		return commandline.Unreached("state", fmt.Errorf("look at the state file: %w", err))
	}
	begun, at := time.Now(), strings.TrimSpace("at "+c.Command+" "+c.Action)
	for told := false; ; {
		db, err := sqlite.Open(ctx, state, sqlite.Options{Log: commandline.Log(),
			KeepLayout: c.changesNothing()})
		if err == nil {
			err = commandline.Long(ctx, at, nil, func() error {
				return newAdministration(db, state, slog.New(slog.DiscardHandler)).run(ctx, c, out)
			})
			return errors.Join(err, db.Close())
		}
		if older := (sqlite.OlderError{}); errors.As(err, &older) {
			return fmt.Errorf("%w: what only reads does not change the layout, after which that release can not open "+
				"the file any more: start Tocsin, or ask that release", older)
		}
		if !errors.Is(err, sqlite.ErrInUse) {
			return commandline.Unreached("state", err)
		}
		asked := commandline.Long(ctx, at+", which the running Tocsin does", nil, func() error {
			return control.Ask(ctx, state, c, out)
		})
		if !errors.Is(asked, control.ErrNobody) {
			return commandline.Unreached("state", asked)
		}
		waited := time.Since(begun)
		if waited > patience {
			return fmt.Errorf("%w (%w)", err, asked)
		}
		if !told && waited > patience/10 {
			told = true
			fmt.Fprintf(os.Stderr, "the state file %s is in use by a program that does not answer (it starts, or it "+
				"stops): asking for up to %s\n", state, patience)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
