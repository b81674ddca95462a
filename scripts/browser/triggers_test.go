package browser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func trigger(name, integration string) map[string]any {
	return map[string]any{
		"name": name, "template_id": "hits_exceeded",
		"filters":   []map[string]any{{"id": "attack_type", "operator": "eq", "values": []string{"sqli"}}},
		"threshold": map[string]any{"period": 60, "operator": "gt", "count": 1},
		"actions": []map[string]any{{"id": "send_notification",
			"params": map[string]any{"integration_ids": []string{integration}}}},
	}
}

func TestATriggerIsMadePreviewedCopiedAndDeleted(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	slack(t, p, at, "Ops channel")
	b := open(t, p, desk, "/triggers")
	b.click("Add trigger")
	b.act("at", "/triggers/add")
	b.click("Number of hits")
	b.act("at", "/triggers/add/hits_exceeded")
	b.fill("Name", "SQLi burst")
	b.fill("Fires at more", "many")
	b.act("clickIn", "form", "Add trigger")
	b.sees("Enter a whole number.")
	b.fill("Fires at more", "1")
	b.fill("hits within", "1")
	b.fill("Unit of time", "minute")
	b.sees("Choose at least one integration.")
	b.act("tick", "Ops channel", true)
	b.click("Add filter")
	b.fill("Filter 1", "attack_type")
	b.sees("Choose or enter a value, or remove this filter.")
	b.act("tick", "SQLi", true)
	b.click("Preview")
	b.sees("What it would send")
	b.sees("Nothing was sent.")
	require.Empty(t, at.got())
	b.act("clickIn", "form", "Add trigger")
	b.sees("Added.")
	b.click("Triggers")
	b.sees("More than 1 hits in 1 minute")
	b.sees("Ops channel")
	b.fill("Search by name or description", "sqli")
	b.act("at", "/triggers?q=sqli")
	b.click("Disable SQLi burst")
	b.sees("Disabled 1")
	b.click("Copy SQLi burst")
	b.sees("This is the copy.")
	b.sees("Copy of SQLi burst")
	b.click("Enable")
	b.seesNot("Disabled")
	b.click("Delete")
	b.sees("This can not be undone.")
	b.click("Delete trigger")
	b.sees("A trigger watches for a condition")
	var list struct {
		Counts map[string]int
		Items  []struct {
			Name    string
			Enabled bool
			Filters []struct{ Values []any }
		}
	}
	require.NoError(t, p.Call("GET", "/v1/triggers?q=sqli", nil, &list))
	require.Len(t, list.Items, 1)
	require.False(t, list.Items[0].Enabled)
	require.Equal(t, []any{"sqli"}, list.Items[0].Filters[0].Values)
}
