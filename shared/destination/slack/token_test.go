package slack_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"
	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/slack"
	"tocsin/shared/notification"
)

const botToken = "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy"

var app = destinationtest.Case{
	Destination: slack.New(),
	Parameters:  `{"authorization":"token","token":"` + botToken + `","channel":"C0123456789"}`,
	Check:       checkPost,
	Secrets:     []string{botToken},
}

// checkPost decodes a call of the Web API with the types of a library that is not ours.
func checkPost(t *testing.T, r destination.Request) {
	t.Helper()
	require.Equal(t, http.MethodPost, r.Method)
	require.Contains(t, []string{slackgo.APIURL + "chat.postMessage", slackgo.APIURL + "chat.update"}, r.URL)
	require.Equal(t, "Bearer "+botToken, r.Header.Get("Authorization"))
	require.NotContains(t, string(r.Body), botToken)
	require.NotContains(t, r.URL+r.Where, botToken)
	check(t, r)
	var p struct {
		slackgo.PostMessageParameters
		TS string `json:"ts"`
	}
	require.NoError(t, json.Unmarshal(r.Body, &p))
	require.Equal(t, "C0123456789", p.Channel)
	require.False(t, p.UnfurlLinks || p.UnfurlMedia || p.Markdown)
	require.Equal(t, r.URL == slackgo.APIURL+"chat.update", p.TS != "")
	require.Equal(t, p.ThreadTimestamp == "", p.MetaData.EventType == "platform_event",
		"what begins a thread can be found again")
}

func TestAPostOfAnApp(t *testing.T) {
	var all bytes.Buffer
	system := slack.New().System()
	for _, n := range append(destinationtest.Notifications(system), destinationtest.Findings(system)...) {
		rs := destinationtest.Encode(t, app, n)
		require.Len(t, rs, 1)
		require.Equal(t, rs[0].Body, destinationtest.Encode(t, app, n)[0].Body)
		checkPost(t, rs[0])
		if n.Test || n.Step() != 0 {
			fmt.Fprintf(&all, "%s %s\n%s\n", rs[0].Method, rs[0].URL, rs[0].Body)
		}
	}
	for _, s := range destinationtest.Hostile() {
		for _, n := range destinationtest.HostileNotifications(s) {
			checkPost(t, destinationtest.Encode(t, app, n)[0])
		}
	}
	destinationtest.Golden(t, "testdata/posts.golden", all.Bytes())
}

func appTarget(t *testing.T) destination.Target {
	return destination.Target{Parameters: destinationtest.Open(t, app), Delivery: "01GTD8R400000000000000TEST",
		Now: destinationtest.Now}
}

func TestWhatBecomesOfAnObjectIsInTheThreadOfItsFirstMessage(t *testing.T) {
	var all bytes.Buffer
	follow := func(n notification.Notification) []destination.Request {
		rs, err := slack.New().Follow(appTarget(t), n, "C0123456789 1677628800.000100")
		require.NoError(t, err)
		require.Len(t, rs, 2)
		for _, r := range rs {
			checkPost(t, r)
		}
		require.Contains(t, rs[0].URL, "chat.update", "what can be done twice comes first")
		require.Contains(t, string(rs[0].Body), `"ts":"1677628800.000100"`)
		require.Contains(t, string(rs[1].Body), `"thread_ts":"1677628800.000100"`)
		return rs
	}
	for _, n := range destinationtest.Findings(slack.New().System()) {
		n.Zone = time.UTC
		for _, r := range follow(n) {
			fmt.Fprintf(&all, "== %s %s ==\n%s %s\n%s\n", n.Event.ID, n.Language, r.Method, r.URL, r.Body)
		}
	}
	for _, s := range destinationtest.Hostile() {
		for _, n := range destinationtest.HostileNotifications(s)[:2] {
			follow(n)
		}
	}
	destinationtest.Golden(t, "testdata/threads.golden", all.Bytes())
	_, follows := slack.New().Following(destination.Target{Parameters: destinationtest.Open(t, suite)})
	require.False(t, follows, "a webhook knows nothing of what it posted")
}

