package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/shared/activity"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/health"
	"tocsin/shared/hold"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/plaintext"
	"tocsin/shared/trace"
	"tocsin/shared/wording"
)

// MaxName is the length of an integration's name in characters; the product facts are silent.
const MaxName = 200

// Systems is the catalogue as a Service needs it.
type Systems interface {
	// Lookup finds a system by its name; available is false for one that is listed and can not be used yet.
	Lookup(name string) (s destination.System, available, ok bool)
	// Names are those of all systems that an integration can be of.
	Names() []string
}

// AddressPolicy decides which addresses an integration may name.
type AddressPolicy interface {
	CheckURL(address string) error
}

// Draft is what a person sends to create an integration.
type Draft struct {
	System     string
	Name       string
	Language   wording.Language // "" = the tenant's
	Rate       Rate
	Grouping   Grouping
	StormGuard StormGuard
	Fallback   string // the id of another, "" = none
	// MessageTemplate is the zero value for our title and text.
	MessageTemplate messagetemplate.Source
	Disabled        bool
	Subscriptions   []Subscription
	Filters         []filter.Filter
	Hold            hold.Rules // without a mute
	Parameters      json.RawMessage
}

// Patch is a change: nil members stay as they are. Parameters are merged member by member.
type Patch struct {
	Name       *string
	Language   *wording.Language
	Rate       *Rate
	Grouping   *Grouping
	StormGuard *StormGuard
	Fallback   *string
	// Title and Text are the parts of the message template.
	Title, Text   *string
	Subscriptions *[]Subscription
	Filters       *[]filter.Filter
	Hold          *hold.Rules // a mute stays as it is
	Parameters    json.RawMessage
	Enabled       *bool
}

// CheckLanguage takes one that the product speaks, or none.
func CheckLanguage(l wording.Language) InvalidError {
	if l == "" || l.Valid() {
		return nil
	}
	return InvalidError{{Field: "language", Reason: "must be en, ja or empty"}}
}

// InvalidError says what is wrong with a Draft or Patch, field by field.
type InvalidError = destination.InvalidParameters

// Service makes every change of an integration.
type Service struct {
	Store     ServiceStore
	Keys      KeyRing
	Systems   Systems
	Addresses AddressPolicy
	Now       func() time.Time
	NewID     func() string // ids sort by the time of their making
	Random    io.Reader     // crypto/rand.Reader; of the key pairs that it makes
	Log       *slog.Logger
	// Backlog counts what waits to be sent to an integration, for its notices; nil = they do not say.
	Backlog Backlog
	// Held lets go what was held and is to be held no more; nil = nothing is held.
	Held Releaser
	// Missed counts what it missed while it was disabled, for the notice that it is enabled; nil = that does not say.
	Missed Missed
	// Triggers tell what they send, on which a message template is tried; nil = nothing.
	Triggers Triggers
	// Tracer is nil where nothing is traced.
	Tracer *trace.Tracer
}

// Missed counts what integrations missed.
type Missed interface {
	// CountMissed counts the events that arrived since a time, that the integration takes and that no delivery to it
	// carries. more says that it stopped before the end.
	CountMissed(ctx context.Context, i Integration, from time.Time) (n int, more bool, err error)
}

// Backlog counts what waits to be sent to an integration.
type Backlog interface {
	// CountWaiting counts the deliveries that wait for their first request or for a retry, and those that are held:
	// about limit at most of either.
	CountWaiting(ctx context.Context, tenant, integration string, limit int) (Waiting, error)
	// CountWaitingOf is CountWaiting of many integrations of a tenant, in their order.
	CountWaitingOf(ctx context.Context, tenant string, integrations []string, limit int) ([]Waiting, error)
	// CountDead counts those that are dead and were made at the time or later: about limit at most.
	CountDead(ctx context.Context, tenant, integration string, from time.Time, limit int) (int, error)
}

// Waiting is what waits to be sent to an integration.
type Waiting struct {
	Count int       // at most the limit asked for
	Next  time.Time // when the next retry of those counted is due; zero when none is
	Floor bool      // what waits for its first request is not counted
	// Gathering is how many of Count become a message or a file with others, when their time comes. At most the limit.
	Gathering int
	// Held is how many more are held by quiet hours or a mute, and HeldUntil when the first of them is let go, by the
	// rules as they are.
	Held      int
	HeldUntil time.Time
}

// WaitingLimit is how far notices and the API count what waits.
const WaitingLimit = 1000

// More reports whether there may be more than Count, because the counting ended there.
func (w Waiting) More() bool { return w.Count >= WaitingLimit }

// HeldMore is likewise of Held.
func (w Waiting) HeldMore() bool { return w.Held >= WaitingLimit }

// Add adds what waits for another integration.
func (w *Waiting) Add(other Waiting) {
	w.Count, w.Held, w.Floor = w.Count+other.Count, w.Held+other.Held, w.Floor || other.Floor
	w.Gathering += other.Gathering
	w.Next, w.HeldUntil = earlier(w.Next, other.Next), earlier(w.HeldUntil, other.HeldUntil)
}

