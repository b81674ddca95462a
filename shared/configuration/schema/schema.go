// Package schema is the JSON Schema of configurations, for editors and for a first check.
package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tocsin/shared/configuration"
	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/report/calendar"
	"tocsin/shared/retention"
	"tocsin/shared/trigger"
	"tocsin/shared/wording"
)

// object is a JSON object that is being made. Its members are written in the order of their names.
type object = map[string]any

// referencePattern is a text with a reference to an environment variable in it, in the form that JSON Schema takes.
const referencePattern = `\$\{[A-Za-z_][A-Za-z0-9_]*\}`

// Of is the JSON Schema of documents, made from the catalogue: draft 7, which every editor knows.
func Of(systems []destination.System) (json.RawMessage, error) {
	systems = slices.DeleteFunc(slices.Clone(systems), func(s destination.System) bool {
		return s.Personal || s.Parameters.Schema() == nil
	})
	one, err := integrationSchema(systems)
	if err != nil {
		return nil, err
	}
	name := object{"minLength": 1, "maxLength": integration.MaxName}
	section := func(of object, what string) object {
		return object{"type": "object", "propertyNames": name, "additionalProperties": of, "description": what}
	}
	return json.MarshalIndent(object{
		"$schema": "http://json-schema.org/draft-07/schema#", "title": "Configuration", "type": "object",
		"required": []string{"version"}, "additionalProperties": false,
		"properties": object{
			"version": object{"const": configuration.Version, "description": "Of the form of this document."},
			"integrations": section(one, "Integrations by their names. Without this section they are not looked at; "+
				"one that is not in it is deleted only with -prune."),
			"triggers": section(triggerSchema(), "Triggers by their names. Without this section they are not looked "+
				"at; one that is not in it is deleted only with -prune."),
			"report_settings": object{"type": "object", "required": []string{"time_zone"},
				"additionalProperties": false, "properties": object{
					"time_zone": object{"type": "string", "minLength": 1, "maxLength": 64,
						"examples": []string{"Europe/Berlin"}, "description": "IANA name. Days, weeks and months are " +
							"cut in it, reports go out at the hour of it, and people are told times in it."},
					"hour": object{"type": "integer", "minimum": 0, "maximum": 23, "description": "Of the day, in " +
						"the time zone: reports go out within the hour that begins then. Left out: " +
						strconv.Itoa(calendar.DefaultHour) + "."},
					"language": language("Of what is sent, where neither an integration nor a person has one. Left " +
						"out: English."),
					"hold": holdSchema("When what is sent to integrations with systems that people read waits, "+
						"beside their own rules.", false),
					"retention": object{"type": "object", "additionalProperties": false, "description": "How long " +
						"the tenant's events and the log of its deliveries are kept. Left out: as long as the " +
						"installation keeps them.", "properties": object{
						"events": days("Events, which hold all that is sent of them."),
						"deliveries": days("The log of deliveries, at most as long as the events. Left out: as " +
							"long as those.")}}}},
		},
	}, "", "  ")
}

var was = object{"type": "string", "minLength": 1, "description": "Its name until now. It counts only as long as " +
	"there is none with the new name, and may stay here."}

var enabled = object{"type": "boolean", "description": "Left out: as it is; a new one is enabled."}

// days is how long something is kept. The most is the installation's, which this document does not know.
func days(of string) object {
	return object{"type": "integer", "description": of + " Days; 0: as long as can be.",
		"anyOf": []object{{"const": 0}, {"minimum": retention.Least}}}
}

func language(description string) object {
	return object{"enum": wording.Languages(), "description": description}
}

func integrationSchema(systems []destination.System) (object, error) {
	var names []string
	var cases []any
	for _, s := range systems {
		parameters, err := parameterSchema(s)
		if err != nil {
			return nil, fmt.Errorf("schema of %s: %w", s.Name, err)
		}
		names = append(names, s.Name)
		cases = append(cases, only("system", s.Name, object{"events": eventSchema(s), "parameters": parameters}))
	}
	return object{
		"type": "object", "required": []string{"system"}, "additionalProperties": false,
		"properties": object{
			"system": object{"enum": names, "description": "What it connects. An integration keeps its system."},
			"was":    was, "enabled": enabled,
			"language": language("Of what people read of it. Left out: the one of report_settings."),
			"rate": object{"type": "string", "pattern": "^([1-9][0-9]{0,2}|1000)/(second|minute)$", "description": "" +
				"How many messages it is sent at most, such as 10/minute. Left out: as many as its system takes."},
			"grouping": object{"type": "string",
				"pattern": "^([2-9]|[1-9][0-9]{1,2}|1000)/([1-9]|[1-5][0-9]|60)m$", "description": "" +
					"Of systems that people read: one message for the events of some minutes, such as 50/5m: every " +
					"five minutes, of at most 50 events. Left out: a message for each event."},
			"storm_guard": object{"type": "string",
				"pattern": "^(none|([1-9][0-9]{0,2}|1000)/minute)$", "description": "" +
					"Of systems that people read: how many messages a minute has at most, such as 60/minute; what is " +
					"beyond is told in one digest a minute. none: as many as come. Left out: 60/minute."},
			"message_template": object{"type": "object", "additionalProperties": false, "description": "Its own " +
				"title and text of messages, as templates. Left out: the standard ones.",
				"properties": object{
					"title": object{"type": "string", "maxLength": messagetemplate.MaxTitle},
					"text":  object{"type": "string", "maxLength": messagetemplate.MaxText},
				}},
			"fallback": object{"type": "string", "description": "The name of the integration that gets what can " +
				"not be delivered to this one. Left out: none does."},
			"events":     object{"type": "array", "description": "What it receives; nothing without any."},
			"filters":    integrationFilters(),
			"hold":       holdSchema("When what is sent to it waits. A mute is not of a configuration.", true),
			"parameters": object{"type": "object"},
		},
		"allOf": cases,
	}, nil
}

