//go:build awslocal

package awslocal_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/telegrambot"
	"tocsin/shared/telegrambot/telegramtest"
)

// telegramRoute is the route of the template that carries Telegram's updates to the api function, without a token.
func (r *rig) telegramRoute() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		headers := map[string]string{"host": "api.example.com"}
		for name := range q.Header {
			headers[strings.ToLower(name)] = q.Header.Get(name)
		}
		payload, err := json.Marshal(map[string]any{
			"version": "2.0", "routeKey": "POST " + telegrambot.WebhookPath, "rawPath": q.URL.Path, "headers": headers,
			"body": string(body),
			"requestContext": map[string]any{"stage": "$default", "domainName": "api.example.com",
				"http": map[string]string{"method": q.Method, "path": q.URL.Path, "sourceIp": "192.0.2.1"}},
		})
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		answer, err := r.Functions["Api"].Invoke(q.Context(), payload)
		var got struct{ StatusCode int }
		if err != nil || json.Unmarshal(answer, &got) != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(got.StatusCode)
	})
}

func TestATelegramGroupIsBoundAndFollowedOverTheStack(t *testing.T) {
	server := telegramtest.Start(t)
	r := deploy(t, nil, func(o *awslocal.Options) {
		o.Allow = server.Host()
		o.Env = map[string]string{"TOCSIN_TELEGRAM_API": server.URL}
		o.Parameters = map[string]string{"TelegramToken": telegramtest.Token}
	})
	routed := false
	events, _ := awslocal.At(r.Template.Resources["ApiFunction"].Properties, "Events").(map[string]any)
	for _, e := range events {
		routed = routed || awslocal.Text(awslocal.At(e, "Properties", "Path")) == telegrambot.WebhookPath &&
			awslocal.Text(awslocal.At(e, "Properties", "Method")) == "POST"
	}
	require.True(t, routed, "the template lets Telegram through to the api function")
	gateway := httptest.NewServer(r.telegramRoute())
	t.Cleanup(gateway.Close)
	operator, err := telegrambot.New(telegrambot.Config{Telegram: telegram.Bot{Token: telegramtest.Token,
		API: server.URL},
		Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NoError(t, operator.SetWebhook(t.Context(), gateway.URL))

	var made struct{ ID string }
	r.api("POST", "/v1/integrations", map[string]any{"system": "telegram", "name": "Ops",
		"events": []map[string]any{{"event": "scope"}}, "parameters": map[string]any{}}, &made)
	var link struct{ Command string }
	r.api("POST", "/v1/integrations/"+made.ID+"/telegram-link", nil, &link)
	group, super := telegramtest.Group(-77, "Night shift"), telegramtest.Group(-1001557912345, "Night shift")
	server.Add(group)
	server.Say(group, link.Command)
	require.Contains(t, server.Sent(group.ID)[0].Text, "This chat now receives")
	time.Sleep(time.Second) // fan-out may answer from memory for that long (integration.Store)

	arrives := func(chat int64, domain string) {
		t.Helper()
		r.put([]types.PutEventsRequestEntry{r.entry("new_scope_object_domains", fmt.Sprintf(
			`{"version":1,"id":%q,"tenant":"42","time":"2026-03-01T12:00:00Z","data":{"data":[{"action":"create","entity":{"domain":%q}}]}}`, domain, domain))})
		r.eventually(domain, func() bool {
			sent := server.Sent(chat)
			return len(sent) > 0 && strings.Contains(sent[len(sent)-1].Text, domain)
		})
	}
	arrives(group.ID, "one.example.com")
	server.Upgrade(group, super, false)
	arrives(super.ID, "two.example.com") // the deliver function learns the new chat, the retry function reaches it
	require.Len(t, r.finished(1), 1)
	server.Remove(super)
	var i struct {
		Parameters struct {
			ChatID    int64  `json:"chat_id"`
			RemovedAt string `json:"removed_at"`
		}
	}
	r.api("GET", "/v1/integrations/"+made.ID, nil, &i)
	require.Equal(t, super.ID, i.Parameters.ChatID)
	require.NotEmpty(t, i.Parameters.RemovedAt)
}
