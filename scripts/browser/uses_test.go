package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// notifying makes a trigger that notifies an integration, and returns its id.
func notifying(t *testing.T, p *embedded.Process, name, integration string) string {
	t.Helper()
	var made struct{ ID string }
	require.NoError(t, p.Call("POST", "/v1/triggers", trigger(name, integration), &made))
	return made.ID
}

func TestTheDeletionOfAnIntegrationNamesTheTriggersThatUseIt(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	ops := slack(t, p, at, "Ops channel")
	notifying(t, p, "SQLi burst", ops)
	b := open(t, p, desk, "/integrations/"+ops)
	b.sees("Used by")
	b.sees("SQLi burst")
	b.picture("uses-en")
	b.click("Delete")
	b.sees("1 trigger notifies through it: “SQLi burst”.")
	b.axe()
	b.judge("deletion of an integration that is used")
	b.picture("uses-delete-en")
	b.click("Delete integration")
	b.act("at", "/")
	b.seesNot("Ops channel")
	b.follow("/triggers")
	b.sees("this integration was deleted")
}

func TestALongNameDoesNotWidenAPage(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	long := strings.Repeat("wwwwwwwwww", 20)
	id := slack(t, p, at, long)
	made := notifying(t, p, long, id)
	for _, l := range []look{desk, handset} {
		b := open(t, p, l, "/")
		for _, path := range []string{"/", "/integrations/" + id, "/triggers", "/triggers/" + made} {
			b.follow(path)
			b.act("settled")
			b.axe()
			b.judge("long names " + path)
		}
		b.click("Delete")
		b.sees("This can not be undone.")
		b.judge("long names in a dialog")
		b.act("clickIn", "dialog", "Cancel")
		b.click("Preview")
		b.sees("Nothing was sent.")
		b.judge("long names in a preview")
		b.picture("long-name-" + l.language + map[bool]string{true: "-phone"}[l.mobile])
	}
}

func TestManyCheckBoxesAreSearched(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	for n := range 14 {
		slack(t, p, at, "Channel "+string(rune('A'+n)))
	}
	for _, l := range []look{desk, handset, {language: "ja", theme: "dark", width: 390, height: 844, mobile: true}} {
		b := open(t, p, l, "/triggers/add/hits_exceeded")
		b.act("settled")
		search, hits := "Search in: Integrations", "Channel K"
		if l.language == "ja" {
			search = "「連携」から探す"
		}
		b.fill(search, "nnel K")
		b.act("tick", hits, true)
		b.seesNot("Channel B")
		b.fill(search, "")
		b.sees("Channel B")
		b.sees(map[string]string{"en": "1 chosen: Channel K.", "ja": "1 件を選択中：Channel K。"}[l.language])
		b.axe()
		b.judge("check boxes")
		b.picture("ticks-" + l.language + map[bool]string{true: "-phone"}[l.mobile])
	}
}

// handset is a phone.
var handset = look{language: "en", theme: "light", width: 390, height: 844, mobile: true}

func TestATriggerShowsItsCountAndWhenItFired(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	draft := trigger("SQLi burst", slack(t, p, at, "Ops channel"))
	draft["template_id"], draft["filters"] = "vector_attack", nil
	draft["threshold"] = map[string]any{"period": 900, "operator": "gt", "count": 3}
	var made struct{ ID string }
	require.NoError(t, p.Call("POST", "/v1/triggers", draft, &made))
	b := open(t, p, desk, "/triggers/"+made.ID)
	b.sees("It has not fired in the last 30 days.")
	b.sees("Nothing in its period.")
	payloads(t, p, "203.0.113.6", 2)
	payloads(t, p, "203.0.113.5", 4)
	for _, l := range []look{desk, handset, {language: "ja", theme: "dark", width: 390, height: 844, mobile: true}} {
		b := open(t, p, l, "/triggers/"+made.ID)
		b.sees(map[string]string{"en": "2 of 3 in the last 15 minutes, from 203.0.113.6",
			"ja": "203.0.113.6 から直近の"}[l.language])
		b.sees(map[string]string{"en": "4 in 15 minutes from 203.0.113.5; the threshold is 3.",
			"ja": "（しきい値は 3 件）"}[l.language])
		b.axe()
		b.judge("a trigger that fired")
		b.picture("firings-" + l.language + map[bool]string{true: "-phone"}[l.mobile])
		pressing(t, l)(b, word(l, "What became of it", "その後の結果"))
		b.act("at", "/events/")
		b.sees(word(l, "The trigger that sent it", "送信したトリガー"))
		b.sees("Ops channel")
	}
}

// payloads publishes hits of an address with different payloads.
func payloads(t *testing.T, p *embedded.Process, ip string, n int) {
	t.Helper()
	var entries []embedded.Entry
	for k := range n {
		entries = append(entries, embedded.Entry{Source: "platform.hits", DetailType: "new_hits", Detail: fmt.Sprintf(
			`{"version":1,"id":"%s-%d","tenant":"42","client_name":"Acme","time":%q,"data":{"hit":{"type":"sqli",`+
				`"host":"shop.example.com","path":"/a","remote_addr4":%[1]q,"payloads":["payload %[2]d"]}}}`, ip, k,
			time.Now().UTC().Format(time.RFC3339))})
	}
	require.NoError(t, p.Publish(entries...))
}