func TestWhatIsWrongWithTheParametersOfAnApp(t *testing.T) {
	p := slack.New().System().Parameters
	for raw, says := range map[string]string{
		`{}`:                           "parameters.webhook_url: is required when the authorization is by webhook",
		`{"authorization":"token"}`:    "parameters.token: is required when the authorization is by token; parameters.channel: is required",
		`{"authorization":"bot"}`:      "parameters.authorization: must be one of",
		`{"token":"` + botToken + `"}`: "parameters.webhook_url: is required",
		`{"authorization":"token","token":"xoxp-1-2-abcdefghijklmnop","channel":"C0123456789"}`:        "parameters.token: must be a bot token",
		`{"authorization":"token","token":"xoxe.xoxb-1-abcdefghijklmnop","channel":"C0123456789"}`:     "parameters.token: is a token that Slack changes",
		`{"authorization":"token","token":"xoxb-1-2-abc\r\nHost: x","channel":"C0123456789"}`:          "parameters.token: has the wrong form",
		`{"authorization":"token","token":"` + botToken + `","channel":"#general"}`:                    "parameters.channel: must be the channel's ID",
		`{"authorization":"token","token":"` + botToken + `","channel":"C0123456789&x=y"}`:             "parameters.channel: must be the channel's ID",
		`{"authorization":"token","token":"` + botToken + `","channel":"C0123456789","colour":"blue"}`: "parameters.colour",
	} {
		_, err := p.Complete(json.RawMessage(raw))
		require.ErrorContains(t, err, says, raw)
		require.NotContains(t, err.Error(), "xox"+"p-1")
		require.NotContains(t, err.Error(), botToken)
	}
	old, err := p.Open(json.RawMessage(`{"webhook_url":"https://hooks.slack.com/services/T/B/x"}`))
	require.NoError(t, err)
	rs, err := slack.New().Encode(destination.Target{Parameters: old},
		destinationtest.Notifications(slack.New().System())[:1])
	require.NoError(t, err)
	require.Equal(t, "https://hooks.slack.com/services/T/B/x", rs[0].URL, "one that was saved before there was a choice")
}

// words are the errors of the Web API that its documentation lists for what is called here, and some of none.
var words = []string{"not_in_channel", "channel_not_found", "is_archived", "is_inactive", "invalid_auth", "not_authed",
	"token_revoked", "account_inactive", "token_expired", "no_permission", "not_allowed_token_type", "access_denied",
	"accesslimited", "team_access_not_granted", "enterprise_is_restricted", "restricted_action", "ekm_access_denied",
	"two_factor_setup_required", "restricted_action_read_only_channel", "restricted_action_thread_only_channel",
	"restricted_action_non_threadable_channel", "messages_tab_disabled", "team_not_found", "org_login_required",
	"team_added_to_org", "msg_too_long", "msg_blocks_too_long", "too_many_attachments", "metadata_too_large", "no_text",
	"invalid_blocks", "invalid_blocks_format", "invalid_metadata_format", "invalid_metadata_schema", "ratelimited",
	"rate_limited", "message_limit_exceeded", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
	"message_not_found", "cant_update_message", "edit_window_closed", "restricted_action_thread_locked",
	"cannot_reply_to_message", "unheard_of"}

