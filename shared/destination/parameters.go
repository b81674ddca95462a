package destination

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"

	invopop "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"tocsin/shared/redact"
)

// SecretMask stands for a secret in every answer. An update that sends it back keeps the secret.
const SecretMask = redact.Mask

// Parameters describes what a system asks an administrator for. Make it with ParametersOf.
type Parameters struct {
	schema   json.RawMessage
	compiled *jsonschema.Schema
	fields   []Field
	open     func() any
}

// Field is one parameter, in the order of the form.
type Field struct {
	Name     string
	Secret   bool // the JSON Schema says writeOnly; strings, and the values of maps of strings
	URL      bool // the JSON Schema says format: uri
	Default  json.RawMessage
	Required bool
	// ReadOnly: no person may set it; the JSON Schema says readOnly.
	ReadOnly bool
	// Receiver: its value decides who receives the secrets. Of an address that is scheme, host and port, of any other
	// parameter the whole value. Every address is one, and what has the tag `receiver:"true"`.
	Receiver bool
}

// A Checker is a parameters struct with rules that a schema can not say.
type Checker interface {
	// Check returns what is wrong, field by field.
	Check() []FieldProblem
}

// FieldProblem is one thing wrong with one field.
type FieldProblem struct {
	Field  string `json:"field"`
	Reason string `json:"reason" worded:"true"`
	// Code and Params say the same as Reason in every language (package wording). The API fills them in.
	Code   string            `json:"code,omitempty"`
	Params map[string]string `json:"params,omitempty"`
}

// InvalidParameters says what is wrong with parameters; it is never empty.
type InvalidParameters []FieldProblem

// Add notes one more.
func (p *InvalidParameters) Add(field, reason string) {
	*p = append(*p, FieldProblem{Field: field, Reason: reason})
}

// Addf is Add with a reason as fmt.Sprintf makes it.
func (p *InvalidParameters) Addf(field, format string, args ...any) {
	p.Add(field, fmt.Sprintf(format, args...))
}

func (e InvalidParameters) Error() string {
	var lines []string
	for _, p := range e {
		lines = append(lines, p.Field+": "+p.Reason)
	}
	return strings.Join(lines, "; ")
}

// ParametersOf makes the description from a struct: `json` names a parameter, `jsonschema` holds its rules (required,
// title, format, pattern, lengths, enum, default, writeOnly for a secret), `jsonschema_description` its help text, and
// `receiver:"true"` marks what decides who receives the secrets (Field.Receiver). Hints for the form are in `form`:
// `advanced` folds a field away that has a default which suits most, `when=field:value` shows it for that value of
// another field alone (`when=field:` for any), `needed` says that it is required there, `generated` and `made` have a
// secret made in the form or by us, `copied` has a value that is shown copied, `ends` has the form warn before the time
// that is shown. It panics when the tags make no valid schema: a test of every system would fail.
func ParametersOf[P any]() Parameters {
	t := reflect.TypeFor[P]()
	if p, ok := described.Load(t); ok {
		return p.(Parameters)
	}
	p := describe(t)
	p.open = func() any { return new(P) }
	described.Store(t, p)
	return p
}

// described has the descriptions that were made, by type: compiling one is the dearest part of making a catalogue, and
// several systems share a struct. Nothing changes one: see Defaulting and Retitled.
var described sync.Map