// only are rules for the objects whose member has a value.
func only(member, value string, properties object) object {
	return object{
		"if":   object{"properties": object{member: object{"const": value}}, "required": []string{member}},
		"then": object{"properties": properties},
	}
}

func eventSchema(s destination.System) object {
	all, others := []string{}, []string{}
	for _, t := range s.Events {
		if all = append(all, string(t)); t != event.Hits {
			others = append(others, string(t))
		}
	}
	kinds := []any{object{"enum": all}}
	long := func(name, headers object) {
		kinds = append(kinds, object{"type": "object", "required": []string{"event"}, "additionalProperties": false,
			"properties": object{"event": name, "with_headers": headers}})
	}
	if len(all) > len(others) {
		long(object{"const": string(event.Hits)}, object{"type": "boolean",
			"description": "Send the request's headers with a hit."})
	}
	if len(others) > 0 {
		long(object{"enum": others}, object{"const": false})
	}
	return object{"type": "array", "uniqueItems": true, "items": object{"anyOf": kinds}}
}

// parameterSchema is that of the system, without what only the system's side sets, and with what a document may have in
// place of a value: a reference to a variable, and null for the default. Secrets may be left out.
func parameterSchema(s destination.System) (object, error) {
	var made struct {
		Properties map[string]object `json:"properties"`
	}
	if err := json.Unmarshal(s.Parameters.Schema(), &made); err != nil {
		return nil, err
	}
	fields, err := configuration.Fields(s.Parameters.Schema())
	if err != nil {
		return nil, err
	}
	properties, required := object{}, []string{}
	for _, f := range fields {
		if f.ReadOnly {
			continue
		}
		p := made.Properties[f.Name]
		if f.Required && !f.Secret {
			required = append(required, f.Name)
		}
		properties[f.Name] = parameter(p, f)
	}
	return object{"type": "object", "additionalProperties": false, "required": required, "properties": properties}, nil
}

func parameter(p object, f configuration.Field) object {
	out := object{}
	for _, name := range []string{"title", "description", "default", "writeOnly"} {
		if v, ok := p[name]; ok {
			out[name] = v
			delete(p, name)
		}
	}
	for name := range p {
		if strings.HasPrefix(name, "x-") {
			delete(p, name)
		}
	}
	kinds := []any{referable(p)}
	if f.Secret {
		out["not"] = object{"const": destination.SecretMask}
	}
	if !f.Required {
		kinds = append(kinds, object{"type": "null"})
	}
	out["anyOf"] = kinds
	return out
}

// referable is a schema whose texts may be references.
func referable(p object) object {
	for _, name := range []string{"items", "additionalProperties"} {
		if inner, ok := p[name].(map[string]any); ok {
			p[name] = referable(inner)
		}
	}
	if p["type"] == "string" || p["type"] == nil && p["enum"] != nil {
		return object{"anyOf": []any{p, object{"type": "string", "pattern": referencePattern}}}
	}
	return p
}

func triggerSchema() object {
	var names []string
	var cases []any
	for _, t := range trigger.Templates() {
		names = append(names, string(t.ID))
		rules := object{"filters": filterSchema(filter.Rules(t.Filters)), "actions": actionSchema(t)}
		if t.Threshold == nil {
			rules["threshold"] = false
		} else {
			rules["threshold"] = object{"properties": object{
				"count": object{"maximum": t.Threshold.MaxCount,
					"description": "More " + t.Threshold.Subject + " than this."},
				"period": object{"minimum": t.Threshold.MinPeriod, "maximum": t.Threshold.MaxPeriod,
					"multipleOf": t.Threshold.Step, "description": "Seconds."},
			}}
		}
		c := only("template_id", string(t.ID), rules)
		if t.Threshold != nil {
			c["then"].(object)["required"] = []string{"threshold"}
		}
		cases = append(cases, c)
	}
	whole := object{"type": "integer", "minimum": 0}
	return object{
		"type": "object", "required": []string{"template_id", "actions"}, "additionalProperties": false,
		"properties": object{
			"template_id": object{"enum": names, "description": "The condition."},
			"was":         was, "enabled": enabled,
			"comment": object{"type": "string", "maxLength": trigger.MaxComment},
			"threshold": object{"type": "object", "required": []string{"count", "period"},
				"additionalProperties": false, "properties": object{"count": whole, "period": whole}},
			"filters": object{"type": "array", "maxItems": filter.Max},
			"actions": object{"type": "array", "minItems": 1, "maxItems": trigger.MaxActions},
		},
		"allOf": cases,
	}
}

