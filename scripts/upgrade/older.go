//go:build upgrade

package upgrade

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// older is a running program of an earlier commit. How one is started, signed in to and published to has changed since.
type older struct {
	url, bus, token string
	cookie          *http.Cookie
	cmd             *exec.Cmd
	read            chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
}

// startLimit is how long a program may take until it listens.
const startLimit = 2 * time.Minute

var client = &http.Client{Timeout: startLimit}

// start runs an older program with its state in a folder. One with separate listeners has a flag for the second.
func start(binary, folder string, separate bool, flags ...string) (*older, error) {
	o := &older{read: make(chan struct{})}
	args := append([]string{"-listen", "127.0.0.1:0"}, files(folder)...)
	if separate {
		args = append(args, "-listen-bus", "127.0.0.1:0")
	}
	o.cmd = exec.Command(binary, append(args, flags...)...)
	stdout, err := o.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	o.cmd.Stderr = o
	if err := o.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	ready := make(chan struct{})
	go o.listen(stdout, separate, ready)
	select {
	case <-ready:
	case <-o.read:
	case <-time.After(startLimit):
	}
	if o.url == "" {
		o.kill()
		return nil, fmt.Errorf("start %s: it is not ready: %s", binary, o.said())
	}
	if separate {
		return o, o.signIn(binary, folder)
	}
	return o, nil
}

// listen reads where the program listens, and the token of those that print one, until it has ended.
func (o *older) listen(stdout io.Reader, separate bool, ready chan<- struct{}) {
	defer close(o.read)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		_, _ = o.Write(append(lines.Bytes(), '\n'))
		_, at, found := strings.Cut(lines.Text(), " is ready at ")
		url, bus, _ := strings.Cut(at, ", and takes events at ")
		_, token, signed := strings.Cut(lines.Text(), "/#token=")
		switch {
		case found && separate:
			o.url, o.bus = url, bus
			close(ready)
		case found:
			o.bus = url
		case signed && !separate:
			o.url, o.token = o.bus, strings.TrimSpace(token)
			close(ready)
		}
	}
}

// signIn makes a session of a link that the program prints.
func (o *older) signIn(binary, folder string) error {
	out, err := exec.Command(binary, append([]string{"sign-in", "admin@example.com"}, files(folder)[:2]...)...).Output()
	if err != nil {
		return fmt.Errorf("make a sign-in link: %w", err)
	}
	_, code, _ := strings.Cut(strings.TrimSpace(string(out)), "#code=")
	r, err := client.Post(o.url+"/sign-in/link", "application/json", strings.NewReader(fmt.Sprintf(`{"code":%q}`, code)))
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK || len(r.Cookies()) != 1 {
		return fmt.Errorf("sign in with what %q printed: %s", out, r.Status)
	}
	o.cookie = r.Cookies()[0]
	return nil
}

func files(folder string) []string {
	return []string{"-state", folder + "/tocsin.db", "-key", folder + "/tocsin.key"}
}

// Write keeps what the program says.
func (o *older) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.output.Write(b)
}

func (o *older) said() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.output.String()
}

// kill ends the program as kill -9 does.
func (o *older) kill() {
	_ = o.cmd.Process.Kill()
	<-o.read
	_ = o.cmd.Wait() // it was killed
}

// hook adds a webhook for hits that gets each event by itself.
func (o *older) hook(address string) error {
	body := fmt.Sprintf(`{"system":"web_hooks","name":"hook","events":[{"event":"siem"}],`+
		`"parameters":{"url":%q,"max_events":1}}`, address)
	return o.post(o.url+"/v1/integrations", body, map[string]string{"Content-Type": "application/json"})
}

// publish puts a hit on the bus.
func (o *older) publish(id string) error {
	detail := fmt.Sprintf(`{"version":1,"id":%q,"tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z",`+
		`"data":{"hit":{"type":"sqli","seq":%q}}}`, id, id)
	body, err := json.Marshal(map[string]any{"Entries": []map[string]string{
		{"Source": "platform.test", "DetailType": "new_hits", "Detail": detail}}})
	if err != nil {
		return err
	}
	return o.post(o.bus+"/", string(body), map[string]string{"Content-Type": "application/x-amz-json-1.1",
		"X-Amz-Target": "AWSEvents.PutEvents"})
}

func (o *older) post(url, body string, headers map[string]string) error {
	q, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range headers {
		q.Header.Set(name, value)
	}
	if o.token != "" {
		q.Header.Set("Authorization", "Bearer "+o.token)
	}
	if o.cookie != nil && strings.HasPrefix(url, o.url) { // a publisher is no browser
		q.AddCookie(o.cookie)
	}
	r, err := client.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err == nil && (r.StatusCode > 299 || bytes.Contains(answer, []byte(`"ErrorCode":"`))) {
		err = fmt.Errorf("POST %s: %s: %s", url, r.Status, answer)
	}
	return err
}