func describe(t reflect.Type) (p Parameters) {
	reflector := invopop.Reflector{
		RequiredFromJSONSchemaTags: true, DoNotReference: true, Anonymous: true,
	}
	made := reflector.ReflectFromType(t)
	made.Version = "https://json-schema.org/draft/2020-12/schema"
	markAccess(t, made)
	markForm(t, made)
	raw, err := json.Marshal(made)
	if err != nil {
		panic(fmt.Sprintf("parameters of %s: %v", t, err))
	}
	p.schema = raw
	for pair := made.Properties.Oldest(); pair != nil; pair = pair.Next() {
		f := Field{
			Name: pair.Key, Secret: pair.Value.WriteOnly, URL: pair.Value.Format == "uri",
			ReadOnly: pair.Value.ReadOnly, Required: slices.Contains(made.Required, pair.Key),
		}
		f.Receiver = f.URL || decidesReceiver(t, f.Name)
		if pair.Value.Default != nil {
			if f.Default, err = json.Marshal(pair.Value.Default); err != nil {
				panic(fmt.Sprintf("parameters of %s: default of %s: %v", t, pair.Key, err))
			}
		}
		p.fields = append(p.fields, f)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("urn:tocsin:parameters", doc); err != nil {
		panic(err)
	}
	if p.compiled, err = c.Compile("urn:tocsin:parameters"); err != nil {
		panic(fmt.Sprintf("parameters of %s: %v", t, err))
	}
	return p
}

// Defaulting is the same description with another default and help of one field, for a deployment that lacks what the
// usual default needs. It panics when there is no such field.
func (p Parameters) Defaulting(field, value, help string) Parameters {
	var made invopop.Schema
	err := p.reopen(&made)
	property, ok := made.Properties.Get(field)
	at := slices.IndexFunc(p.fields, func(f Field) bool { return f.Name == field })
	if err != nil || !ok || at < 0 {
		panic(fmt.Sprintf("default of parameter %s: there is no such field", field))
	}
	property.Default, property.Description = value, help
	p.fields = slices.Clone(p.fields)
	p.fields[at].Default, err = json.Marshal(value)
	if err == nil {
		p.schema, err = json.Marshal(&made)
	}
	if err != nil {
		panic(fmt.Sprintf("default of parameter %s: %v", field, err))
	}
	return p
}

// reopen reads the schema again, with the hints for the form: the library does not read members that it does not know.
func (p Parameters) reopen(made *invopop.Schema) error {
	if err := json.Unmarshal(p.schema, made); err != nil {
		return err
	}
	markForm(reflect.TypeOf(p.open()).Elem(), made)
	return nil
}

// Retitled is the same description with another title of one field, for a system that takes another's parameters
// under its own name. It panics when there is no such field.
func (p Parameters) Retitled(field, title string) Parameters {
	var made invopop.Schema
	err := p.reopen(&made)
	property, ok := made.Properties.Get(field)
	if err != nil || !ok {
		panic(fmt.Sprintf("retitle parameter %s: there is no such field", field))
	}
	property.Title = title
	if p.schema, err = json.Marshal(&made); err != nil {
		panic(fmt.Sprintf("retitle parameter %s: %v", field, err))
	}
	return p
}

// markAccess sets writeOnly and readOnly where the tag says so: the reflector reads them for strings only, and other
// types can be secret, or ours alone, too.
func markAccess(t reflect.Type, made *invopop.Schema) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		tags := strings.Split(t.Field(i).Tag.Get("jsonschema"), ",")
		if property, ok := made.Properties.Get(name); ok {
			property.WriteOnly = property.WriteOnly || slices.Contains(tags, "writeOnly=true")
			property.ReadOnly = property.ReadOnly || slices.Contains(tags, "readOnly=true")
		}
	}
}

// markForm tells the form what the tags say of it, in members that JSON Schema leaves to others.
func markForm(t reflect.Type, made *invopop.Schema) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		property, ok := made.Properties.Get(name)
		for hint := range strings.FieldsSeq(t.Field(i).Tag.Get("form")) {
			if !ok {
				panic(fmt.Sprintf("parameters of %s: %s has a tag of the form and is in none", t, t.Field(i).Name))
			}
			if property.Extras == nil {
				property.Extras = map[string]any{}
			}
			field, value, when := strings.Cut(strings.TrimPrefix(hint, "when="), ":")
			_, known := made.Properties.Get(field)
			switch {
			case hint == "advanced":
				property.Extras["x-advanced"] = true
			case hint == "needed": // where it is shown: see Check
				property.Extras["x-needed"] = true
			case hint == "generated": // the form can make one: whsec_ and 32 random bytes
				property.Extras["x-generated"] = true
			case hint == "made": // we make one for the words generate and rotate: see Preparer
				property.Extras["x-made"] = true
			case hint == "copied":
				property.Extras["x-copied"] = true
			case hint == "ends": // the form warns before that time
				property.Extras["x-ends"] = true
			case when && known && strings.HasPrefix(hint, "when="):
				property.Extras["x-when"] = map[string]string{"field": field, "value": value}
			default:
				panic(fmt.Sprintf("parameters of %s: %s has the tag form:%q", t, name, hint))
			}
		}
	}
}

// decidesReceiver reads the tag.
func decidesReceiver(t reflect.Type, parameter string) bool {
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name == parameter {
			return t.Field(i).Tag.Get("receiver") == "true"
		}
	}
	return false
}

