package report

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/mail/address"
)

// Renderer writes a summary as a PDF.
type Renderer interface {
	Render(s *Summary, platform string, c Console) ([]byte, error)
}

// Receiver is who gets scheduled reports.
type Receiver struct {
	Client string // the tenant's company name
	// Addresses are the mail addresses, one job each; "" alone for a system that is no mail, such as a Telegram chat.
	Addresses []string
}

// Receivers finds a subscription's receiver. Error: ErrNotFound when it has gone, was switched off, or can not be used.
type Receivers interface {
	Receiver(ctx context.Context, tenant, id string) (Receiver, error)
}

// Service makes reports and hands them to their receivers.
type Service struct {
	Store     Store
	Ledger    Ledger
	Renderer  Renderer
	Receivers Receivers
	Bus       event.Publisher
	Platform  string
	Console   Console
	Now       func() time.Time
	NewID     func() string
	Log       *slog.Logger
	// Enqueue takes the jobs of the schedule; nil performs them at once. On AWS it is a queue's. A job may be
	// performed more than once.
	Enqueue func(ctx context.Context, jobs []Job) error
	// Relay bounds the mails of reports on demand to addresses other than that of who asks; nil = they are not bounded.
	Relay Relay
}

// Relay bounds mails on request. Its error is for a person.
type Relay interface {
	Spend(ctx context.Context, tenant string, mails int) error
}

// Job is one scheduled report for one address.
type Job struct {
	Tenant   string `json:"tenant"`
	Client   string `json:"client"`
	Receiver string `json:"receiver"`
	Address  string `json:"address,omitempty"`
	Period   Period `json:"period"`
}

// scheduleLimit is how many subscriptions are taken at once.
const scheduleLimit = 100

// again is when a subscription whose jobs could not be handed over is looked at again.
const again = 5 * time.Minute

// RunSchedule hands over the jobs of every subscription whose time has come and sets when it is due next. A run that was
// missed is made up for once: with the newest period that is over. It returns how many jobs it handed over.
func (s *Service) RunSchedule(ctx context.Context) (jobs int, err error) {
	for {
		due, err := s.Store.Due(ctx, s.Now(), scheduleLimit)
		if err != nil {
			return jobs, fmt.Errorf("look for due reports: %w", err)
		}
		for _, sub := range due {
			n, err := s.schedule(ctx, sub)
			if err != nil {
				return jobs, err
			}
			jobs += n
		}
		if len(due) < scheduleLimit {
			return jobs, nil
		}
	}
}

func (s *Service) schedule(ctx context.Context, sub Subscription) (int, error) {
	now := s.Now()
	settings, err := s.Store.Settings(ctx, sub.Tenant)
	if err != nil {
		return 0, fmt.Errorf("read the report settings of tenant %s: %w", sub.Tenant, err)
	}
	last := Last(sub.Frequency, now, cmp.Or(settings.Zone, DefaultZone))
	if sub.Since.IsZero() { // from before it was kept: it begins with this look, or has begun with the time that it is due
		if sub.Since = sub.Due; sub.Due.IsZero() {
			sub.Since = now.Add(unseen)
		}
	}
	owed, upcoming := sub.owed(last), last.Next()
	for upcoming.To <= sub.Done {
		upcoming = upcoming.Next() // a zone farther to the west comes to the same day once more
	}
	next, jobs := upcoming.Due(), 0
	for _, p := range owed {
		n, err := s.handOver(ctx, sub, p)
		if err != nil {
			s.Log.Error("scheduled report: trying again", "tenant", sub.Tenant, "receiver", sub.Receiver, "period", p.Key(), "error", err.Error())
			next = now.Add(again)
			break
		}
		jobs, sub.Done = jobs+n, p.To
	}
	if err := s.Store.Reschedule(ctx, sub, next); err != nil {
		return jobs, fmt.Errorf("schedule the %s reports of %s of tenant %s: %w", sub.Frequency, sub.Receiver, sub.Tenant, err)
	}
	return jobs, nil
}

// unseen is the longest time between two looks at the schedule (template.yaml, ReportSchedule). Who subscribes within it after
// a report was due may have been subscribed when it was, and gets it: a report that comes although nobody was subscribed at
// six is better than one that a click at two past six swallowed.
const unseen = 15 * time.Minute

