// Command demo shows a person what Tocsin does, and fails when anything differs from the product facts: it starts the
// embedded mode in a temporary folder, publishes the sample events to a receiver that answers 503, follows the retry
// cycles in a live table, then lets one integration fail until it is disabled, sees the notices of that arrive at
// another, mends it and recovers what it missed. `make demo` runs two cycles in real time; `make demo-fast` runs all
// three, compressed.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tocsin/scripts/embedded"
	"tocsin/shared/retry"
)

// limit is how long anything may take that has no wait of its own. A busy machine is slow, not wrong: how exact a wait
// is, the tests of package retry prove on a clock of their own, and the delivery log says below.
const limit = 2 * time.Minute

func main() {
	binary := flag.String("binary", "bin/tocsin", "the embedded program")
	faster := flag.Float64("faster", 1,
		"run all three cycles, their waits divided by this; 1 = two cycles in real time")
	file := flag.String("report", "bin/weekly-report.pdf", "where the weekly report is written")
	events := flag.String("events", "events", "folder of the sample events")
	flag.Parse()
	begin := time.Now()
	if err := run(*binary, *events, *file, *faster); err != nil {
		fmt.Fprintln(os.Stderr, "\nFAILED:", err)
		os.Exit(1)
	}
	fmt.Printf("\nEverything is as the product facts say (%s).\n", time.Since(begin).Round(time.Second))
}

func run(binary, events, file string, faster float64) error {
	folder, err := os.MkdirTemp("", "tocsin-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	r, err := newReceiver()
	if err != nil {
		return err
	}
	defer r.close()
	p, err := embedded.Start(binary, folder, "-allow", r.host, "-faster", fmt.Sprint(faster), "-console",
		"https://console.example.com",
		"-disable-spread", "1", "-disable-after", disableAfter.String(), "-log-level", "error")
	if err != nil {
		return err
	}
	fmt.Printf("Tocsin runs at %s, its receiver at http://%s.\n", p.URL, r.host)
	err = errors.Join(
		cycles(p, r, events, faster),
		mails(p),
		outage(p, r),
		thresholds(p, r),
		weekly(p, file),
	)
	if _, e := p.Stop(); e != nil {
		err = errors.Join(err, e)
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, p.Output())
	}
	return err
}

// arrival is one request at the receiver.
type arrival struct {
	at, answered time.Time
	body         string
	taken        bool // it was answered 200
}

// receiver answers 503 as often as it is told, then 200.
type receiver struct {
	host   string
	server *http.Server
	mu     sync.Mutex
	left   map[string]int // 503s still to answer, by path; -1 = for ever
	got    map[string][]arrival
}

func newReceiver() (*receiver, error) {
	l, host, err := embedded.Listen()
	if err != nil {
		return nil, err
	}
	r := &receiver{host: host, left: map[string]int{}, got: map[string][]arrival{}}
	r.server = &http.Server{Handler: r}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

func (r *receiver) close() { _ = r.server.Close() }

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	at := time.Now()
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	status := http.StatusOK
	if r.left[q.URL.Path] != 0 {
		status = http.StatusServiceUnavailable
		if r.left[q.URL.Path] > 0 {
			r.left[q.URL.Path]--
		}
	}
	w.WriteHeader(status)
	if status == http.StatusOK {
		_, _ = io.WriteString(w, "ok") // Slack's word for it: an empty answer would be no success
	}
	r.got[q.URL.Path] = append(r.got[q.URL.Path],
		arrival{at: at, answered: time.Now(), body: string(body), taken: status == http.StatusOK})
}

func (r *receiver) fail(path string, times int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left[path] = times
}

func (r *receiver) arrivals(path string) []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]arrival(nil), r.got[path]...)
}

// wait looks at the receiver until enough has arrived.
func (r *receiver) wait(path string, n int, within time.Duration) ([]arrival, error) {
	for deadline := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
		got := r.arrivals(path)
		if len(got) >= n {
			return got, nil
		}
		if time.Now().After(deadline) {
			return got, fmt.Errorf("%s: only %d of %d requests arrived within %s", path, len(got), n, within)
		}
	}
}

type integration struct {
	ID, State string
	Failing   *struct {
		Since  time.Time
		Answer answer `json:"last_answer"`
	}
	Disabled *struct {
		By, Reason string
		Answer     answer `json:"last_answer"`
	}
}

// answer is what a system said last.
type answer struct {
	Status int
	Words  string
}

func create(p *embedded.Process, system, name string, parameters map[string]any, events ...string) (integration,
	error) {
	var subscriptions []map[string]any
	for _, e := range events {
		subscriptions = append(subscriptions, map[string]any{"event": e})
	}
	var i integration
	err := p.Call(http.MethodPost, "/v1/integrations",
		map[string]any{"system": system, "name": name, "events": subscriptions, "parameters": parameters}, &i)
	return i, err
}

type delivery struct {
	ID, State, Reason string
	Attempts          []struct {
		WaitedMS, LateMS float64
		Status           int
		Delivered        bool
	}
}

