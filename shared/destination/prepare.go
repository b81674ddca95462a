package destination

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"
)

// A Preparer is a parameters struct of which something is made, or judged, at the time when a person saves it: a key
// pair, the end of a certificate.
type Preparer interface {
	// Prepare returns what it makes, as a merge patch (RFC 7396), and what is wrong. before points to the parameters as
	// they were. It is nil for a new integration, and when what decides who receives the secrets was changed: then
	// nothing of before goes on.
	Prepare(before any, at Saving) (patch map[string]any, wrong InvalidParameters)
}

// Saving is what a Preparer needs from outside.
type Saving struct {
	Now    time.Time
	Random io.Reader
}

// Prepare has the parameters made what is made when a person saves them. merged is what is to be saved, before what was
// saved, nil for nothing. The error is InvalidParameters.
func (p Parameters) Prepare(before, merged json.RawMessage, at Saving) (json.RawMessage, error) {
	opened, err := p.Open(merged)
	if err != nil {
		return merged, nil // Complete says what is wrong
	}
	preparer, ok := opened.(Preparer)
	if !ok {
		return merged, nil
	}
	was, err := p.unmoved(before, merged)
	if err != nil {
		return nil, err
	}
	patch, wrong := preparer.Prepare(was, at)
	members, err := object(merged)
	if err != nil {
		return nil, err
	}
	for name, v := range patch {
		if v == nil {
			delete(members, name)
		} else if members[name], err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	for n := range wrong {
		wrong[n].Field = "parameters." + wrong[n].Field
	}
	made, err := json.Marshal(members)
	if err == nil && len(wrong) > 0 {
		return made, wrong
	}
	return made, err
}

// unmoved opens the parameters as they were; nil for none, and when others receive the secrets now.
func (p Parameters) unmoved(before, merged json.RawMessage) (any, error) {
	if before == nil {
		return nil, nil
	}
	was, err := object(before)
	now, e := object(merged)
	if err := errors.Join(err, e); err != nil {
		return nil, err
	}
	p.fill(was)
	p.fill(now)
	if p.moved(was, now) {
		return nil, nil
	}
	return p.Open(before)
}

// moved reports whether somebody else receives the secrets now.
func (p Parameters) moved(was, now map[string]json.RawMessage) bool {
	return slices.ContainsFunc(p.fields, func(f Field) bool {
		return f.Receiver && !sameReceiver(f, was[f.Name], now[f.Name])
	})
}
