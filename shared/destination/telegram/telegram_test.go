package telegram_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	telegrambot "github.com/go-telegram/bot"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

const token = "123456:TEST-TOKEN-OF-THE-SUITE"

var suite = destinationtest.Case{
	Destination: telegram.New(telegram.Bot{Token: token}),
	Parameters:  `{"chat_id":-1001557912345,"chat_title":"Ops","chat_type":"supergroup","bound_at":"2023-03-01T00:00:00Z"}`,
	Check:       check,
}

func TestTelegram(t *testing.T) { destinationtest.Run(t, suite) }

func FuzzTelegram(f *testing.F) { destinationtest.Fuzz(f, suite) }

// check reads a message strictly into the parameters of a library that is not ours, and its text with an HTML parser.
func check(t *testing.T, r destination.Request) {
	t.Helper()
	require.Equal(t, "https://api.telegram.org/bot"+token+"/sendMessage", r.URL)
	dec := json.NewDecoder(bytes.NewReader(r.Body))
	dec.DisallowUnknownFields()
	var m telegrambot.SendMessageParams
	require.NoError(t, dec.Decode(&m))
	require.EqualValues(t, -1001557912345, m.ChatID)
	require.EqualValues(t, "HTML", m.ParseMode)
	require.True(t, *m.LinkPreviewOptions.IsDisabled)
	require.LessOrEqual(t, len(utf16.Encode([]rune(m.Text))), 4096)
	require.NotContains(t, m.Text, "\x00")
	require.NotEmpty(t, strings.TrimSpace(plain(t, m.Text)))
}

// allowed are the tags that our messages use, all of them of Telegram's list ("HTML style").
var allowed = map[string]bool{"b": true, "i": true, "a": true, "code": true}

// plain is the text without its tags. Tags must be allowed, closed, and in order; else Telegram refuses the message.
func plain(t *testing.T, text string) string {
	t.Helper()
	var open []string
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			require.ErrorIs(t, z.Err(), io.EOF)
			require.Empty(t, open, text)
			return b.String()
		case html.StartTagToken:
			name := z.Token()
			require.True(t, allowed[name.Data], name.Data)
			require.Equal(t, name.Data == "a", len(name.Attr) == 1)
			open = append(open, name.Data)
		case html.EndTagToken:
			require.NotEmpty(t, open)
			require.Equal(t, open[len(open)-1], z.Token().Data)
			open = open[:len(open)-1]
		case html.TextToken:
			b.WriteString(z.Token().Data)
		default:
			t.Fatalf("neither a tag nor text: %q", z.Raw())
		}
	}
}

func text(t *testing.T, n notification.Notification) string {
	t.Helper()
	r := destinationtest.Encode(t, suite, n)[0]
	check(t, r)
	var m struct{ Text string }
	require.NoError(t, json.Unmarshal(r.Body, &m))
	return m.Text
}

func vulnerability(title string) notification.Notification {
	data, err := json.Marshal(map[string]any{"object_id": 1,
		"vuln": map[string]any{"threat": "High", "title": title, "path": "/search"}})
	if err != nil {
		panic(err)
	}
	return notification.Notification{Platform: destinationtest.Platform, Event: event.Event{
		ID: "e", Tenant: "42", ClientName: "Acme", Kind: event.Vuln, Time: destinationtest.Now, Data: data,
	}}
}

func TestALongTextIsCutAndSaysSo(t *testing.T) {
	for _, s := range []string{strings.Repeat("x", 100<<10), strings.Repeat("🚨", 30<<10),
		strings.Repeat("<&>", 30<<10)} {
		got := text(t, vulnerability(s))
		require.Contains(t, got, cut.Mark+"</code>")
		require.Greater(t, len(utf16.Encode([]rune(got))), 1500, "no shorter than it must be")
		require.Contains(t, got, "<code>/search</code>", "the other facts stay")
	}
}

