package trigger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/shared/activity"
	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/integration"
	"tocsin/shared/plaintext"
)

// Integrations finds what a trigger can notify: the part of integration.Store that is read.
type Integrations interface {
	Get(ctx context.Context, tenant, id string) (integration.Integration, error)
}

// InvalidError says what is wrong with a draft or a patch, field by field.
type InvalidError = destination.InvalidParameters

// Draft is what a person sends to create a trigger.
type Draft struct {
	Name      string
	Comment   string
	Disabled  bool
	Template  TemplateID
	Filters   []filter.Filter
	Threshold *Threshold
	Actions   []Action
}

// Patch is a change: nil members stay as they are.
type Patch struct {
	Name    *string
	Comment *string
	Enabled *bool
	// Template makes it a trigger of another condition: then Threshold replaces the one that it had, also with none.
	Template  *TemplateID
	Filters   *[]filter.Filter
	Threshold *Threshold
	Actions   *[]Action
}

// Service makes every change of a trigger.
type Service struct {
	Store        Store
	Integrations Integrations
	Systems      integration.Systems
	Now          func() time.Time
	NewID        func() string // ids sort by the time of their making
	Log          *slog.Logger
}

// List returns the tenant's triggers: those of a new account until the tenant's own are stored. It changes nothing.
func (s *Service) List(ctx context.Context, who activity.Actor) ([]Trigger, error) {
	list, seeded, err := s.Store.List(ctx, who.Tenant)
	if err != nil {
		return nil, fmt.Errorf("list the triggers of tenant %s: %w", who.Tenant, err)
	}
	if !seeded {
		return Defaults(who.Tenant, who.ClientName, s.Now()), nil
	}
	return list, nil
}

// Using returns those of List that notify an integration.
func (s *Service) Using(ctx context.Context, who activity.Actor, integration string) ([]Trigger, error) {
	list, err := s.List(ctx, who)
	return slices.DeleteFunc(list, func(t Trigger) bool { return !slices.Contains(t.Notifies(), integration) }), err
}

// Get returns one of List. Error: ErrNotFound.
func (s *Service) Get(ctx context.Context, who activity.Actor, id string) (Trigger, error) {
	t, err := s.Store.Get(ctx, who.Tenant, id)
	if !errors.Is(err, ErrNotFound) || !isDefault(id) {
		return t, err
	}
	list, listed := s.List(ctx, who)
	if listed != nil {
		return t, listed
	}
	if n := slices.IndexFunc(list, func(t Trigger) bool { return t.ID == id }); n >= 0 {
		return list[n], nil
	}
	return t, err
}

// seed stores the triggers of a new account, before the first change of a tenant that has none stored yet.
func (s *Service) seed(ctx context.Context, who activity.Actor) error {
	now := s.Now()
	list := Defaults(who.Tenant, who.ClientName, now)
	if err := s.Store.Seed(ctx, who.Tenant, list, seeding(who.Tenant, list, now)); err != nil {
		return fmt.Errorf("store the triggers of a new account for tenant %s: %w", who.Tenant, err)
	}
	return nil
}

// History is what a trigger's state tells of it.
type History struct {
	// Fired is when it went off last, Skipped when it left an event out because its patterns took too long. Zero is
	// never.
	Fired, Skipped time.Time
}

// Histories tell of triggers of one tenant, by their ids. A trigger without a threshold has none.
func (s *Service) Histories(ctx context.Context, tenant string, list ...Trigger) (map[string]History, error) {
	var ids []string
	for _, t := range list {
		if t.Threshold != nil {
			ids = append(ids, t.ID)
		}
	}
	out := map[string]History{}
	if len(ids) == 0 {
		return out, nil
	}
	states, err := s.Store.States(ctx, tenant, ids)
	if err != nil {
		return nil, fmt.Errorf("read the states of triggers of tenant %s: %w", tenant, err)
	}
	for _, st := range states {
		if v, err := decode(st.Body); err == nil { // a damaged state begins anew with the next event
			out[st.Trigger] = History{Fired: instant(v.fired), Skipped: instant(v.skipped)}
		}
	}
	return out, nil
}

