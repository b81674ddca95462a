package notification_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/notification"
)

var platform = notification.Platform{Name: "Platform", Console: "https://console.example.com", Cloud: "US"}

func of(kind event.Kind, data string) notification.Notification {
	return notification.Notification{Platform: platform, Event: event.Event{
		ID: "e1", Tenant: "42", ClientName: "Acme", Kind: kind, Time: time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC),
		Data: json.RawMessage(data),
	}}
}

func TestTheEnvelopeIsThatOfTheFacts(t *testing.T) {
	n := of(event.Vuln,
		`{"object_id":555,"vuln":{"domain":"shop.example.com","id":"PLT-42-I0001","method":"GET","parameter":"q","path":"/search","title":"Reflected XSS","discovered_by":"scanner","threat":"Medium","type":"XSS"}}`)
	require.JSONEq(t, `{"summary":"[Platform] New vulnerability detected",
		"description":"Notification type: vuln\n\nA vulnerability was found in a protected system.\n\nID: PLT-42-I0001\nTitle: Reflected XSS\nDomain: shop.example.com\nPath: /search\nMethod: GET\nDiscovered by: scanner\nParameter: q\nType: XSS\nThreat: Medium\n\nMore details: https://console.example.com/object/555\n\nClient: Acme\nCloud: US\n",
		"details":{"client_name":"Acme","cloud":"US","notification_type":"vuln","vuln_link":"https://console.example.com/object/555",
			"vuln":{"domain":"shop.example.com","id":"PLT-42-I0001","method":"GET","parameter":"q","path":"/search","title":"Reflected XSS","discovered_by":"scanner","threat":"Medium","type":"XSS"}}}`,
		string(n.Envelope()))
}

func TestADenylistedAddressHasThePublishedBody(t *testing.T) {
	n := of(event.IPBlocked, `{"trigger_name":"Denylist watch","application":"Application #8","reason":"Many attacks",`+
		`"expire_at":"2023-03-02 12:00:00 +0000","ip":"203.0.113.9","reaction":{"trigger":"t","integrations":["i"]}}`)
	n.Platform = notification.Platform{Name: "Platform", Cloud: "EU"}
	// The published body (facts, 1.11).
	require.JSONEq(t, `{"summary": "[Platform] Trigger: New IP address was denylisted",
		"description": "Notification type: ip_blocked\n\n203.0.113.9 is on the denylist until 2023-03-02 12:00:00 +0000. Reason: Many attacks.\nTrigger: \"Denylist watch\". Application: Application #8.\n\nClient: Acme\nCloud: EU\n",
		"details": {"client_name": "Acme", "cloud": "EU", "notification_type": "ip_blocked",
			"trigger_name": "Denylist watch", "application": "Application #8", "reason": "Many attacks",
			"expire_at": "2023-03-02 12:00:00 +0000", "ip": "203.0.113.9"}}`, string(n.Envelope()))
}

func TestAHitTravelsOnAsUpstreamWroteIt(t *testing.T) {
	hit := `{"type":"sqli","payloads":["' or 1=1--"],"probability":0.5,"regex_hash":-2147483648,"unheard_of":{"a":[1,2.50]},"headers":{"Cookie":["s"]}}`
	n := of(event.NewHits, `{"experimental":false,"hit":`+hit+`}`)
	require.JSONEq(t, `{"summary":"[Platform] New hit detected","details":{"client_name":"Acme","cloud":"US","notification_type":"new_hits",
		"hit":{"type":"sqli","payloads":["' or 1=1--"],"probability":0.5,"regex_hash":-2147483648,"unheard_of":{"a":[1,2.50]}}}}`, string(n.Envelope()))
	require.Contains(t, string(n.Envelope()), "2.50", "numbers keep their form")
	n.Headers = true
	require.Contains(t, string(n.Envelope()), `"headers":{"Cookie":["s"]}`)
	require.Empty(t, n.Description(), "facts, 1.6: absent in hits")
	require.NotEmpty(t, n.PlainText())
}

func TestTheDataCanNotForgeOurMembers(t *testing.T) {
	for _, data := range []string{
		`{"hit":{"type":"x"},"client_name":"Eve","cloud":"XX","notification_type":"y"}`,
		`{"hit":{"type":"x"},"\u0063loud":"XX"}`,
	} {
		var got struct{ Details map[string]any }
		envelope := of(event.NewHits, data).Envelope()
		require.NoError(t, json.Unmarshal(envelope, &got))
		require.Equal(t, "US", got.Details["cloud"])
		require.Equal(t, "new_hits", got.Details["notification_type"])
		require.Equal(t, 1, strings.Count(string(envelope), `"cloud"`))
	}
}

