package rest

import (
	"net/http"
	"reflect"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/destination"
	"tocsin/shared/wording"
)

// The API answers in the language that the caller asks for (RFC 9110, 12.5.4). What is worded are the texts for people:
// the members of answers with the tag `worded:"true"`. Names, states and codes are the same in every language.

// Speak says in the header of an answer which language it is in, and that another caller can get another one.
func Speak(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Language", string(wording.Accepted(r.Header.Get("Accept-Language"))))
	h.Add("Vary", "Accept-Language")
}

// spoken is the language that Speak chose.
func spoken(w http.ResponseWriter) wording.Language {
	return wording.Language(w.Header().Get("Content-Language")).Or(wording.English)
}

// Word words an answer for its caller: a transformer of huma. What the operation returned stays as it is: it can be
// kept for other callers.
func Word(ctx huma.Context, _ string, v any) (any, error) {
	return Worded(ctx, v), nil
}

// Worded words what an operation writes by itself.
func Worded(c huma.Context, v any) any {
	if p, ok := v.(*Problem); ok {
		v = p.name(c)
	}
	return worded(v, wording.Accepted(c.Header("Accept-Language")))
}

func worded(v any, l wording.Language) any {
	if p, ok := v.(*Problem); ok {
		return p.in(l)
	}
	if v == nil || l == wording.English || !speaks(reflect.TypeOf(v)) {
		return v
	}
	return word(reflect.ValueOf(v), l).Interface()
}

// in is the problem in a language, with the codes of its texts.
func (p *Problem) in(l wording.Language) *Problem {
	out := *p
	out.Title, out.Detail = wording.In(l, p.Title), wording.In(l, p.Detail)
	if t, ok := wording.Read(p.Detail); ok {
		out.Code, out.Params = t.Code, t.Params
	}
	out.Errors = nil
	for _, f := range p.Errors {
		if t, ok := wording.Read(f.Reason); ok {
			f = destination.FieldProblem{Field: f.Field, Reason: t.In(l), Code: t.Code, Params: t.Params}
		}
		out.Errors = append(out.Errors, f)
	}
	return &out
}

var known sync.Map // reflect.Type -> whether a value of it can hold texts

// speaks reports whether values of a type can hold texts.
func speaks(t reflect.Type) bool {
	if had, ok := known.Load(t); ok {
		return had.(bool)
	}
	said := holds(t, map[reflect.Type]bool{})
	known.Store(t, said)
	return said
}

func holds(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return holds(t.Elem(), seen)
	case reflect.Interface:
		return false
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if f.IsExported() && (f.Tag.Get("worded") == "true" || holds(f.Type, seen)) {
				return true
			}
		}
	}
	return false
}

// word copies a value as far as texts are in it.
func word(v reflect.Value, l wording.Language) reflect.Value {
	if !speaks(v.Type()) {
		return v
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		if p, ok := v.Interface().(*Problem); ok {
			return reflect.ValueOf(p.in(l))
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(word(v.Elem(), l))
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(word(v.Index(i), l))
		}
		return out
	case reflect.Map:
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for _, k := range v.MapKeys() {
			out.SetMapIndex(k, word(v.MapIndex(k), l))
		}
		return out
	case reflect.Struct:
		return wordMembers(v, l)
	}
	return v
}

func wordMembers(v reflect.Value, l wording.Language) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case !f.IsExported():
		case f.Tag.Get("worded") == "true" && f.Type.Kind() == reflect.String:
			out.Field(i).SetString(wording.In(l, v.Field(i).String()))
		default:
			out.Field(i).Set(word(v.Field(i), l))
		}
	}
	return out
}