// Schema is the JSON Schema (2020-12) of the parameters object, nil for a system that is not available.
func (p Parameters) Schema() json.RawMessage { return p.schema }

// SchemaIn is Schema with the titles and helps of the fields as say words them.
func (p Parameters) SchemaIn(say func(english string) string) json.RawMessage {
	if p.schema == nil {
		return nil
	}
	var made invopop.Schema
	err := p.reopen(&made)
	if err == nil {
		for pair := made.Properties.Oldest(); pair != nil; pair = pair.Next() {
			pair.Value.Title, pair.Value.Description = say(pair.Value.Title), say(pair.Value.Description)
		}
		var raw json.RawMessage
		if raw, err = json.Marshal(&made); err == nil {
			return raw
		}
	}
	panic(fmt.Sprintf("parameters in another language: %v", err)) // made of what Schema is
}

// Fields lists the parameters in the order of the form.
func (p Parameters) Fields() []Field { return p.fields }

// Complete checks a parameters object and fills in the defaults. The error is InvalidParameters.
func (p Parameters) Complete(raw json.RawMessage) (json.RawMessage, error) {
	members, err := object(raw)
	if err != nil {
		return nil, InvalidParameters{{Field: "parameters", Reason: err.Error()}}
	}
	p.fill(members)
	full, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("complete parameters: %w", err)
	}
	twice := repeated(raw)
	var problems InvalidParameters
	if err := p.check(full); err != nil && !errors.As(err, &problems) {
		return full, err
	}
	if problems = append(twice, problems...); len(problems) > 0 {
		return full, problems
	}
	return full, nil
}

// fill puts the defaults in.
func (p Parameters) fill(members map[string]json.RawMessage) {
	for _, f := range p.fields {
		if v, ok := members[f.Name]; f.Default != nil && (!ok || string(v) == "null") {
			members[f.Name] = f.Default
		} else if ok && string(v) == "null" {
			delete(members, f.Name)
		}
	}
}

