package browser

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// condition is one of those that a trigger can have, as the API lists them.
type condition struct {
	ID, Title string
	Actions   []struct {
		ID, Title string
		Systems   []string
	}
}

// Every condition is set with all of its reactions by a person; the published event of one sets it off, and a webhook
// whose form asks for the headers of requests gets them.
func TestEveryConditionIsAddedWithAllOfItsReactions(t *testing.T) {
	t.Parallel()
	at, plain := receive(t), receive(t)
	p := program(t, "-allow", at.Host+","+plain.Host)
	add(t, p, map[string]any{"system": "web_hooks", "name": "Without headers", "events": events("siem"),
		"parameters": map[string]any{"url": plain.URL}})
	b := open(t, p, desk, "/add/web_hooks")
	b.fill("Name", "With headers")
	b.fill("Webhook URL", at.URL+"/hook")
	b.act("tick", "With the request's headers", true)
	b.act("ticked", "Hits detected", "yes")
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")

	var all struct{ Items []condition }
	require.NoError(t, p.Call("GET", "/v1/trigger-templates", nil, &all))
	require.Len(t, all.Items, 13)
	for _, c := range all.Items {
		b.follow("/triggers")
		b.click("Add trigger")
		b.click(c.Title)
		b.act("at", "/triggers/add/"+c.ID)
		b.fill("Name", "Mine: "+c.Title)
		for _, a := range c.Actions {
			b.act("tick", a.Title, true)
			if len(a.Systems) > 0 {
				b.act("tick", "With headers", true)
			}
		}
		b.act("clickIn", "form", "Add trigger")
		b.sees("Added.")
	}
	b.follow("/triggers?q=mine")
	b.act("settled")
	b.judgeWhole("conditions", desk)
	var list struct {
		Items []struct {
			Template string `json:"template_id"`
			Actions  []struct{ ID string }
		}
	}
	require.NoError(t, p.Call("GET", "/v1/triggers?q=mine", nil, &list))
	reactions := map[string]int{}
	for _, i := range list.Items {
		reactions[i.Template] = len(i.Actions)
	}
	for _, c := range all.Items {
		require.Equal(t, len(c.Actions), reactions[c.ID], c.ID)
	}
	conditionsFire(t, p, at, plain)
	b.follow("/triggers?q=denylisted")
	b.click("Mine: Denylisted IP")
	b.sees("203.0.113.9")
}

// conditionsFire publishes the event of the denylist that the documents show, and a hit.
func conditionsFire(t *testing.T, p *embedded.Process, at, plain *receiver) {
	t.Helper()
	sample, err := os.ReadFile(filepath.Join("..", "..", "events", "denylist.json"))
	require.NoError(t, err)
	var published []embedded.Entry
	require.NoError(t, json.Unmarshal(sample, &published))
	require.NoError(t, p.Publish(append(published, embedded.Entry{Source: "platform.hits", DetailType: "new_hits",
		Detail: `{"version":1,"id":"h","tenant":"42","time":"2023-03-01T00:00:00Z","data":{"hit":{"type":"sqli",` +
			`"headers":{"Cookie":["of-a-user"]}}}}`})...))
	for _, part := range []string{`"notification_type":"ip_blocked"`,
		`"trigger_name":"Mine: Denylisted IP"`, `"application":"Application #8"`, `"ip":"203.0.113.9"`,
		`"reason":"Many attacks"`, `"expire_at":"2023-03-02 12:00:00 +0000"`, `"headers":{"Cookie":["of-a-user"]}`} {
		eventually(t, part, func() (bool, error) { return strings.Contains(strings.Join(at.got(), "\n"), part), nil })
	}
	eventually(t, "the other one gets the hit", func() (bool, error) { return len(plain.got()) > 0, nil })
	require.NotContains(t, strings.Join(plain.got(), "\n"), "of-a-user")
}
