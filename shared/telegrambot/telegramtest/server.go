// Package telegramtest is a Bot API server on the loopback interface with chats, members and a memory, for tests. What
// it says is written with the types of a library that is not ours, in the order and with the words of Telegram's own
// server.
package telegramtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-telegram/bot/models"
)

// Token is the bot's.
const Token = "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"

// Name is the bot's user name.
const Name = "tocsin_test_bot"

// Sent is a message of the bot's.
type Sent struct {
	Chat int64
	Text string
	HTML bool
}

// Server is the server. Its methods do what people do in Telegram.
type Server struct {
	URL string

	mu      sync.Mutex
	wake    *sync.Cond
	members map[int64]bool // chats that the bot is in
	chats   map[int64]models.Chat
	moved   map[int64]int64 // groups that became supergroups
	sent    []Sent
	updates []models.Update
	next    int64
	webhook struct{ URL, Secret string }
	polled  bool     // a poll was taken
	wants   []string // kinds of updates, of the last setWebhook or getUpdates
	busy    int      // seconds for the next sendMessage to be told to wait
	limit   int      // messages that a chat takes; 0 = no limit
	ended   bool
}

// Start runs a server until the test ends.
func Start(t testing.TB) *Server {
	s := &Server{members: map[int64]bool{}, chats: map[int64]models.Chat{}, moved: map[int64]int64{}, next: 1000}
	s.wake = sync.NewCond(&s.mu)
	h := httptest.NewServer(s)
	s.URL = h.URL
	t.Cleanup(func() {
		s.mu.Lock()
		s.ended = true
		s.wake.Broadcast()
		s.mu.Unlock()
		h.Close()
	})
	return s
}

// Host is what an egress policy has to allow.
func (s *Server) Host() string { return strings.TrimPrefix(s.URL, "http://") }

// Group makes a group's chat.
func Group(id int64, title string) models.Chat {
	return models.Chat{ID: id, Type: models.ChatTypeGroup, Title: title}
}

// Person makes a private chat.
func Person(id int64, first, username string) models.Chat {
	return models.Chat{ID: id, Type: models.ChatTypePrivate, FirstName: first, Username: username}
}

// Say is a person's message; in a private chat it is how the bot gets in.
func (s *Server) Say(c models.Chat, text string) {
	s.mu.Lock()
	s.chats[c.ID] = c
	if c.Type == models.ChatTypePrivate {
		s.members[c.ID] = true
	}
	s.mu.Unlock()
	s.tell(models.Update{Message: &models.Message{ID: 1, Date: int(time.Now().Unix()), Chat: c, Text: text,
		From: &models.User{ID: 7, FirstName: "Ada"}}})
}

// Add adds the bot to a chat.
func (s *Server) Add(c models.Chat) { s.membership(c, true) }

// Remove removes the bot from a chat; in a private chat the person blocks it.
func (s *Server) Remove(c models.Chat) { s.membership(c, false) }

func (s *Server) membership(c models.Chat, in bool) {
	me := &models.User{ID: 123456789, IsBot: true, FirstName: "Tocsin", Username: Name}
	inside := models.ChatMember{Type: models.ChatMemberTypeMember, Member: &models.ChatMemberMember{User: me}}
	outside := models.ChatMember{Type: models.ChatMemberTypeBanned, Banned: &models.ChatMemberBanned{User: me}}
	before, after := outside, inside
	if !in {
		before, after = inside, outside
	}
	s.mu.Lock()
	s.members[c.ID], s.chats[c.ID] = in, c
	s.mu.Unlock()
	s.tell(models.Update{MyChatMember: &models.ChatMemberUpdated{
		Chat: c, From: models.User{ID: 7, FirstName: "Ada"}, Date: int(time.Now().Unix()), OldChatMember: before,
		NewChatMember: after,
	}})
}

// Upgrade makes a group a supergroup. With tell the two service messages are sent, in the old group and in the new one.
func (s *Server) Upgrade(group, super models.Chat, tell bool) {
	s.mu.Lock()
	delete(s.members, group.ID)
	s.members[super.ID], s.moved[group.ID] = true, super.ID
	s.mu.Unlock()
	if tell {
		s.tell(models.Update{Message: &models.Message{ID: 2, Chat: group, MigrateToChatID: super.ID}})
		s.tell(models.Update{Message: &models.Message{ID: 1, Chat: super, MigrateFromChatID: group.ID}})
	}
}