// integrationFilters is the schema of those of an integration.
func integrationFilters() object {
	out := filterSchema(filter.IntegrationRules())
	out["type"], out["maxItems"] = "array", filter.Max
	out["description"] = "What narrows the events that it gets: all must match. An event of a kind that has nothing " +
		"of what a filter looks at passes it."
	return out
}

func filterSchema(rules []filter.Rule) object {
	if len(rules) == 0 {
		return object{"maxItems": 0}
	}
	var names []string
	var cases []any
	for _, rule := range rules {
		names = append(names, string(rule.ID))
		values := object{}
		if rule.Help != "" {
			values["description"] = rule.Help
		}
		switch rule.Kind {
		case filter.KindChoice:
			var choices []string
			for _, c := range rule.Choices {
				choices = append(choices, c.Value)
			}
			values["items"] = object{"enum": choices}
		case filter.KindInteger:
			values["items"] = object{"anyOf": []any{object{"type": "integer", "minimum": -1},
				object{"type": "string", "pattern": "^(-1|0|[1-9][0-9]*)$"}}}
		default:
			values["items"] = object{"type": []string{"string", "integer"}, "minLength": 1,
				"maxLength": filter.MaxValue}
		}
		cases = append(cases, only("id", string(rule.ID), object{"values": values}))
	}
	return object{"items": object{
		"type": "object", "required": []string{"id", "operator", "values"}, "additionalProperties": false,
		"properties": object{
			"id":       object{"enum": names},
			"operator": object{"enum": []string{filter.Equal, filter.NotEqual}},
			"values":   object{"type": "array", "minItems": 1, "maxItems": filter.MaxValues},
		},
		"allOf": cases,
	}}
}

func actionSchema(t trigger.Template) object {
	var names []string
	var cases []any
	for _, id := range t.Actions {
		names = append(names, string(id))
		rules, required := object{}, []string{}
		if id == trigger.Notify {
			required = append(required, "integrations")
		} else {
			rules["integrations"] = false
		}
		if !id.Lists() {
			rules["lock_time"] = false
		}
		c := only("id", string(id), rules)
		c["then"].(object)["required"] = required
		cases = append(cases, c)
	}
	return object{"items": object{
		"type": "object", "required": []string{"id"}, "additionalProperties": false,
		"properties": object{
			"id": object{"enum": names},
			"integrations": object{"type": "array", "minItems": 1, "maxItems": trigger.MaxIntegrations,
				"uniqueItems": true, "items": object{"type": "string"}, "description": "Names of integrations."},
			"lock_time": object{"description": "Seconds; 0 for ever.", "anyOf": []any{
				object{"type": "integer", "minimum": trigger.MinLockTime, "maximum": event.Forever},
				object{"const": 0}}},
		},
		"allOf": cases,
	}}
}

// holdSchema is the schema of when what is sent waits; of is of what.
func holdSchema(of string, integrations bool) object {
	clock := func(pattern, what string) object {
		return object{"type": "string", "pattern": pattern, "description": what}
	}
	date := object{"type": "string", "format": "date", "description": "Such as 2026-12-24."}
	days := []string{}
	for _, d := range hold.Days() {
		days = append(days, string(d))
	}
	properties := object{
		"quiet": object{"type": "array", "maxItems": hold.MaxQuiet, "description": "Quiet hours.", "items": object{
			"type": "object", "required": []string{"zone"}, "additionalProperties": false, "properties": object{
				"days": object{"type": "array", "uniqueItems": true, "items": object{"enum": days},
					"description": "On which they begin. Left out: every day."},
				"first": date, "last": date,
				"from": clock("^([01][0-9]|2[0-3]):[0-5][0-9]$", "When they begin, such as 22:00. Left out with "+
					"to: whole days."),
				"to": clock("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", "When they end; on the day after where it is "+
					"not after from."),
				"zone": object{"type": "string", "minLength": 1, "maxLength": 64,
					"examples": []string{"Europe/Berlin"}, "description": "IANA name of the time zone."}},
			"dependencies": object{"first": []string{"last"}, "last": []string{"first"}, "from": []string{"to"},
				"to": []string{"from"}}}},
		"then": object{"enum": []hold.Then{hold.Send, hold.Digest, hold.Drop}, "description": "What becomes of what " +
			"came meanwhile. digest is for systems that people read. Left out: send."},
		"pass": object{"type": "array", "uniqueItems": true, "items": object{"type": "string", "minLength": 1},
			"description": "Event types and kinds that are sent at once. Left out: incidents_exceeded."},
	}
	if integrations {
		properties["own_only"] = object{"type": "boolean",
			"description": "The quiet hours of report_settings do not hold for it."}
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties, "description": of}
}
