package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"tocsin/shared/configuration"
)

// ErrConflict: somebody else changed something meanwhile.
var ErrConflict = errors.New("somebody else changed it since it was read")

// Outcome is what became of a step.
type Outcome struct {
	Step configuration.Step
	// Changed is false for secrets that were sent and are what was stored.
	Changed bool
	ID      string // of what was added
}

// Apply takes the steps of a plan and tells of each that is done. Before each it looks whether the context has ended; a
// call that has begun is waited for, so that what it did is known. Errors: ErrConflict, UnknownError, Error, the
// context's.
func (c *Client) Apply(ctx context.Context, p configuration.Plan, s configuration.State,
	done func(Outcome)) error {
	ids := map[string]string{}
	for _, i := range s.Integrations {
		ids[i.Name] = i.ID
	}
	for _, step := range p.Steps { // what is renamed is named by its new name
		if step.Was != "" && step.Kind == configuration.IntegrationKind {
			delete(ids, step.Was)
		}
	}
	for _, step := range p.Steps {
		if step.Kind == configuration.IntegrationKind && step.ID != "" && step.Verb != configuration.Remove {
			ids[step.Name] = step.ID
		}
	}
	for _, step := range p.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		o, err := c.step(context.WithoutCancel(ctx), step, ids)
		if err != nil {
			return err
		}
		if step.Kind == configuration.IntegrationKind && step.Verb == configuration.Add {
			ids[step.Name] = o.ID
		}
		done(o)
	}
	return nil
}

// paths are those of the kinds.
var paths = map[string]string{
	configuration.IntegrationKind: "/v1/integrations", configuration.TriggerKind: "/v1/triggers",
	configuration.ReportsKind: "/v1/report-settings",
}

func (c *Client) step(ctx context.Context, s configuration.Step, ids map[string]string) (Outcome, error) {
	o := Outcome{Step: s, Changed: true}
	path, ifMatch := paths[s.Kind], s.ETag
	if s.ID == "" && s.Kind == configuration.IntegrationKind && s.Verb == configuration.Change {
		s.ID = ids[s.Name] // it was added by an earlier step
	}
	if s.ID != "" {
		path += "/" + url.PathEscape(s.ID)
	}
	if s.Revision != 0 { // else an earlier step of the plan may have changed it
		ifMatch = fmt.Sprintf(`"%d"`, s.Revision)
	}
	switch {
	case s.Verb == configuration.Remove:
		if s.Kind == configuration.IntegrationKind {
			path += "?force=true" // what the plan deletes was asked about; a trigger that stays may name it
		}
		_, err := c.call(ctx, http.MethodDelete, path, ifMatch, nil, "application/json")
		return o, conflict(err)
	case s.Verb == configuration.Add:
		return c.add(ctx, s, path, ids)
	case s.Kind == configuration.ReportsKind:
		_, err := c.call(ctx, http.MethodPut, path, ifMatch, s.Body(ids), "application/json")
		return o, conflict(err)
	}
	a, err := c.call(ctx, http.MethodPatch, path, ifMatch, s.Body(ids), "application/json")
	o.Changed = s.Verb != configuration.Send || a.etag != ifMatch
	return o, conflict(err)
}

// settle is how long another apply has to take its own object away, where both added one of the same name.
const settle = 2 * time.Second

// add makes an object and looks whether somebody else made one of its name at the same time: names are no keys of the
// API. Then all but the first that was made give way and take theirs away again. Who made the first waits for that. If
// another one is there still, its maker had looked before the first was there; then that one stays.
func (c *Client) add(ctx context.Context, s configuration.Step, path string, ids map[string]string) (Outcome, error) {
	o := Outcome{Step: s, Changed: true}
	a, err := c.call(ctx, http.MethodPost, path, "", s.Body(ids), "application/json")
	if err != nil {
		return o, conflict(err)
	}
	var made struct{ ID string }
	if err := json.Unmarshal(a.body, &made); err != nil || made.ID == "" {
		return o, &UnknownError{errors.New("the answer has no id")}
	}
	o.ID = made.ID
	others, err := c.namesakes(ctx, s, made.ID)
	if err == nil && len(others) > 0 && slices.Min(others) > made.ID { // ids are in the order of their making
		c.Waits(settle, fmt.Errorf("somebody adds another %q at the same time, and gives way", s.Name))
		if err = c.Sleep(ctx, settle); err == nil {
			others, err = c.namesakes(ctx, s, made.ID)
		}
	}
	if err != nil {
		return o, &UnknownError{fmt.Errorf("it was added; look whether there is another one: %w", err)}
	}
	if len(others) == 0 {
		return o, nil
	}
	if _, err := c.call(ctx, http.MethodDelete, path+"/"+url.PathEscape(made.ID), a.etag, nil,
		"application/json"); err != nil {
		return o, fmt.Errorf("%w: there are two of that name now, %s and %s: delete one (%w)", ErrConflict, others[0],
			made.ID, err)
	}
	return o, fmt.Errorf("%w: one of that name was added at the same time, so ours was taken away again", ErrConflict)
}

// namesakes are the ids of the objects with the name of a step, but for the one that was made and the one that the plan
// replaces.
func (c *Client) namesakes(ctx context.Context, s configuration.Step, made string) (out []string, err error) {
	add := func(id, name string) {
		if name == s.Name && id != made && id != s.Replaces {
			out = append(out, id)
		}
	}
	if s.Kind == configuration.IntegrationKind {
		list, err := c.integrations(ctx, s.Name)
		for _, i := range list {
			add(i.ID, i.Name)
		}
		return out, err
	}
	list, err := c.triggers(ctx)
	for _, t := range list {
		add(t.ID, t.Name)
	}
	return out, err
}

// conflict is ErrConflict for what was changed or deleted since it was read.
func conflict(err error) error {
	var e *Error
	if errors.As(err, &e) && (e.Status == http.StatusPreconditionFailed || e.Status == http.StatusNotFound) {
		return fmt.Errorf("%w (%d)", ErrConflict, e.Status)
	}
	return err
}