func (d *delivery) UnmarshalJSON(raw []byte) error {
	var v struct {
		ID, State, Reason string
		Attempts          []struct {
			Waited    float64 `json:"waited_ms"`
			Late      float64 `json:"late_ms"`
			Status    int     `json:"status"`
			Delivered bool    `json:"delivered"`
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	d.ID, d.State, d.Reason, d.Attempts = v.ID, v.State, v.Reason, nil
	for _, a := range v.Attempts {
		d.Attempts = append(d.Attempts, struct {
			WaitedMS, LateMS float64
			Status           int
			Delivered        bool
		}{a.Waited, a.Late, a.Status, a.Delivered})
	}
	return nil
}

func deliveries(p *embedded.Process, id string) ([]delivery, error) {
	var page struct{ Items []delivery }
	err := p.Call(http.MethodGet, "/v1/integrations/"+id+"/deliveries", nil, &page)
	return page.Items, err
}

// cycles publishes a hit to a receiver that fails, and follows the waits.
func cycles(p *embedded.Process, r *receiver, events string, faster float64) error {
	schedule := retry.Schedule{Faster: faster}
	failures, what := 10, "cycles 1 and 2, in real time"
	if faster > 1 {
		failures, what = schedule.Attempts()-1, fmt.Sprintf("all three cycles, %g times as fast", faster)
	}
	r.fail("/flaky", failures)
	flaky, err := create(p, "web_hooks", "Flaky receiver", map[string]any{"url": "http://" + r.host + "/flaky"}, "siem")
	if err != nil {
		return err
	}
	if _, err := create(p, "email", "Mail for the team", map[string]any{"addresses": []string{"team@example.com"}},
		"vuln_high"); err != nil {
		return err
	}
	for _, file := range []string{"hit.json", "vulnerability.json"} {
		entries, err := embedded.EventFile(filepath.Join(events, file))
		if err != nil {
			return err
		}
		if err := p.Publish(entries...); err != nil {
			return err
		}
		fmt.Printf("Published events/%s.\n", file)
	}
	fmt.Printf("\nThe receiver answers 503 %d times, then 200: %s.\n\n", failures, what)
	if err := follow(r, schedule, failures); err != nil {
		return err
	}
	return check(p, flaky.ID, schedule, failures)
}

// follow prints one line for each attempt as it arrives.
func follow(r *receiver, schedule retry.Schedule, failures int) error {
	const line = "%8s  %6s  %14s  %14s  %10s  %s\n"
	fmt.Printf(line, "attempt", "cycle", "wait planned", "wait measured", "difference", "answer")
	var wrong []error
	for n := 1; n <= failures+1; n++ {
		planned, _ := schedule.Next(n-1, 0)
		got, err := r.wait("/flaky", n, planned+limit)
		if err != nil {
			return errors.Join(append(wrong, err)...)
		}
		answer := "503 Service Unavailable"
		if n > failures {
			answer = "200 OK"
		}
		if n == 1 {
			fmt.Printf(line, "1", "", "", "", "", answer)
			continue
		}
		measured := got[n-1].at.Sub(got[n-2].answered)
		cycle, _ := retry.Position(n - 1)
		fmt.Printf(line, fmt.Sprint(n), fmt.Sprint(cycle), planned.String(), measured.Round(time.Millisecond).String(),
			(measured - planned).Round(time.Millisecond).String(), answer)
		if measured < planned {
			wrong = append(wrong, fmt.Errorf("wait %d was %s, planned were at least %s", n-1, measured, planned))
		}
		if got[n-1].body != got[0].body {
			wrong = append(wrong, fmt.Errorf("attempt %d sent another body", n))
		}
	}
	return errors.Join(wrong...)
}

// check reads the same from the delivery log.
func check(p *embedded.Process, id string, schedule retry.Schedule, failures int) error {
	var found []delivery
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		var err error
		if found, err = deliveries(p, id); err != nil {
			return err
		}
		if len(found) == 1 && found[0].State == "delivered" || time.Now().After(deadline) {
			break
		}
	}
	if len(found) != 1 || found[0].State != "delivered" || len(found[0].Attempts) != failures+1 {
		return fmt.Errorf("the delivery log should hold one delivery with %d attempts, delivered: %+v", failures+1,
			found)
	}
	for n, a := range found[0].Attempts[1:] {
		planned, _ := schedule.Next(n+1, 0)
		if want := float64(planned.Milliseconds()); a.WaitedMS != want {
			return fmt.Errorf("the log says that attempt %d waited %v ms, planned were %v ms", n+2, a.WaitedMS, want)
		}
	}
	fmt.Printf("\nThe delivery log agrees: %d attempts, the last one delivered.\n", failures+1)
	return nil
}

// kept is a mail of the mail log.
type kept struct {
	To, Subject, Text, Unsubscribe string
	Attachments                    []string
}

// mailTo waits for a mail to an address.
func mailTo(p *embedded.Process, to string) (kept, error) {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		var page struct{ Items []kept }
		if err := p.Call(http.MethodGet, "/v1/mail-log", nil, &page); err != nil {
			return kept{}, err
		}
		for _, m := range page.Items {
			if m.To == to {
				return m, nil
			}
		}
		if time.Now().After(deadline) {
			return kept{}, fmt.Errorf("the mail log holds no mail to %s: %+v", to, page.Items)
		}
	}
}

// mails looks into the mail log.
func mails(p *embedded.Process) error {
	m, err := mailTo(p, "team@example.com")
	if err != nil {
		return err
	}
	if m.Subject != "[Tocsin] New vulnerability detected: Reflected XSS" {
		return fmt.Errorf("the mail log should hold the mail of one vulnerability: %+v", m)
	}
	fmt.Printf("The mail log holds a mail to %s: %s\n", m.To, m.Subject)
	return nil
}
