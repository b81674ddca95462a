// Package embedded starts the embedded program as a child process and talks to it as its users do: over the
// Console API and the PutEvents call. The demonstration, the benchmark and the crash tests share it.
package embedded

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startLimit is how long the program may take until it listens.
const startLimit = 2 * time.Minute

// answerLimit is how long a command or a request may take: who asks a program that hangs is told so.
const answerLimit = 2 * time.Minute

var client = &http.Client{Timeout: answerLimit}

// Process is a running embedded program.
type Process struct {
	URL  string // of the Console
	Bus  string // where events are published
	cmd  *exec.Cmd
	done chan error

	binary, state, email, tenant string
	in                           sync.Mutex
	cookie                       *http.Cookie // of the session that Call has; nil = it has not signed in
	// Output holds what the program printed, for a failure's report.
	mu     sync.Mutex
	output bytes.Buffer
}

// Start runs the binary with its state in the folder, on free ports of the loopback interface, and waits until
// it printed that it is ready.
func Start(binary, folder string, args ...string) (*Process, error) {
	return StartWith(nil, binary, folder, args...)
}

// StartWith is Start with variables, as NAME=value, beside those of this process's environment.
func StartWith(variables []string, binary, folder string, args ...string) (*Process, error) {
	p := &Process{done: make(chan error, 1), binary: binary, state: folder + "/tocsin.db",
		email: said(args, "-email", "admin@example.com"), tenant: said(args, "-tenant", "")}
	p.cmd = exec.Command(binary,
		append([]string{"-listen", "127.0.0.1:0", "-listen-bus", "127.0.0.1:0", "-state", p.state, "-key",
			folder + "/tocsin.key"}, args...)...)
	p.cmd.Env = append(os.Environ(), variables...)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	p.cmd.Stderr = writer{p}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	ready := make(chan [2]string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			_, _ = writer{p}.Write(append(lines.Bytes(), '\n'))
			if _, at, ok := strings.Cut(lines.Text(), " is ready at "); ok {
				console, bus, _ := strings.Cut(at, ", and takes events at ")
				ready <- [2]string{console, bus}
			}
		}
	}()
	go func() {
		<-read
		p.done <- p.cmd.Wait()
		close(p.done) // who kills what has stopped does not wait for it
	}()
	select {
	case at := <-ready:
		p.URL, p.Bus = at[0], at[1]
		return p, nil
	case err := <-p.done:
		//nolint:errorlint // err is nil when the program ended by itself
		return nil, fmt.Errorf("start %s: it ended: %v\n%s", binary, err, p.Output())
	case <-time.After(startLimit):
		_ = p.cmd.Process.Kill()
		return nil, fmt.Errorf("start %s: not ready after %s\n%s", binary, startLimit, p.Output())
	}
}

// said is the value of a flag in arguments.
func said(args []string, flag, otherwise string) string {
	if at := slices.Index(args, flag); at >= 0 && at+1 < len(args) {
		return args[at+1]
	}
	return otherwise
}

// Run runs a command of the program on the state, such as `user list`, and returns what it printed.
func (p *Process) Run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, p.binary, append(args, "-state", p.state)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tocsin %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Link makes a sign-in link for a person, "" for the one of the program's flags, and returns its code.
func (p *Process) Link(email string) (code string, err error) {
	args := []string{"sign-in", cmp.Or(email, p.email)}
	if p.tenant != "" {
		args = append(args, "-tenant", p.tenant)
	}
	out, err := p.Run(args...)
	if err != nil {
		return "", err
	}
	_, code, ok := strings.Cut(strings.TrimSpace(out), "#code=")
	if !ok {
		return "", fmt.Errorf("tocsin sign-in printed no link: %s", out)
	}
	return code, nil
}

// Cookie signs in as the person of the program's flags, once, and returns the session's cookie.
func (p *Process) Cookie() (*http.Cookie, error) {
	p.in.Lock()
	defer p.in.Unlock()
	if p.cookie != nil {
		return p.cookie, nil
	}
	code, err := p.Link("")
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]string{"code": code})
	if err != nil {
		return nil, err
	}
	r, err := client.Post(p.URL+"/sign-in/link", "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK || len(r.Cookies()) != 1 {
		said, _ := io.ReadAll(r.Body)
		return nil, fmt.Errorf("sign in: %s: %s", r.Status, said)
	}
	p.cookie = r.Cookies()[0]
	return p.cookie, nil
}

