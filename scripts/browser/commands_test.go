package browser

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// asked is a command as the API lists it.
type asked struct {
	ID, Kind, State string
	OverdueAt       string `json:"overdue_at"`
}

// untaken is a program whose trigger has asked for two commands that nobody takes, with a webhook that was told so.
func untaken(t *testing.T) (p *embedded.Process, id string, commands []asked) {
	at := receive(t)
	p = program(t, "-allow", at.Host, "-command-wait", "1ms")
	add(t, p, map[string]any{"system": "web_hooks", "name": "SOC webhook", "events": events("system"),
		"parameters": map[string]any{"url": at.URL + "/hook"}})
	draft := trigger("Payloads", "")
	draft["template_id"], draft["filters"] = "vector_attack", nil
	draft["threshold"] = map[string]any{"period": 900, "operator": "gt", "count": 3}
	draft["actions"] = []map[string]any{{"id": "add_to_graylist", "params": map[string]any{"lock_time": 3600}},
		{"id": "block_ips", "params": map[string]any{"lock_time": 3600}}}
	var made struct{ ID string }
	require.NoError(t, p.Call("POST", "/v1/triggers", draft, &made))
	payloads(t, p, "203.0.113.5", 4)
	var found struct{ Items []asked }
	late := func() (bool, error) {
		err := p.Call("GET", "/v1/commands?trigger="+made.ID, nil, &found)
		return len(found.Items) == 2 && found.Items[0].OverdueAt != "" && found.Items[1].OverdueAt != "", err
	}
	eventually(t, "both commands are asked for, and found overdue", late)
	eventually(t, "the webhook is told", func() (bool, error) {
		told := 0
		for _, body := range at.got() {
			told += strings.Count(body, `"notification_type":"command_not_taken"`)
		}
		return told == 2, nil // one for each kind
	})
	return p, made.ID, found.Items
}

// What a trigger asked of the platform: nobody takes it, Home says so, a person takes it, upstream fails and lifts.
func TestCommandsOfTriggersShowWhatBecameOfThem(t *testing.T) {
	t.Parallel()
	p, id, commands := untaken(t)
	looks := []look{desk, handset, {language: "ja", theme: "dark", width: 390, height: 844, mobile: true}}
	for _, l := range looks {
		b := open(t, p, l, "/")
		b.act("settled")
		b.sees(word(l, "Commands that nobody takes", "受領されていない指示"))
		b.axe()
		b.judge("home with commands that nobody takes")
		b.picture("untaken-" + l.language + map[bool]string{true: "-phone"}[l.mobile])
	}
	b := open(t, p, desk, "/")
	b.click("Open the trigger: Command: denylist an IP address")
	b.act("at", "/triggers/"+id)
	b.sees("Not taken in time")
	b.click("Acknowledge: Command: denylist an IP address, 203.0.113.5")
	b.sees("Its lock time ends")
	var graylist string
	for _, c := range commands {
		if c.Kind == "ip_graylist_requested" {
			graylist = "/v1/commands/" + url.PathEscape(c.ID) + "/ack"
		}
	}
	require.NoError(t, p.Call("POST", graylist, map[string]any{"outcome": "failed", "reason": "no such list"}, nil))
	for _, l := range looks {
		b := open(t, p, l, "/triggers/"+id)
		b.act("settled")
		b.sees("no such list")
		b.axe()
		b.judge("a trigger whose commands were taken and failed")
		b.picture("commands-" + l.language + map[bool]string{true: "-phone"}[l.mobile])
	}
	b = open(t, p, desk, "/triggers/"+id)
	b.click("Say that it was lifted: Command: denylist an IP address, 203.0.113.5")
	b.sees("Lifted, said")
	b = open(t, p, desk, "/")
	b.act("settled")
	b.seesNot("Commands that nobody takes")
}
