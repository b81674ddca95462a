// Package control has other processes ask the running program to do something. Who changes the state is the process
// that has the state file. A command such as `tocsin user` takes the file where nobody has it; else it asks the running
// program to do the same, over a loopback connection whose address and secret are in a file that only the program's
// owner can read, beside the state file.
package control

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
	"time"

	"tocsin/shared/httpserver"
)

// outcome is what a command printed, and why it failed.
type outcome struct{ Output, Error string }

// door is the content of the control file.
type door struct {
	Address string `json:"address"`
	Secret  string `json:"secret"`
}

// File is beside the state file.
func File(state string) string { return state + ".control" }

// Do does what another process asks for, and writes what it prints.
type Do func(ctx context.Context, order json.RawMessage, out io.Writer) error

// Listen listens for what other processes ask for. The control file is there from now on, or once it can be written: a
// disk that is full keeps nothing else from being done.
func Listen(ctx context.Context, state string, log *slog.Logger, do Do) (*http.Server, net.Listener, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("listen for commands: %w", err)
	}
	d := door{Address: listener.Addr().String(), Secret: rand.Text()}
	if err := d.write(File(state)); err != nil {
		log.Error("commands such as `tocsin user` can not reach this program: make room on the disk, or mend what "+
			"keeps the file from being written; it is tried again, and all else goes on", "error", err.Error())
		_ = os.Remove(File(state)) // an older one names nobody any more
		go d.writeLater(ctx, state, log)
	}
	return httpserver.New(handler(do, d.Secret), httpserver.Limits{Connections: 16}, log), listener, nil
}

func handler(do Do, secret string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+secret)) != 1 {
			http.Error(w, "the secret of the control file is needed", http.StatusUnauthorized)
			return
		}
		var order json.RawMessage
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&order); err != nil {
			http.Error(w, "this is no command", http.StatusBadRequest)
			return
		}
		var printed bytes.Buffer
		answer := outcome{}
		if err := do(r.Context(), order, &printed); err != nil {
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

// again is how long it takes until a control file that could not be written is tried again.
const again = 5 * time.Second

// writeLater writes the control file as soon as that can be done.
func (d door) writeLater(ctx context.Context, state string, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
		if d.write(File(state)) == nil {
			log.Info("commands such as `tocsin user` reach this program now")
			return
		}
	}
}

// ErrNobody: the file names no program that answers.
var ErrNobody = errors.New("no running program answers")

// Ask has the running program do it.
func Ask(ctx context.Context, state string, order any, out io.Writer) error {
	raw, err := os.ReadFile(File(state))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNobody
	}
	var d door
	if err == nil {
		err = json.Unmarshal(raw, &d)
	}
	if err != nil {
		return fmt.Errorf("read the control file %s: %w", File(state), err)
	}
	body, err := json.Marshal(order)
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.Address+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("read the control file %s: %w", File(state), err)
	}
	q.Header.Set("Authorization", "Bearer "+d.Secret)
	direct := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	r, err := direct.Do(q)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNobody, err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s", ErrNobody, r.Status)
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
