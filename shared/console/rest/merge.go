package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"tocsin/shared/destination"
)

// Merged is a member of a merge patch that is merged itself, member by member. Others are replaced as a whole.
type Merged interface{ Merged() }

// Remove has a merge patch remove what it names with null (RFC 7396), where decoding takes null for left out: body, a
// pointer to the struct that raw was read into, gets the empty value in its place. What has none is refused.
func Remove(raw []byte, body any) error {
	var wrong destination.InvalidParameters
	remove(raw, reflect.ValueOf(body).Elem(), &wrong)
	if len(wrong) > 0 {
		return NewProblem(http.StatusUnprocessableEntity, "the request is not valid", wrong...)
	}
	return nil
}

func remove(raw []byte, into reflect.Value, wrong *destination.InvalidParameters) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil { // huma has read it before
		return
	}
	for n := range into.NumField() {
		name, _, _ := strings.Cut(into.Type().Field(n).Tag.Get("json"), ",")
		is, named := members[name]
		named = named || members == nil // it is null itself, and so is all that it has
		field := into.Field(n)
		if !named || field.Kind() != reflect.Pointer {
			continue
		}
		if is == nil || bytes.Equal(is, []byte("null")) {
			if field.Type().Elem().Kind() == reflect.Bool {
				wrong.Add(name, "expected boolean")
				continue
			}
			is = json.RawMessage("null")
			field.Set(reflect.New(field.Type().Elem()))
		}
		if _, ok := field.Interface().(Merged); ok {
			remove(is, field.Elem(), wrong)
		}
	}
}
