// Command reports measures a report on a month of a busy tenant: it records a million hits as fan-out does, then makes
// the monthly report as PDF and as CSV, each in a process of its own whose time and peak memory it prints. `make
// bench-reports`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/report/pdf"
)

// Targets on two cores.
const (
	maxTime   = 5 * time.Second
	maxMemory = 256 // MiB
)

func main() {
	hits := flag.Int("hits", 1_000_000, "how many hits")
	state := flag.String("state", "", "make a report of this state file, and nothing else")
	format := flag.String("format", "pdf", "of that report")
	flag.Parse()
	err := error(nil)
	if *state != "" {
		err = one(context.Background(), *state, report.Format(*format))
	} else {
		err = all(context.Background(), *hits)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
}

func open(ctx context.Context, path string) (*sqlite.DB, error) {
	return sqlite.Open(ctx, path, sqlite.Options{})
}

func all(ctx context.Context, hits int) error {
	folder, err := os.MkdirTemp("", "tocsin-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "state.db")
	began := time.Now()
	if err := record(ctx, path, hits); err != nil {
		return err
	}
	took := time.Since(began)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Printf("%d hits of a month were recorded in %s: %.1f µs each, %d MiB of record.\n\n", hits,
		took.Round(time.Millisecond), took.Seconds()*1e6/float64(hits), info.Size()>>20)
	fmt.Println("| report | seconds | peak MiB |\n|---|---|---|")
	var over error
	for _, f := range []report.Format{report.PDF, report.CSV} {
		began := time.Now()
		cmd := exec.CommandContext(ctx, os.Args[0], "-state", path, "-format", string(f))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return err
		}
		took := time.Since(began)
		usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			return errors.New("this system does not tell a process's memory")
		}
		memory := usage.Maxrss >> 10 // KiB on Linux
		fmt.Printf("| %s | %.2f | %d |\n", f, took.Seconds(), memory)
		if took > maxTime || memory > maxMemory {
			over = fmt.Errorf("the %s took %s and %d MiB: the target is %s and %d MiB", f, took, memory, maxTime,
				maxMemory)
		}
	}
	return over
}

// batch is how many events fan-out takes at once.
const batch = 512

// record adds the hits through the recorder and the engine, without the bus before them and the deliveries after.
func record(ctx context.Context, path string, hits int) error {
	db, err := open(ctx, path)
	if err != nil {
		return err
	}
	defer db.Close()
	recorder := &daily.Recorder{Zone: report.ZoneOf(db.Reports()), Now: time.Now}
	m := newMonth(hits)
	for n := 0; n < hits; n += batch {
		var events []event.Event
		for i := n; i < min(n+batch, hits); i++ {
			events = append(events, m.hit(i))
		}
		records, err := recorder.Records(ctx, events)
		if err != nil {
			return err
		}
		if err := db.Deliveries().Accept(ctx, fanout.Intake{Records: records}); err != nil {
			return err
		}
	}
	return nil
}

// month draws hits: their sources, hosts and paths are as uneven as those of the Internet (Zipf).
type month struct {
	random                *rand.Rand
	sources, paths, hosts *rand.Zipf
	first                 time.Time
	apart                 time.Duration // of two hits: they come in their order
}

func newMonth(hits int) *month {
	r := rand.New(rand.NewPCG(3, 5))
	return &month{
		random: r, sources: rand.NewZipf(r, 1.1, 8, 99_999), paths: rand.NewZipf(r, 1.05, 8, 19_999),
		hosts: rand.NewZipf(r, 1.3, 2, 49),
		first: time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC), apart: 31 * 24 * time.Hour / time.Duration(hits),
	}
}

var (
	types     = []string{"sqli", "xss", "rce", "ptrav", "scanner", "ssrf", "nosqli", "crlf"}
	countries = []string{"US", "NL", "DE", "CN", "BR", "IN", "VN", "RU", "FR", "GB", "JP", "PL"}
)

func (m *month) hit(n int) event.Event {
	source := m.sources.Uint64()
	at := m.first.Add(time.Duration(n) * m.apart).Truncate(time.Second)
	block := "blocked"
	if n%9 == 0 {
		block = "monitored"
	}
	data := fmt.Appendf(nil,
		`{"hit":{"type":%q,"host":"app%d.example.com","method":"POST","path":"/api/v1/resource/%d","parameter":"POST_value","remote_addr4":"%d.%d.%d.%d","remote_country":%q,"response_status":%d,"block_status":%q,"request_time":%d,"applications":["app %d"]}}`,
		types[m.random.IntN(len(types))], m.hosts.Uint64(), m.paths.Uint64(), 20+source>>16, source>>8&255, source&255,
		7, countries[source%uint64(len(countries))],
		[]int{403, 404, 200}[n%3], block, at.Unix(), m.random.IntN(12))
	return event.Event{ID: strconv.Itoa(n), Tenant: "42", ClientName: "Acme", Kind: event.NewHits, Time: at, Data: data}
}

// one makes a report as the service does.
func one(ctx context.Context, path string, format report.Format) error {
	db, err := open(ctx, path)
	if err != nil {
		return err
	}
	defer db.Close()
	now := time.Date(2023, 4, 1, 6, 0, 0, 0, time.UTC)
	n := 0
	s := &report.Service{
		Store: db.Reports(), Totals: db.DailyTotals(), Renderer: pdf.Renderer{}, Bus: db.Bus(), Platform: "Tocsin",
		Console: "https://console.example.com",
		Now:     func() time.Time { return now }, NewID: func() string { n++; return string(format) + strconv.Itoa(n) },
		Log: slog.New(slog.DiscardHandler),
	}
	r, err := s.Order(ctx, activity.Actor{Tenant: "42", ClientName: "Acme"},
		report.Request{Period: calendar.Containing(calendar.Monthly, "2023-03-01", "UTC"), Format: format})
	if err != nil {
		return err
	}
	if err := s.MakeOrdered(ctx, r); err != nil {
		return err
	}
	if r, err = db.Reports().Get(ctx, "42", r.ID); err != nil {
		return err
	}
	if r.State != report.Ready || r.Headline.Now.Hits == 0 {
		return fmt.Errorf("the report is %s with %d hits: %s", r.State, r.Headline.Now.Hits, r.Reason)
	}
	return nil
}
