package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"tocsin/shared/destination"
	"tocsin/shared/event"
)

// ErrUnsealable: what a key ring is to open was not sealed by a key that it has, belongs elsewhere, or was tampered
// with. It does not pass; any other error of a key ring may.
var ErrUnsealable = errors.New("the secret can not be opened")

// Words about secrets that can not be read, for people.
const (
	LostSecrets = "its secrets can not be read: enter them again"
	AwaySecrets = "its secrets can not be read at the moment: the key service does not answer"
)

// Unreadable says for a person why Service.Masked could not open the secrets; "" for an error of another kind.
func Unreadable(err error) string {
	var e *unreadableError
	switch {
	case !errors.As(err, &e):
		return ""
	case errors.Is(err, ErrUnsealable):
		return LostSecrets
	}
	return AwaySecrets
}

// unreadableError is a failure to open the secrets of one integration.
type unreadableError struct {
	id  string
	err error
}

func (e *unreadableError) Error() string {
	return fmt.Sprintf("open the secrets of integration %s: %s", e.id, e.err)
}
func (e *unreadableError) Unwrap() error { return e.err }

// secrets opens the secrets. An integration whose secrets were given up (Forget) has none to open.
func (s *Service) secrets(ctx context.Context, i Integration) (json.RawMessage, error) {
	if len(i.Sealed) == 0 {
		return nil, &unreadableError{i.ID, ErrUnsealable}
	}
	secret, err := s.Keys.Open(ctx, i.Sealed, sealContext(i))
	if err != nil {
		return nil, &unreadableError{i.ID, err}
	}
	return secret, nil
}

// present is what a person's change is merged with. Secrets that can not be opened any more count as absent, so that
// they can be entered again.
func (s *Service) present(ctx context.Context, i Integration, system destination.System) (json.RawMessage, error) {
	full, err := s.full(ctx, i, system)
	if errors.Is(err, ErrUnsealable) {
		return i.Parameters, nil
	}
	return full, err
}

// sendable refuses to enable an integration without secrets.
func (s *Service) sendable(ctx context.Context, i Integration) error {
	if _, err := s.secrets(ctx, i); errors.Is(err, ErrUnsealable) {
		return InvalidError{{Field: "enabled", Reason: LostSecrets + ", then enable it"}}
	}
	return nil // what passes is for sending to find out
}

// Opens reports whether the integration's secrets can be opened, or have been given up.
func (s *Service) Opens(ctx context.Context, i Integration) (bool, error) {
	if len(i.Sealed) == 0 {
		return true, nil
	}
	_, err := s.secrets(ctx, i)
	if errors.Is(err, ErrUnsealable) {
		return false, nil
	}
	return err == nil, err
}

// Reseal seals the secrets with the key that seals now. Nothing else of the integration changes.
func (s *Service) Reseal(ctx context.Context, i Integration) ([]byte, error) {
	if len(i.Sealed) == 0 {
		return nil, nil
	}
	secret, err := s.secrets(ctx, i)
	if err != nil {
		return nil, err
	}
	sealed, err := s.Keys.Seal(ctx, secret, sealContext(i))
	if err != nil {
		return nil, fmt.Errorf("seal the secrets of integration %s: %w", i.ID, err)
	}
	return sealed, nil
}

// Forget gives up the secrets of an integration whose key is lost, and disables it: a person has to enter them again.
func (s *Service) Forget(ctx context.Context, i Integration) error {
	before := i
	i.Sealed = nil
	kind := event.UpdateIntegration
	if i.Enabled() {
		kind = event.DisableIntegration
	}
	i.Off = &Off{By: ByPlatform, Reason: LostSecrets, At: s.Now().UTC()}
	_, err := s.save(ctx, i, change{kind: kind, before: &before, data: event.IntegrationData{Reason: LostSecrets}})
	return err
}
