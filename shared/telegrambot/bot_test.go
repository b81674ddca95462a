package telegrambot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/egress"
	"tocsin/shared/engine/memory"
	"tocsin/shared/event"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/notification"
	"tocsin/shared/patience"
	"tocsin/shared/sending"
	"tocsin/shared/telegrambot"
	"tocsin/shared/telegrambot/telegramtest"
)

var (
	ada    = activity.Actor{Tenant: "42", ClientName: "Acme", Email: "ada@example.com", Name: "Ada"}
	group  = telegramtest.Group(-100, "Ops")
	super  = telegramtest.Group(-1001557912345, "Ops")
	person = telegramtest.Person(7, "Ada", "ada")
)

// world is the bot over the real engine and a Bot API server, which calls its webhook.
type world struct {
	*telegramtest.Server
	t       testing.TB
	bot     *telegrambot.Bot
	service *integration.Service
	sender  *sending.Sender
	log     *bytes.Buffer

	mu      sync.Mutex
	clock   time.Time
	changed []string
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func open(t testing.TB) *world {
	t.Helper()
	w := &world{Server: telegramtest.Start(t), t: t, log: &bytes.Buffer{},
		clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	db := memory.New(nil)
	keys, err := keyring.Open(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	log := slog.New(slog.NewTextHandler(w.log, nil))
	account := telegram.Bot{Token: telegramtest.Token, API: w.URL}
	systems := catalogue.Default(telegram.New(account))
	policy := egress.Policy{Allow: []string{w.Host()}}
	w.service = &integration.Service{
		Store: db.Integrations(), Keys: keys, Systems: systems, Addresses: policy, Now: w.now,
		NewID: func() string { return ulid.Make().String() }, Log: log,
	}
	w.sender = &sending.Sender{
		Destinations: systems, Transport: egress.New(policy, egress.Options{}), Now: w.now, Log: log,
		Adapter:  w.service,
		Platform: notification.Platform{Name: "Tocsin", Cloud: "EU"},
	}
	w.bot, err = telegrambot.New(telegrambot.Config{
		Telegram: account, Integrations: w.service, Now: w.now, Log: log,
		Changed: func(_, id string) { w.changed = append(w.changed, id) },
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NotContains(t, w.log.String(), telegramtest.Token, "no log line shows the token") })
	return w
}

// hooked is a world whose bot gets its updates by the webhook.
func hooked(t testing.TB) *world {
	t.Helper()
	w := open(t)
	api := httptest.NewServer(w.bot)
	t.Cleanup(api.Close)
	require.NoError(t, w.bot.SetWebhook(t.Context(), api.URL))
	return w
}

func (w *world) create(name string) integration.Integration {
	w.t.Helper()
	i, err := w.service.Create(w.t.Context(), ada, integration.Draft{
		System: "telegram", Name: name, Subscriptions: []integration.Subscription{{Event: event.System},
			{Event: event.ReportDaily}},
	})
	require.NoError(w.t, err)
	return i
}

func (w *world) link(i integration.Integration) telegrambot.Link {
	w.t.Helper()
	i, err := w.service.Store.Get(w.t.Context(), i.Tenant, i.ID)
	require.NoError(w.t, err)
	l, err := w.bot.Link(w.t.Context(), i)
	require.NoError(w.t, err)
	return l
}

// start is what Telegram sends when a person opens a link.
func start(link string) string {
	_, token, _ := strings.Cut(link, "=")
	return "/start " + token
}

func (w *world) parameters(i integration.Integration) telegram.Parameters {
	w.t.Helper()
	stored, err := w.service.Store.Get(w.t.Context(), i.Tenant, i.ID)
	require.NoError(w.t, err)
	var p telegram.Parameters
	require.NoError(w.t, json.Unmarshal(stored.Parameters, &p))
	return p
}

// test presses the test button.
func (w *world) test(i integration.Integration) []sending.TestMessage {
	w.t.Helper()
	stored, err := w.service.Store.Get(w.t.Context(), i.Tenant, i.ID)
	require.NoError(w.t, err)
	opened, err := w.service.Open(w.t.Context(), stored)
	require.NoError(w.t, err)
	result, err := w.sender.Test(w.t.Context(), opened, ada, "test", nil)
	require.NoError(w.t, err)
	return result.Messages
}

func (w *world) lastSaid(chat int64) string {
	w.t.Helper()
	sent := w.Sent(chat)
	require.NotEmpty(w.t, sent)
	return sent[len(sent)-1].Text
}

func TestAPrivateChatIsBoundAndTested(t *testing.T) {
	w := hooked(t)
	i := w.create("Ops alarms")
	before := w.test(i)
	require.Len(t, before, 1)
	require.False(t, before[0].Delivered)
	require.Contains(t, before[0].Reason, "no Telegram chat is bound")

	l := w.link(i)
	require.Regexp(t, regexp.MustCompile(`^https://t\.me/tocsin_test_bot\?start=[A-Za-z0-9_-]{1,64}$`), l.Private,
		"Telegram, deep linking")
	require.Regexp(t, regexp.MustCompile(`^https://t\.me/tocsin_test_bot\?startgroup=[A-Za-z0-9_-]{1,64}$`), l.Group)
	require.Equal(t, w.now().Add(15*time.Minute), l.Expires)
	w.Say(person, start(l.Private))
	require.Contains(t, w.lastSaid(person.ID), "“Ops alarms” (Acme)")
	p := w.parameters(i)
	require.Equal(t, person.ID, p.ChatID)
	require.Equal(t, "Ada @ada", p.ChatTitle)
	require.Equal(t, "private", p.ChatType)
	require.Equal(t, []string{i.ID}, w.changed)

	messages := w.test(i)
	require.Len(t, messages, 4)
	for _, m := range messages {
		require.True(t, m.Delivered, m.Reason)
	}
	require.Contains(t, w.lastSaid(person.ID), "[Test message] [Acme] New vulnerability detected")
}

func TestAGroupIsBoundByLinkOrByHand(t *testing.T) {
	w := hooked(t)
	for n, say := range []func(telegrambot.Link) string{
		func(l telegrambot.Link) string {
			return "/start@" + telegramtest.Name + strings.TrimPrefix(start(l.Group), "/start")
		},
		func(l telegrambot.Link) string { return l.Command },
		func(l telegrambot.Link) string { return start(l.Group) },
	} {
		i := w.create("Group")
		c := telegramtest.Group(int64(-200-n), "Night shift")
		w.Add(c)
		w.Say(c, say(w.link(i)))
		p := w.parameters(i)
		require.Equal(t, c.ID, p.ChatID)
		require.Equal(t, "Night shift", p.ChatTitle)
		require.Equal(t, "group", p.ChatType)
		require.Len(t, w.test(i), 4)
	}
}

func TestALinkIsGoodOnceAndForAQuarterOfAnHour(t *testing.T) {
	w := hooked(t)
	i := w.create("Ops")
	l := w.link(i)
	w.later(15 * time.Minute)
	w.Say(person, start(l.Private))
	require.Contains(t, w.lastSaid(person.ID), "has expired")
	require.Zero(t, w.parameters(i).ChatID)

	first, second := w.link(i), w.link(i)
	w.Say(person, start(first.Private))
	require.Equal(t, person.ID, w.parameters(i).ChatID)
	eve := telegramtest.Person(666, "Eve", "")
	for _, seen := range []telegrambot.Link{first, second} {
		w.Say(eve, start(seen.Private))
		require.Contains(t, w.lastSaid(eve.ID), "not good any more", "the first use ends all links")
	}
	require.Equal(t, person.ID, w.parameters(i).ChatID)
	w.Say(person, start(first.Private))
	require.Contains(t, w.lastSaid(person.ID), "already", "Telegram may bring an update twice")

	w.later(time.Second)
	w.Add(group)
	w.Say(group, start(w.link(i).Group))
	require.Equal(t, group.ID, w.parameters(i).ChatID, "a new link moves it to another chat")
}

func TestChatDataNamesAChatThatTheBotIsIn(t *testing.T) {
	w := hooked(t)
	w.Add(group)
	w.Say(group, "/chat_data@another_bot")
	require.Empty(t, w.Sent(group.ID))
	w.Say(group, "/chat_data@"+telegramtest.Name)
	data := regexp.MustCompile(`(?m)^[A-Za-z0-9+/]{32}$`).FindString(w.lastSaid(group.ID))
	require.NotEmpty(t, data, w.lastSaid(group.ID))
	for range 2 { // Terraform makes it anew
		chat, err := w.bot.FindChat(t.Context(), data)
		require.NoError(t, err)
		i, err := w.bot.Bind(t.Context(), w.create("Ops"), chat)
		require.NoError(t, err)
		p := w.parameters(i)
		require.Equal(t, []any{group.ID, group.Title, "group"}, []any{p.ChatID, p.ChatTitle, p.ChatType})
		require.Len(t, w.test(i), 4)
	}
	for n := range data {
		flipped := []byte(data)
		if flipped[n] = 'A'; data[n] == 'A' {
			flipped[n] = 'B'
		}
		_, err := w.bot.FindChat(t.Context(), string(flipped))
		require.ErrorIs(t, err, telegrambot.ErrForeignChat, n)
	}
	for _, foreign := range []string{"", "Z72S5kwWBPYpTnLrIfvYIQ==", data + "AAAA", data[4:], "é"} {
		_, err := w.bot.FindChat(t.Context(), foreign)
		require.ErrorIs(t, err, telegrambot.ErrForeignChat, foreign)
	}
	w.Remove(group)
	_, err := w.bot.FindChat(t.Context(), data)
	require.ErrorIs(t, err, telegrambot.ErrChatGone)
	var none *telegrambot.Bot
	_, err = none.FindChat(t.Context(), data)
	require.ErrorIs(t, err, telegrambot.ErrNoBot)
}

func TestAForgedLinkBindsNothing(t *testing.T) {
	w := hooked(t)
	mine, other := w.create("Mine"), w.create("Other")
	token := strings.TrimPrefix(start(w.link(mine).Private), "/start ")
	foreign, err := w.service.Create(t.Context(), activity.Actor{Tenant: "43"},
		integration.Draft{System: "telegram", Name: "Foreign"})
	require.NoError(t, err)
	stolen := strings.TrimPrefix(start(w.link(other).Private), "/start ")
	require.NoError(t, w.service.Delete(t.Context(), ada, other.ID, 0))
	for n := range token {
		flipped := []byte(token)
		if flipped[n] = 'A'; token[n] == 'A' {
			flipped[n] = 'B'
		}
		w.Say(person, "/start "+string(flipped))
	}
	for _, bad := range []string{"", "x", token + "x", token[:47], strings.Repeat("é", 24), stolen} {
		w.Say(person, "/start "+bad)
	}
	require.Zero(t, w.parameters(mine).ChatID)
	require.Zero(t, w.parameters(foreign).ChatID)
	require.Contains(t, w.lastSaid(person.ID), "not good any more")
	w.Say(person, "/start "+token)
	require.Equal(t, person.ID, w.parameters(mine).ChatID, "and the true one still works")
}

func TestTheBotSpeaksOnlyWhenSpokenTo(t *testing.T) {
	w := hooked(t)
	w.Add(group)
	for _, text := range []string{"hello", "/start@another_bot AAAA", "/stop", "", "/started"} {
		w.Say(group, text)
	}
	require.Empty(t, w.Sent(group.ID))
	w.Say(group, "/start")
	require.Contains(t, w.lastSaid(group.ID), "An administrator binds it")
	w.Say(person, "hello")
	require.Contains(t, w.lastSaid(person.ID), "An administrator binds it")
}

func TestTheServiceMessageOfASupergroupMovesTheBinding(t *testing.T) {
	w := hooked(t)
	i := w.create("Ops")
	w.Add(group)
	w.Say(group, start(w.link(i).Group))
	w.Upgrade(group, super, true)
	p := w.parameters(i)
	require.Equal(t, super.ID, p.ChatID)
	require.Equal(t, "supergroup", p.ChatType)
	require.Equal(t, "Ops", p.ChatTitle)
	require.Len(t, w.test(i), 4)
	require.Len(t, w.Sent(super.ID), 4)
}

func TestTheAnswerToAMessageMovesTheBinding(t *testing.T) {
	w := hooked(t)
	i := w.create("Ops")
	w.Add(group)
	w.Say(group, start(w.link(i).Group))
	w.Upgrade(group, super, false) // the service message was lost
	messages := w.test(i)
	require.False(t, messages[0].Delivered)
	require.Contains(t, messages[0].Reason, "the group became a supergroup, and the integration follows it")
	require.Equal(t, super.ID, w.parameters(i).ChatID)
	require.Len(t, w.test(i), 4)

	// A delivery that was routed before meets the same answer, and does not move the chat that was bound since.
	stored, err := w.service.Store.Get(t.Context(), "42", i.ID)
	require.NoError(t, err)
	w.later(time.Second)
	w.Say(person, start(w.link(i).Private))
	_, err = w.service.Adapt(t.Context(), stored, telegram.Moved(-5), "late")
	require.ErrorIs(t, err, integration.ErrConflict)
	require.Equal(t, person.ID, w.parameters(i).ChatID)
}

func TestADeliveryThatMeetsASupergroupArrivesAtTheNextAttempt(t *testing.T) {
	w := hooked(t)
	i := w.create("Ops")
	w.Add(group)
	w.Say(group, start(w.link(i).Group))
	w.Upgrade(group, super, false)
	targets := sending.NewTargetCache(w.sender, w.service.Store, w.service)
	d := delivery.Delivery{ID: "d", Tenant: "42", Integration: i.ID, State: delivery.Pending, Events: []event.Event{{
		ID: "e", Tenant: "42", Kind: event.DeleteUser, Time: w.now(),
		Data: json.RawMessage(`{"user":{"name":"Grace","email":"grace@example.com"}}`),
	}}}
	for _, want := range []delivery.State{delivery.Retrying, delivery.Delivered} {
		target, ended, err := targets.Target(t.Context(), "42", i.ID)
		require.NoError(t, err)
		require.Empty(t, ended)
		after, err := w.sender.Send(t.Context(), target, d)
		require.NoError(t, err)
		d = after.Delivery
		require.Equal(t, want, d.State, d.Reason)
	}
	require.Contains(t, w.lastSaid(super.ID), "Grace")
}

func TestABotThatWasRemovedSaysSoAndGoesOnWhenItIsBack(t *testing.T) {
	w := hooked(t)
	i, other := w.create("Ops"), w.create("Both")
	w.Add(group)
	for _, x := range []integration.Integration{i, other} {
		w.Say(group, start(w.link(x).Group))
	}
	w.Remove(group)
	for _, x := range []integration.Integration{i, other} {
		require.NotNil(t, w.parameters(x).RemovedAt)
		m := w.test(x)
		require.False(t, m[0].Delivered)
		require.Zero(t, m[0].Status, "nothing was sent")
		require.Contains(t, m[0].Reason, "the bot was removed from the chat “Ops”")
	}
	w.Add(group)
	require.Nil(t, w.parameters(i).RemovedAt)
	require.Len(t, w.test(i), 4)
}

func TestAnswersReachTheAdministratorInWords(t *testing.T) {
	w := hooked(t)
	i := w.create("Ops")
	w.Say(person, start(w.link(i).Private))
	w.Busy(35)
	m := w.test(i)[0]
	require.Equal(t, 429, m.Status)
	require.Contains(t, m.Reason, "retry after 35")
	require.NotContains(t, m.Answer, telegramtest.Token)
}

func TestBindingMendsAnIntegrationThatWasDisabledForFailing(t *testing.T) {
	w := hooked(t)
	i := w.create("Ops")
	_, err := w.service.DisableBroken(t.Context(), "42", i.ID, 1, "20 of 20 requests failed", health.Answer{})
	require.NoError(t, err)
	w.Say(person, start(w.link(i).Private))
	stored, err := w.service.Store.Get(t.Context(), "42", i.ID)
	require.NoError(t, err)
	require.True(t, stored.Enabled())
	require.EqualValues(t, 2, stored.Window, "a new health window")

	_, err = w.service.SetEnabled(t.Context(), ada, i.ID, 0, false)
	require.NoError(t, err)
	w.later(time.Second)
	w.Say(person, start(w.link(i).Private))
	stored, err = w.service.Store.Get(t.Context(), "42", i.ID)
	require.NoError(t, err)
	require.False(t, stored.Enabled(), "what a person switched off stays off")
}

func TestNoPersonSetsTheChat(t *testing.T) {
	w := hooked(t)
	_, err := w.service.Create(t.Context(), ada,
		integration.Draft{System: "telegram", Name: "Mine", Parameters: json.RawMessage(`{"chat_id":-100}`)})
	require.ErrorContains(t, err, "parameters.chat_id: is read-only")
	_, err = w.service.OpenUnsaved(t.Context(), "42", "", "telegram", json.RawMessage(`{"chat_id":-100}`))
	require.ErrorContains(t, err, "parameters.chat_id: is read-only")
	i := w.create("Ops")
	w.Say(person, start(w.link(i).Private))
	stored, err := w.service.Store.Get(t.Context(), "42", i.ID)
	require.NoError(t, err)
	for _, change := range []string{`{"chat_id":-100}`, `{"chat_id":null}`, `{"removed_at":"2026-03-01T00:00:00Z"}`,
		`{"chat_type":"group"}`} {
		_, err = w.service.Update(t.Context(), ada, i.ID, 0, integration.Patch{Parameters: json.RawMessage(change)})
		require.ErrorContains(t, err, "is read-only", change)
		_, err = w.service.OpenUnsaved(t.Context(), "42", i.ID, "", json.RawMessage(change))
		require.ErrorContains(t, err, "is read-only", change)
	}
	_, err = w.service.Update(t.Context(), ada, i.ID, 0, integration.Patch{Parameters: stored.Parameters})
	require.NoError(t, err, "a form sends back what it showed")
	require.Equal(t, person.ID, w.parameters(i).ChatID)
}

func TestTheWebhookIsForTelegramOnly(t *testing.T) {
	w := hooked(t)
	i := w.create("Ops")
	body := `{"update_id":1,"message":{"chat":{"id":7,"type":"private"},"text":"` + start(w.link(i).Private) + `"}}`
	call := func(secret, body string) int {
		q := httptest.NewRequest(http.MethodPost, telegrambot.WebhookPath, strings.NewReader(body))
		q.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret)
		r := httptest.NewRecorder()
		w.bot.ServeHTTP(r, q)
		return r.Code
	}
	for _, bad := range []string{"", "x", telegramtest.Token} {
		require.Equal(t, http.StatusUnauthorized, call(bad, body))
	}
	require.Zero(t, w.parameters(i).ChatID)
	none, err := telegrambot.New(telegrambot.Config{Integrations: w.service, Now: time.Now,
		Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	r := httptest.NewRecorder()
	none.ServeHTTP(r, httptest.NewRequest(http.MethodPost, telegrambot.WebhookPath, strings.NewReader(body)))
	require.Equal(t, http.StatusUnauthorized, r.Code)
	_, err = none.Link(t.Context(), i)
	require.ErrorIs(t, err, telegrambot.ErrNoBot)
}

func TestAnUpdateThatFailsComesAgain(t *testing.T) {
	w := hooked(t)
	i := w.create("Ops")
	good := w.service.Store
	broken := &failing{ServiceStore: good, left: 2}
	w.service.Store = good
	l := w.link(i)
	w.service.Store = broken
	w.Say(person, start(l.Private)) // the server sends it up to three times
	w.service.Store = good
	require.Equal(t, person.ID, w.parameters(i).ChatID)
	require.Zero(t, broken.left)
}

// failing fails the first writes.
type failing struct {
	integration.ServiceStore
	left int
}

func (f *failing) Update(ctx context.Context, i integration.Integration, e activity.Record) error {
	if f.left > 0 {
		f.left--
		return errors.New("the disk is full")
	}
	return f.ServiceStore.Update(ctx, i, e)
}

func TestThePollTakesWhatTheWebhookWould(t *testing.T) {
	w := open(t)
	i := w.create("Ops")
	l := w.link(i)
	require.NoError(t, w.bot.SetWebhook(t.Context(), "https://127.0.0.1:1")) // of an earlier deployment
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.bot.Poll(ctx)
	}()
	require.Eventually(t, w.Polled, time.Minute, time.Millisecond)
	w.Say(person, start(l.Private))
	require.Eventually(t, func() bool { return w.parameters(i).ChatID == person.ID }, time.Minute, 5*time.Millisecond)
	w.Remove(person)
	require.Eventually(t, func() bool { return w.parameters(i).RemovedAt != nil }, time.Minute, 5*time.Millisecond)
	require.Eventually(t, func() bool { return w.Unconfirmed() == 0 }, time.Minute, 5*time.Millisecond,
		"the next poll confirms")
	stop()
	select {
	case <-done:
	case <-time.After(patience.Long):
		t.Fatal("the poll did not stop")
	}
}

func TestALinkNeedsAnIntegrationOfTelegrams(t *testing.T) {
	w := hooked(t)
	i, err := w.service.Create(t.Context(), ada,
		integration.Draft{System: "slack", Name: "x",
			Parameters: json.RawMessage(`{"webhook_url":"https://hooks.slack.com/x"}`)})
	require.NoError(t, err)
	_, err = w.bot.Link(t.Context(), i)
	require.ErrorIs(t, err, telegrambot.ErrOtherSystem)
}

func TestNoErrorShowsTheToken(t *testing.T) {
	w := open(t)
	i := w.create("Ops")
	unreachable, err := telegrambot.New(telegrambot.Config{
		Telegram: telegram.Bot{Token: telegramtest.Token, API: "http://127.0.0.1:1"}, Integrations: w.service,
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	_, err = unreachable.Link(t.Context(), i)
	require.ErrorContains(t, err, "getMe")
	require.NotContains(t, err.Error(), telegramtest.Token)
	keeper, ok := any(telegram.New(telegram.Bot{Token: telegramtest.Token})).(destination.SecretHolder)
	require.True(t, ok)
	require.Equal(t, []string{telegramtest.Token}, keeper.Secrets())
}

// TestWhatTheBotAPIRefusesIsToldWithoutTheTokenAndWithWhatToDo: a server before the Bot API can repeat the path.
func TestWhatTheBotAPIRefusesIsToldWithoutTheTokenAndWithWhatToDo(t *testing.T) {
	const advice = "whoever runs Tocsin has to set one of @BotFather's"
	for name, c := range map[string]struct {
		status     int
		body, want string
	}{
		"the path": {401, `{"ok":false,"error_code":401,"description":"Unauthorized: /bot` + telegramtest.Token +
			`/getMe"}`, "Telegram answered 401: Unauthorized: /bot********/getMe: it does not know the bot's token, and " + advice},
		"the path, escaped": {404, `{"ok":false,"error_code":404,"description":"Not Found: %2Fbot` +
			url.QueryEscape(telegramtest.Token) + `%2FgetMe"}`, advice},
		"JSON of another":  {400, `{"error":"bad gateway ` + telegramtest.Token + `"}`, "answered 400, and not as the Bot API does"},
		"a page":           {502, `<html>` + telegramtest.Token, "answered 502, and not as the Bot API does"},
		"a refusal of Bot": {400, `{"ok":false,"error_code":400,"description":"Bad Request"}`, "Telegram answered 400: Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			i := w.create("Ops")
			server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
				out.WriteHeader(c.status)
				_, _ = out.Write([]byte(c.body))
			}))
			defer server.Close()
			bot, err := telegrambot.New(telegrambot.Config{
				Telegram: telegram.Bot{Token: telegramtest.Token, API: server.URL}, Integrations: w.service,
				Now: time.Now, Log: slog.New(slog.DiscardHandler),
			})
			require.NoError(t, err)
			_, err = bot.Link(t.Context(), i)
			require.ErrorContains(t, err, c.want)
			for _, form := range []string{telegramtest.Token, url.QueryEscape(telegramtest.Token)} {
				require.NotContains(t, err.Error(), form)
			}
		})
	}
}

func FuzzUpdate(f *testing.F) {
	w := hooked(f)
	i := w.create("Ops")
	w.Add(group)
	for _, seed := range []string{
		`{"update_id":1,"message":{"chat":{"id":7,"type":"private"},"text":"/start AAAA"}}`,
		`{"update_id":1,"my_chat_member":{"chat":{"id":-100},"new_chat_member":{"status":"left"}}}`,
		`{"update_id":1,"message":{"chat":{"id":-100},"migrate_to_chat_id":-2}}`,
		`{"message":{"chat":{"id":-100,"type":"group"},"text":"/start@"}}`, `{"message":{"text":"\u0000"}}`, `[]`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w.t = t
		q := httptest.NewRequest(http.MethodPost, telegrambot.WebhookPath, bytes.NewReader(body))
		q.Header.Set("X-Telegram-Bot-Api-Secret-Token", w.Secret())
		r := httptest.NewRecorder()
		w.bot.ServeHTTP(r, q)
		require.Contains(t, []int{http.StatusNoContent, http.StatusBadRequest}, r.Code)
		require.Zero(t, w.parameters(i).ChatID, "without a link nothing is bound")
	})
}