// earlier is the earlier one of two times; one that is zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Get returns one integration of the tenant. Error: ErrNotFound.
func (s *Service) Get(ctx context.Context, tenant, id string) (Integration, error) {
	return s.Store.Get(ctx, tenant, id)
}

// List returns the tenant's integrations in the order of their ids, which is that of their creation: at most limit of
// those whose id is greater than after.
func (s *Service) List(ctx context.Context, tenant, after string, limit int) ([]Integration, error) {
	return s.Store.List(ctx, tenant, after, limit)
}

// Find is List of those whose outline matches.
func (s *Service) Find(ctx context.Context, tenant, after string, limit int, matches func(Outline) bool) ([]Integration,
	error) {
	return s.Store.Find(ctx, tenant, after, limit, matches)
}

// Count counts the tenant's integrations.
func (s *Service) Count(ctx context.Context, tenant string) (Counts, error) {
	return s.Store.Count(ctx, tenant)
}

// Lister lists a tenant's integrations as Service.List does.
type Lister interface {
	List(ctx context.Context, tenant, after string, limit int) ([]Integration, error)
}

// All reads every integration of a tenant, hundreds at most, in the order of their ids.
func All(ctx context.Context, from Lister, tenant string) ([]Integration, error) {
	const most = 500
	var pages [][]Integration // put together once: they are large
	for after := ""; ; {
		page, err := from.List(ctx, tenant, after, most)
		if err != nil {
			return nil, err
		}
		if pages = append(pages, page); len(page) < most {
			return slices.Concat(pages...), nil
		}
		after = page[len(page)-1].ID
	}
}

// Numbered is the integration with its number. One of a release that gave none gets its own now.
func (s *Service) Numbered(ctx context.Context, i Integration) (Integration, error) {
	if i.Number != 0 {
		return i, nil
	}
	n, err := s.Store.NextNumber(ctx)
	if err == nil {
		i.Number, err = s.Store.GiveNumber(ctx, i.Tenant, i.ID, n)
	}
	if err != nil {
		return i, fmt.Errorf("give integration %s a number: %w", i.ID, err)
	}
	return i, nil
}

// ByNumber finds the integration that has the number, whoever its tenant is. Error: ErrNotFound.
func (s *Service) ByNumber(ctx context.Context, number int64) (Key, error) {
	return s.Store.ByNumber(ctx, number)
}

// Bound returns the integrations of all tenants that belong to the system and have the external key.
func (s *Service) Bound(ctx context.Context, system, key string) ([]Integration, error) {
	return s.Store.Bound(ctx, system, key)
}

// Check says what is wrong with what a draft sets of its own, beside its name, subscriptions and parameters, for a
// system; the zero value of that where it is not known.
func (d Draft) Check(system destination.System, now time.Time) (problems InvalidError) {
	problems = append(CheckLanguage(d.Language), checkRate(d.Rate)...)
	problems = append(append(problems, checkGrouping(d.Grouping, system)...), checkStormGuard(d.StormGuard, system)...)
	problems = append(problems, checkTemplate(system, d.MessageTemplate.Trimmed(), d.Subscriptions)...)
	if system.Name != "" {
		problems = append(problems, filter.CheckIntegration(d.Filters, system.Title)...)
		problems = append(problems, hold.Check(d.Hold, "hold", system.Class.Read(), now)...)
	}
	return problems
}

// Create validates, seals and stores a new integration.
func (s *Service) Create(ctx context.Context, who activity.Actor, d Draft) (Integration, error) {
	system, full, err := s.validate(d.System, d.Parameters)
	var problems InvalidError
	if !collect(err, &problems) {
		return Integration{}, err
	}
	problems = append(append(problems, checkName(d.Name)...), d.Check(system, s.Now())...)
	if system.Name != "" {
		problems = append(problems, checkSubscriptions(system, d.Subscriptions)...)
		problems = append(problems, CheckFit(system, d.Filters, d.Subscriptions)...)
	}
	unfit, err := s.checkFallback(ctx, who.Tenant, "", d.Fallback)
	if err != nil {
		return Integration{}, err
	}
	if problems = append(problems, unfit...); len(problems) > 0 {
		return Integration{}, problems
	}
	now := s.Now().UTC()
	i := Integration{
		ID: s.NewID(), Tenant: who.Tenant, ClientName: who.ClientName, System: system.Name,
		Name: strings.TrimSpace(d.Name), Language: d.Language, Rate: d.Rate,
		Grouping: d.Grouping, StormGuard: d.StormGuard, Fallback: d.Fallback,
		MessageTemplate: d.MessageTemplate.Trimmed(),
		Subscriptions:   d.Subscriptions, Filters: d.Filters, Hold: withMute(d.Hold, nil),
		Revision: 1, Window: 1, CreatedAt: now, CreatedBy: who.Email, UpdatedAt: now, UpdatedBy: who.Who(),
	}
	if d.Disabled {
		i.Off = &Off{By: ByPerson, Person: who.Email, At: now}
	}
	if err := s.seal(ctx, &i, system, full); err != nil {
		return Integration{}, err
	}
	if i.Number, err = s.Store.NextNumber(ctx); err != nil {
		return Integration{}, err
	}
	c := change{kind: event.CreateIntegration, who: &who, secrets: secretsOf(system, full)}
	if err := s.Store.Create(ctx, i, s.record(i, c)); err != nil {
		return Integration{}, fmt.Errorf("create integration %s: %w", i.ID, err)
	}
	s.changed("integration created", i, who.Who())
	return i, nil
}