func TestTheEventsOfABurstShareMessages(t *testing.T) {
	ns := []notification.Notification{vulnerability("first"), vulnerability("second"), vulnerability("third"),
		vulnerability(strings.Repeat("x", 10<<10)), vulnerability("last")}
	rs := destinationtest.Encode(t, suite, ns...)
	require.Len(t, rs, 2)
	for i, want := range [][]string{{"first", "second", "third"}, {"xxx", "last"}} {
		check(t, rs[i])
		for _, w := range want {
			require.Contains(t, string(rs[i].Body), w)
		}
	}
	var m struct{ Text string }
	require.NoError(t, json.Unmarshal(rs[0].Body, &m))
	require.Equal(t, strings.Join([]string{text(t, ns[0]), text(t, ns[1]), text(t, ns[2])}, "\n\n———\n\n"), m.Text,
		"each as it would be alone")
	many := make([]notification.Notification, 20)
	for i := range many {
		many[i] = vulnerability("small")
	}
	require.LessOrEqual(t, len(destinationtest.Encode(t, suite, many...)), 4)
}

func TestWhatAnAttackerWroteStaysText(t *testing.T) {
	hostile := `</code><a href="https://evil.example">Open in the Console</a> @admin &lt;`
	got := text(t, vulnerability(hostile))
	require.Equal(t, 1, strings.Count(got, "<a "), "one link, ours")
	require.Contains(t, plain(t, got), hostile)
	n := vulnerability("x")
	n.Event.ClientName = "Acme & <Söhne>"
	require.Contains(t, plain(t, text(t, n)), "Acme & <Söhne> · EU")
}

func TestNothingIsSentBeforeAChatIsBound(t *testing.T) {
	for name, c := range map[string]struct {
		bot        telegram.Bot
		parameters string
		says       string
	}{
		"no bot":  {telegram.Bot{}, `{"chat_id":1}`, "no Telegram bot"},
		"no chat": {telegram.Bot{Token: token}, `{}`, "no Telegram chat is bound"},
		"a bot thrown out": {telegram.Bot{Token: token},
			`{"chat_id":1,"chat_title":"Ops","removed_at":"2023-03-01T00:00:00Z"}`,
			"the bot was removed from the chat “Ops”"},
	} {
		t.Run(name, func(t *testing.T) {
			d := telegram.New(c.bot)
			opened := destinationtest.Open(t, destinationtest.Case{Destination: d, Parameters: c.parameters})
			_, err := d.Encode(destination.Target{Parameters: opened}, []notification.Notification{vulnerability("x")})
			var notReady *destination.NotReady
			require.ErrorAs(t, err, &notReady)
			require.Contains(t, notReady.Reason, c.says)
		})
	}
}