// As makes an administrator of another tenant, and returns the same program as that person calls it.
func (p *Process) As(email, tenant string) (*Process, error) {
	if _, err := p.Run("user", "add", email, "-role", "administrator", "-tenant", tenant); err != nil {
		return nil, err
	}
	return &Process{URL: p.URL, Bus: p.Bus, cmd: p.cmd, done: p.done, binary: p.binary, state: p.state, email: email,
		tenant: tenant}, nil
}

// EndSession ends the session that Cookie began, as a person does who signs out. The next Call signs in again.
func (p *Process) EndSession() error {
	err := p.Call(http.MethodPost, "/v1/session/end", map[string]any{}, nil)
	p.in.Lock()
	defer p.in.Unlock()
	p.cookie = nil
	return err
}

type writer struct{ p *Process }

// maxOutput bounds what is kept of a chatty child, in bytes.
const maxOutput = 1 << 20

func (w writer) Write(b []byte) (int, error) {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if w.p.output.Len() > maxOutput {
		w.p.output.Reset()
	}
	return w.p.output.Write(b)
}

// Output is what the program printed so far.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop ends the program as Ctrl-C does and returns the resources that it used.
func (p *Process) Stop() (*syscall.Rusage, error) {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return nil, fmt.Errorf("stop: %w", err)
	}
	select {
	case err := <-p.done:
		if err != nil {
			return nil, fmt.Errorf("stop: %w\n%s", err, p.Output())
		}
	case <-time.After(startLimit):
		_ = p.cmd.Process.Kill()
		return nil, errors.New("stop: it did not end in time\n" + p.Output())
	}
	usage, _ := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return usage, nil
}

// Kill ends the program as kill -9 does.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done //nolint:errcheck // it was killed
}

// Call makes one request of the Console API and decodes the answer into result, which may be nil.
func (p *Process) Call(method, path string, body, result any) error {
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(raw)
	}
	q, err := http.NewRequest(method, p.URL+path, in)
	if err != nil {
		return err
	}
	cookie, err := p.Cookie()
	if err != nil {
		return err
	}
	q.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	if q.Header.Set("Content-Type", "application/json"); method == http.MethodPatch {
		q.Header.Set("Content-Type", "application/merge-patch+json")
	}
	r, err := client.Do(q)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if r.StatusCode > 299 {
		return fmt.Errorf("%s %s: %s: %s", method, path, r.Status, raw)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// Entry is one entry of a PutEvents call.
type Entry struct {
	Source     string
	DetailType string
	Detail     string
}

// Publish makes one PutEvents call, in the wire form of the AWS SDKs, and fails unless every entry was taken.
func (p *Process) Publish(entries ...Entry) error {
	raw, err := json.Marshal(map[string]any{"Entries": entries})
	if err != nil {
		return err
	}
	return p.PublishRaw(client, raw)
}

// PublishRaw is Publish with a body made beforehand.
func (p *Process) PublishRaw(client *http.Client, body []byte) error {
	q, err := http.NewRequest(http.MethodPost, p.Bus+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	q.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
	q.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r, err := client.Do(q)
	if err != nil {
		return fmt.Errorf("put events: %w", err)
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("put events: %w", err)
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("put events: %s: %s", r.Status, raw)
	}
	if !bytes.Contains(raw, []byte(`"FailedEntryCount":0`)) {
		return fmt.Errorf("put events: not every entry was taken: %s", raw)
	}
	return nil
}

// EventFile reads entries from a file of events/.
func EventFile(path string) ([]Entry, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	if err := json.Unmarshal(raw, &entries); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return entries, nil
}

// Listen opens a free port of the loopback interface for a receiver; host is what -allow takes.
func Listen() (l net.Listener, host string, err error) {
	l, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	return l, l.Addr().String(), nil
}

// Query encodes parameters of a path.
func Query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return "?" + v.Encode()
}