// Shape is an integration of a system as it would be with these subscriptions and filters. It is not stored, and has no
// parameters. Error: InvalidError.
func (s *Service) Shape(tenant, systemName string, subs []Subscription, filters []filter.Filter) (Integration, error) {
	system, _, ok := s.Systems.Lookup(systemName)
	if !ok {
		return Integration{}, s.unknownSystem()
	}
	problems := append(checkSubscriptions(system, subs), filter.CheckIntegration(filters, system.Title)...)
	problems = append(problems, CheckFit(system, filters, subs)...)
	if len(problems) > 0 {
		return Integration{}, problems
	}
	return Integration{Tenant: tenant, System: system.Name, Subscriptions: subs, Filters: filters}, nil
}

// Update applies a patch to the integration if its revision is the given one; revision 0 takes any. A patch that
// changes nothing leaves the revision as it is, and nothing is announced.
// Errors: ErrNotFound, ErrConflict, InvalidError.
func (s *Service) Update(ctx context.Context, who activity.Actor, id string, revision int64, p Patch) (Integration,
	error) {
	i, err := s.at(ctx, who.Tenant, id, revision)
	if err != nil {
		return Integration{}, fmt.Errorf("update integration %s: %w", id, err)
	}
	before := i
	var problems InvalidError
	c := change{kind: event.UpdateIntegration, who: &who, before: &before}
	system, err := s.system(i)
	if err != nil {
		return Integration{}, err
	}
	if p.Name != nil {
		problems = append(problems, checkName(*p.Name)...)
		i.Name = strings.TrimSpace(*p.Name)
	}
	problems = append(problems, p.sent(&i, system)...)
	problems = append(problems, p.narrow(&i, system)...)
	unfit, err := s.among(ctx, &i, p, system)
	if err != nil {
		return Integration{}, err
	}
	problems = append(problems, unfit...)
	problems = append(problems, s.rules(&i, p.Hold, system)...)
	if p.Parameters != nil {
		var full json.RawMessage
		full, c.secrets, err = s.mergeByHand(ctx, i, system, p.Parameters)
		if !collect(err, &problems) {
			return Integration{}, fmt.Errorf("update integration %s: %w", id, err)
		}
		if err == nil && !s.keeps(ctx, i, system, full) {
			if err := s.seal(ctx, &i, system, full); err != nil {
				return Integration{}, err
			}
		}
	}
	if len(problems) > 0 {
		return Integration{}, problems
	}
	if p.Enabled != nil && *p.Enabled != i.Enabled() {
		if err := s.sendable(ctx, i); err != nil && *p.Enabled {
			return Integration{}, err
		}
		return s.toggle(ctx, i, *p.Enabled, c)
	}
	if sameSettings(before, i) {
		return before, nil
	}
	return s.save(ctx, i, c)
}

// among sets what is held against triggers and other integrations: the message template and the fallback.
func (s *Service) among(ctx context.Context, i *Integration, p Patch, system destination.System) (InvalidError, error) {
	before := *i
	problems := p.template(i, system)
	if len(problems) == 0 {
		var err error
		if problems, err = s.checkTriggered(ctx, *i, before); err != nil {
			return nil, err
		}
	}
	if p.Fallback != nil && *p.Fallback != i.Fallback {
		unfit, err := s.checkFallback(ctx, i.Tenant, i.ID, *p.Fallback)
		if err != nil {
			return nil, err
		}
		problems = append(problems, unfit...)
		i.Fallback = *p.Fallback
	}
	return problems, nil
}

// template sets what the title and the text of messages are.
func (p Patch) template(i *Integration, system destination.System) InvalidError {
	if p.Title != nil {
		i.MessageTemplate.Title = *p.Title
	}
	if p.Text != nil {
		i.MessageTemplate.Text = *p.Text
	}
	i.MessageTemplate = i.MessageTemplate.Trimmed()
	if p.Title != nil || p.Text != nil || p.Subscriptions != nil { // which may be more than the template was for
		return checkTemplate(system, i.MessageTemplate, i.Subscriptions)
	}
	return nil
}

// sent sets in which language, how fast and how many together messages are sent.
func (p Patch) sent(i *Integration, system destination.System) (problems InvalidError) {
	if p.Language != nil {
		problems = append(problems, CheckLanguage(*p.Language)...)
		i.Language = *p.Language
	}
	if p.Rate != nil {
		problems = append(problems, checkRate(*p.Rate)...)
		i.Rate = *p.Rate
	}
	if p.Grouping != nil {
		problems = append(problems, checkGrouping(*p.Grouping, system)...)
		i.Grouping = *p.Grouping
	}
	if p.StormGuard != nil {
		problems = append(problems, checkStormGuard(*p.StormGuard, system)...)
		i.StormGuard = *p.StormGuard
	}
	return problems
}