func (p Parameters) check(full json.RawMessage) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(full))
	if err != nil {
		return InvalidParameters{{Field: "parameters", Reason: "is not valid JSON"}}
	}
	var problems InvalidParameters
	var invalid *jsonschema.ValidationError
	if err := p.compiled.Validate(doc); errors.As(err, &invalid) {
		problems = sentences(invalid, problems)
	} else if err != nil {
		return fmt.Errorf("check parameters: %w", err)
	}
	if len(problems) == 0 {
		opened, err := p.Open(full)
		if err != nil {
			return err
		}
		if c, ok := opened.(Checker); ok {
			for _, q := range c.Check() {
				problems = append(problems, FieldProblem{Field: "parameters." + q.Field, Reason: q.Reason})
			}
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// Open decodes complete parameters into a new parameters struct and returns the pointer to it.
func (p Parameters) Open(full json.RawMessage) (any, error) {
	if p.open == nil {
		return nil, errors.New("open parameters: this system is not available yet")
	}
	into := p.open()
	if err := json.Unmarshal(full, into); err != nil {
		// The text of err can quote the value, and the value can be a secret.
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) {
			return nil, InvalidParameters{{Field: "parameters." + te.Field, Reason: "has the wrong type"}}
		}
		return nil, InvalidParameters{{Field: "parameters", Reason: "can not be read"}}
	}
	return into, nil
}

// URLs lists the addresses among the parameters by field, and those that are made of parameters (Addressed), for the
// egress policy to check.
func (p Parameters) URLs(full json.RawMessage) map[string]string {
	members, err := object(full)
	if err != nil {
		return nil
	}
	urls := map[string]string{}
	for _, f := range p.fields {
		var s string
		if f.URL && json.Unmarshal(members[f.Name], &s) == nil && s != "" {
			urls["parameters."+f.Name] = s
		}
	}
	if opened, err := p.Open(full); err == nil {
		if a, ok := opened.(Addressed); ok {
			for name, address := range a.Addresses() {
				urls["parameters."+name] = address
			}
		}
	}
	return urls
}

// Split parts complete parameters into what may be shown and what must be sealed.
func (p Parameters) Split(full json.RawMessage) (shown, secret json.RawMessage, err error) {
	members, err := object(full)
	if err != nil {
		return nil, nil, fmt.Errorf("split parameters: %w", err)
	}
	hidden := map[string]json.RawMessage{}
	for _, f := range p.fields {
		if v, ok := members[f.Name]; ok && f.Secret {
			hidden[f.Name] = v
			delete(members, f.Name)
		}
	}
	if shown, err = json.Marshal(members); err != nil {
		return nil, nil, fmt.Errorf("split parameters: %w", err)
	}
	if secret, err = json.Marshal(hidden); err != nil {
		return nil, nil, fmt.Errorf("split parameters: %w", err)
	}
	return shown, secret, nil
}

// SecretValues lists the secrets among complete parameters, for masking them in texts that come from outside.
func (p Parameters) SecretValues(full json.RawMessage) []string {
	members, err := object(full)
	if err != nil {
		return nil
	}
	var values []string
	for _, f := range p.fields {
		if !f.Secret {
			continue
		}
		var s string
		var several map[string]string
		if json.Unmarshal(members[f.Name], &s) == nil && s != "" {
			values = append(values, s)
		} else if json.Unmarshal(members[f.Name], &several) == nil {
			for _, v := range several {
				if v != "" {
					values = append(values, v)
				}
			}
		}
	}
	// The longest first: one secret can be part of another.
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	return values
}

// ChangedSecrets are the names of the secret parameters whose values differ in two complete parameters objects, in the
// order of the form; nil is one without any. An empty value is none.
func (p Parameters) ChangedSecrets(before, after json.RawMessage) (names []string) {
	was, _ := object(before) // what can not be read has no secrets
	is, _ := object(after)
	for _, f := range p.fields {
		if f.Secret && !sameJSON(orNull(was[f.Name]), orNull(is[f.Name])) &&
			(!empty(was[f.Name]) || !empty(is[f.Name])) {
			names = append(names, f.Name)
		}
	}
	return names
}

func empty(v json.RawMessage) bool {
	return len(v) == 0 || slices.Contains([]string{"null", `""`, "{}", "[]"}, string(v))
}

// Join is the inverse of Split.
func (p Parameters) Join(shown, secret json.RawMessage) (json.RawMessage, error) {
	return overlay(shown, secret)
}

// Masked is what an answer shows: every secret replaced by the mask, in a map each value by itself, so that the
// names of a webhook's headers stay readable.
func (p Parameters) Masked(shown, secret json.RawMessage) (json.RawMessage, error) {
	members, err := object(secret)
	if err != nil {
		return nil, fmt.Errorf("mask parameters: %w", err)
	}
	for name, v := range members {
		if members[name], err = mask(v); err != nil {
			return nil, fmt.Errorf("mask parameter %s: %w", name, err)
		}
	}
	masks, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("mask parameters: %w", err)
	}
	return overlay(shown, masks)
}

func mask(v json.RawMessage) (json.RawMessage, error) {
	var values map[string]json.RawMessage
	if json.Unmarshal(v, &values) == nil && values != nil {
		masked := map[string]string{}
		for k := range values {
			masked[k] = SecretMask
		}
		return json.Marshal(masked)
	}
	var s string
	if json.Unmarshal(v, &s) == nil && s == "" {
		return v, nil
	}
	return json.Marshal(SecretMask)
}

// Merge is an update: patch over the present parameters (RFC 7396 at the top level: null removes), with each mask
// replaced by the secret that it stands for. The error is InvalidParameters when a mask stands for nothing.
func (p Parameters) Merge(present, patch json.RawMessage) (json.RawMessage, error) {
	if problems := repeated(patch); problems != nil {
		return nil, problems
	}
	was, err := object(present)
	if err != nil {
		return nil, fmt.Errorf("merge parameters: %w", err)
	}
	change, err := object(patch)
	if err != nil {
		return nil, InvalidParameters{{Field: "parameters", Reason: err.Error()}}
	}
	var problems InvalidParameters
	for _, f := range p.fields {
		v, ok := change[f.Name]
		if !ok || !f.Secret {
			continue
		}
		kept, _, complete := unmask(v, was[f.Name])
		if !complete {
			problems = append(problems, FieldProblem{Field: "parameters." + f.Name, Reason: noSecretKept})
		}
		change[f.Name] = kept
	}
	if len(problems) > 0 {
		return nil, problems
	}
	for name, v := range change {
		if string(v) == "null" {
			delete(was, name)
		} else {
			was[name] = v
		}
	}
	return json.Marshal(was)
}

