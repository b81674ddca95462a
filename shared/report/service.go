package report

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/mail/address"
	"tocsin/shared/report/calendar"
	"tocsin/shared/retention"
	"tocsin/shared/timezone"
	"tocsin/shared/trace"
	"tocsin/shared/wording"
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

// Receivers finds the receivers of subscriptions, in their order.
type Receivers interface {
	Receivers(ctx context.Context, subs []Subscription) ([]Found, error)
}

// Found is the receiver of a subscription, or why there is none: ErrNotFound when it has gone or was disabled.
type Found struct {
	Receiver
	Err error
}

// Service makes reports and hands them to their receivers.
type Service struct {
	Store  Store
	Totals DailyTotals
	// Events are what reports by filters are made of; EventsKept is how long the installation keeps them: see package
	// retention. EndsWritten: when an event goes is written with it, so that a choice holds for later ones alone.
	Events      Events
	EventsKept  time.Duration
	EndsWritten bool
	Renderer    Renderer
	Receivers   Receivers
	Bus         event.Publisher
	Platform    string
	Console     Console
	Now         func() time.Time
	NewID       func() string
	Log         *slog.Logger
	// Enqueue takes the jobs of the schedule; nil performs them at once. On AWS it is a queue's. A job may be
	// performed more than once.
	Enqueue func(ctx context.Context, jobs []Job) error
	// Spread is over how long after the hour the reports of tenants go out, each tenant at an instant of its own: most
	// tenants share an hour and a zone, and would all be due at once. 0 = all at the hour; less than an hour.
	Spread time.Duration
	// MailQuota bounds the mails of reports on demand to addresses other than that of who asks; nil = no bound.
	MailQuota MailQuota
	// Held lets go what was held and is to be held no more, after the tenant's rules changed; nil = nothing is held.
	Held   Releaser
	Tracer *trace.Tracer // nil: nothing is traced
}

// MailQuota bounds mails on request. Its error is for a person.
type MailQuota interface {
	Spend(ctx context.Context, tenant string, mails int) error
}

// Job is one scheduled report for one address.
type Job struct {
	Tenant   string          `json:"tenant"`
	Client   string          `json:"client"`
	Receiver string          `json:"receiver"`
	Address  string          `json:"address,omitempty"`
	Period   calendar.Period `json:"period"`
}

// scheduleLimit is how many subscriptions are taken at once: a page of the schedule, whose settings, receivers, jobs
// and next times are read and written together.
const scheduleLimit = 500

// again is when a subscription whose jobs could not be handed over is looked at again.
const again = 5 * time.Minute

// RunSchedule hands over the jobs of every subscription whose time has come and sets when it is due next. A run that
// was missed is made up for once: with the newest period that is over. It returns how many jobs it handed over.
func (s *Service) RunSchedule(ctx context.Context) (jobs int, err error) {
	for {
		due, err := s.Store.Due(ctx, s.Now(), scheduleLimit)
		if err != nil {
			return jobs, fmt.Errorf("look for due reports: %w", err)
		}
		n, err := s.page(ctx, due)
		jobs += n
		if err != nil || len(due) < scheduleLimit {
			return jobs, err
		}
	}
}

// plan is what becomes of a subscription that is due.
type plan struct {
	Move
	owed []calendar.Period
	jobs []Job
}

// page hands over the jobs of subscriptions and moves them on.
func (s *Service) page(ctx context.Context, due []Subscription) (jobs int, err error) {
	if len(due) == 0 {
		return 0, nil
	}
	plans, err := s.plans(ctx, due)
	if err != nil {
		return 0, err
	}
	size := 1 // one report that can not be made keeps no other
	if s.Enqueue != nil {
		size = len(plans)
	}
	for chunk := range slices.Chunk(plans, size) {
		jobs += s.handOver(ctx, chunk)
	}
	moves := make([]Move, len(plans))
	for n, p := range plans {
		moves[n] = p.Move
	}
	if err := s.Store.Reschedule(ctx, moves); err != nil {
		return jobs, fmt.Errorf("schedule the reports of %d subscriptions: %w", len(moves), err)
	}
	return jobs, nil
}