// instant is zero for 0 milliseconds.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Check is Create without storing anything: for a preview. Errors: InvalidError.
func (s *Service) Check(ctx context.Context, who activity.Actor, d Draft) (Trigger, error) {
	now := s.Now().UTC()
	t := Trigger{
		ID: s.NewID(), Tenant: who.Tenant, ClientName: who.ClientName, Name: strings.TrimSpace(d.Name),
		Comment: strings.TrimSpace(d.Comment), Off: d.Disabled,
		Template: d.Template, Filters: d.Filters, Threshold: d.Threshold, Actions: d.Actions,
		Revision: 1, Epoch: 1, Since: now, CreatedAt: now, CreatedBy: who.Email, UpdatedAt: now,
		UpdatedBy: who.Who(),
	}
	if t.Name == "" { // facts, 4.1
		t.Name = "New trigger by " + cmp.Or(who.Name, who.Email) + ", " + now.Format(time.DateOnly)
	}
	return t, s.validate(ctx, &t, nil, false)
}

// Create validates and stores a new trigger. Errors: InvalidError.
func (s *Service) Create(ctx context.Context, who activity.Actor, d Draft) (Trigger, error) {
	t, err := s.Check(ctx, who, d)
	if err != nil {
		return Trigger{}, err
	}
	return s.create(ctx, who, t, t.Notifies())
}

func (s *Service) create(ctx context.Context, who activity.Actor, t Trigger, joins []string,
	also ...activity.Change) (Trigger, error) {
	list, err := s.List(ctx, who)
	if err != nil {
		return Trigger{}, err
	}
	thresholds := 0
	for _, other := range list {
		if other.Threshold != nil {
			thresholds++
		}
	}
	switch {
	case len(list) >= MaxTriggers:
		return Trigger{}, InvalidError{{Field: "template_id",
			Reason: fmt.Sprintf("there are %d triggers already, which is the most: delete one first", MaxTriggers)}}
	case t.Threshold != nil && thresholds >= MaxThresholds:
		return Trigger{}, InvalidError{{Field: "threshold",
			Reason: fmt.Sprintf("there are %d triggers with a threshold already, which is the most: delete one first",
				MaxThresholds)}}
	}
	if err := s.seed(ctx, who); err != nil {
		return Trigger{}, err
	}
	if t.Number, err = s.Store.NextNumber(ctx); err != nil {
		return Trigger{}, err
	}
	if err := s.Store.Create(ctx, t, joins, s.record(who, nil, &t, also...)); err != nil {
		return Trigger{}, fmt.Errorf("create trigger %s: %w", t.ID, s.gone(ctx, t, joins, err))
	}
	s.changed("trigger created", t, who)
	return t, nil
}