// Busy lets the next message be refused for a time.
func (s *Server) Busy(seconds int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = seconds
}

// Limit bounds the messages that each chat takes within the minute of a test.
func (s *Server) Limit(messages int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = messages
}

func (s *Server) full(chat int64) bool {
	n := 0
	for _, m := range s.sent {
		if m.Chat == chat {
			n++
		}
	}
	return s.limit > 0 && n >= s.limit
}

// Sent are the bot's messages to a chat.
func (s *Server) Sent(chat int64) []Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Sent
	for _, m := range s.sent {
		if m.Chat == chat {
			out = append(out, m)
		}
	}
	return out
}

// Unconfirmed is how many updates the bot has not taken yet.
func (s *Server) Unconfirmed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.updates)
}

// Polled reports whether the bot asks for updates.
func (s *Server) Polled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polled
}

// Secret is what Telegram sends along with an update to the webhook.
func (s *Server) Secret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.webhook.Secret
}

// wanted reports whether the bot asked for updates of this kind; one that was never asked for it Telegram leaves out.
func (s *Server) wanted(u models.Update) bool {
	kind := "message"
	if u.MyChatMember != nil {
		kind = "my_chat_member"
	}
	return len(s.wants) == 0 || slices.Contains(s.wants, kind)
}

// tell hands an update over: to the webhook, again until it is taken, or to the next poll.
func (s *Server) tell(u models.Update) {
	s.mu.Lock()
	if !s.wanted(u) {
		s.mu.Unlock()
		return
	}
	s.next++
	u.ID = s.next
	hook := s.webhook
	if hook.URL == "" {
		s.updates = append(s.updates, u)
	}
	s.wake.Broadcast()
	s.mu.Unlock()
	if hook.URL == "" {
		return
	}
	body, err := json.Marshal(&u)
	if err != nil {
		panic(err)
	}
	for range 3 {
		q, err := http.NewRequest(http.MethodPost, hook.URL, bytes.NewReader(body))
		if err != nil {
			panic(err)
		}
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("X-Telegram-Bot-Api-Secret-Token", hook.Secret)
		if r, err := http.DefaultClient.Do(q); err == nil {
			r.Body.Close()
			if r.StatusCode/100 == 2 {
				return
			}
		}
	}
}

// ServeHTTP answers a call of the bot's.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, ok := strings.CutPrefix(r.URL.Path, "/bot"+Token+"/")
	if !ok {
		refuse(w, http.StatusUnauthorized, "Unauthorized", nil)
		return
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch method {
	case "getMe":
		answer(w, models.User{ID: 123456789, IsBot: true, FirstName: "Tocsin", Username: Name})
	case "setWebhook":
		s.setWebhook(w, dec)
	case "deleteWebhook":
		s.webhook.URL = ""
		answer(w, true)
	case "getUpdates":
		s.getUpdates(w, dec)
	case "sendMessage":
		s.sendMessage(w, dec)
	case "getChat":
		s.getChat(w, dec)
	default:
		refuse(w, http.StatusNotFound, "Not Found", nil)
	}
}

func (s *Server) setWebhook(w http.ResponseWriter, dec *json.Decoder) {
	var q struct {
		URL            string   `json:"url"`
		SecretToken    string   `json:"secret_token"`
		AllowedUpdates []string `json:"allowed_updates"`
	}
	if err := dec.Decode(&q); err != nil {
		refuse(w, http.StatusBadRequest, "Bad Request: "+err.Error(), nil)
		return
	}
	s.webhook.URL, s.webhook.Secret, s.wants = q.URL, q.SecretToken, q.AllowedUpdates
	answer(w, true)
}

