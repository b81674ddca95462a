package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/httpserver"
)

// Who changes the state is the process that has the state file. A command such as `tocsin user` takes the file where
// nobody has it; else it asks the running program to do the same, over a loopback connection whose address and secret
// are in a file that only the program's owner can read, beside the state file.

// call is a command as it was written, with the flags that were set.
type call struct {
	Command, Action, Name string
	Flags                 map[string]string
}

// outcome is what a command printed, and why it failed.
type outcome struct{ Output, Error string }

// door is the content of the control file.
type door struct {
	Address string `json:"address"`
	Secret  string `json:"secret"`
}

// controlFile is beside the state file.
func controlFile(state string) string { return state + ".control" }

// control listens for the commands of other processes. The control file is there from now on, or once it can be
// written: a disk that is full keeps nothing else from being done.
func (p *program) control(ctx context.Context) (server *http.Server, listener net.Listener, err error) {
	listener, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("listen for commands: %w", err)
	}
	d := door{Address: listener.Addr().String(), Secret: rand.Text()}
	if err := d.write(controlFile(p.state)); err != nil {
		p.log.Error("commands such as `tocsin user` can not reach this program: make room on the disk, or mend what "+
			"keeps the file from being written; it is tried again, and all else goes on", "error", err.Error())
		_ = os.Remove(controlFile(p.state)) // an older one names nobody any more
		go p.writeLater(ctx, d)
	}
	return httpserver.New(controlHandler(p.admin, d.Secret), httpserver.Limits{Connections: 16}, p.log), listener, nil
}

func controlHandler(a *administration, secret string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+secret)) != 1 {
			http.Error(w, "the secret of the control file is needed", http.StatusUnauthorized)
			return
		}
		var c call
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&c); err != nil {
			http.Error(w, "this is no command", http.StatusBadRequest)
			return
		}
		var printed bytes.Buffer
		answer := outcome{}
		if err := a.run(r.Context(), c, &printed); err != nil {
			answer.Error = err.Error()
		}
		answer.Output = printed.String()
		_ = json.NewEncoder(w).Encode(answer) // who asked has gone away if this fails
	})
	return mux
}

// write replaces the control file.
func (d door) write(path string) error {
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	t, err := os.CreateTemp(filepath.Dir(path), ".control-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write the control file: %w", err)
	}
	defer os.Remove(t.Name())
	_, err = t.Write(raw)
	if err = errors.Join(err, t.Close()); err == nil {
		err = os.Rename(t.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write the control file %s: %w", path, err)
	}
	return nil
}

// controlAgain is how long it takes until a control file that could not be written is tried again.
const controlAgain = 5 * time.Second

// writeLater writes the control file as soon as that can be done.
func (p *program) writeLater(ctx context.Context, d door) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(controlAgain):
		}
		if d.write(controlFile(p.state)) == nil {
			p.log.Info("commands such as `tocsin user` reach this program now")
			return
		}
	}
}

// errNobody: the file names no program that answers.
var errNobody = errors.New("no running program answers")

// ask has the running program do it.
func ask(ctx context.Context, state string, c call, out io.Writer) error {
	raw, err := os.ReadFile(controlFile(state))
	if errors.Is(err, fs.ErrNotExist) {
		return errNobody
	}
	var d door
	if err == nil {
		err = json.Unmarshal(raw, &d)
	}
	if err != nil {
		return fmt.Errorf("read the control file %s: %w", controlFile(state), err)
	}
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.Address+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("read the control file %s: %w", controlFile(state), err)
	}
	q.Header.Set("Authorization", "Bearer "+d.Secret)
	direct := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	r, err := direct.Do(q)
	if err != nil {
		return fmt.Errorf("%w: %w", errNobody, err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s", errNobody, r.Status)
	}
	var answer outcome
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read the program's answer: %w", err)
	}
	if _, err := io.WriteString(out, answer.Output); err != nil {
		return err
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
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
			err = commandline.Long(at, nil, func() error {
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
		asked := commandline.Long(at+", which the running Tocsin does", nil, func() error {
			return ask(ctx, state, c, out)
		})
		if !errors.Is(asked, errNobody) {
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