// noSecretKept is shown at a mask that stands for nothing.
const noSecretKept = "is a mask, and no secret is kept that it stands for: enter the value"

// enterAgain is shown at a secret that a change would send to somebody else. It names no value: it is translated.
const enterAgain = "enter it again: what decides who receives it was changed"

// Misdirected names the secrets that a patch keeps (by leaving them out, or by their masks) although it changes who
// receives them: whoever may change an address must not learn by that what was entered for another one. merged is the
// result of Merge. nil = there are none.
func (p Parameters) Misdirected(present, patch, merged json.RawMessage) InvalidParameters {
	was, err := object(present)
	change, e := object(patch)
	now, e2 := object(merged)
	if err := errors.Join(err, e, e2); err != nil {
		return InvalidParameters{{Field: "parameters", Reason: err.Error()}}
	}
	p.fill(was)
	p.fill(now)
	var problems InvalidParameters
	if !p.moved(was, now) {
		return nil
	}
	for _, f := range p.fields {
		if !f.Secret || f.ReadOnly { // what is made for a receiver ends with it: see Preparer
			continue
		}
		v, given := change[f.Name]
		for _, name := range kept(was[f.Name], v, given) {
			problems = append(problems, FieldProblem{Field: "parameters." + f.Name + name, Reason: enterAgain})
		}
	}
	return problems
}

// sameReceiver compares what of two values decides who receives the secrets.
func sameReceiver(f Field, a, b json.RawMessage) bool {
	var x, y string
	if f.URL && json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil {
		before, after := origin(x), origin(y)
		return before != "" && before == after
	}
	return sameJSON(orNull(a), b)
}

// orNull is the value of a parameter that is absent.
func orNull(v json.RawMessage) json.RawMessage {
	if v == nil {
		return json.RawMessage("null")
	}
	return v
}

// origin is scheme, host and port of an address (RFC 6454, 4), "" when it has none.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// kept are the secrets in a present value that a change keeps: "" for the value itself, or ".name" of one in a map. A
// change that is given keeps what unmask puts back, so that the two can not disagree about what is a mask.
func kept(present, change json.RawMessage, given bool) []string {
	var s string
	var was map[string]string
	whole := json.Unmarshal(present, &s) == nil
	switch {
	case whole && s == "":
		return nil
	case !whole && json.Unmarshal(present, &was) != nil:
		return nil
	case given:
		_, names, _ := unmask(change, present)
		return slices.DeleteFunc(names, func(name string) bool { return name != "" && was[name[1:]] == "" })
	case whole:
		return []string{""}
	}
	var names []string
	for name, v := range was {
		if v != "" {
			names = append(names, "."+name)
		}
	}
	slices.Sort(names)
	return names
}

// ByHand says which read-only parameters a person's change would set; nil when it sets none. To send one back as it is,
// or the mask of a secret, sets nothing: a form does so.
func (p Parameters) ByHand(present, change json.RawMessage) InvalidParameters {
	was, err := object(present)
	if err != nil {
		return InvalidParameters{{Field: "parameters", Reason: err.Error()}}
	}
	wanted, err := object(change)
	if err != nil {
		return InvalidParameters{{Field: "parameters", Reason: err.Error()}}
	}
	var problems InvalidParameters
	for _, f := range p.fields {
		if v, ok := wanted[f.Name]; ok && f.ReadOnly && !sameJSON(v, was[f.Name]) && !(f.Secret && isMask(v)) {
			problems = append(problems, FieldProblem{Field: "parameters." + f.Name,
				Reason: "is read-only: it can not be set by hand"})
		}
	}
	return problems
}

// OnlyReadOnly is an error when a change sets anything but read-only parameters.
func (p Parameters) OnlyReadOnly(change json.RawMessage) error {
	members, err := object(change)
	if err != nil {
		return fmt.Errorf("read a change of parameters: %w", err)
	}
	for name := range members {
		if !slices.ContainsFunc(p.fields, func(f Field) bool { return f.Name == name && f.ReadOnly }) {
			return fmt.Errorf("a change of parameters sets %s, which is a person's to set", name)
		}
	}
	return nil
}