// TestAnswers holds our judgement against that of a library that is not ours, which gets the same answers from a
// server.
func TestAnswers(t *testing.T) {
	long := `{"ok":true,"result":{"message_id":7,"date":1677628800,"chat":{"id":1,"type":"private"},"text":"` +
		strings.Repeat("x", 8000) + `"}}`
	for name, c := range map[string]struct {
		status int
		body   string
		says   string // "" = delivered
		retry  string
		adapt  string
	}{
		"taken": {200, `{"ok":true,"result":{"message_id":7,"date":1,"chat":{"id":1,"type":"private"}}}`, "", "0s", ""},
		"taken, with an answer longer than we keep": {200, long, "", "0s", ""},
		"a refusal inside a 200": {200,
			`{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`,
			"Telegram answered 400 Bad Request: the chat is gone", "0s", ""},
		"too many": {429,
			`{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}`, "Telegram answered 429 Too Many Requests: a group takes about 20 messages a minute, a chat one a second (it says: retry after 35)", "35s", ""},
		"a supergroup now": {400,
			`{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001557912345}}`, "the group became a supergroup", "0s", `{"chat_id":-1001557912345,"chat_type":"supergroup","removed_at":null}`},
		"kicked": {403,
			`{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked from the supergroup chat"}`,
			"Telegram answered 403 Forbidden: the bot was removed from the chat", "0s", ""},
		"blocked": {403,
			`{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}`,
			"the person blocked the bot", "0s", ""},
		"may not write": {400,
			`{"ok":false,"error_code":400,"description":"Bad Request: not enough rights to send text messages to the chat"}`, "give it the right to send messages", "0s", ""},
		"a revoked token": {401, `{"ok":false,"error_code":401,"description":"Unauthorized"}`,
			"the bot's token is not valid any more", "0s", ""},
		"a token that never was": {404, `{"ok":false,"error_code":404,"description":"Not Found"}`,
			"Telegram answered 404 Not Found: no Bot API is at this address, or the bot's token is not valid", "0s",
			""},
		"a fault of its own": {502, `{"ok":false,"error_code":502,"description":"Bad Gateway"}`,
			"Telegram answered 502 Bad Gateway: Telegram has a fault of its own", "0s", ""},
		"no administrator of the channel": {400,
			`{"ok":false,"error_code":400,"description":"Bad Request: need administrator rights in the channel chat"}`,
			"give it the right to send messages", "0s", ""},
		"words that we do not know": {400,
			`{"ok":false,"error_code":400,"description":"Bad Request: SOMETHING_NEW"}`,
			"Telegram answered 400 Bad Request (it says: SOMETHING_NEW)", "0s", ""},
	} {
		t.Run(name, func(t *testing.T) {
			kept := c.body[:min(len(c.body), 4<<10)] // as egress keeps it
			v := telegram.New(telegram.Bot{Token: token}).
				Judge(destination.Response{Status: c.status, Body: []byte(kept)})
			require.Equal(t, c.says == "", v.Delivered)
			require.Contains(t, v.Reason, c.says)
			require.Equal(t, c.retry, v.RetryAfter.String())
			require.Equal(t, c.adapt, string(v.Adapt))
			require.Equal(t, c.status == 401 || c.status == 404, v.Ours, "the bot's token is the deployment's")
			agrees(t, c.status, c.body, v)
		})
	}
	for _, body := range []string{"", "<html>sign in</html>", "{}", `[1]`, `{"result":1}`} {
		v := telegram.New(telegram.Bot{Token: token}).Judge(destination.Response{Status: 200, Body: []byte(body)})
		require.False(t, v.Delivered, body)
		require.Contains(t, v.Reason, "not the Bot API's")
	}
}

func agrees(t *testing.T, status int, body string, v destination.Verdict) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	b, err := telegrambot.New(token, telegrambot.WithServerURL(server.URL), telegrambot.WithSkipGetMe())
	require.NoError(t, err)
	_, err = b.SendMessage(t.Context(), &telegrambot.SendMessageParams{ChatID: 1, Text: "x"})
	require.Equal(t, v.Delivered, err == nil, "the library says: %v", err)
	var many *telegrambot.TooManyRequestsError
	require.Equal(t, errors.As(err, &many), v.RetryAfter > 0)
	if many != nil {
		require.EqualValues(t, many.RetryAfter, v.RetryAfter.Seconds())
	}
	var moved *telegrambot.MigrateError
	require.Equal(t, errors.As(err, &moved), v.Adapt != nil)
	if moved != nil {
		var change struct {
			ChatID int `json:"chat_id"`
		}
		require.NoError(t, json.Unmarshal(v.Adapt, &change))
		require.Equal(t, moved.MigrateToChatID, change.ChatID)
	}
}

func FuzzJudge(f *testing.F) {
	f.Add(200, []byte(`{"ok":true,"result":{"text":"x`))
	f.Add(429, []byte(`{"ok":false,"parameters":{"retry_after":-5}}`))
	f.Add(400, []byte(`{"parameters":{"migrate_to_chat_id":"x"},"ok":false}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		v := telegram.New(telegram.Bot{}).Judge(destination.Response{Status: status, Body: body})
		require.Equal(t, v.Delivered, v.Reason == "")
		require.GreaterOrEqual(t, v.RetryAfter, time.Duration(0))
		if v.Delivered {
			require.Contains(t, string(body), "ok")
		}
	})
}