// plans finds what subscriptions are owed, by whom they are received, and when they are due next.
func (s *Service) plans(ctx context.Context, due []Subscription) ([]plan, error) {
	var tenants []string
	seen := map[string]bool{}
	for _, sub := range due {
		if !seen[sub.Tenant] {
			seen[sub.Tenant], tenants = true, append(tenants, sub.Tenant)
		}
	}
	settings, err := s.Store.SettingsOf(ctx, tenants)
	if err != nil {
		return nil, fmt.Errorf("read the report settings of %d tenants: %w", len(tenants), err)
	}
	found, err := s.Receivers.Receivers(ctx, due)
	if err != nil {
		return nil, fmt.Errorf("find the receivers of %d subscriptions: %w", len(due), err)
	}
	plans := make([]plan, len(due))
	for n, sub := range due {
		p := s.plan(sub, settings[sub.Tenant])
		switch r := found[n]; {
		case errors.Is(r.Err, ErrNotFound): // nobody to hand anything to; when it is due stays in order
		case r.Err != nil:
			s.postpone(&p, r.Err)
		default:
			to := r.Addresses
			if sub.Frequency.Digest() {
				to = []string{""} // one event: its delivery has a part for each address
			}
			for _, period := range p.owed {
				for _, a := range to {
					p.jobs = append(p.jobs, Job{Tenant: sub.Tenant, Client: r.Client, Receiver: sub.Receiver,
						Address: a, Period: period})
				}
			}
		}
		plans[n] = p
	}
	return plans, nil
}

// plan says what a subscription is owed, and when it is due next.
func (s *Service) plan(sub Subscription, v Settings) plan {
	now, hour := s.Now(), v.At()
	last := calendar.Last(sub.Frequency, now, cmp.Or(v.Zone, timezone.Default), hour)
	// from before it was kept: it begins with this look, or has begun with the time that it is due
	if sub.Since.IsZero() {
		if sub.Since = sub.Due; sub.Due.IsZero() {
			sub.Since = now.Add(unseen)
		}
	}
	owed, upcoming := sub.owed(last, hour), last.Next()
	if owed == nil && sub.Done == "" {
		sub.Done = last.To // it was over before the receiver subscribed, whatever becomes of the hour
	}
	for upcoming.To <= sub.Done {
		upcoming = upcoming.Next() // a zone farther to the west comes to the same day once more
	}
	return plan{Move: Move{sub, upcoming.Due(hour).Add(s.offset(sub.Tenant))}, owed: owed}
}

// offset is when after the hour the reports of a tenant go out.
func (s *Service) offset(tenant string) time.Duration {
	if s.Spread < time.Second {
		return 0
	}
	sum := sha256.Sum256([]byte(tenant))
	return time.Duration(binary.BigEndian.Uint64(sum[:8])%uint64(s.Spread/time.Second)) * time.Second
}

// postpone has a subscription looked at again soon.
func (s *Service) postpone(p *plan, why error) {
	s.Log.Error("scheduled report: trying again", "tenant", p.Tenant, "receiver", p.Receiver, "frequency", p.Frequency,
		"error", why.Error())
	p.Next, p.owed, p.jobs = s.Now().Add(again), nil, nil
}

// handOver hands over the jobs of plans, all or none, and notes what their subscriptions got.
func (s *Service) handOver(ctx context.Context, plans []plan) int {
	var jobs []Job
	for _, p := range plans {
		jobs = append(jobs, p.jobs...)
	}
	err := s.enqueue(ctx, jobs)
	for n := range plans {
		p := &plans[n]
		switch {
		case err != nil && len(p.jobs) > 0:
			s.postpone(p, err)
		case len(p.owed) > 0:
			p.Done = p.owed[len(p.owed)-1].To
		}
	}
	if err != nil {
		return 0
	}
	return len(jobs)
}

