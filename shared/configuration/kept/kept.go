// Package kept judges a change of parameters for who does not have the secrets that the change leaves as they are.
package kept

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"tocsin/shared/destination"
)

// members are those of a JSON object.
type members map[string]json.RawMessage

func (m members) JSON() json.RawMessage {
	raw, _ := json.Marshal(m) // of values that were read as JSON
	return raw
}

// Problems are what is wrong with a change of the parameters of a system, whatever the secrets are that stay. shown are
// the parameters before it, as an installation shows them, with masks in place of secrets; lost says that it does not
// know which secrets there were. Of a change that names what the system has not, nothing is said.
func Problems(of destination.Parameters, shown, change json.RawMessage, lost bool,
	saving func() destination.Saving) destination.InvalidParameters {
	k := parameters{Parameters: of, saving: saving, stored: members{}, masks: members{}}
	var all members
	if json.Unmarshal(change, &k.change) != nil || json.Unmarshal(shown, &all) != nil || !k.knows(k.change) {
		return nil
	}
	for _, f := range of.Fields() {
		v, there := all[f.Name]
		_, given := k.change[f.Name]
		switch {
		case f.Secret && !given && (there || lost):
			k.masks[f.Name] = v
		case there && !f.Secret:
			k.stored[f.Name] = v
		}
	}
	return append(k.problems(), k.misdirected()...)
}

// parameters are those of an integration.
type parameters struct {
	destination.Parameters
	saving func() destination.Saving
	stored members // without any secret
	masks  members // of the secrets that stay; nil where not even their masks are known
	change members
}

func (k parameters) knows(change members) bool {
	for name := range change {
		if !slices.ContainsFunc(k.Fields(), func(f destination.Field) bool { return f.Name == name }) {
			return false
		}
	}
	return true
}

// problems are those that are the same without the secrets that stay and with others in their place: these do not come
// of them. Where the system requires a secret, there is one.
func (k parameters) problems() (out destination.InvalidParameters) {
	without, with := members{}, members{}
	for name, v := range k.required() {
		if _, stays := k.masks[name]; stays {
			without[name], with[name] = v, v
		}
	}
	for name, v := range k.masks {
		if _, made := with[name]; !made && v != nil {
			with[name] = v
		}
	}
	for _, p := range k.judged(with) {
		if name := parameterOf(p); without[name] == nil {
			delete(with, name) // a mask need not have the form of its secret
		}
	}
	other := k.judged(with)
	for _, p := range k.judged(without) {
		if _, stays := k.masks[parameterOf(p)]; !stays && slices.ContainsFunc(other,
			func(q destination.FieldProblem) bool { return q.Field == p.Field && q.Reason == p.Reason }) {
			out = append(out, p)
		}
	}
	return out
}

// required are made-up secrets, where the system requires some.
func (k parameters) required() (out members) {
	opened, _, err := k.Example(nil)
	if err != nil {
		return nil
	}
	raw, err := json.Marshal(opened)
	if err != nil || json.Unmarshal(raw, &out) != nil {
		return nil
	}
	for _, f := range k.Fields() {
		if !f.Required {
			delete(out, f.Name)
		}
	}
	return out
}

// judged are the problems of the change where some secrets stay.
func (k parameters) judged(secrets members) (out destination.InvalidParameters) {
	before := maps.Clone(k.stored)
	maps.Copy(before, secrets)
	merged, err := k.Merge(before.JSON(), k.change.JSON())
	if err != nil {
		errors.As(err, &out)
		return out
	}
	made, err := k.Prepare(before.JSON(), merged, k.saving())
	errors.As(err, &out)
	if made == nil {
		return out
	}
	var more destination.InvalidParameters
	_, err = k.Complete(made)
	errors.As(err, &more)
	return append(out, more...)
}

// somewhere stands for an address that is a secret: who receives what is sent there is not known, and does not change.
var somewhere = json.RawMessage(`"https://kept.example.com/"`)

// misdirected names the secrets that stay although the change sends them to somebody else. Whether a secret that is
// given is another one than before is not known.
func (k parameters) misdirected() destination.InvalidParameters {
	before, merged := maps.Clone(k.stored), maps.Clone(k.stored)
	for name, v := range k.change {
		if merged[name] = v; string(v) == "null" {
			delete(merged, name)
		}
	}
	for _, f := range k.Fields() {
		v, given := k.change[f.Name]
		mask := k.masks[f.Name]
		switch {
		case !f.Secret || !given && mask == nil:
			continue
		case f.URL:
			v = somewhere
		case !given:
			v = mask
		}
		before[f.Name], merged[f.Name] = v, v
	}
	return k.Misdirected(before.JSON(), k.change.JSON(), merged.JSON())
}

// parameterOf is the parameter that a problem is about.
func parameterOf(p destination.FieldProblem) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(p.Field, "parameters."), ".")
	return name
}