// Enable and disable are Update with one member; this is the change itself.
func (s *Service) toggle(ctx context.Context, i Integration, on bool, c change) (Integration, error) {
	if on {
		c.kind, c.data = event.EnableIntegration, s.missed(ctx, i)
		i.Off = nil
		i.Window++
		return s.save(ctx, i, c)
	}
	c.kind = event.DisableIntegration
	i.Off = &Off{By: ByPerson, Person: c.who.Email, At: s.Now().UTC()}
	return s.save(ctx, i, c)
}

// missed tells the notice of enabling what came while the integration was disabled. It is not enabled the less when
// that is not known.
func (s *Service) missed(ctx context.Context, i Integration) (d event.IntegrationData) {
	if s.Missed == nil || i.Off == nil {
		return d
	}
	n, more, err := s.Missed.CountMissed(ctx, i, i.Off.At)
	if err != nil {
		s.Log.Warn("count what an integration missed", "tenant", i.Tenant, "integration", i.ID, "error", err.Error())
		return d
	}
	d.Missed, d.MissedMore = &n, more
	return d
}

// SetEnabled switches the integration on or off; it is no error when it already is.
// Errors: ErrNotFound, ErrConflict.
func (s *Service) SetEnabled(ctx context.Context, who activity.Actor, id string, revision int64, on bool) (Integration,
	error) {
	i, err := s.at(ctx, who.Tenant, id, revision)
	if err != nil {
		return Integration{}, fmt.Errorf("enable or disable integration %s: %w", id, err)
	}
	if i.Enabled() == on {
		return i, nil
	}
	if err := s.sendable(ctx, i); err != nil && on {
		return Integration{}, err
	}
	before := i
	return s.toggle(ctx, i, on, change{who: &who, before: &before})
}

// Adapt changes read-only parameters as the system's side demands, if the integration's revision is still i's: what an
// answer said about an older state is done with. reason is for the announcement. Errors: ErrNotFound, ErrConflict.
func (s *Service) Adapt(ctx context.Context, i Integration, patch json.RawMessage, reason string) (Integration,
	error) {
	before := i
	if err := s.adapt(ctx, &i, patch); err != nil {
		return Integration{}, fmt.Errorf("adapt integration %s: %w", i.ID, err)
	}
	return s.save(ctx, i, change{kind: event.UpdateIntegration, before: &before,
		data: event.IntegrationData{Reason: reason}})
}

// Rebind is Adapt for a place that a person at the system's side chose for the integration: its past failures do not
// count any more, and it is enabled if the platform had disabled it for them.
func (s *Service) Rebind(ctx context.Context, i Integration, patch json.RawMessage, reason string) (Integration,
	error) {
	before := i
	c := change{kind: event.UpdateIntegration, before: &before}
	if err := s.adapt(ctx, &i, patch); err != nil {
		return Integration{}, fmt.Errorf("rebind integration %s: %w", i.ID, err)
	}
	if !i.Enabled() && i.Off.By == ByPlatform {
		c.kind, c.data = event.EnableIntegration, s.missed(ctx, i)
		i.Off = nil
	}
	c.data.Reason = reason
	i.Window++
	return s.save(ctx, i, c)
}

// adapt leaves the secrets sealed as they are: what sends may open them and need not be able to seal.
func (s *Service) adapt(ctx context.Context, i *Integration, patch json.RawMessage) error {
	system, err := s.system(*i)
	if err != nil {
		return err
	}
	if err := system.Parameters.OnlyReadOnly(patch); err != nil {
		return err
	}
	full, err := s.merge(ctx, *i, system, patch)
	if err != nil {
		return err
	}
	if i.Parameters, _, err = system.Parameters.Split(full); err != nil {
		return err
	}
	return s.bind(i, system, full)
}

// DisableBroken switches the integration off because it keeps failing, once for a health window: an integration
// that is off already, was deleted, or was enabled again since is left alone and done is false.
func (s *Service) DisableBroken(ctx context.Context, tenant, id string, window int64, reason string,
	a health.Answer) (done bool, err error) {
	for {
		i, err := s.Store.Get(ctx, tenant, id)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("disable failing integration %s: %w", id, err)
		}
		if !i.Enabled() || i.Window != window {
			return false, nil
		}
		d := event.IntegrationData{Reason: reason, Answer: a.Words}
		if i.Failing != nil {
			d.Since = i.Failing.Since.UTC().Format(time.RFC3339)
		}
		waits, err := s.count(ctx, i, event.IntegrationBroken, i.Failing, &d)
		if err != nil {
			return false, err
		}
		before := i
		i.Off = &Off{By: ByPlatform, Reason: reason, At: s.Now().UTC(), Answer: &a}
		c := change{kind: event.IntegrationBroken, data: d, before: &before, waits: waits}
		if _, err = s.save(ctx, i, c); errors.Is(err, ErrConflict) {
			continue // someone changed its settings meanwhile: look again
		}
		return err == nil, err
	}
}