// owed are the periods whose reports the subscription is to get now: when it is due, the newest that is over. When it is new or
// settings were saved the same, unless it had it or subscribed later. Days are of the calendar, so that a change of the zone
// neither swallows one nor sends it twice. Where a zone far to the east took the place of one far to the west, two mornings
// fall together: then the one before comes too.
func (sub Subscription) owed(last Period) (out []Period) {
	if !sub.Due.IsZero() {
		return []Period{last}
	}
	if last.To <= sub.Done || last.Due().Before(sub.Since.Add(-unseen)) {
		return nil
	}
	if before := last.Previous(); sub.Done != "" && before.Previous().To == sub.Done {
		out = append(out, before)
	}
	return append(out, last)
}

func (s *Service) handOver(ctx context.Context, sub Subscription, p Period) (int, error) {
	r, err := s.Receivers.Receiver(ctx, sub.Tenant, sub.Receiver)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	jobs := make([]Job, len(r.Addresses))
	for i, a := range r.Addresses {
		jobs[i] = Job{Tenant: sub.Tenant, Client: r.Client, Receiver: sub.Receiver, Address: a, Period: p}
	}
	if s.Enqueue != nil {
		return len(jobs), s.Enqueue(ctx, jobs)
	}
	for _, j := range jobs {
		if err := s.Perform(ctx, j); err != nil {
			return 0, err
		}
	}
	return len(jobs), nil
}

// Perform makes the job's report, unless it is there already, and publishes its event. Done again it changes nothing:
// the event's id is made of the period, the receiver and the address.
func (s *Service) Perform(ctx context.Context, j Job) error {
	id := string(j.Period.Frequency) + "-" + j.Period.Key()
	r, err := s.Store.Get(ctx, j.Tenant, id)
	if errors.Is(err, ErrNotFound) {
		r = Report{ID: id, Tenant: j.Tenant, Client: j.Client, Period: j.Period, Format: PDF, State: Ready, CreatedAt: s.Now().UTC()}
		err = s.make(ctx, &r)
	}
	if err != nil {
		return fmt.Errorf("report %s of tenant %s: %w", id, j.Tenant, err)
	}
	return s.publish(ctx, r, j.Receiver, j.Address)
}

// make builds, renders and saves a report with its files, in the state that it has.
func (s *Service) make(ctx context.Context, r *Report) error {
	began := s.Now()
	summary, err := Build(ctx, s.Ledger, r.Tenant, r.Client, r.Period, RowsOf(r.Format), began)
	if err != nil {
		return err
	}
	files, err := s.render(summary, r.Format)
	if err != nil {
		return err
	}
	r.Headline, r.Missing, r.Files = summary.Comparison, summary.Missing(), nil
	size := 0
	for _, f := range files {
		r.Files = append(r.Files, FileInfo{f.Name, f.Type, len(f.Data)})
		size += len(f.Data)
	}
	if err := s.Store.Save(ctx, *r, files); err != nil {
		return fmt.Errorf("save it: %w", err)
	}
	s.Log.Info("report made", "tenant", r.Tenant, "report", r.ID, "period", r.Period.Key(), "format", r.Format, "bytes", size, "took_ms", s.Now().Sub(began).Milliseconds())
	return nil
}

func (s *Service) render(summary *Summary, f Format) ([]File, error) {
	if f == CSV {
		files, err := summary.Files(s.Console)
		return append(files, summary.missingRows()...), err
	}
	data, err := s.Renderer.Render(summary, s.Platform, s.Console)
	if err != nil {
		return nil, fmt.Errorf("render it: %w", err)
	}
	return []File{{Name: fileName(s.Platform, summary.Period), Type: "application/pdf", Data: data}}, nil
}

func fileName(platform string, p Period) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(platform))
	if name != "" {
		name += "-"
	}
	return name + strings.ToLower(p.Frequency.Adjective()) + "-report-" + p.Key() + ".pdf"
}

func (s *Service) publish(ctx context.Context, r Report, receiver, to string) error {
	sum := sha256.Sum256([]byte(address.Canonical(to)))
	frequency := r.Period.Frequency // what the receiver subscribed to
	if strings.HasPrefix(receiver, OnDemand) {
		frequency = Once
	}
	data, err := json.Marshal(event.ReportData{Report: r.ID, Frequency: string(frequency), Integration: receiver, Address: to})
	if err != nil {
		return err
	}
	e := event.Event{
		ID: "report:" + r.ID + ":" + receiver + ":" + hex.EncodeToString(sum[:8]), Tenant: r.Tenant, ClientName: r.Client,
		Kind: event.Report, Time: s.Now().UTC(), Data: data,
	}
	if err := s.Bus.Publish(ctx, e); err != nil {
		return fmt.Errorf("hand report %s over to %s: %w", r.ID, receiver, err)
	}
	return nil
}