// Numbered is List with a number for each: what has none gets its own now, and the triggers of a new account are stored
// for that.
func (s *Service) Numbered(ctx context.Context, who activity.Actor) ([]Trigger, error) {
	list, seeded, err := s.Store.List(ctx, who.Tenant)
	if err == nil && !seeded {
		if err = s.seed(ctx, who); err == nil {
			list, _, err = s.Store.List(ctx, who.Tenant)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list the triggers of tenant %s: %w", who.Tenant, err)
	}
	for n, t := range list {
		if t.Number != 0 {
			continue
		}
		number, err := s.Store.NextNumber(ctx)
		if err == nil {
			list[n].Number, err = s.Store.GiveNumber(ctx, t.Tenant, t.ID, number)
		}
		if err != nil {
			return nil, fmt.Errorf("give trigger %s a number: %w", t.ID, err)
		}
	}
	return list, nil
}

// ByNumber finds the trigger that has the number, whoever its tenant is. Error: ErrNotFound.
func (s *Service) ByNumber(ctx context.Context, number int64) (tenant, id string, err error) {
	return s.Store.ByNumber(ctx, number)
}

// Copy makes a disabled copy of a trigger. Errors: ErrNotFound, InvalidError.
func (s *Service) Copy(ctx context.Context, who activity.Actor, id string) (Trigger, error) {
	t, err := s.Get(ctx, who, id)
	if err != nil {
		return Trigger{}, fmt.Errorf("copy trigger %s: %w", id, err)
	}
	now := s.Now().UTC()
	t.ID, t.Off, t.Default, t.Revision, t.Epoch, t.Since = s.NewID(), true, false, 1, 1, now
	t.Name = cut.Runes("Copy of "+t.Name, maxName)
	t.CreatedAt, t.CreatedBy, t.UpdatedAt, t.ClientName = now, who.Email, now, who.ClientName
	t.UpdatedBy = who.Who()
	var joins []string
	for _, id := range t.Notifies() { // one that is gone is copied, too
		switch _, err := s.Integrations.Get(ctx, t.Tenant, id); {
		case err == nil:
			joins = append(joins, id)
		case !errors.Is(err, integration.ErrNotFound):
			return Trigger{}, fmt.Errorf("read integration %s for a trigger: %w", id, err)
		}
	}
	return s.create(ctx, who, t, joins, activity.Change{Field: "copy_of", After: id})
}

// Update applies a patch to the trigger if its revision is the given one; revision 0 takes any.
// Errors: ErrNotFound, ErrConflict, InvalidError.
func (s *Service) Update(ctx context.Context, who activity.Actor, id string, revision int64, p Patch) (Trigger,
	error) {
	old, err := s.at(ctx, who, id, revision)
	if err != nil {
		return Trigger{}, fmt.Errorf("update trigger %s: %w", id, err)
	}
	t := old
	if p.Name != nil {
		t.Name = strings.TrimSpace(*p.Name)
	}
	if p.Comment != nil {
		t.Comment = strings.TrimSpace(*p.Comment)
	}
	if p.Enabled != nil {
		t.Off = !*p.Enabled
	}
	if p.Filters != nil {
		t.Filters = *p.Filters
	}
	if p.Template != nil {
		t.Template = *p.Template
	}
	if p.Threshold != nil || t.Template != old.Template {
		if t.Threshold = p.Threshold; p.Threshold != nil && *p.Threshold == (Threshold{}) {
			t.Threshold = nil
		}
	}
	if p.Actions != nil {
		t.Actions = *p.Actions
	}
	sameFilters := reflect.DeepEqual(t.Filters, old.Filters) && t.Template == old.Template
	if err := s.validate(ctx, &t, old.Actions, sameFilters); err != nil {
		return Trigger{}, err
	}
	if reflect.DeepEqual(t, old) {
		return old, nil
	}
	if !sameFilters || !reflect.DeepEqual(t.Threshold, old.Threshold) || old.Off && !t.Off {
		t.Epoch++ // what was counted so far was something else, or in a time when nobody counted
		t.Since = s.Now().UTC()
	}
	t.Revision++
	t.ClientName, t.UpdatedAt, t.UpdatedBy = cmp.Or(who.ClientName, t.ClientName), s.Now().UTC(), who.Who()
	if err := s.seeded(ctx, who, id); err != nil {
		return Trigger{}, err
	}
	had := old.Notifies()
	joins := slices.DeleteFunc(t.Notifies(), func(id string) bool { return slices.Contains(had, id) })
	if err := s.Store.Update(ctx, t, joins, s.record(who, &old, &t)); err != nil {
		return Trigger{}, fmt.Errorf("update trigger %s: %w", id, s.gone(ctx, t, joins, err))
	}
	s.changed("trigger changed", t, who)
	return t, nil
}

// Delete removes the trigger. Errors: ErrNotFound, ErrConflict.
func (s *Service) Delete(ctx context.Context, who activity.Actor, id string, revision int64) error {
	t, err := s.at(ctx, who, id, revision)
	if err == nil {
		err = s.seeded(ctx, who, id)
	}
	if err == nil {
		err = s.Store.Delete(ctx, who.Tenant, id, t.Revision, s.record(who, &t, nil))
	}
	if err != nil {
		return fmt.Errorf("delete trigger %s: %w", id, err)
	}
	s.changed("trigger deleted", t, who)
	return nil
}

// at returns a trigger that is to be changed, if it is at the revision; 0 takes any.
func (s *Service) at(ctx context.Context, who activity.Actor, id string, revision int64) (Trigger, error) {
	t, err := s.Get(ctx, who, id)
	if err == nil && revision != 0 && t.Revision != revision {
		return t, fmt.Errorf("%w: it is at revision %d, not %d", ErrConflict, t.Revision, revision)
	}
	return t, err
}

// seeded sees to it that a trigger of a new account is stored, before the first change of one: whatever of the change
// can fail has been looked at then.
func (s *Service) seeded(ctx context.Context, who activity.Actor, id string) error {
	if !isDefault(id) {
		return nil
	}
	return s.seed(ctx, who)
}

func (s *Service) changed(what string, t Trigger, who activity.Actor) {
	s.Log.Info(what, "tenant", t.Tenant, "trigger", t.ID, "condition", t.Template, "revision", t.Revision, "by",
		who.Who())
}

func (s *Service) announce(kind event.Kind, t Trigger, who activity.Actor) event.Event {
	d := event.TriggerData{By: &event.Person{Name: who.Name, Email: who.Email}}
	d.Trigger.ID, d.Trigger.Name = t.ID, t.Name
	raw, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings always encode
	}
	return event.Event{ID: s.NewID(), Tenant: t.Tenant, ClientName: cmp.Or(who.ClientName, t.ClientName), Kind: kind,
		Time: s.Now().UTC(), Data: raw}
}

