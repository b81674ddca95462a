package notification_test

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/notification"
	"tocsin/shared/wording"
)

// told is an event as a person reads it.
func told(kind event.Kind, data string, l wording.Language) notification.Notification {
	return notification.Notification{Event: event.Event{Kind: kind, Data: json.RawMessage(data)}, Language: l,
		Platform: notification.Platform{Name: "Platform", Console: "https://platform.example"}}
}

func TestTheLinkToEventsOfATriggerHasItsFilters(t *testing.T) {
	n := told(event.AttacksExceeded, `{"trigger_name":"T","counted":"hits","count":1,"period":60,"time_from":1,"time_to":61,
		"ip":"203.0.113.9","clauses":[
		{"id":"attack_type","filter":"Attack type","operator":"eq","values":["SQLi"],"codes":["sqli"]},
		{"id":"domain","filter":"Domain","operator":"ne","values":["a","b"],"codes":["a.example.com","b.example.com"]},
		{"id":"response_status","filter":"Response status","operator":"eq","values":["404"],"codes":["404"]},
		{"id":"pool","filter":"Application","operator":"eq","values":["7"],"codes":["7"]},
		{"id":"target","filter":"Target","operator":"eq","values":["and 2 more"]}]}`, "")
	link, err := url.Parse(n.Link())
	require.NoError(t, err)
	require.Equal(t, url.Values{"time_from": {"1"}, "time_to": {"61"}, "q": {"attacks sqli !d:a.example.com " +
		"!d:b.example.com statuscode:404 ip:203.0.113.9"}}, link.Query())
	n = told(event.IncidentsExceeded, `{"trigger_name":"T","time_to":61,"ip":"203.0.113.9"}`, "")
	require.Contains(t, n.Link(), "q=incidents+ip%3A203.0.113.9")
}

func TestAChangeOfAnEndpointIsToldByItsWordWithItsParameters(t *testing.T) {
	for word, headline := range map[string][2]string{
		"added":    {"A new endpoint has been discovered in your API", "API に新しいエンドポイントが見つかりました"},
		" Added ":  {"A new endpoint has been discovered in your API", "API に新しいエンドポイントが見つかりました"},
		"new":      {"A new endpoint has been discovered in your API", "API に新しいエンドポイントが見つかりました"},
		"changed":  {"An endpoint of your API has changed", "API のエンドポイントが変わりました"},
		"unused":   {"An endpoint of your API is not used any more", "API のエンドポイントが使われなくなりました"},
		"excluded": {"An endpoint of your API is not used any more", "API のエンドポイントが使われなくなりました"},
		"weird":    {"Your API has news of an endpoint", "API のエンドポイントについてお知らせがあります"},
	} {
		data := `{"endpoint_path":"/a","http_method":"GET","change_type":"` + word + `","parameters":[{"path":"user",` +
			`"name":"email","class":"request_body","change":"new"},{"name":"X-Id","class":"header"},{"odd":1}]}`
		n := told(event.APIStructureChanged, data, wording.English)
		require.Equal(t, headline[0], n.Headline(), word)
		require.Equal(t, "email (request_body, user, new), X-Id (header)", n.Labelled()["Parameters"])
		require.Equal(t, headline[1], told(event.APIStructureChanged, data, wording.Japanese).Headline(), word)
	}
	n := told(event.APIStructureChanged, `{"endpoint_path":"/a","parameters":"odd"}`, wording.English)
	require.NotContains(t, n.Labelled(), "Parameters")
}

func TestWhatATriggersMessageLeavesOutIsSaidInBothLanguages(t *testing.T) {
	const data = `{"accounts":["a@example.com"],"left_out":[{"member":"accounts","more":1454},{"member":"noise"}]}`
	for l, want := range map[wording.Language][]notification.Fact{
		wording.English:  {{"Left out", "accounts: and 1454 more"}, {"Left out", "noise"}},
		wording.Japanese: {{"省略", "accounts：ほか 1454 件"}, {"省略", "noise"}},
	} {
		require.Equal(t, want, told(event.CompromisedLogins, data, l).Facts()[:2])
	}
}
