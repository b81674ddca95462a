package fanout

import (
	"context"
	"errors"
	"fmt"

	"tocsin/shared/integration"
)

// Releaser has an engine look anew at what is held after rules were changed: integration.Releaser and report.Releaser.
type Releaser struct {
	Integrations Enabler
	// Reconsider lets go what the rules of an integration hold no more.
	Reconsider func(ctx context.Context, tenant, integration string) error
}

// Release looks at what is held for an integration.
func (r *Releaser) Release(ctx context.Context, tenant, id string) error {
	return r.Reconsider(ctx, tenant, id)
}

// ReleaseAll looks at what is held for a tenant's integrations. Of one that is disabled nothing is.
func (r *Releaser) ReleaseAll(ctx context.Context, tenant string) error {
	list, err := r.Integrations.Enabled(ctx, tenant)
	if err != nil {
		return fmt.Errorf("list the enabled integrations of tenant %s: %w", tenant, err)
	}
	var wrong []error
	for _, i := range list {
		if i.Enabled() {
			wrong = append(wrong, r.Reconsider(ctx, tenant, i.ID))
		}
	}
	return errors.Join(wrong...)
}

var _ integration.Releaser = (*Releaser)(nil)