// TooLarge tells of patterns that an earlier release took and this one would not.
func (t Trigger) TooLarge() (out []destination.FieldProblem) {
	for n, f := range t.Filters {
		for k, v := range f.Values {
			if f.ID == filter.ByURL && filter.TooLarge(string(v)) != nil {
				out = append(out, destination.FieldProblem{
					Field: fmt.Sprintf("filters.%d.values.%d", n, k), Reason: "this regular expression is too large: " +
						"long URIs are left out, or all of them. Write .* in place of a long repetition",
				})
			}
		}
	}
	return out
}

// validate checks a trigger against its template, and puts lock times in order. kept are the actions that it had: an
// integration that they name may have gone since. Filters that stay as they were are good still, so that a trigger
// whose pattern an earlier release took can be disabled.
func (s *Service) validate(ctx context.Context, t *Trigger, kept []Action, sameFilters bool) error {
	var v validation
	v.text("name", t.Name, 1, maxName)
	v.text("comment", t.Comment, 0, MaxComment)
	template, ok := Find(t.Template)
	if !ok {
		v.Addf("template_id", "is not a condition: GET /v1/trigger-templates lists them")
		return v.InvalidParameters
	}
	v.threshold(template, t.Threshold)
	if !sameFilters {
		v.InvalidParameters = append(v.InvalidParameters,
			filter.CheckTrigger(t.Filters, template.Filters, template.Title, template.Kinds)...)
	}
	if err := s.actions(ctx, &v, template, t, kept); err != nil {
		return err
	}
	if len(v.InvalidParameters) > 0 {
		return v.InvalidParameters
	}
	return nil
}

type validation struct{ destination.InvalidParameters }

func (v *validation) text(field, s string, least, most int) {
	switch n := utf8.RuneCountInString(s); {
	case n < least:
		v.Addf(field, "is required")
	case least > 0 && strings.TrimSpace(plaintext.Line(s)) == "":
		v.Addf(field, "holds only characters that nobody sees")
	case n > most:
		v.Addf(field, "must have at most %d characters, has %d", most, n)
	case !utf8.ValidString(s) || strings.ContainsFunc(s,
		func(r rune) bool { return r < ' ' && r != '\n' || r == utf8.RuneError }):
		v.Addf(field, "must not hold control characters")
	}
}

func (v *validation) threshold(t Template, th *Threshold) {
	rule := t.Threshold
	switch {
	case rule == nil && th != nil:
		v.Addf("threshold", "must be absent: %s has none", t.Title)
	case rule == nil:
	case th == nil:
		v.Addf("threshold", "is required: how many %s in how many seconds", rule.Subject)
	default:
		if th.Count < 0 || th.Count > rule.MaxCount {
			v.Addf("threshold.count", "must be from 0 to %d", rule.MaxCount)
		}
		switch {
		case th.Period < rule.MinPeriod || th.Period > rule.MaxPeriod:
			v.Addf("threshold.period", "must be from %d to %d seconds", rule.MinPeriod, rule.MaxPeriod)
		case th.Period%rule.Step != 0:
			v.Addf("threshold.period", "must be a multiple of %d seconds", rule.Step)
		}
	}
}

