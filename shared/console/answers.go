package console

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// answered gives an answer of JSON an example: of each member what its tag says, or what such a member holds.
func answered(known huma.Registry, o *huma.Operation) {
	for status, r := range o.Responses {
		if !strings.HasPrefix(status, "2") {
			continue
		}
		for kind, media := range r.Content {
			if strings.HasPrefix(kind, "application/json") && media.Example == nil && media.Schema != nil {
				media.Example = exampleOf(known, media.Schema, "", nil)
			}
		}
	}
}

// commonly are what members of these names hold, where nothing else is said.
var commonly = map[string]string{
	"id": "01JD0000000000000000000000", "name": "Ops channel", "email": "ada@example.com", "tenant": "42",
	"client_name": "Acme", "system": "slack", "time_zone": "Europe/Berlin", "created_by": "ada@example.com",
	"updated_by": "ada@example.com", "host": "shop.example.com", "next_cursor": "", "role": "administrator",
}

// exampleOf makes an example of a schema; within are the schemas around it, for those that hold themselves.
func exampleOf(known huma.Registry, s *huma.Schema, name string, within []string) any {
	if s.Ref != "" {
		for _, around := range within {
			if around == s.Ref {
				return nil
			}
		}
		return exampleOf(known, known.SchemaFromRef(s.Ref), name, append(within, s.Ref))
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Default != nil:
		return s.Default
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.OneOf) > 0:
		return exampleOf(known, s.OneOf[0], name, within)
	case len(s.AnyOf) > 0:
		return exampleOf(known, s.AnyOf[0], name, within)
	}
	switch s.Type {
	case huma.TypeObject:
		out := map[string]any{}
		for member, of := range s.Properties {
			if v := exampleOf(known, of, member, within); v != nil {
				out[member] = v
			}
		}
		return out
	case huma.TypeArray:
		if v := exampleOf(known, s.Items, name, within); v != nil {
			return []any{v}
		}
		return []any{}
	case huma.TypeInteger, huma.TypeNumber:
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 1
	case huma.TypeBoolean:
		return true
	case huma.TypeString:
		return textOf(s, name)
	}
	return map[string]any{}
}

func textOf(s *huma.Schema, name string) string {
	switch s.Format {
	case "date-time":
		return "2026-11-01T06:00:00Z"
	case "date":
		return "2026-11-01"
	case "uri":
		return "https://example.com/"
	}
	if v, ok := commonly[name]; ok {
		return v
	}
	return "…"
}
