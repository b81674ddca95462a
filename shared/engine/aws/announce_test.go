//go:build awslocal

package aws_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/integration"
)

// picky refuses one event.
type picky struct {
	published
	refuse string
}

func (p *picky) Publish(ctx context.Context, events ...event.Event) error {
	for _, e := range events {
		if e.ID == p.refuse || p.refuse == "*" {
			return errors.New("refused")
		}
	}
	return p.published.Publish(ctx, events...)
}

func TestAnAnnouncementThatCanNotBePublishedKeepsNoOtherBack(t *testing.T) {
	w := open(t)
	p := &picky{refuse: "*"}
	store := w.integrations(nil)
	store.Publisher, store.Now = p, func() time.Time { return time.Now().Add(-time.Hour) }
	for _, id := range []string{"a", "b", "c"} {
		i := integration.Integration{ID: id, Tenant: "42", System: "slack", Revision: 1, CreatedAt: now(), UpdatedAt: now()}
		require.NoError(t, store.Create(t.Context(), i, event.Event{ID: "note-" + id, Tenant: "42", Kind: event.CreateIntegration, Time: now(), Data: []byte(`{"integration":{"id":"i","name":"n"}}`)}))
	}
	p.refuse, store.Now = "note-a", time.Now
	count, err := store.Relay(t.Context())
	require.ErrorContains(t, err, "note-a")
	require.Equal(t, 2, count)
}