// Failing lists the integrations of all tenants that are marked as failing.
func (s *Service) Failing(ctx context.Context) (out []health.Failing, err error) {
	marked, err := s.Store.Marked(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the failing integrations: %w", err)
	}
	for _, i := range marked {
		out = append(out, health.Failing{Tenant: i.Tenant, Integration: i.ID, Window: i.Window})
	}
	return out, nil
}

// BeginFailing marks the integration as failing since a time, once for an episode, and announces it.
func (s *Service) BeginFailing(ctx context.Context, tenant, id string, window int64, since time.Time,
	a health.Answer) (done bool, err error) {
	f := &Failing{Since: since.UTC(), At: s.Now().UTC(), Answer: a}
	return s.mark(ctx, tenant, id, window, f, event.IntegrationFailing,
		event.IntegrationData{Answer: a.Words, Since: f.Since.Format(time.RFC3339)})
}

// EndFailing takes the mark away from an integration that works again, and announces it.
func (s *Service) EndFailing(ctx context.Context, tenant, id string, window int64) (done bool, err error) {
	return s.mark(ctx, tenant, id, window, nil, event.IntegrationWorking, event.IntegrationData{})
}

func (s *Service) mark(ctx context.Context, tenant, id string, window int64, f *Failing, kind event.Kind,
	d event.IntegrationData) (done bool, err error) {
	i, err := s.Store.Get(ctx, tenant, id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("announce %s of integration %s: %w", kind, id, err)
	}
	if i.Window != window || !i.Enabled() || (i.Failing == nil) == (f == nil) {
		return false, nil
	}
	failing := f
	if i.Failing != nil { // what is over
		d.Since, d.Answer = i.Failing.Since.UTC().Format(time.RFC3339), i.Failing.Answer.Words
		failing = i.Failing
	}
	if _, err := s.count(ctx, i, kind, failing, &d); err != nil {
		return false, err
	}
	before := i
	i.Failing = f
	r := s.record(i, change{kind: kind, data: d, before: &before})
	span := s.caused(ctx, i, &r.Event)
	err = s.Store.Mark(ctx, tenant, id, window, f, r)
	if errors.Is(err, ErrConflict) {
		return false, nil // another worker was faster
	}
	if err != nil {
		return false, fmt.Errorf("announce %s of integration %s: %w", kind, id, err)
	}
	s.Tracer.Record(span)
	s.Log.Info(string(kind), "tenant", tenant, "integration", id, "system", i.System, "answer", d.Answer, "since",
		d.Since)
	return true, nil
}

// deadBefore is how long before an integration began to fail the oldest delivery was made that died of it: it was tried
// for up to 51 minutes (package retry).
const deadBefore = time.Hour

// count tells a notice how many deliveries wait, and how many were not sent since the integration began to fail. It
// returns what waits.
func (s *Service) count(ctx context.Context, i Integration, kind event.Kind, f *Failing,
	d *event.IntegrationData) (*Waiting, error) {
	if s.Backlog == nil {
		return nil, nil
	}
	w, err := s.Backlog.CountWaiting(ctx, i.Tenant, i.ID, WaitingLimit)
	if err != nil {
		return nil, fmt.Errorf("count what waits for integration %s: %w", i.ID, err)
	}
	since := s.Now()
	if f != nil {
		since = f.Since
	}
	dead, err := s.Backlog.CountDead(ctx, i.Tenant, i.ID, since.Add(-deadBefore), WaitingLimit)
	if err != nil {
		return nil, fmt.Errorf("count what was not sent to integration %s: %w", i.ID, err)
	}
	if w.Count > 0 || !w.Floor {
		d.Waiting, d.WaitingMore = &w.Count, w.More() || w.Floor
	}
	d.NotSentMore = dead >= WaitingLimit
	if kind == event.IntegrationBroken { // what waits is dead from now on, what is held too
		dead += w.Count + w.Held
		d.NotSentMore = d.NotSentMore || w.More() || w.HeldMore() || w.Floor
	}
	d.NotSent = &dead
	return &w, nil
}

// Delete removes the integration unless it is the fallback of others. Triggers that notify it stay, and notify it no
// more. Errors: ErrNotFound, ErrConflict, *FallbackError. An integration that names it in the same moment is not seen:
// then its fallback was deleted, which its deliveries say.
func (s *Service) Delete(ctx context.Context, who activity.Actor, id string, revision int64) error {
	return s.removeUnnamed(ctx, who, id, revision, s.Store.Delete)
}

// DeleteUnused is Delete unless triggers notify the integration. Errors: those of Delete, ErrUsed.
func (s *Service) DeleteUnused(ctx context.Context, who activity.Actor, id string, revision int64) error {
	return s.removeUnnamed(ctx, who, id, revision, s.Store.DeleteUnused)
}

// DeleteForced removes the integration, whatever names it: nothing falls back to it any more. Errors: ErrNotFound,
// ErrConflict.
func (s *Service) DeleteForced(ctx context.Context, who activity.Actor, id string, revision int64) error {
	return s.remove(ctx, who, id, revision, s.Store.Delete)
}