func (s *Service) actions(ctx context.Context, v *validation, t Template, tr *Trigger, kept []Action) error {
	if n := len(tr.Actions); n == 0 {
		v.Addf("actions", "is required: at least one reaction")
	} else if n > MaxActions {
		v.Addf("actions", "must be at most %d, are %d", MaxActions, n)
	}
	tr.Actions = slices.Clone(tr.Actions)
	seen := map[ActionID]bool{}
	for n := range tr.Actions {
		a, field := &tr.Actions[n], fmt.Sprintf("actions.%d", n)
		switch {
		case !slices.Contains(t.Actions, a.ID):
			v.Addf(field+".id", "is not a reaction of %s%s", t.Title, filter.OneOf(t.Actions))
			continue
		case seen[a.ID]:
			v.Addf(field+".id", "is there twice")
			continue
		}
		seen[a.ID] = true
		v.lockTime(field, a)
		if err := s.integrations(ctx, v, field, t, tr.Tenant, *a, kept); err != nil {
			return err
		}
	}
	return nil
}

func (v *validation) lockTime(field string, a *Action) {
	switch {
	case !a.ID.Lists() && a.LockTime != 0:
		v.Addf(field+".params.lock_time", "is for lists of addresses only")
	case !a.ID.Lists():
	case a.LockTime < 0 || a.LockTime > event.Forever:
		v.Addf(field+".params.lock_time", "must be from 0, for ever, to %d seconds", event.Forever)
	case a.LockTime == 0:
		a.LockTime = event.Forever // facts, 4.5
	case a.LockTime < MinLockTime:
		v.Addf(field+".params.lock_time", "must be at least %d seconds, or 0 for ever", MinLockTime)
	}
}

// gone says of ErrGone which integrations are gone, as validate does of those that were gone before.
func (s *Service) gone(ctx context.Context, t Trigger, joins []string, err error) error {
	if !errors.Is(err, ErrGone) {
		return err
	}
	var v validation
	for n, a := range t.Actions {
		for k, id := range a.Integrations {
			if !slices.Contains(joins, id) {
				continue
			}
			if _, err := s.Integrations.Get(ctx, t.Tenant, id); errors.Is(err, integration.ErrNotFound) {
				v.Addf(fmt.Sprintf("actions.%d.params.integration_ids.%d", n, k), noIntegration, id)
			} else if err != nil {
				return fmt.Errorf("read integration %s for a trigger: %w", id, err)
			}
		}
	}
	return v.InvalidParameters
}

const noIntegration = `there is no integration "%s"`

func (s *Service) integrations(ctx context.Context, v *validation, field string, t Template, tenant string, a Action,
	kept []Action) error {
	field += ".params.integration_ids"
	switch n := len(a.Integrations); {
	case a.ID != Notify && n > 0:
		v.Addf(field, "is for send_notification only")
		return nil
	case a.ID != Notify:
		return nil
	case n == 0:
		v.Addf(field, "is required: choose at least one integration")
	case n > MaxIntegrations:
		v.Addf(field, "must be at most %d, are %d", MaxIntegrations, n)
		return nil
	}
	for k, id := range a.Integrations {
		field := fmt.Sprintf("%s.%d", field, k)
		if slices.Contains(a.Integrations[:k], id) {
			v.Addf(field, "is there twice")
			continue
		}
		i, err := s.Integrations.Get(ctx, tenant, id)
		if errors.Is(err, integration.ErrNotFound) {
			if !slices.ContainsFunc(kept, func(a Action) bool { return slices.Contains(a.Integrations, id) }) {
				v.Addf(field, noIntegration, id)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("read integration %s for a trigger: %w", id, err)
		}
		if system, _, _ := s.Systems.Lookup(i.System); !t.Sends(system.Triggered) {
			v.Addf(field, "%s can not receive notifications of %s", cmp.Or(system.Title, i.System), t.Title)
		}
	}
	return nil
}