func (s *Service) enqueue(ctx context.Context, jobs []Job) error {
	if s.Enqueue != nil && len(jobs) > 0 {
		return s.Enqueue(ctx, jobs)
	}
	for _, j := range jobs {
		if err := s.Perform(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// unseen is more than the longest time between two looks at the schedule (template.yaml, ReportSchedule). Who
// subscribes within it after a report was due may have been subscribed when it was, and gets it: a report that comes
// although nobody was subscribed at six is better than one that a click at two past six swallowed.
const unseen = 15 * time.Minute

// owed are the periods whose reports the subscription is to get now: when it is due, the newest that is over. When it
// is new or settings were saved the same, unless it had it or subscribed later. Days are of the calendar, so that a
// change of the zone neither swallows one nor sends it twice. Where a zone far to the east took the place of one far to
// the west, two mornings fall together: then the one before comes too.
func (sub Subscription) owed(last calendar.Period, hour int) (out []calendar.Period) {
	if sub.Frequency.Digest() {
		return sub.owedDigest(last, hour)
	}
	if !sub.Due.IsZero() {
		return []calendar.Period{last}
	}
	if last.To <= sub.Done || last.Due(hour).Before(sub.Since.Add(-unseen)) {
		return nil
	}
	if before := last.Previous(); sub.Done != "" && before.Previous().To == sub.Done {
		out = append(out, before)
	}
	return append(out, last)
}

// Perform makes the job's report, unless it is there already, and publishes its event. Done again it changes nothing:
// the event's id is made of the period, the receiver and the address.
func (s *Service) Perform(ctx context.Context, j Job) error {
	ctx = s.Tracer.Begin(ctx, s.Now().UTC())
	if j.Period.Frequency.Digest() {
		return s.performDigest(ctx, j)
	}
	id := string(j.Period.Frequency) + "-" + j.Period.Key()
	r, err := s.Store.Get(ctx, j.Tenant, id)
	if errors.Is(err, ErrNotFound) {
		r = Report{ID: id, Tenant: j.Tenant, Client: j.Client, Period: j.Period, Format: PDF, State: Ready,
			CreatedAt: s.Now().UTC()}
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
	totals, err := s.totals(ctx, r)
	if err != nil {
		return err
	}
	summary, err := Build(ctx, totals, r.Tenant, r.Client, r.Period, RowsOf(r.Format), began)
	if err != nil {
		return err
	}
	summary.Filters, summary.Alone = r.Filters, len(r.Filters) > 0
	settings, err := s.Settings(ctx, r.Tenant)
	if err != nil {
		return fmt.Errorf("read the language: %w", err)
	}
	summary.Language = settings.Language.Or(wording.English) // one file serves all receivers of the tenant
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
	s.Log.Info("report made", "tenant", r.Tenant, "report", r.ID, "period", r.Period.Key(), "format", r.Format, "bytes",
		size, "took_ms", s.Now().Sub(began).Milliseconds())
	return nil
}

func (s *Service) render(summary *Summary, f Format) ([]File, error) {
	if f == CSV {
		files, err := summary.Files(s.Console)
		return append(append(files, summary.selectedBy()...), summary.missingRows()...), err
	}
	data, err := s.Renderer.Render(summary, s.Platform, s.Console)
	if err != nil {
		return nil, fmt.Errorf("render it: %w", err)
	}
	return []File{{Name: fileName(s.Platform, summary.Period), Type: "application/pdf", Data: data}}, nil
}

func fileName(platform string, p calendar.Period) string {
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
	if KindOf(receiver) == OrderReceiver {
		frequency = calendar.Once
	}
	data, err := json.Marshal(event.ReportData{Report: r.ID, Frequency: string(frequency), Integration: receiver,
		Address: to})
	if err != nil {
		return err
	}
	e := event.Event{
		ID: "report:" + r.ID + ":" + receiver + ":" + hex.EncodeToString(sum[:8]), Tenant: r.Tenant,
		ClientName: r.Client,
		Kind:       event.Report, Time: s.Now().UTC(), Data: data,
	}
	if err := s.hand(ctx, e); err != nil {
		return fmt.Errorf("hand report %s over to %s: %w", r.ID, receiver, err)
	}
	return nil
}

// hand publishes the event of what was made. Its trace begins with the making.
func (s *Service) hand(ctx context.Context, e event.Event) (err error) {
	var span trace.Span
	span, e.Trace = s.Tracer.Made(ctx, "report", e.Tenant, e.ID, s.Now().UTC(),
		trace.Attribute{Name: trace.EventKind, Value: string(e.Kind)})
	if err = s.Bus.Publish(ctx, e); err == nil {
		s.Tracer.Record(span)
	}
	return err
}

// Get returns one report of the tenant. Error: ErrNotFound.
func (s *Service) Get(ctx context.Context, tenant, id string) (Report, error) {
	return s.Store.Get(ctx, tenant, id)
}

// Recent returns the reports of the tenant that are kept, newest first.
func (s *Service) Recent(ctx context.Context, tenant string) ([]Report, error) {
	return s.Store.Recent(ctx, tenant, Kept)
}

// File returns one file of a report. Error: ErrNotFound.
func (s *Service) File(ctx context.Context, tenant, id, name string) (File, error) {
	return s.Store.File(ctx, tenant, id, name)
}

// Zone is the time zone in which the days of the tenant's reports are cut.
func (s *Service) Zone(ctx context.Context, tenant string) (string, error) {
	v, err := s.Store.Settings(ctx, tenant)
	return cmp.Or(v.Zone, timezone.Default), err
}

// Settings are the tenant's, with the zone that holds where none was chosen.
func (s *Service) Settings(ctx context.Context, tenant string) (Settings, error) {
	v, err := s.Store.Settings(ctx, tenant)
	v.Zone = cmp.Or(v.Zone, timezone.Default)
	return v, err
}

// SettingsChange is a change of a tenant's settings; what is nil stays as it is.
type SettingsChange struct {
	Zone     string // of the days from now on
	Hour     *int
	Language *wording.Language
	Hold     *hold.Rules
	// Retention is in days: see package retention.
	Retention *retention.Days
}

func (c SettingsChange) check() error {
	if err := timezone.Check(c.Zone); err != nil {
		return err
	}
	if c.Hour != nil {
		if err := calendar.CheckHour(*c.Hour); err != nil {
			return err
		}
	}
	if c.Language != nil && *c.Language != "" && !c.Language.Valid() {
		return ErrLanguage
	}
	return nil
}

// Set changes the settings if they have the revision; -1 takes any. It returns what they are then: with the same
// revision when nothing is another. Errors: ErrZone, ErrHour, ErrLanguage, ErrConflict, destination.InvalidParameters.
func (s *Service) Set(ctx context.Context, who activity.Actor, c SettingsChange, revision int64) (Settings, error) {
	if err := c.check(); err != nil {
		return Settings{}, err
	}
	v, err := s.Settings(ctx, who.Tenant)
	if err == nil && revision >= 0 && revision != v.Revision {
		err = ErrConflict
	}
	if err != nil {
		return v, err
	}
	now := v
	now.Zone = c.Zone
	if c.Hour != nil && *c.Hour != v.At() {
		now.Hour = c.Hour
	}
	if c.Language != nil {
		now.Language = *c.Language
	}
	if c.Hold != nil {
		if problems := checkHold(*c.Hold, s.Now()); problems != nil {
			return v, problems
		}
		now.Hold = *c.Hold
	}
	if c.Retention != nil && *c.Retention != v.Retention.Days() {
		if problems := retention.Check(*c.Retention, s.EventsKept, "retention"); problems != nil {
			return v, problems
		}
		now.Retention = v.Retention.Change(*c.Retention, s.Now(), s.EventsKept)
	}
	if reflect.DeepEqual(now, v) {
		return v, nil
	}
	e := s.entry(who, activity.ReportSettings, activity.Update)
	e.Changes = activity.Diff(v.fields(), now.fields())
	now.Revision++
	if err := s.Store.SaveSettings(ctx, now, e.Bounded()); err != nil {
		return v, err
	}
	if !reflect.DeepEqual(now.Hold, v.Hold) {
		s.release(ctx, who.Tenant)
	}
	return now, nil
}

// entry is an entry of the activity log, without its object's id and changes.
func (s *Service) entry(who activity.Actor, o activity.Object, a activity.Action) activity.Entry {
	return activity.Entry{ID: s.NewID(), At: s.Now(), Actor: who, Object: o, Action: a}
}

// Request is a report on demand.
type Request struct {
	Period     calendar.Period
	Filters    []filter.Filter
	Format     Format
	Recipients []string
}

// MaxRecipients bounds the addresses of a report on demand.
const MaxRecipients = 50

// Order takes a report on demand; MakeWaiting makes it. Errors: ErrPeriod, destination.InvalidParameters, and
// those of Relay.
func (s *Service) Order(ctx context.Context, who activity.Actor, q Request) (Report, error) {
	var problems destination.InvalidParameters
	if q.Format != PDF && q.Format != CSV {
		problems = append(problems, destination.FieldProblem{Field: "format", Reason: "must be pdf or csv"})
	}
	if len(q.Recipients) > MaxRecipients {
		problems = append(problems, destination.FieldProblem{Field: "recipients",
			Reason: fmt.Sprintf("must be at most %d addresses", MaxRecipients)})
	}
	filters, err := s.checkFilters(ctx, who.Tenant, q)
	if err != nil {
		return Report{}, err
	}
	problems = append(problems, filters...)
	if q.Period.From > calendar.DayOf(s.Now(), timezone.Open(q.Period.Zone)) {
		problems = append(problems, destination.FieldProblem{Field: "from", Reason: "must not be in the future"})
	}
	var others int
	for i, a := range q.Recipients {
		if _, err := address.Parse(a); err != nil {
			problems = append(problems, destination.FieldProblem{Field: fmt.Sprintf("recipients.%d", i),
				Reason: err.Error()})
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
	if s.MailQuota != nil && others > 0 {
		if err := s.MailQuota.Spend(ctx, who.Tenant, others); err != nil {
			return Report{}, err
		}
	}
	r := Report{
		ID: s.NewID(), Tenant: who.Tenant, Client: who.ClientName, Period: q.Period, Filters: q.Filters,
		Format: q.Format, State: Waiting, CreatedAt: s.Now().UTC(),
		CreatedBy: who.Email, Recipients: recipients,
	}
	e := s.entry(who, activity.Report, activity.Create)
	e.ObjectID, e.ObjectName = r.ID, string(r.Period.Frequency)+" "+r.Period.Key()
	fields := map[string]any{"from": r.Period.From, "to": r.Period.To, "zone": r.Period.Zone, "format": r.Format,
		"recipients": r.Recipients}
	if len(r.Filters) > 0 {
		fields["filters"] = r.Filters
	}
	e.Changes = activity.Diff(nil, fields)
	if err := s.Store.Save(ctx, r, nil, e.Bounded()); err != nil {
		return Report{}, fmt.Errorf("order report %s: %w", r.ID, err)
	}
	return r, nil
}

// waitingLimit is how many reports on demand are looked up at once.
const waitingLimit = 100

// MakeWaiting makes the reports on demand that wait, until none does.
func (s *Service) MakeWaiting(ctx context.Context) error {
	for {
		waiting, err := s.Store.Waiting(ctx, waitingLimit)
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
	ctx = s.Tracer.Begin(ctx, s.Now().UTC())
	if err := s.make(ctx, &r); err != nil {
		if ctx.Err() != nil {
			return err
		}
		s.Log.Error("report on demand failed", "tenant", r.Tenant, "report", r.ID, "error", err.Error())
		r.State, r.Reason = Failed, whyFailed(err)
		return s.Store.Save(ctx, r, nil)
	}
	for _, a := range r.Recipients {
		if err := s.publish(ctx, r, OrderReceiverID(r.ID), a); err != nil {
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