func (s *Service) removeUnnamed(ctx context.Context, who activity.Actor, id string, revision int64,
	remove func(context.Context, string, string, int64, activity.Record) error) error {
	of, err := s.FallbackOf(ctx, who.Tenant, id)
	if err != nil {
		return err
	}
	if len(of) > 0 {
		return fmt.Errorf("delete integration %s: %w", id, &FallbackError{Of: of})
	}
	return s.remove(ctx, who, id, revision, remove)
}

func (s *Service) remove(ctx context.Context, who activity.Actor, id string, revision int64,
	remove func(context.Context, string, string, int64, activity.Record) error) error {
	i, err := s.at(ctx, who.Tenant, id, revision)
	if err != nil {
		return fmt.Errorf("delete integration %s: %w", id, err)
	}
	c := change{kind: event.DeleteIntegration, who: &who, before: &i}
	if err := remove(ctx, who.Tenant, id, i.Revision, s.record(i, c)); err != nil {
		return fmt.Errorf("delete integration %s: %w", id, err)
	}
	s.changed("integration deleted", i, who.Who())
	s.endHeld(ctx, i, nil)
	return nil
}

// Opened is an integration's connection with its secrets in the clear: for delivery and tests only.
type Opened struct {
	System destination.System
	// Parameters is a pointer to the system's parameters struct.
	Parameters any
	// Secrets are the values that no log line and no answer may show.
	Secrets []string
	// Saved is the integration as it is stored, nil for parameters that are not saved.
	Saved *Integration
	// MessageTemplate is that of the integration, or of the form that is tested.
	MessageTemplate messagetemplate.Source
	// Of is the id of the integration whose secrets are among them, "" for none.
	Of string
}

// Open opens an integration for sending.
func (s *Service) Open(ctx context.Context, i Integration) (Opened, error) {
	system, err := s.system(i)
	if err != nil {
		return Opened{}, err
	}
	full, err := s.full(ctx, i, system)
	if err != nil {
		return Opened{}, err
	}
	opened, err := open(system, full)
	opened.Saved, opened.Of, opened.MessageTemplate = &i, i.ID, i.MessageTemplate
	return opened, err
}

// OpenUnsaved validates parameters that are not saved yet and opens them, for the test button of a form. Masks stand
// for the secrets of the integration with the given id; "" when there is none yet. Errors: ErrNotFound, InvalidError.
func (s *Service) OpenUnsaved(ctx context.Context, tenant, id, systemName string, parameters json.RawMessage) (Opened,
	error) {
	system, full, err := s.unsaved(ctx, tenant, id, systemName, parameters)
	if err != nil {
		return Opened{}, err
	}
	opened, err := open(system, full)
	opened.Of = id
	return opened, err
}

// unsaved returns the system and the complete parameters; these also with an InvalidError that tells what is wrong with
// them.
func (s *Service) unsaved(ctx context.Context, tenant, id, systemName string,
	parameters json.RawMessage) (destination.System, json.RawMessage, error) {
	if id == "" {
		return s.validate(systemName, parameters)
	}
	i, err := s.Store.Get(ctx, tenant, id)
	if err != nil {
		return destination.System{}, nil, fmt.Errorf("test integration %s: %w", id, err)
	}
	system, err := s.system(i)
	if err != nil {
		return system, nil, err
	}
	if systemName != "" && systemName != i.System {
		return system, nil, InvalidError{{Field: "system", Reason: "is not that of the integration: leave it out"}}
	}
	full, _, err := s.mergeByHand(ctx, i, system, parameters)
	return system, full, err
}

// OpenIncomplete is OpenUnsaved for parameters of which some are still to be chosen: what is wrong with
// System.Choosable does not matter yet, nor which of two values of one name a reader takes: nothing is saved.
func (s *Service) OpenIncomplete(ctx context.Context, tenant, id, systemName string,
	parameters json.RawMessage) (Opened, error) {
	system, full, err := s.unsaved(ctx, tenant, id, systemName, parameters)
	var problems InvalidError
	if !collect(err, &problems) {
		return Opened{}, err
	}
	toChoose := func(p destination.FieldProblem) bool {
		return p.Reason == destination.Repeated ||
			slices.Contains(system.Choosable, strings.TrimPrefix(p.Field, "parameters."))
	}
	if problems = slices.DeleteFunc(problems, toChoose); len(problems) > 0 {
		return Opened{}, problems
	}
	opened, err := open(system, full)
	opened.Of = id
	if c, ok := opened.Parameters.(destination.Checker); err == nil && ok { // which a schema's problem skips
		for _, q := range c.Check() {
			problems = append(problems, destination.FieldProblem{Field: "parameters." + q.Field, Reason: q.Reason})
		}
	}
	if problems = slices.DeleteFunc(problems, toChoose); len(problems) > 0 {
		return Opened{}, problems
	}
	return opened, err
}

func open(system destination.System, full json.RawMessage) (Opened, error) {
	parameters, err := system.Parameters.Open(full)
	return Opened{System: system, Parameters: parameters, Secrets: system.Parameters.SecretValues(full)}, err
}