func (s *Server) getUpdates(w http.ResponseWriter, dec *json.Decoder) {
	var q struct {
		Offset         int64    `json:"offset"`
		Timeout        int      `json:"timeout"`
		AllowedUpdates []string `json:"allowed_updates"`
	}
	switch err := dec.Decode(&q); {
	case err != nil:
		refuse(w, http.StatusBadRequest, "Bad Request: "+err.Error(), nil)
		return
	case s.webhook.URL != "":
		refuse(w, http.StatusConflict, "Conflict: can't use getUpdates method while webhook is active; use "+
			"deleteWebhook to delete the webhook first", nil)
		return
	}
	s.wants, s.polled = q.AllowedUpdates, true
	s.updates = slices.DeleteFunc(s.updates, func(u models.Update) bool { return u.ID < q.Offset })
	until := time.Now().Add(time.Duration(q.Timeout) * time.Second)
	timer := time.AfterFunc(time.Until(until), s.wake.Broadcast)
	defer timer.Stop()
	for len(s.updates) == 0 && !s.ended && time.Now().Before(until) {
		s.wake.Wait()
	}
	out := make([]*models.Update, len(s.updates))
	for i := range s.updates {
		out[i] = &s.updates[i]
	}
	answer(w, out)
}

func (s *Server) sendMessage(w http.ResponseWriter, dec *json.Decoder) {
	var q struct {
		ChatID    int64                     `json:"chat_id"`
		Text      string                    `json:"text"`
		ParseMode string                    `json:"parse_mode"`
		Preview   models.LinkPreviewOptions `json:"link_preview_options"`
	}
	if err := dec.Decode(&q); err != nil {
		refuse(w, http.StatusBadRequest, "Bad Request: "+err.Error(), nil)
		return
	}
	to, upgraded := s.moved[q.ChatID]
	in, known := s.members[q.ChatID]
	switch {
	case upgraded:
		refuse(w, http.StatusBadRequest, "Bad Request: group chat was upgraded to a supergroup chat",
			map[string]any{"migrate_to_chat_id": to})
	case !known:
		refuse(w, http.StatusBadRequest, "Bad Request: chat not found", nil)
	case !in && q.ChatID > 0:
		refuse(w, http.StatusForbidden, "Forbidden: bot was blocked by the user", nil)
	case !in:
		refuse(w, http.StatusForbidden, "Forbidden: bot was kicked from the group chat", nil)
	case s.full(q.ChatID):
		refuse(w, http.StatusTooManyRequests, "Too Many Requests: retry after 60", map[string]any{"retry_after": 60})
	case s.busy > 0:
		refuse(w, http.StatusTooManyRequests, fmt.Sprintf("Too Many Requests: retry after %d", s.busy),
			map[string]any{"retry_after": s.busy})
		s.busy = 0
	case strings.TrimSpace(q.Text) == "":
		refuse(w, http.StatusBadRequest, "Bad Request: message text is empty", nil)
	default:
		s.sent = append(s.sent, Sent{q.ChatID, q.Text, q.ParseMode == "HTML"})
		answer(w, models.Message{ID: len(s.sent), Date: int(time.Now().Unix()), Chat: models.Chat{ID: q.ChatID},
			Text: q.Text})
	}
}

func answer(w http.ResponseWriter, result any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "result": result}) // the bot has gone if this fails
}

func refuse(w http.ResponseWriter, code int, description string, parameters any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	body := map[string]any{"ok": false, "error_code": code, "description": description}
	if parameters != nil {
		body["parameters"] = parameters
	}
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Server) getChat(w http.ResponseWriter, dec *json.Decoder) {
	var q struct {
		ChatID int64 `json:"chat_id"`
	}
	if err := dec.Decode(&q); err != nil {
		refuse(w, http.StatusBadRequest, "Bad Request: "+err.Error(), nil)
		return
	}
	in, known := s.members[q.ChatID]
	switch c := s.chats[q.ChatID]; {
	case !known:
		refuse(w, http.StatusBadRequest, "Bad Request: chat not found", nil)
	case !in && q.ChatID < 0:
		refuse(w, http.StatusForbidden, "Forbidden: bot was kicked from the group chat", nil)
	default:
		answer(w, models.ChatFullInfo{ID: c.ID, Type: c.Type, Title: c.Title, FirstName: c.FirstName,
			Username: c.Username})
	}
}
