package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tocsin/shared/access"
	"tocsin/shared/event"
	"tocsin/shared/profile"
)

// noticeBefore is how long before its end a token's people are told, and how long one must live that they are (product
// facts, 5.3).
const noticeBefore = 3 * 24 * time.Hour

// People lists who can be told.
type People interface {
	List(ctx context.Context, tenant, after string, limit int) ([]profile.Profile, error)
}

// Notices tells of tokens that are about to expire: a personal one's owner, and all administrators of a shared one. The
// mails take the way of all events, and nobody can switch them off.
type Notices struct {
	Store  Store
	People People // nil: no mail is sent here
	Bus    event.Publisher
	Now    func() time.Time
	Log    *slog.Logger
}

// Send publishes the notices that are due. It may be called at any time and by several processes at once: a notice has
// an id of its own, and counts once.
func (n *Notices) Send(ctx context.Context) (sent int, err error) {
	if n.People == nil {
		return 0, nil
	}
	for {
		found, err := n.Store.Expiring(ctx, n.Now().Add(noticeBefore), page)
		if err != nil {
			return sent, err
		}
		for _, t := range found {
			told, err := n.tell(ctx, t)
			if sent += told; err != nil {
				return sent, fmt.Errorf("tell that API token %s of tenant %s expires: %w", t.ID, t.Tenant, err)
			}
		}
		if len(found) < page {
			return sent, nil
		}
	}
}

func (n *Notices) tell(ctx context.Context, t Token) (told int, err error) {
	if t.ExpiresAt.Sub(t.CreatedAt) >= noticeBefore && t.State(n.Now()) == Active {
		receivers, err := n.receivers(ctx, t)
		if err != nil {
			return 0, err
		}
		for _, r := range receivers {
			if err := n.Bus.Publish(ctx, n.event(t, r)); err != nil {
				return told, err
			}
			told++
		}
		n.Log.Info("API token expires: people are told", "tenant", t.Tenant, "token", t.ID, "people", told)
	}
	t.Warned, t.Revision = true, t.Revision+1
	err = n.Store.Save(ctx, t)
	if errors.Is(err, ErrConflict) {
		err = nil // revoked meanwhile, or another process told
	}
	return told, err
}

// receivers are the ids of the people who are told.
func (n *Notices) receivers(ctx context.Context, t Token) (out []string, err error) {
	if t.Kind == Personal {
		return []string{profile.ID(t.Email)}, nil
	}
	for after := ""; ; {
		found, err := n.People.List(ctx, t.Tenant, after, page)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if after = p.ID; p.Role.May(access.SharedTokens) {
				out = append(out, p.ID)
			}
		}
		if len(found) < page {
			return out, nil
		}
	}
}

func (n *Notices) event(t Token, receiver string) event.Event {
	var d event.TokenData
	d.Token.ID, d.Token.Name, d.Token.Kind = t.ID, t.Name, string(t.Kind)
	d.ExpiresAt, d.Receiver = event.Timestamp{Time: t.ExpiresAt.UTC()}, receiver
	data, err := json.Marshal(d)
	if err != nil {
		panic(err) // it has no member that can not be written
	}
	return event.Event{ID: "api-token-expiring:" + t.ID + ":" + receiver, Tenant: t.Tenant, ClientName: t.ClientName,
		Kind: event.APITokenExpiring, Time: n.Now().UTC(), Data: data}
}