func (s *Service) system(i Integration) (destination.System, error) {
	system, available, _ := s.Systems.Lookup(i.System)
	if !available {
		return system, fmt.Errorf("integration %s: its system %s is not available in this release", i.ID, i.System)
	}
	return system, nil
}

// Masked is the parameters object that an answer may show. When the secrets can not be opened it is without them, and
// the error is one that Unreadable has words for.
func (s *Service) Masked(ctx context.Context, i Integration) (json.RawMessage, error) {
	system, _, ok := s.Systems.Lookup(i.System)
	if !ok {
		return i.Parameters, nil
	}
	secret, err := s.secrets(ctx, i)
	if err != nil {
		return i.Parameters, err
	}
	return system.Parameters.Masked(i.Parameters, secret)
}

func (s *Service) at(ctx context.Context, tenant, id string, revision int64) (Integration, error) {
	i, err := s.Store.Get(ctx, tenant, id)
	if err == nil && revision != 0 && i.Revision != revision {
		return i, fmt.Errorf("%w: it is at revision %d, not %d", ErrConflict, i.Revision, revision)
	}
	return i, err
}

func (s *Service) save(ctx context.Context, i Integration, c change) (Integration, error) {
	i.Revision++
	i.UpdatedAt, i.UpdatedBy = s.Now().UTC(), c.by()
	if !i.Enabled() || c.before != nil && i.Window != c.before.Window {
		i.Failing = nil // the store takes the mark away
	}
	r := s.record(i, c)
	var span trace.Span
	if c.kind == event.IntegrationBroken {
		span = s.caused(ctx, i, &r.Event)
	}
	if err := s.Store.Update(ctx, i, r); err != nil {
		return Integration{}, fmt.Errorf("%s %s: %w", c.kind, i.ID, err)
	}
	s.Tracer.Record(span)
	s.changed(string(c.kind), i, c.by())
	if c.before != nil {
		s.changedHold(ctx, *c.before, i, c.waits)
	}
	return i, nil
}

func (s *Service) changed(what string, i Integration, by string) {
	s.Log.Info(what, "tenant", i.Tenant, "integration", i.ID, "system", i.System, "revision", i.Revision, "by", by)
}

func (s *Service) unknownSystem() error {
	return InvalidError{{Field: "system",
		Reason: "is not a system of the catalogue: it has " + strings.Join(s.Systems.Names(), ", ")}}
}

// validate returns the system and the complete parameters, or InvalidError.
func (s *Service) validate(name string, parameters json.RawMessage) (destination.System, json.RawMessage, error) {
	if name == "" {
		return destination.System{}, nil, InvalidError{{Field: "system", Reason: "is required"}}
	}
	system, available, ok := s.Systems.Lookup(name)
	if !ok {
		return destination.System{}, nil, s.unknownSystem()
	}
	if !available {
		return destination.System{}, nil,
			InvalidError{{Field: "system", Reason: system.Title + " can not be set up yet"}}
	}
	if system.Personal {
		return destination.System{}, nil,
			InvalidError{{Field: "system", Reason: system.Title +
				" is set in your profile: PUT /v1/profile/notifications"}}
	}
	if problems := system.Parameters.ByHand(nil, parameters); problems != nil {
		return system, nil, problems
	}
	if problems := system.Parameters.Masks(parameters); problems != nil { // which would be saved as the secret
		return system, nil, problems
	}
	full, err := s.prepare(system, nil, parameters)
	return system, full, err
}

// prepare completes what a person is about to save; before is nil for a new integration.
func (s *Service) prepare(system destination.System, before, parameters json.RawMessage) (json.RawMessage, error) {
	made, err := system.Parameters.Prepare(before, parameters,
		destination.Saving{Now: s.Now(), Random: s.Random})
	var problems InvalidError
	if !collect(err, &problems) {
		return nil, err
	}
	full, err := s.complete(system, made)
	if !collect(err, &problems) {
		return nil, err
	}
	if len(problems) > 0 {
		return full, problems
	}
	return full, nil
}

func (s *Service) complete(system destination.System, parameters json.RawMessage) (json.RawMessage, error) {
	full, err := system.Parameters.Complete(parameters)
	var problems InvalidError
	if !collect(err, &problems) {
		return nil, err
	}
	var forbidden InvalidError
	for field, address := range system.Parameters.URLs(full) {
		if err := s.Addresses.CheckURL(address); err != nil && !names(problems, field) {
			forbidden = append(forbidden, destination.FieldProblem{Field: field, Reason: err.Error()})
		}
	}
	slices.SortFunc(forbidden, func(a, b destination.FieldProblem) int { return strings.Compare(a.Field, b.Field) })
	if problems = append(problems, forbidden...); len(problems) > 0 {
		return full, problems
	}
	return full, nil
}

