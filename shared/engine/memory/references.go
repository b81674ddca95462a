package memory

import (
	"context"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/sending"
)

// References keeps what systems call what was made of objects.
type References struct{ e *Engine }

// References returns them.
func (e *Engine) References() *References { return &References{e} }

var _ sending.References = (*References)(nil)

type referenceKey struct{ tenant, integration, object string }

type reference struct {
	sending.Reference
	version int64
}

// Reference reads one.
func (s *References) Reference(_ context.Context, l delivery.Lane, object string) (sending.Reference, int64, error) {
	defer s.e.lock()()
	r := s.e.references[referenceKey{l.Tenant, l.Integration, object}]
	if !r.Expires.After(s.e.now()) {
		return sending.Reference{}, 0, nil
	}
	return r.Reference, r.version, nil
}

// Swap replaces one.
func (s *References) Swap(_ context.Context, l delivery.Lane, object string, version int64,
	to sending.Reference) (int64, error) {
	defer s.e.lock()()
	k, now := referenceKey{l.Tenant, l.Integration, object}, s.e.now()
	r := s.e.references[k]
	if !r.Expires.After(now) {
		r = reference{}
	}
	if r.version != version {
		return 0, sending.ErrReferenceChanged
	}
	next := max(now.UnixNano(), version+1)
	to.Since, to.Begun, to.Expires = utc(to.Since), utc(to.Begun), utc(to.Expires)
	s.e.references[k] = reference{to, next}
	return next, nil
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}
