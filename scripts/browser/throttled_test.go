package browser

import (
	"testing"

	"tocsin/scripts/embedded"
)

// TestHomeSaysThatTheAccountPublishesMoreThanItMay: what is over its rate is told to administrators too.
func TestHomeSaysThatTheAccountPublishesMoreThanItMay(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host, "-tenant-events", "1/1")
	add(t, p, map[string]any{"system": "web_hooks", "name": "SOC webhook", "events": events("system"),
		"parameters": map[string]any{"url": at.URL + "/hook"}})
	entry := embedded.Entry{Source: "platform.test", DetailType: "create_user", Detail: `{"tenant":"42"}`}
	_ = p.Publish(entry, entry, entry) // two of them are told to come again, which it calls an error
	eventually(t, "what was throttled is counted", func() (bool, error) {
		var v struct{ Throttled int }
		err := p.Call("GET", "/v1/overview", nil, &v)
		return v.Throttled >= 2, err
	})
	for _, l := range []look{desk, {language: "ja", theme: "dark", width: 390, height: 844, mobile: true}} {
		b := open(t, p, l, "/")
		b.act("settled")
		b.sees(word(l, "over this account's limit", "このアカウントの上限を超えた"))
		b.axe()
		b.judge("home of an account that publishes more than it may")
		b.picture("throttled-" + l.language)
	}
}
