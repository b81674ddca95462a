// Package doctor says what is wrong with an installation, and how to mend it. `tocsin doctor` makes all checks, beside a
// running program or before a start; a start makes those that cost nothing, and logs what they find. It changes
// nothing.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"tocsin/shared/egress"
	"tocsin/shared/mail"
)

// Installation is what the program is started with.
type Installation struct {
	State, Key        string
	Listen, ListenBus string
	ListenMetrics     string // "" = nothing listens
	TLSCert, TLSKey   string
	PublicURL         string
	Proxy             *egress.Proxy // nil = requests leave directly
	ProxyAddress      string        // host:port of it
	UnusedProxy       []string      // variables of the environment that name a proxy and are not used
	Mail              *mail.SMTP    // nil = mails are kept in the mail log
}

// Verdict is how a check ended.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // it works, and may not for long or not as expected
	Fault   Verdict = "fault"   // something does not work
	Skipped Verdict = "skipped" // it could not be looked at, which says nothing
)

// Finding is what one check found.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Says    string  `json:"says"`
	Mend    string  `json:"mend,omitempty"`
}

// Doctor makes the checks. Make it with New.
type Doctor struct {
	Installation
	// Slow is told which check takes longer than a second; nil = nobody is.
	Slow    func(check string)
	within  time.Duration // for the names
	now     func() time.Time
	built   time.Time // when this program was made; zero = unknown
	free    func(folder string) (bytes uint64, err error)
	sync    func(folder string) (took time.Duration, err error)
	synced  func() (bool, error) // whether the system keeps the clock by others
	resolve func(ctx context.Context, host string) error
}

// New makes a Doctor for this machine.
func New(i Installation) *Doctor {
	return &Doctor{Installation: i, within: patience, now: time.Now, built: buildTime(), free: freeBytes,
		sync: syncTime, synced: clockSynced, resolve: resolve}
}

// each check may find several things.
type check func(ctx context.Context) []Finding

// Examine makes the checks. offline leaves out those that send something to other machines.
func (d *Doctor) Examine(ctx context.Context, offline bool) (all []Finding) {
	type named struct {
		name string
		check
	}
	checks := []named{{"state", d.state}, {"disk", d.disk}, {"key", d.key}, {"clock", d.clock}, {"ports", d.ports},
		{"certificate", d.certificate}}
	if !offline {
		checks = append(checks, named{"egress", d.egress}, named{"names", d.names}, named{"mail", d.mail})
	}
	for _, c := range checks {
		all = append(all, d.timed(ctx, c.name, c.check)...)
	}
	return all
}

// timed makes a check, and tells of it when it is slow.
func (d *Doctor) timed(ctx context.Context, name string, c check) []Finding {
	if d.Slow != nil {
		defer time.AfterFunc(slow, func() { d.Slow(name) }).Stop()
	}
	return c(ctx)
}

// slow is after what time a person is told what is waited for.
const slow = time.Second

// AtStart makes the checks that cost nothing, and logs what is not right.
func (d *Doctor) AtStart(ctx context.Context, log *slog.Logger) {
	for _, c := range []check{d.disk, d.clock} {
		for _, f := range c(ctx) {
			switch f.Verdict {
			case Fault:
				log.Error("found at the start: "+f.Says, "check", f.Check, "mend", f.Mend)
			case Warning:
				log.Warn("found at the start: "+f.Says, "check", f.Check, "mend", f.Mend)
			}
		}
	}
}

// Faults counts them.
func Faults(all []Finding) (n int) {
	for _, f := range all {
		if f.Verdict == Fault {
			n++
		}
	}
	return n
}

// Tell writes findings for a person, or as JSON.
func Tell(out io.Writer, all []Finding, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"faults": Faults(all), "findings": all})
	}
	for _, f := range all {
		if _, err := fmt.Fprintf(out, "%-8s %-12s %s\n", f.Verdict, f.Check, f.Says); err != nil {
			return err
		}
		if f.Mend != "" {
			fmt.Fprintf(out, "%21s -> %s\n", "", f.Mend)
		}
	}
	return nil
}

func found(name string, v Verdict, says, mend string) []Finding {
	return []Finding{{Check: name, Verdict: v, Says: says, Mend: mend}}
}