func TestAnswersToAnApp(t *testing.T) {
	first := destinationtest.Encode(t, app, destinationtest.Findings(slack.New().System())[0])[0]
	thread, err := slack.New().Follow(appTarget(t), destinationtest.Findings(slack.New().System())[1],
		"C0123456789 1.2")
	require.NoError(t, err)
	var all bytes.Buffer
	say := func(status int, header http.Header, body string) {
		fmt.Fprintf(&all, "%d %s\n", status, body)
		before := ""
		for at, q := range []destination.Request{first, thread[0], thread[1]} {
			v := q.Judge(destination.Response{Status: status, Header: header, Body: []byte(body),
				At: destinationtest.Now})
			line := fmt.Sprintf("delivered %t, wait %s, pace %t, gone %t, unread %t, missing %t, reference %q\n"+
				"      %s\n", v.Delivered, v.RetryAfter, v.Pace, v.Gone, v.Unread, v.Missing, v.Reference, v.Reason)
			if line != before {
				fmt.Fprintf(&all, "   %s: %s", []string{"first", "update", "reply"}[at], line)
			}
			before = line
			require.Equal(t, v.Delivered, v.Reason == "")
		}
	}
	say(200, nil, `{"ok":true,"channel":"C0123456789","ts":"1677628800.000100","message":{"text":"x","ts":"1677628800.000100"}}`)
	for _, w := range words {
		say(200, nil, `{"ok":false,"error":"`+w+`"}`)
	}
	say(200, nil, `{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"users:read"}`)
	say(200, nil, `{"ok":false,"error":"invalid_arguments","response_metadata":{"messages":["[ERROR] missing required field: channel"]}}`)
	say(429, http.Header{"Retry-After": {"30"}}, `{"ok":false,"error":"ratelimited"}`)
	say(429, http.Header{"Retry-After": {"30"}}, ``)
	say(503, nil, `upstream connect error`)
	say(200, http.Header{"Content-Type": {"text/html"}}, `<html><title>Sign in</title></html>`)
	say(200, nil, `{"ok":true}`)
	say(200, nil, `{"ok":"true","ts":"1","channel":"C1"}`)
	say(200, nil, `ok`)
	say(200, nil, ``)
	destinationtest.Golden(t, "testdata/answers.golden", all.Bytes())
}

// A lost message is asked for as Slack's library asks for it.
func TestALostMessageIsLookedFor(t *testing.T) {
	n := destinationtest.Findings(slack.New().System())[0]
	q := slack.New().Find(appTarget(t), n, destinationtest.Now.Add(-time.Hour))
	u, err := url.Parse(q.URL)
	require.NoError(t, err)
	require.Equal(t, "/api/conversations.history", u.Path)
	require.Equal(t, url.Values{"channel": {"C0123456789"}, "limit": {"200"}, "include_all_metadata": {"true"},
		"oldest": {"1677624600.000000"}}, u.Query())
	var own post
	require.NoError(t, json.Unmarshal(destinationtest.Encode(t, app, n)[0].Body, &own))
	other := own
	other.Metadata.EventPayload = map[string]any{"object": "42:vuln:another"}
	answer := func(messages ...post) []byte {
		body, err := json.Marshal(map[string]any{"ok": true, "messages": messages, "has_more": false})
		require.NoError(t, err)
		return body
	}
	other.TS, own.TS = "1677628900.000100", "1677628800.000100"
	reply := own
	reply.TS, reply.Thread = "1677628950.000100", own.TS
	for name, c := range map[string]struct {
		body      []byte
		delivered bool
		reference string
	}{
		"found":                 {answer(reply, other, own), true, "C0123456789 1677628800.000100"},
		"not there":             {answer(other), true, ""},
		"may not be looked for": {[]byte(`{"ok":false,"error":"missing_scope"}`), true, ""},
		"not now":               {[]byte(`{"ok":false,"error":"ratelimited"}`), false, ""},
		"no list":               {[]byte(`{"ok":true}`), false, ""},
		"a page":                {[]byte(`<html>`), false, ""},
	} {
		v := q.Judge(destination.Response{Status: 200, Body: c.body})
		require.Equal(t, c.delivered, v.Delivered, name+v.Reason)
		require.Equal(t, c.reference, v.Reference, name)
	}
}

// post is a message as Slack lists it.
type post struct {
	TS       string                `json:"ts"`
	Thread   string                `json:"thread_ts,omitempty"`
	Metadata slackgo.SlackMetadata `json:"metadata"`
}

