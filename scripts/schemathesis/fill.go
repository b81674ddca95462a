package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tocsin/scripts/embedded"
)

// known is what Schemathesis can not know.
type known struct {
	token string
	// ids of what is there, by the part of a path that stands before the id.
	ids map[string]string
	// paths are the parameters of a path that an operation needs, by the operation: those that no other one has.
	paths map[string]map[string]string
	// bodies are members without which nothing gets far, by the operation.
	bodies map[string]any
}

// environment hands it to hooks.py.
func (k known) environment() (out []string, err error) {
	for name, value := range map[string]any{"TOCSIN_SEEDS": k.ids, "TOCSIN_PATHS": k.paths, "TOCSIN_BODIES": k.bodies} {
		raw, failed := json.Marshal(value)
		out, err = append(out, name+"="+string(raw)), errors.Join(err, failed)
	}
	return out, err
}

// filling makes something of everything. It does nothing once something has failed.
type filling struct {
	*embedded.Process

	known
	err error
}

// made keeps the id of what it makes.
func (f *filling) made(part, path string, body any) (out struct{ ID, Secret string }) {
	if f.err == nil {
		f.err = f.Call("POST", path, body, &out)
	}
	f.ids[part] = out.ID
	return out
}

// first waits for the first item of a list, and returns its id.
func (f *filling) first(path string) string {
	for range 300 {
		var list struct{ Items []struct{ ID string } }
		if f.err == nil {
			f.err = f.Call("GET", path, nil, &list)
		}
		if f.err != nil {
			return ""
		}
		if len(list.Items) > 0 {
			return list.Items[0].ID
		}
		time.Sleep(100 * time.Millisecond)
	}
	f.err = fmt.Errorf("there is nothing in %s, after half a minute", path)
	return ""
}

func (f *filling) publish(entries ...embedded.Entry) {
	if f.err == nil {
		f.err = f.Publish(entries...)
	}
}

// fill makes something of everything in a program whose systems are at an address.
func fill(p *embedded.Process, systems string) (known, error) {
	f := &filling{Process: p, known: known{ids: map[string]string{"address": "ada@example.com", "tenants": "42",
		"linked": "43"}, paths: map[string]map[string]string{}, bodies: map[string]any{}}}
	f.token = f.made("tokens", "/v1/tokens", map[string]any{"name": "Schemathesis", "kind": "personal"}).Secret
	hook := f.made("integrations", "/v1/integrations", map[string]any{"system": "web_hooks", "name": "SOC",
		"events":     []map[string]any{{"event": "system"}, {"event": "commands"}},
		"parameters": map[string]any{"url": "https://hooks.example.com/tocsin"}})
	trigger := map[string]any{"template_id": "user_created", "actions": []map[string]any{{"id": "send_notification",
		"params": map[string]any{"integration_ids": []string{hook.ID}}}}}
	f.made("triggers", "/v1/triggers", trigger)
	f.bodies["POST /v1/triggers"], f.bodies["POST /v1/triggers/preview"] = trigger, trigger
	f.made("reports", "/v1/reports", map[string]any{"period": map[string]any{"frequency": "weekly",
		"from": time.Now().Format(time.DateOnly)}, "format": "csv", "recipients": []string{"ada@example.com"}})
	for _, file := range []string{"user", "incident", "unknown_kind"} {
		entries, err := embedded.EventFile("events/" + file + ".json")
		f.err = errors.Join(f.err, err)
		f.publish(entries...)
	}
	f.ids["events"] = "evt-user-1"
	f.ids["delivery"] = f.first("/v1/integrations/" + hook.ID + "/deliveries")
	f.ids["dead-letters"] = f.first("/v1/dead-letters")
	// Not its own tenant, whose token would be gone.
	f.paths["POST /v1/tenants/{id}/erasure"] = map[string]string{"id": "47"}
	f.bodies["POST /v1/tenants/{id}/erasure"] = map[string]any{"confirm": "47"}
	const people = "/v1/tenants/{id}/people/erasure"
	f.bodies["POST "+people] = map[string]any{"person": "eve@example.com", "confirm": "eve@example.com"}
	for _, operation := range []string{"POST " + people, "GET " + people, "GET " + people + "/trial"} {
		f.paths[operation] = map[string]string{"id": "47"}
	}
	f.command()
	f.asked(systems)
	f.mails()
	return f.known, f.err
}

// command has a trigger ask the platform for something.
func (f *filling) command() {
	var made struct{ ID string }
	if f.err == nil {
		f.err = f.Call("POST", "/v1/triggers", map[string]any{"template_id": "vector_attack", "name": "Attacks",
			"threshold": map[string]any{"period": 900, "operator": "gt", "count": 3},
			"actions":   []map[string]any{{"id": "block_ips", "params": map[string]any{"lock_time": 3600}}}}, &made)
	}
	now := time.Now().UTC().Format(time.RFC3339)
	for n := range 4 {
		f.publish(embedded.Entry{Source: "platform.hits", DetailType: "new_hits", Detail: fmt.Sprintf(
			`{"version":1,"id":"attack-%d","tenant":"42","client_name":"Acme","time":%q,"data":{"hit":{"type":"sqli",`+
				`"host":"shop.example.com","path":"/a","remote_addr4":"203.0.113.5","payloads":["payload %[1]d"]}}}`, n, now)})
	}
	f.ids["commands"] = f.first("/v1/commands?trigger=" + made.ID)
	f.bodies["POST /v1/commands/{id}/ack"] = map[string]any{"outcome": "acknowledged"}
}

// asked makes what asks a system for something.
func (f *filling) asked(systems string) {
	var chat struct{ ID string }
	if f.err == nil {
		f.err = f.Call("POST", "/v1/integrations", map[string]any{"system": "telegram", "name": "Chat",
			"parameters": map[string]any{}}, &chat)
	}
	f.paths["POST /v1/integrations/{id}/telegram-link"] = map[string]string{"id": chat.ID}
	f.bodies["POST /v1/integrations/choices"] = map[string]any{"system": "jira", "integration": "",
		"parameter": "project", "parameters": map[string]any{"url": systems, "email": "ada@example.com",
			"token_type": "basic", "token": "0123456789"}}
}

// mails finds those to a person and of a report, which are kept because there is no mail server.
func (f *filling) mails() {
	person := f.first("/v1/people")
	own := f.first("/v1/people/" + person + "/mails")
	f.paths["POST /v1/people/{id}/mails/{delivery}/replay"] = map[string]string{"id": person, "delivery": own}
	f.paths["GET /v1/people/{id}/mails"] = map[string]string{"id": person}
	f.paths["POST /v1/profile/mails/{delivery}/replay"] = map[string]string{"delivery": f.first("/v1/profile/mails")}
	f.paths["POST /v1/reports/{id}/mails/{delivery}/replay"] = map[string]string{"id": f.ids["reports"],
		"delivery": f.first("/v1/reports/" + f.ids["reports"] + "/mails")}
}
