package destination

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// Example is a parameters struct to show what a system is sent before it is set up: what of the given parameters is
// right, and made-up values for the rest. Secrets that are given as masks are made up too. secrets are to be masked in
// what is shown.
func (p Parameters) Example(given json.RawMessage) (opened any, secrets []string, err error) {
	made, err := p.madeUp()
	if err != nil {
		return nil, nil, err
	}
	full := made
	if members, err := object(given); err == nil {
		for name, v := range members {
			if isMask(v) || strings.Contains(string(v), SecretMask) || empty(v) {
				delete(members, name)
			}
		}
		full = p.right(made, members)
	}
	opened, err = p.Open(full)
	return opened, p.SecretValues(full), err
}

// right puts what is right of the given members over the made-up ones.
func (p Parameters) right(made json.RawMessage, members map[string]json.RawMessage) json.RawMessage {
	for range 2 { // what a rule of several parameters says is known once each of them is right
		over, err := json.Marshal(members)
		if err != nil {
			return made
		}
		full, err := overlay(made, over)
		if err != nil {
			return made
		}
		var wrong InvalidParameters
		if err := p.check(full); err == nil {
			return full
		} else if !errors.As(err, &wrong) {
			return made
		}
		for _, w := range wrong {
			name, _, _ := strings.Cut(strings.TrimPrefix(w.Field, "parameters."), ".")
			delete(members, name)
		}
	}
	over, err := json.Marshal(members)
	if err != nil {
		return made
	}
	full, err := overlay(made, over)
	if err != nil {
		return made
	}
	return full
}

// made-up values, by what the schema says of a parameter.
type property struct {
	Type     string            `json:"type"`
	Format   string            `json:"format"`
	Enum     []json.RawMessage `json:"enum"`
	Minimum  *json.Number      `json:"minimum"`
	ReadOnly bool              `json:"readOnly"`
	Items    *property         `json:"items"`
}

func (p Parameters) madeUp() (json.RawMessage, error) {
	var schema struct {
		Properties map[string]property `json:"properties"`
	}
	if err := json.Unmarshal(p.schema, &schema); err != nil {
		return nil, err
	}
	members := map[string]json.RawMessage{}
	for _, f := range p.fields {
		q := schema.Properties[f.Name]
		switch {
		case f.Default != nil:
			members[f.Name] = f.Default
		case q.Format == "date-time": // of what happened to an integration
		case f.ReadOnly && f.Secret:
		case f.Required || f.ReadOnly || f.Secret && q.Type == "string" && !optionalSecrets[f.Name]:
			v, err := json.Marshal(q.example(f))
			if err != nil {
				return nil, err
			}
			members[f.Name] = v
		}
	}
	return json.Marshal(members)
}

// optionalSecrets are left out: with them a request looks otherwise than without.
var optionalSecrets = map[string]bool{"signing_secret": true, "previous_signing_secret": true,
	"signing_key": true, "client_secret": true, "client_key": true}

func (q property) example(f Field) any {
	switch {
	case len(q.Enum) > 0:
		return q.Enum[0]
	case q.Type == "integer" || q.Type == "number":
		if q.Minimum != nil {
			return *q.Minimum
		}
		return 1
	case q.Type == "boolean":
		return false
	case q.Type == "array":
		return slices.Clone([]string{"name@example.com"})
	case q.Type == "object":
		return map[string]string{}
	case q.Format == "uri":
		return "https://" + strings.ReplaceAll(strings.TrimSuffix(f.Name, "_url"), "_", "-") + ".example.com/"
	case q.Format == "uuid":
		return "00000000-0000-4000-8000-000000000000"
	case q.Format == "email" || strings.Contains(f.Name, "mail"):
		return "name@example.com"
	case f.Secret:
		return "example-of-" + f.Name
	}
	return "example"
}