func TestTheChannelsAreListed(t *testing.T) {
	d := slack.New()
	q, err := d.Options(appTarget(t).Parameters, "channel", "dGVhbTpDMDYx")
	require.NoError(t, err)
	u, err := url.Parse(q.URL)
	require.NoError(t, err)
	require.Equal(t, "dGVhbTpDMDYx", u.Query().Get("cursor"))
	body, err := json.Marshal(map[string]any{"ok": true, "channels": []any{
		map[string]any{"id": "C1", "name": "general"}, map[string]any{"id": "G2", "name": "sec", "is_private": true}},
		"response_metadata": slackgo.ResponseMetadata{Cursor: "next"}})
	require.NoError(t, err)
	list, next, v := d.Choices("channel", destination.Response{Status: 200, Body: body})
	require.True(t, v.Delivered)
	require.Equal(t, []destination.Option{{Value: "C1", Title: "#general"}, {Value: "G2", Title: "🔒 sec"}}, list)
	require.Equal(t, "next", next)
	_, _, v = d.Choices("channel", destination.Response{Status: 200, Body: []byte(`{"ok":false,"error":"missing_scope"}`)})
	require.Contains(t, v.Reason, "channels:read and groups:read")
	_, err = d.Options(destinationtest.Open(t, suite), "channel", "")
	require.ErrorContains(t, err, "enter the bot token first")
	_, err = d.Options(appTarget(t).Parameters, "token", "")
	require.ErrorContains(t, err, "token is not a parameter that Slack lists")
}

// library has Slack's library make a call and returns the arguments that it sends.
func library(t *testing.T, call func(c *slackgo.Client) error) (path string, sent url.Values) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		path, sent = r.URL.Path, r.PostForm
		_, _ = io.WriteString(w, `{"ok":true,"channel":"C0123456789","ts":"1677628800.000100"}`)
	}))
	defer server.Close()
	require.NoError(t, call(slackgo.New(botToken, slackgo.OptionAPIURL(server.URL+"/api/"))))
	return path, sent
}

// The calls have the arguments that Slack's library sends for the same.
func TestACallIsThatOfTheLibrary(t *testing.T) {
	const ts = "1677628800.000100"
	for _, n := range destinationtest.Findings(slack.New().System()) {
		rs, err := slack.New().Follow(appTarget(t), n, "C0123456789 "+ts)
		require.NoError(t, err)
		for _, r := range append(rs, destinationtest.Encode(t, app, n)...) {
			var m struct {
				slackgo.PostMessageParameters
				Text   string
				Blocks slackgo.Blocks
			}
			require.NoError(t, json.Unmarshal(r.Body, &m))
			path, sent := library(t, func(c *slackgo.Client) error {
				options := []slackgo.MsgOption{slackgo.MsgOptionText(m.Text, false),
					slackgo.MsgOptionBlocks(m.Blocks.BlockSet...),
					slackgo.MsgOptionPostMessageParameters(m.PostMessageParameters)}
				if m.MetaData.EventType != "" {
					options = append(options, slackgo.MsgOptionMetadata(m.MetaData))
				}
				if strings.HasSuffix(r.URL, "chat.update") {
					_, _, _, err := c.UpdateMessage(m.Channel, ts, options...)
					return err
				}
				_, _, err := c.PostMessage(m.Channel, options...)
				return err
			})
			require.Equal(t, strings.TrimPrefix(r.URL, "https://slack.com"), path)
			var ours map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(r.Body, &ours))
			for name, values := range sent {
				switch got, ok := ours[name]; {
				case name == "blocks" || name == "metadata":
					require.JSONEq(t, values[0], string(got), name)
				case name == "token":
				default:
					require.True(t, ok, "the library sends %s=%s", name, values[0])
					text := string(got)
					if text[0] == '"' {
						require.NoError(t, json.Unmarshal(got, &text))
					}
					require.Equal(t, values[0], text, name)
				}
				delete(ours, name)
			}
			for name, value := range ours { // what the library leaves out is what it takes for the default
				require.Contains(t, []string{"unfurl_links", "unfurl_media", "mrkdwn"}, name)
				require.Equal(t, "false", string(value), name)
			}
		}
	}
}
