package v2

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"tocsin/shared/console/rest"
	"tocsin/shared/destination"
)

// oneParameter is what a `target` without members is (product facts, 1.2). The target of every other system is an
// object, and its members have our names: the parameters were named after them.
var oneParameter = map[string]string{
	"email": "addresses", "slack": "webhook_url", "ms_teams": "webhook_url", "pager_duty": "integration_key",
	"sumo_logic": "source_url",
}

// webhooks is the type of webhooks and of the collectors, which differ in the member `subtype` of the target.
const webhooks = "web_hooks"

var collectors = []string{"fluentd", "logstash"}

// typeOf is the `type` of a system.
func typeOf(system string) string {
	if slices.Contains(collectors, system) {
		return webhooks
	}
	return system
}

// systemOf is the system of a `type` and a target.
func systemOf(kind string, target json.RawMessage) (string, error) {
	if kind != webhooks {
		return kind, nil
	}
	var t struct {
		Subtype string `json:"subtype"`
	}
	if err := json.Unmarshal(target, &t); err != nil || t.Subtype == "" || t.Subtype == webhooks {
		return webhooks, nil // what is wrong with the target is said where it is read
	}
	if !slices.Contains(collectors, t.Subtype) {
		return "", rest.NewProblem(http.StatusUnprocessableEntity, "the request is not valid",
			rest.Fault("target.subtype", "must be one of web_hooks, "+strings.Join(collectors, ", ")))
	}
	return t.Subtype, nil
}

// parameters are what a target says, as a change of the system's parameters: what it does not have stays.
func parameters(system destination.System, target json.RawMessage) (json.RawMessage, error) {
	if one, ok := oneParameter[system.Name]; ok {
		out := map[string]json.RawMessage{one: target}
		if system.Name == "slack" && len(target) > 0 && string(target) != "null" { // the API knows webhooks only
			out["authorization"] = quote("webhook")
			out["token"], out["channel"] = json.RawMessage("null"), json.RawMessage("null")
		}
		return json.Marshal(out)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(target, &members); err != nil {
		return nil, rest.NewProblem(http.StatusUnprocessableEntity, "the request is not valid",
			rest.Fault("target", "must be an object"))
	}
	out := map[string]json.RawMessage{}
	for _, f := range system.Parameters.Fields() {
		v, ok := members[f.Name]
		if !ok || f.ReadOnly {
			continue
		}
		if string(v) == `""` && !f.Required { // so a client says that there is none
			v = json.RawMessage("null")
		}
		out[f.Name] = v
	}
	if system.Name == "data_dog" {
		out["region"] = datadogRegion(out["region"])
	}
	return json.Marshal(out)
}

// datadogRegion takes a region in any case: the platform's client lets every text through. Datadog's own name of the
// site EU is EU1 (Datadog, "Getting Started with Datadog Sites").
func datadogRegion(v json.RawMessage) json.RawMessage {
	var s string
	if json.Unmarshal(v, &s) != nil {
		return orNull(v)
	}
	s = strings.ToUpper(strings.TrimSpace(s))
	if s == "EU1" {
		s = "EU"
	}
	return quote(s)
}

func orNull(v json.RawMessage) json.RawMessage {
	if v == nil {
		return json.RawMessage("null")
	}
	return v
}

func quote(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a text always encodes
	}
	return b
}

// targetOf is the target that an answer shows: of parameters that were masked.
func targetOf(system string, masked json.RawMessage) (json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	if len(masked) > 0 {
		if err := json.Unmarshal(masked, &members); err != nil {
			return nil, err
		}
	}
	if one, ok := oneParameter[system]; ok {
		return orNull(members[one]), nil
	}
	if typeOf(system) == webhooks {
		members["subtype"] = quote(system)
	}
	return json.Marshal(members)
}