func TestATestSaysSo(t *testing.T) {
	var summaries []string
	for _, n := range notification.Samples(notification.Advanced, platform, "42", "Test partner", "id", time.Now()) {
		require.NoError(t, n.Event.Validate())
		var got struct{ Summary string }
		require.NoError(t, json.Unmarshal(n.Envelope(), &got))
		summaries = append(summaries, got.Summary)
		require.True(t, strings.HasPrefix(n.Summary(), "[Test message] [Test partner] "),
			"messengers leave the cloud out")
	}
	require.Equal(t, []string{
		"[Test message] [Test partner(US)] New user was added to the company account",
		"[Test message] [Test partner(US)] New hit detected",
		"[Test message] [Test partner(US)] Network perimeter has changed",
		"[Test message] [Test partner(US)] Trigger was created",
		"[Test message] [Test partner(US)] New vulnerability detected",
	}, summaries, "facts, 1.12")
	require.Len(t, notification.Samples(notification.Basic, platform, "42", "", "id", time.Now()), 4)
	require.Len(t, notification.Samples(notification.Mail, platform, "42", "", "id", time.Now()), 3)
}

func TestEveryKindHasItsWords(t *testing.T) {
	for _, k := range event.Kinds() {
		n := of(k, `{}`)
		require.NotEqual(t, string(k), n.Headline(), "%s has a headline of its own", k)
		require.True(t, json.Valid(n.Envelope()), k)
	}
}

func TestALongScopeSaysHowManyMore(t *testing.T) {
	n := of(event.NewScopeIPs, `{"data":[`+strings.Repeat(`{"entity":{"ip":"203.0.113.8"}},`, 29)+
		`{"entity":{"ip":"203.0.113.9"}}]}`)
	facts := n.Facts()
	require.Len(t, facts, 21)
	require.Equal(t, notification.Fact{Label: "And", Value: "10 more"}, facts[20])
}

func TestTheDedupKeyIsStable(t *testing.T) {
	n := of(event.NewHits, `{"hit":{"type":"x"}}`)
	require.Equal(t, "42:e1", n.Dedup())
	n.Test = true
	require.NotEqual(t, "42:e1", n.Dedup(), "a test never updates a real incident")
}

func FuzzEnvelope(f *testing.F) {
	for _, data := range []string{`{"hit":{"type":"sqli"}}`, `{ }`, "{\n\"hit\" : {\"type\":\"x\",\"headers\":1}\r\n}",
		`{"a":1,"a":2,"cloud":[]}`, `{"vuln_link":"x","vuln":{"threat":"Low"}}`} {
		for _, kind := range []string{"new_hits", "vuln", "create_user"} {
			f.Add(kind, data)
		}
	}
	f.Fuzz(func(t *testing.T, kind, data string) {
		n := of(event.Kind(kind), data)
		if n.Event.Validate() != nil {
			return
		}
		envelope := n.Envelope()
		require.True(t, json.Valid(envelope), string(envelope))
		require.NotContains(t, string(envelope), "\n", "one line: NDJSON receivers count them")
		seen := map[string]int{}
		dec := json.NewDecoder(bytes.NewReader(n.Details()))
		_, err := dec.Token()
		require.NoError(t, err)
		for dec.More() {
			name, err := dec.Token()
			require.NoError(t, err)
			seen[name.(string)]++
			var skip json.RawMessage
			require.NoError(t, dec.Decode(&skip))
		}
		for _, ours := range []string{"client_name", "cloud", "notification_type"} {
			require.Equal(t, 1, seen[ours])
		}
		_, err = dec.Token()
		require.False(t, errors.Is(err, io.EOF))
	})
}

// TestP5EachLinkLeadsToTheConsoleThatHasThePage: integrations and triggers are ours, everything else is the platform's.
func TestP5EachLinkLeadsToTheConsoleThatHasThePage(t *testing.T) {
	platform := notification.Platform{Name: "Platform", Console: "https://platform.example",
		Pages: "https://tocsin.example", Cloud: "EU"}
	for kind, c := range map[event.Kind]struct{ data, link string }{
		event.IntegrationBroken: {`{"integration":{"id":"i1"}}`, "https://tocsin.example/integrations/i1"},
		event.TriggerCreate:     {`{"trigger":{"id":"t1"}}`, "https://tocsin.example/triggers"},
		event.Vuln:              {`{"object_id":5,"vuln":{"threat":"High"}}`, "https://platform.example/object/5"},
		event.CreateUser:        {`{"user":{"email":"a@example.com"}}`, "https://platform.example/settings/users"},
		event.IPBlocked:         {`{"ip":"203.0.113.9"}`, "https://platform.example/ip-lists"},
		event.NewHits:           {`{"hit":{"type":"sqli"}}`, "https://platform.example/attacks"},
	} {
		n := notification.Notification{Event: event.Event{Kind: kind, Data: json.RawMessage(c.data)},
			Platform: platform}
		require.Equal(t, c.link, n.Link(), kind)
		n.Platform.Console, n.Platform.Pages = "", ""
		require.Empty(t, n.Link(), "%s: without an address there is no link", kind)
	}
}
