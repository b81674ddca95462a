package parts

import (
	"encoding/json"
	"reflect"
	"unicode/utf8"

	"tocsin/shared/erasure"
	"tocsin/shared/erasure/pseudonym"
	"tocsin/shared/token"
)

// ErasePerson removes what is a person's own of what a tenant has in parts, and puts the pseudonym into the rest.
func ErasePerson(all []Part, tenant string, w pseudonym.Writer) erasure.Counts {
	rows := erasure.Counts{}
	for _, p := range all {
		p.change(tenant, func(k, v any) (is any, keep bool) {
			value := reflect.ValueOf(v)
			switch {
			case ownKey(w, reflect.ValueOf(k)) || ownRow(w, v):
				rows[p.Name]++
				return nil, false
			case !stands(w, value):
				return v, true
			}
			next := written(w, value, "")
			if stands(w, next) { // such as an integration that was given their address meanwhile
				rows[p.Name]++
			} else {
				rows[erasure.Pseudonymous(p.Name)]++
			}
			return next.Interface(), true
		})
	}
	return rows
}

// ownKey reports whether a part of a key is one of the person's names.
func ownKey(w pseudonym.Writer, k reflect.Value) bool {
	switch k.Kind() {
	case reflect.String:
		return w.Names.Is(k.String())
	case reflect.Struct:
		for n := range k.NumField() {
			if ownKey(w, k.Field(n)) {
				return true
			}
		}
	}
	return false
}

// ownRow reports whether a row is sent to the person alone, or is a token of theirs.
func ownRow(w pseudonym.Writer, v any) bool {
	if t, ok := v.(token.Token); ok {
		return t.Kind == token.Personal && w.Names.Is(t.Email)
	}
	row := reflect.ValueOf(v)
	if row.Kind() != reflect.Struct {
		return false
	}
	to := row.FieldByName("Integration")
	return to.Kind() == reflect.String && w.Names.Is(to.String())
}

// stands reports whether a value names the person.
func stands(w pseudonym.Writer, v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		return w.Names.In(v.String())
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && stands(w, v.Elem())
	case reflect.Slice, reflect.Array:
		if raw, ok := rawOf(v); ok {
			var open any
			if json.Unmarshal(raw, &open) != nil {
				open = string(raw)
			}
			return w.Names.In(open)
		}
		for n := range v.Len() {
			if stands(w, v.Index(n)) {
				return true
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			if stands(w, k) || stands(w, v.MapIndex(k)) {
				return true
			}
		}
	case reflect.Struct:
		for n := range v.NumField() {
			if v.Type().Field(n).IsExported() && stands(w, v.Field(n)) {
				return true
			}
		}
	}
	return false
}

// rawOf are bytes that are a text.
func rawOf(v reflect.Value) ([]byte, bool) {
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Uint8 || !utf8.Valid(v.Bytes()) {
		return nil, false
	}
	return v.Bytes(), true
}

// written is a copy of a value with the pseudonym; key is the name of the field that it is in. What a type keeps for
// itself stays.
func written(w pseudonym.Writer, v reflect.Value, key string) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		if v.IsNil() || v.Kind() == reflect.Pointer && v.Type().Elem().PkgPath() == "time" { // a zone
			return v
		}
	}
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		out.SetString(w.Member(key, v.String()))
	case reflect.Pointer:
		out.Set(reflect.New(v.Type().Elem()))
		out.Elem().Set(written(w, v.Elem(), key))
	case reflect.Interface:
		out.Set(written(w, v.Elem(), key))
	case reflect.Slice:
		if raw, ok := rawOf(v); ok {
			out.SetBytes(w.Bytes(raw))
			break
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for n := range v.Len() {
			out.Index(n).Set(written(w, v.Index(n), key))
		}
	case reflect.Map:
		out.Set(reflect.MakeMap(v.Type()))
		for _, k := range v.MapKeys() {
			out.SetMapIndex(written(w, k, ""), written(w, v.MapIndex(k), key))
		}
	case reflect.Struct:
		for n := range v.NumField() {
			if f := v.Type().Field(n); f.IsExported() && f.Name != "Parameters" { // see erasure.Integrations
				out.Field(n).Set(written(w, v.Field(n), f.Name))
			}
		}
	}
	return out
}