// sameJSON compares values as written, but for spaces; an absent one is null.
func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	if b == nil {
		b = json.RawMessage("null")
	}
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// unmask puts the present secrets where masks stand, and names them: "" for the value itself, ".name" of one in a map.
// complete is false when a mask stands for nothing.
func unmask(v, present json.RawMessage) (full json.RawMessage, names []string, complete bool) {
	if isMask(v) {
		return present, []string{""}, present != nil
	}
	var values, was map[string]json.RawMessage
	if json.Unmarshal(v, &values) != nil || values == nil {
		return v, nil, true // a value, or of the wrong type: the schema will say so
	}
	_ = json.Unmarshal(present, &was) // nil when there was none: then no mask can be resolved
	complete = true
	for k, x := range values {
		if !isMask(x) {
			continue
		}
		names = append(names, "."+k)
		if values[k] = was[k]; was[k] == nil {
			complete = false
		}
	}
	slices.Sort(names)
	if !complete {
		return v, names, false
	}
	joined, err := json.Marshal(values)
	return joined, names, err == nil
}

// Masks names the secrets for which a mask stands where none is kept that it could stand for: in what is made new.
func (p Parameters) Masks(raw json.RawMessage) (problems InvalidParameters) {
	members, err := object(raw)
	if err != nil {
		return nil // others say so
	}
	for _, f := range p.fields {
		if _, _, complete := unmask(members[f.Name], nil); f.Secret && !complete {
			problems = append(problems, FieldProblem{Field: "parameters." + f.Name, Reason: noSecretKept})
		}
	}
	return problems
}

// isMask reports whether a value is the mask. A null is none, whatever was read before it.
func isMask(v json.RawMessage) bool {
	var s string
	return json.Unmarshal(v, &s) == nil && s == SecretMask
}

func object(raw json.RawMessage) (map[string]json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(raw)) == 0 {
		return members, nil
	}
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return nil, errors.New("must be an object")
	}
	return members, nil
}

func overlay(under, over json.RawMessage) (json.RawMessage, error) {
	members, err := object(under)
	if err != nil {
		return nil, err
	}
	top, err := object(over)
	if err != nil {
		return nil, err
	}
	for name, v := range top {
		members[name] = v
	}
	return json.Marshal(members)
}

// sentences turns a validation error into one problem for each leaf. No sentence quotes the value: it may be a secret.
func sentences(e *jsonschema.ValidationError, problems InvalidParameters) InvalidParameters {
	for _, cause := range e.Causes {
		problems = sentences(cause, problems)
	}
	if len(e.Causes) > 0 {
		return problems
	}
	field := strings.Join(append([]string{"parameters"}, e.InstanceLocation...), ".")
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			problems.Add(field+"."+name, "is required")
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			problems.Add(field+"."+name, "is not a parameter of this system")
		}
	case *kind.Type:
		problems.Add(field, "must be of type "+strings.Join(k.Want, " or "))
	case *kind.Enum:
		problems.Add(field, fmt.Sprintf("must be one of %v", k.Want))
	case *kind.MinLength:
		if k.Want == 1 {
			problems.Add(field, "must not be empty")
		} else {
			problems.Add(field, fmt.Sprintf("must have at least %d characters, has %d", k.Want, k.Got))
		}
	case *kind.MaxLength:
		problems.Add(field, fmt.Sprintf("must have at most %d characters, has %d", k.Want, k.Got))
	case *kind.MinItems:
		problems.Add(field, fmt.Sprintf("must have at least %d entries", k.Want))
	case *kind.MaxItems:
		problems.Add(field, fmt.Sprintf("must have at most %d entries, has %d", k.Want, k.Got))
	case *kind.Pattern:
		problems.Add(field, "has the wrong form: it must match "+k.Want)
	case *kind.Format:
		problems.Add(field, cmp.Or(formats[k.Want], "must be of the format "+k.Want))
	case *kind.Minimum:
		f, _ := k.Want.Float64()
		problems.Add(field, fmt.Sprintf("must be at least %v", f))
	case *kind.Maximum:
		f, _ := k.Want.Float64()
		problems.Add(field, fmt.Sprintf("must be at most %v", f))
	default:
		problems.Add(field, "does not keep the rule "+strings.Join(e.ErrorKind.KeywordPath(), "."))
	}
	return problems
}

var formats = map[string]string{
	"uri": "must be a full address such as https://example.com/path", "email": "must be an e-mail address",
	"uuid": "must be a UUID", "date-time": "must be a time such as 2023-03-01T00:00:00Z",
}

// Host is the host of an address, for messages that must not show the rest.
func Host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
