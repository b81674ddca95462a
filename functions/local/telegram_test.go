package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/patience"
	"tocsin/shared/telegrambot/telegramtest"
)

// TestATelegramGroupIsBoundAndServed is the way of an administrator: add, link, open in Telegram, test; then an event
// comes, and another after the group became a supergroup.
// newUser is the event of a user of that name, whose id it is too.
func newUser(t *testing.T, name string) embedded.Entry {
	detail, err := json.Marshal(map[string]any{"version": 1, "id": name, "tenant": "42", "time": "2023-03-01T00:00:00Z",
		"data": map[string]any{"user": map[string]any{"name": name, "email": "u@example.com"}}})
	require.NoError(t, err)
	return embedded.Entry{Source: "platform.test", DetailType: "create_user", Detail: string(detail)}
}

func TestATelegramGroupIsBoundAndServed(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	server := telegramtest.Start(t)
	t.Setenv("TOCSIN_TELEGRAM_TOKEN", telegramtest.Token)
	p, err := embedded.Start(binary, t.TempDir(), "-telegram-api", server.URL, "-allow", server.Host(), "-log-level",
		"debug")
	require.NoError(t, err)

	var made struct{ ID string }
	require.NoError(t, p.Call(http.MethodPost, "/v1/integrations",
		map[string]any{"system": "telegram", "name": "Ops", "parameters": map[string]any{}}, &made))
	path := "/v1/integrations/" + made.ID
	var link struct {
		GroupURL string `json:"group_url"`
		Command  string
	}
	require.NoError(t, p.Call(http.MethodPost, path+"/telegram-link", nil, &link))
	require.True(t, strings.HasPrefix(link.GroupURL, "https://t.me/"+telegramtest.Name+"?startgroup="))

	group, super := telegramtest.Group(-77, "Night shift"), telegramtest.Group(-1001557912345, "Night shift")
	server.Add(group)
	server.Say(group, link.Command)
	chat := func() (id int64) {
		var i struct {
			Parameters struct {
				ChatID int64 `json:"chat_id"`
			}
		}
		require.NoError(t, p.Call(http.MethodGet, path, nil, &i))
		return i.Parameters.ChatID
	}
	require.Eventually(t, func() bool { return chat() == group.ID }, time.Minute, 20*time.Millisecond)
	var test struct{ Delivered bool }
	require.NoError(t, p.Call(http.MethodPost, path+"/test", nil, &test))
	require.True(t, test.Delivered)
	require.NoError(t, p.Call(http.MethodPatch, path, map[string]any{"events": []map[string]any{{"event": "system"}}},
		nil))

	arrives := func(chat int64, name string) {
		t.Helper()
		require.NoError(t, p.Publish(newUser(t, name)))
		require.Eventually(t, func() bool {
			sent := server.Sent(chat)
			return len(sent) > 0 && strings.Contains(sent[len(sent)-1].Text, name)
		}, time.Minute, 20*time.Millisecond)
	}
	arrives(group.ID, "Grace")
	server.Upgrade(group, super, false)
	arrives(super.ID, "Barbara") // the first attempt learns the new chat, the second arrives
	require.Equal(t, super.ID, chat())

	begin := time.Now()
	_, err = p.Stop()
	require.NoError(t, err)
	require.Less(t, time.Since(begin), patience.Long/2, "a poll under way does not hold up a stop")
	require.NotContains(t, p.Output(), telegramtest.Token)
}

// TestABurstDoesNotDisableATelegramIntegration: a group takes about 20 messages a minute, and refuses the rest.
func TestABurstDoesNotDisableATelegramIntegration(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	server := telegramtest.Start(t)
	server.Limit(20)
	p, err := embedded.Start(binary, t.TempDir(), "-telegram-token", telegramtest.Token, "-telegram-api", server.URL,
		"-allow", server.Host(), "-log-level", "error")
	require.NoError(t, err)
	defer func() {
		_, err := p.Stop()
		require.NoError(t, err)
	}()
	var made struct{ ID string }
	require.NoError(t, p.Call(http.MethodPost, "/v1/integrations", map[string]any{
		"system": "telegram", "name": "Ops", "events": []map[string]any{{"event": "rules_and_triggers"}},
		"parameters": map[string]any{},
	}, &made))
	var link struct{ Command string }
	require.NoError(t, p.Call(http.MethodPost, "/v1/integrations/"+made.ID+"/telegram-link", nil, &link))
	group := telegramtest.Group(-77, "Night shift")
	server.Add(group)
	server.Say(group, link.Command)
	require.Eventually(t, func() bool { return len(server.Sent(group.ID)) == 1 }, time.Minute, 20*time.Millisecond)
	var burst []embedded.Entry
	for n := range 60 {
		burst = append(burst, embedded.Entry{Source: "platform.test", DetailType: "rule_update", Detail: fmt.Sprintf(
			`{"version":1,"id":"r%d","tenant":"42","time":"2023-03-01T00:00:00Z","data":{"rule":{"id":%d,"type":"vpatch"}}}`, n, n)})
	}
	for ten := range slices.Chunk(burst, 10) {
		require.NoError(t, p.Publish(ten...))
	}
	require.Eventually(t, func() bool {
		arrived := 0
		for _, m := range server.Sent(group.ID) {
			arrived += strings.Count(m.Text, "Rule:")
		}
		return arrived == len(burst)
	}, time.Minute, 20*time.Millisecond)
	var i struct{ Enabled bool }
	require.NoError(t, p.Call(http.MethodGet, "/v1/integrations/"+made.ID, nil, &i))
	require.True(t, i.Enabled)
}

func TestABadBotIsExplained(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"a token cut short": {[]string{"-telegram-token", "123:abc"}, "has not the form of a bot's token"},
		"a server on this machine": {[]string{"-telegram-token", telegramtest.Token, "-telegram-api",
			"http://127.0.0.1:8081"}, "has to be named in -allow too"},
		"a webhook without https": {[]string{"-telegram-token", telegramtest.Token, "-telegram-webhook",
			"http://example.com"}, "must begin with https://"},
	} {
		t.Run(name, func(t *testing.T) {
			out := fails(t, c.args...)
			require.Contains(t, out, c.says)
			require.NotContains(t, out, "AAEhBOweik6ad9r")
		})
	}
}
