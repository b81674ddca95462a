package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEnablingOffersToSaveWhatWasTyped(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := webhook(t, p, at.URL+"/hook", "SOC webhook")
	path := "/v1/integrations/" + id
	var now struct {
		Name    string
		Enabled bool
	}
	require.NoError(t, p.Call("POST", path+"/disable", nil, nil))
	b := open(t, p, desk, "/integrations/"+id)
	b.fill("Name", "Mended")
	b.click("Enable")
	b.sees("The form has changes that are not saved.")
	b.click("Cancel")
	b.act("holds", "Name", "Mended")
	b.click("Enable")
	b.picture("enable-dirty")
	b.click("Enable without saving")
	b.seesNot("Disabled by")
	b.act("holds", "Name", "Mended")
	require.NoError(t, p.Call("GET", path, nil, &now))
	require.True(t, now.Enabled)
	require.Equal(t, "SOC webhook", now.Name)
	b.click("Disable")
	b.click("Disable integration")
	b.sees("Disabled by")
	b.act("holds", "Name", "Mended")
	b.seesNot("Somebody else has changed") // it was oneself, and nothing of the form
	b.click("Enable")
	b.click("Save and enable")
	b.seesNot("Disabled by")
	b.sees("Saved.")
	require.NoError(t, p.Call("GET", path, nil, &now))
	require.True(t, now.Enabled)
	require.Equal(t, "Mended", now.Name)

	// What can not be saved is not enabled: the form says why.
	b.click("Disable")
	b.click("Disable integration")
	b.sees("Disabled by")
	b.fill("Webhook URL", "no address")
	b.click("Enable")
	b.click("Save and enable")
	b.sees("Enter a full address")
	b.sees("Disabled by")
	b.act("holds", "Webhook URL", "no address")
}

func TestWhatWasMissedIsChosenOnEnablingAndRecovered(t *testing.T) {
	t.Parallel()
	at := receive(t)
	at.answers(http.StatusOK, "thanks")
	p := program(t, "-allow", at.Host)
	id := webhook(t, p, at.URL+"/hook", "SOC webhook")
	require.NoError(t, p.Call("POST", "/v1/integrations/"+id+"/disable", nil, nil))
	vulnerabilities(t, p, "missed", 5)
	b := open(t, p, desk, "/integrations/"+id)
	b.sees("what comes meanwhile can be recovered then")
	eventually(t, "they are counted", func() (bool, error) {
		var dry struct{ Missed int }
		err := p.Call("POST", "/v1/integrations/"+id+"/recover", map[string]any{"from": "2023-03-01T00:00:00Z", "dry_run": true}, &dry)
		return dry.Missed == 5, err
	})
	b.click("Enable")
	b.sees("5 events came while it was off.")
	b.act("pick", "Also what was missed")
	b.sees("Which of them")
	b.picture("enable-missed")
	b.act("tick", "Vulnerability", false)
	b.act("leaves", false)
	b.act("escape")
	b.act("wasAsked", 1)
	b.act("tick", "Vulnerability", true)
	b.act("clickIn", "dialog", "Enable")
	b.sees("5 missed events are on their way, in")
	b.picture("enable-done")
	b.click("Close")
	b.seesNot("Disabled by")
	eventually(t, "all five arrive", func() (bool, error) { return len(at.got()) >= 5, nil })

	// From now on only: what was missed can be had later.
	b.click("Disable")
	b.click("Disable integration")
	b.sees("Disabled by")
	vulnerabilities(t, p, "later", 2)
	eventually(t, "they are counted", func() (bool, error) {
		var dry struct{ Missed int }
		err := p.Call("POST", "/v1/integrations/"+id+"/recover", map[string]any{"from": "2023-03-01T00:00:00Z", "dry_run": true}, &dry)
		return dry.Missed == 2, err
	})
	b.click("Enable")
	b.sees("2 events came while it was off.")
	b.act("clickIn", "dialog", "Enable")
	b.seesNot("Disabled by")
	b.click("Deliveries")
	b.click("Recover what was missed")
	b.sees("2 events were missed.")
	b.picture("recover")
	b.click("Recover")
	b.sees("2 missed events are on their way, in")
	b.click("Close")
	b.click("Recover what was missed")
	b.sees("Nothing was missed.")
	b.click("Cancel")
	b.act("asked", 1)
}

func TestAnIncidentManagerIsPagedOnlyOnRequest(t *testing.T) {
	t.Parallel()
	p := program(t)
	id := add(t, p, map[string]any{"system": "pager_duty", "name": "On call", "events": events("vuln_high", "vuln_medium", "vuln_low"), "parameters": map[string]any{"integration_key": strings.Repeat("a", 32)}, "enabled": false})
	vulnerabilities(t, p, "missed", 2)
	b := open(t, p, desk, "/integrations/"+id)
	b.sees("Disabled by")
	eventually(t, "they are counted", func() (bool, error) {
		var dry struct{ Missed int }
		err := p.Call("POST", "/v1/integrations/"+id+"/recover", map[string]any{"from": "2023-03-01T00:00:00Z", "dry_run": true}, &dry)
		return dry.Missed == 2, err
	})
	b.click("Enable")
	b.act("pick", "Also what was missed")
	b.act("ticked", "Also what is older than an hour: it can call somebody", "no")
	b.picture("enable-page")
}

func TestDisablingSaysWhatBecomesOfWhatWaits(t *testing.T) {
	t.Parallel()
	at := receive(t)
	at.answers(http.StatusInternalServerError, "out of order")
	p := program(t, "-allow", at.Host)
	id := webhook(t, p, at.URL+"/hook", "SOC webhook")
	vulnerabilities(t, p, "waits", 2)
	b := open(t, p, desk, "/integrations/"+id+"/deliveries")
	b.act("rows", 2)
	b.click("Disable")
	b.sees("2 deliveries wait to be sent. They end as dead, and can be replayed")
	b.picture("disable-waiting")
	b.click("Disable integration")
	b.sees("Disabled by admin@example.com")
	eventually(t, "what it says comes true", func() (bool, error) {
		var page struct{ Items []struct{ State string } }
		err := p.Call("GET", "/v1/integrations/"+id+"/deliveries?state=dead", nil, &page)
		return len(page.Items) == 2, err
	})
}
