package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tocsin/shared/erasure"
	"tocsin/shared/erasure/pseudonym"
	"tocsin/shared/event"
)

var _ erasure.Integrations = (*Service)(nil)

// WithoutPerson takes a person who is erased out of the parameters of the tenant's integrations: see
// erasure.Integrations. Their address goes from lists, such as those of Email report; where it was alone in one, or is
// a parameter itself, the integration is disabled, because it would send nowhere, or as nobody. Nothing that they were
// sent goes to somebody else: a person says where it goes from now on. Who made or muted an integration is replaced
// where it is kept, and is no change of it: it is its customer's, stays, and works on.
func (s *Service) WithoutPerson(ctx context.Context, tenant string, w pseudonym.Writer,
	dry bool) (changed []erasure.Changed, err error) {
	w.Called = nil // an integration may be called as somebody is
	all, err := All(ctx, s.Store, tenant)
	if err != nil {
		return nil, fmt.Errorf("list the integrations of tenant %s: %w", tenant, err)
	}
	for _, i := range all {
		c, err := s.withoutPerson(ctx, i, w, dry)
		if err != nil {
			return changed, fmt.Errorf("take a person out of integration %s: %w", i.ID, err)
		}
		if c != nil {
			changed = append(changed, *c)
		}
	}
	return changed, nil
}

// withoutPerson returns nil where the parameters do not name the person.
func (s *Service) withoutPerson(ctx context.Context, i Integration, w pseudonym.Writer,
	dry bool) (*erasure.Changed, error) {
	for {
		next, disabled, err := i.without(w)
		if err != nil || next == nil {
			return nil, err
		}
		out := &erasure.Changed{ID: i.ID, Name: next.Name, Disabled: disabled != "" && i.Enabled()}
		if dry {
			return out, nil
		}
		before, err := i.pseudonymous(w)
		if err != nil {
			return nil, err
		}
		before.Parameters = w.JSON(i.Parameters) // the log says who went by the pseudonym
		c := change{kind: event.UpdateIntegration, before: &before}
		c.data.Reason = "a person was erased"
		if out.Disabled {
			c.kind = event.DisableIntegration
			c.data.Reason = "a person was erased, who was all that it had as " + disabled +
				": say where it sends to, and enable it"
			next.Off = &Off{By: ByPerson, Reason: c.data.Reason, At: s.Now().UTC()}
		}
		if _, err = s.save(ctx, *next, c); err == nil {
			return out, nil
		}
		if !errors.Is(err, ErrConflict) {
			return nil, err
		}
		i, err = s.Store.Get(ctx, i.Tenant, i.ID)
		if errors.Is(err, ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// pseudonymous is the integration with a pseudonym everywhere, with what is kept beside its JSON.
func (i Integration) pseudonymous(w pseudonym.Writer) (Integration, error) {
	out, err := pseudonym.Value(w, i)
	out.Number, out.Zone, out.Failing, out.Parameters = i.Number, i.Zone, i.Failing, i.Parameters
	return out, err
}

// without is the integration without a person; nil where its parameters do not name them. disabled are the parameters
// without which it can not work, as far as they name the person.
func (i Integration) without(w pseudonym.Writer) (next *Integration, disabled string, err error) {
	var v any
	var parameters map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(i.Parameters, &v), json.Unmarshal(i.Parameters, &parameters)); err != nil {
		return nil, "", err
	}
	if !w.Names.In(v) {
		return nil, "", nil
	}
	out, err := i.pseudonymous(w)
	if err != nil {
		return nil, "", err
	}
	var alone []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		var left bool
		if parameters[name], left = withoutAddress(w, parameters[name]); !left {
			alone = append(alone, name)
		}
	}
	if out.Parameters, err = json.Marshal(parameters); err != nil {
		return nil, "", err
	}
	return &out, strings.Join(alone, ", "), nil
}

// withoutAddress takes a person out of a parameter. left is false where nothing else was in it: then it has the
// pseudonym, which is no address, so that nobody enables the integration without seeing that somebody is missing.
func withoutAddress(w pseudonym.Writer, parameter json.RawMessage) (is json.RawMessage, left bool) {
	var v any
	if json.Unmarshal(parameter, &v) != nil || !w.Names.In(v) {
		return parameter, true
	}
	list, ok := v.([]any)
	if !ok {
		return w.JSON(parameter), false
	}
	others := slices.DeleteFunc(slices.Clone(list), w.Names.In)
	raw, err := json.Marshal(others)
	if len(others) == 0 || err != nil {
		return w.JSON(parameter), false
	}
	return raw, true
}
