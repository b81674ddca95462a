package event

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Schema is the JSON Schema (2020-12) of an event of the kind, as Parse reads it. Members of the data that it does not
// name travel on to machines.
func (k Kind) Schema() map[string]any {
	ascii := func(most int) map[string]any {
		return map[string]any{"type": "string", "minLength": 1, "maxLength": most, "pattern": "^[ -~]+$"}
	}
	return map[string]any{
		"type": "object", "additionalProperties": false,
		"required": []string{"version", "id", "tenant", "time", "data"},
		"properties": map[string]any{
			"version": map[string]any{"const": Version}, "id": ascii(maxID), "tenant": ascii(maxTenant),
			"client_name": map[string]any{"type": "string", "maxLength": maxClientName},
			"time":        schemaOf(reflect.TypeFor[Timestamp]()),
			"data":        schemaOf(kinds[k].data),
		},
	}
}

// schemaOf is the schema of a type of data. Tags of its members say what its check asks for.
func schemaOf(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[Timestamp]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Seconds]():
		return map[string]any{"type": []string{"number", "string"}, "description": "Unix seconds, or RFC 3339"}
	case reflect.TypeFor[json.Number]():
		return map[string]any{"type": []string{"integer", "string"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		s := schemaOf(t.Elem())
		switch of := s["type"].(type) {
		case string:
			s["type"] = []string{of, "null"}
		case []string:
			s["type"] = append(of, "null")
		}
		return s
	case reflect.Struct:
		s := map[string]any{"type": "object", "properties": map[string]any{}}
		addMembers(s, t)
		return s
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	}
	panic(fmt.Sprintf("event: no schema for %s", t)) // a test walks every kind
}

// addMembers adds the members of a struct to its schema, those of embedded ones among them.
func addMembers(to map[string]any, t reflect.Type) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			addMembers(to, f.Type)
			continue
		}
		at := f.Type
		required := f.Tag.Get("required") == "true"
		if required && at.Kind() == reflect.Pointer {
			at = at.Elem()
		}
		s := schemaOf(at)
		narrow(s, f.Tag)
		if of, ok := s["enum"].([]string); ok && at.Kind() == reflect.Pointer {
			var either []any
			for _, v := range of {
				either = append(either, v)
			}
			s["enum"] = append(either, nil)
		}
		if required {
			have, _ := to["required"].([]string)
			to["required"] = append(have, name)
			if s["type"] == "string" && s["enum"] == nil {
				s["minLength"] = 1
			}
		}
		to["properties"].(map[string]any)[name] = s
	}
}

// narrow adds what the tags say to a member's schema.
func narrow(s map[string]any, tag reflect.StructTag) {
	if v := tag.Get("enum"); v != "" {
		s["enum"] = strings.Split(v, ",")
	}
	for _, bound := range []string{"minimum", "minItems"} {
		if n, err := strconv.Atoi(tag.Get(bound)); err == nil {
			s[bound] = n
		}
	}
	if tag.Get("format") == "ip" {
		s["anyOf"] = []any{map[string]any{"format": "ipv4"}, map[string]any{"format": "ipv6"}}
	}
	if v := tag.Get("anyOf"); v != "" {
		var either []any
		for name := range strings.SplitSeq(v, ",") {
			either = append(either, map[string]any{"required": []string{name}})
		}
		s["anyOf"] = either
	}
}

//go:embed examples.json
var examplesJSON []byte

var examples = sync.OnceValue(func() (out map[Kind]json.RawMessage) {
	if err := json.Unmarshal(examplesJSON, &out); err != nil {
		panic(fmt.Sprintf("event: examples.json: %v", err)) // it is embedded
	}
	return out
})

// Example is a made-up event of the kind.
func (k Kind) Example() Event {
	return Event{ID: "evt-" + string(k), Tenant: "42", ClientName: "Acme", Kind: k, Data: examples()[k],
		Time: time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC)}
}

// Own reports whether Tocsin itself publishes the kind; the platform publishes the others.
func (k Kind) Own() bool {
	switch k {
	case CreateIntegration, UpdateIntegration, EnableIntegration, DisableIntegration, DeleteIntegration,
		IntegrationBroken, IntegrationFailing, IntegrationWorking, TriggerCreate, TriggerUpdate, TriggerDelete, Report,
		ScheduledDigest, AddressUndeliverable, APITokenExpiring, CommandNotTaken, AttacksExceeded, IncidentsExceeded:
		return true
	}
	return k.Command()
}