// Person asks for a report.
type Person struct{ Tenant, Client, Email string }

// Request is a report on demand.
type Request struct {
	Period     Period
	Format     Format
	Recipients []string
}

// MaxRecipients bounds the addresses of a report on demand.
const MaxRecipients = 50

// Order takes a report on demand; MakeWaiting makes it. Errors: ErrPeriod, destination.InvalidParameters, and
// those of Relay.
func (s *Service) Order(ctx context.Context, who Person, q Request) (Report, error) {
	var problems destination.InvalidParameters
	if q.Format != PDF && q.Format != CSV {
		problems = append(problems, destination.FieldProblem{Field: "format", Reason: "must be pdf or csv"})
	}
	if len(q.Recipients) > MaxRecipients {
		problems = append(problems, destination.FieldProblem{Field: "recipients", Reason: fmt.Sprintf("must be at most %d addresses", MaxRecipients)})
	}
	if q.Period.From > DayOf(s.Now(), location(q.Period.Zone)) {
		problems = append(problems, destination.FieldProblem{Field: "from", Reason: "must not be in the future"})
	}
	var others int
	for i, a := range q.Recipients {
		if _, err := address.Parse(a); err != nil {
			problems = append(problems, destination.FieldProblem{Field: fmt.Sprintf("recipients.%d", i), Reason: err.Error()})
		}
	}
	recipients := address.Unique(q.Recipients)
	for _, a := range recipients {
		if address.Canonical(a) != address.Canonical(who.Email) {
			others++
		}
	}
	if len(problems) > 0 {
		return Report{}, problems
	}
	if s.Relay != nil && others > 0 {
		if err := s.Relay.Spend(ctx, who.Tenant, others); err != nil {
			return Report{}, err
		}
	}
	r := Report{
		ID: s.NewID(), Tenant: who.Tenant, Client: who.Client, Period: q.Period, Format: q.Format, State: Waiting, CreatedAt: s.Now().UTC(),
		CreatedBy: who.Email, Recipients: recipients,
	}
	if err := s.Store.Save(ctx, r, nil); err != nil {
		return Report{}, fmt.Errorf("order report %s: %w", r.ID, err)
	}
	return r, nil
}

// OnDemand is the receiver of a report on demand: an integration that exists for that report only.
const OnDemand = "report."

// MakeWaiting makes the reports on demand that wait, until none does.
func (s *Service) MakeWaiting(ctx context.Context) error {
	for {
		waiting, err := s.Store.Waiting(ctx, scheduleLimit)
		if err != nil || len(waiting) == 0 {
			return err
		}
		for _, r := range waiting {
			if err := s.MakeOrdered(ctx, r); err != nil {
				return err
			}
		}
	}
}

// MakeOrdered makes one report on demand and hands it to its recipients. A report that can not be made is marked as
// failed; the error is that of the store or the bus, and the report goes on waiting.
func (s *Service) MakeOrdered(ctx context.Context, r Report) error {
	if err := s.make(ctx, &r); err != nil {
		if ctx.Err() != nil {
			return err
		}
		s.Log.Error("report on demand failed", "tenant", r.Tenant, "report", r.ID, "error", err.Error())
		r.State, r.Reason = Failed, "the report could not be made: order it again; if it fails again, tell the platform's operator its id"
		return s.Store.Save(ctx, r, nil)
	}
	for _, a := range r.Recipients {
		if err := s.publish(ctx, r, OnDemand+r.ID, a); err != nil {
			return err
		}
	}
	r.State = Ready
	return s.Store.Save(ctx, r, nil)
}

// Run keeps the schedule and makes what is ordered until the context ends. ordered wakes it.
func (s *Service) Run(ctx context.Context, every time.Duration, ordered <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if _, err := s.RunSchedule(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("report schedule", "error", err.Error())
		}
		if err := s.MakeWaiting(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("reports on demand", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-ordered:
		}
	}
}