// mergeByHand is merge for a patch that a person sends: it sets no read-only parameter, and sends no kept secret to a
// receiver that it was not entered for. secrets are the names of those that it changes.
func (s *Service) mergeByHand(ctx context.Context, i Integration, system destination.System,
	patch json.RawMessage) (full json.RawMessage, secrets []string, err error) {
	if problems := system.Parameters.ByHand(i.Parameters, patch); problems != nil {
		return nil, nil, problems
	}
	present, err := s.present(ctx, i, system)
	if err != nil {
		return nil, nil, err
	}
	merged, err := system.Parameters.Merge(present, patch)
	if err != nil {
		return nil, nil, err
	}
	full, err = s.prepare(system, present, merged)
	problems := system.Parameters.Misdirected(present, patch, merged)
	if !collect(err, &problems) {
		return nil, nil, err
	}
	if len(problems) > 0 {
		return full, nil, problems
	}
	return full, system.Parameters.ChangedSecrets(present, full), nil
}

func (s *Service) merge(ctx context.Context, i Integration, system destination.System,
	patch json.RawMessage) (json.RawMessage, error) {
	present, err := s.full(ctx, i, system)
	if err != nil {
		return nil, err
	}
	merged, err := system.Parameters.Merge(present, patch)
	if err != nil {
		return nil, err
	}
	return s.complete(system, merged)
}

func (s *Service) full(ctx context.Context, i Integration, system destination.System) (json.RawMessage, error) {
	secret, err := s.secrets(ctx, i)
	if err != nil {
		return nil, err
	}
	return system.Parameters.Join(i.Parameters, secret)
}

func (s *Service) seal(ctx context.Context, i *Integration, system destination.System, full json.RawMessage) error {
	shown, secret, err := system.Parameters.Split(full)
	if err != nil {
		return err
	}
	i.Parameters, i.ParametersAt = shown, s.Now().UTC()
	if i.Sealed, err = s.Keys.Seal(ctx, secret, sealContext(*i)); err != nil {
		return fmt.Errorf("seal the secrets of integration %s: %w", i.ID, err)
	}
	return s.bind(i, system, full)
}

// bind sets the names under which the system's side finds the integration.
func (s *Service) bind(i *Integration, system destination.System, full json.RawMessage) error {
	opened, err := system.Parameters.Open(full)
	if err != nil {
		return err
	}
	b, ok := opened.(destination.ExternalKeyer)
	if !ok {
		return nil
	}
	i.Bindings = []string{ByID(i.ID)}
	if name := b.ExternalKey(); name != "" {
		i.Bindings = append(i.Bindings, ByExternalKey(name))
	}
	return nil
}

// ByID is the binding under which Store.Bound finds an integration by its id alone.
func ByID(id string) string { return "id/" + id }

// ByExternalKey is the binding under which Store.Bound finds what is bound to a name at the system's side
// (destination.ExternalKeyer).
func ByExternalKey(name string) string { return "at/" + name }

func sealContext(i Integration) []byte { return []byte(i.Tenant + "/" + i.ID) }

// SealTenant is the tenant in the context of a seal: what stands before the last slash, since no id has one.
func SealTenant(context []byte) string {
	return string(context[:max(0, bytes.LastIndexByte(context, '/'))])
}

func checkName(name string) InvalidError {
	name = strings.TrimSpace(name)
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return InvalidError{{Field: "name", Reason: "is required"}}
	case strings.TrimSpace(plaintext.Line(name)) == "":
		return InvalidError{{Field: "name", Reason: "holds only characters that nobody sees"}}
	case n > MaxName:
		return InvalidError{{Field: "name", Reason: fmt.Sprintf("must have at most %d characters, has %d", MaxName, n)}}
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == utf8.RuneError }):
		return InvalidError{{Field: "name", Reason: "must not hold control characters"}}
	}
	return nil
}

func checkSubscriptions(system destination.System, subs []Subscription) InvalidError {
	var problems InvalidError
	seen := map[event.Type]bool{}
	for n, sub := range subs {
		field := fmt.Sprintf("events.%d", n)
		switch {
		case !sub.Event.Valid():
			problems = append(problems, destination.FieldProblem{Field: field + ".event",
				Reason: "is not an event type"})
		case !slices.Contains(system.Events, sub.Event):
			problems = append(problems, destination.FieldProblem{Field: field + ".event", Reason: system.Title +
				" can not receive " + string(sub.Event)})
		case seen[sub.Event]:
			problems = append(problems, destination.FieldProblem{Field: field + ".event", Reason: "is listed twice"})
		case sub.WithHeaders && sub.Event != event.Hits:
			problems = append(problems, destination.FieldProblem{Field: field + ".with_headers",
				Reason: "is for siem only"})
		}
		seen[sub.Event] = true
	}
	return problems
}

// collect moves the problems of an InvalidError into the list; false for any other error.
func collect(err error, problems *InvalidError) bool {
	var p InvalidError
	if err == nil {
		return true
	}
	if errors.As(err, &p) {
		*problems = append(*problems, p...)
		return true
	}
	return false
}

// names reports whether one of the problems is about the field.
func names(problems InvalidError, field string) bool {
	return slices.ContainsFunc(problems, func(p destination.FieldProblem) bool { return p.Field == field })
}
