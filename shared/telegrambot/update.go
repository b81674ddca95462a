package telegrambot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/integration"
)

// update is what Telegram tells: the parts that we asked for. Telegram, Bot API, "Update", "Message",
// "ChatMemberUpdated".
type update struct {
	ID         int64       `json:"update_id"`
	Message    *message    `json:"message"`
	Membership *membership `json:"my_chat_member"`
}

type message struct {
	Chat        chat   `json:"chat"`
	Text        string `json:"text"`
	MigrateTo   int64  `json:"migrate_to_chat_id"`
	MigrateFrom int64  `json:"migrate_from_chat_id"`
}

type chat struct {
	ID        int64  `json:"id"`
	Type      string `json:"type"`
	Title     string `json:"title"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Username  string `json:"username"`
}

type membership struct {
	Chat chat `json:"chat"`
	New  struct {
		Status   string `json:"status"`
		IsMember bool   `json:"is_member"`
	} `json:"new_chat_member"`
}

// subscribed are the kinds of updates that we ask for.
var subscribed = []string{"message", "my_chat_member"}

// handle does what an update asks for. After an error it is to be handed in again; to handle one twice does no harm.
func (b *Bot) handle(ctx context.Context, u update) error {
	m := u.Message
	switch {
	case u.Membership != nil:
		return b.member(ctx, *u.Membership)
	case m == nil:
		return nil
	case m.MigrateTo != 0:
		return b.moved(ctx, m.Chat.ID, m.MigrateTo)
	case m.MigrateFrom != 0:
		return b.moved(ctx, m.MigrateFrom, m.Chat.ID)
	}
	switch command, words := b.command(ctx, m.Text); {
	case command == "/start":
		return b.start(ctx, m.Chat, words)
	case command == "/chat_data":
		b.tell(ctx, m.Chat)
	case m.Chat.Type == "private":
		b.say(ctx, m.Chat.ID, help)
	}
	return nil
}

// command is what a text asks of this bot, "" for nothing.
func (b *Bot) command(ctx context.Context, text string) (command string, rest []string) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return "", nil
	}
	command, to, named := strings.Cut(words[0], "@")
	if !named || command != "/start" && command != "/chat_data" {
		return command, words[1:]
	}
	if name, err := b.name(ctx); err == nil && !strings.EqualFold(to, name) { // when in doubt: the token decides
		return "", nil
	}
	return command, words[1:]
}

// What the bot says, in plain text.
const (
	help = "I bring notifications of the platform to this chat. An administrator binds it: in the Console, open " +
		"the Telegram integration, ask for its links and open one here."
	expired = "This link has expired. Ask for a new one in the Console; it is good for 15 minutes."
	invalid = "This link is not good any more: it was used, or its integration is gone. Ask for a new one in the " +
		"Console."
	foreign = "I can serve private chats and groups only."
)

// served reports whether the bot serves a chat, and says so where it does not.
func (b *Bot) served(ctx context.Context, c chat) bool {
	if c.Type == "private" || c.Type == "group" || c.Type == "supergroup" {
		return true
	}
	b.say(ctx, c.ID, foreign)
	return false
}

// tell says what names the chat to the platform's API.
func (b *Bot) tell(ctx context.Context, c chat) {
	if b.served(ctx, c) {
		b.say(ctx, c.ID, "For Terraform (wallarm_integration_telegram), the chat_data of this chat is\n"+
			b.chatData(c.ID)+"\nWho has it can have notifications sent here, as long as I am in this chat.")
	}
}

// start binds the chat by the token that it was started with.
func (b *Bot) start(ctx context.Context, c chat, words []string) error {
	if !b.served(ctx, c) {
		return nil
	}
	if len(words) == 0 {
		b.say(ctx, c.ID, help)
		return nil
	}
	i, err := b.bind(ctx, c, words[0])
	switch {
	case errors.Is(err, errExpired):
		b.say(ctx, c.ID, expired)
	case errors.Is(err, errForged):
		b.Log.Info("a chat was started with a link that is not good", "chat", c.ID)
		b.say(ctx, c.ID, invalid)
	case errors.Is(err, errBound):
		b.say(ctx, c.ID, "This chat receives the notifications of the integration “"+i.Name+"” already.")
	case err != nil:
		return err
	default:
		b.say(ctx, c.ID, "This chat now receives the notifications of the integration “"+i.Name+"” ("+company(i)+
			"). Everybody in it can read them.")
	}
	return nil
}

func company(i integration.Integration) string {
	if i.ClientName != "" {
		return i.ClientName
	}
	return i.Tenant
}

// errBound: the integration is bound to this chat already; Telegram may bring an update twice.
var errBound = errors.New("bound already")

// tries is how often a change is tried that meets another change of the same integration.
const tries = 5

// bind binds the chat to the integration that the token names. Errors: errForged, errExpired, errBound with the
// integration.
func (b *Bot) bind(ctx context.Context, c chat, text string) (integration.Integration, error) {
	t, err := parse(text)
	if err != nil {
		return integration.Integration{}, err
	}
	for range tries {
		i, err := b.verified(ctx, c, t)
		if err != nil {
			return i, err
		}
		i, err = b.Integrations.Rebind(ctx, i, bound(c, b.Now()), "bound to the Telegram chat "+title(c))
		if errors.Is(err, integration.ErrConflict) {
			continue // the token may be used up now: look again
		}
		if errors.Is(err, integration.ErrNotFound) {
			return i, errForged
		}
		if err == nil {
			b.Log.Info("Telegram chat bound", "tenant", i.Tenant, "integration", i.ID, "chat", c.ID, "kind", c.Type)
			b.Changed(i.Tenant, i.ID)
		}
		return i, err
	}
	return integration.Integration{}, fmt.Errorf("bind a Telegram chat to integration %s: it keeps changing", t.id)
}

// verified finds the integration that the token was issued for.
func (b *Bot) verified(ctx context.Context, c chat, t token) (integration.Integration, error) {
	found, err := b.Integrations.Bound(ctx, system, integration.ByID(t.id))
	if err != nil {
		return integration.Integration{}, err
	}
	verdict := errForged
	for _, i := range found {
		p, err := b.parameters(ctx, i)
		if err != nil {
			return integration.Integration{}, err
		}
		if verdict = t.verify(b.links, i, p, b.Now()); verdict == nil {
			return i, nil
		}
		if errors.Is(verdict, errForged) && p.ChatID == c.ID && p.RemovedAt == nil {
			return i, errBound
		}
	}
	return integration.Integration{}, verdict
}

func bound(c chat, now time.Time) json.RawMessage {
	return patch(map[string]any{
		"chat_id": c.ID, "chat_title": title(c), "chat_type": c.Type, "bound_at": now.UTC().Format(time.RFC3339Nano),
		"removed_at": nil,
	})
}

func patch(members map[string]any) json.RawMessage {
	raw, err := json.Marshal(members)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return raw
}

// titleLimit is in characters; Telegram's own limits are below it.
const titleLimit = 200

func title(c chat) string {
	t := c.Title
	if c.Type == "private" {
		t = strings.TrimSpace(c.FirstName + " " + c.LastName)
		if c.Username != "" {
			t = strings.TrimSpace(t + " @" + c.Username)
		}
	}
	return cut.Runes(destination.Printable(t), titleLimit)
}

// moved follows a group that became a supergroup.
func (b *Bot) moved(ctx context.Context, from, to int64) error {
	return b.each(ctx, from, func(*telegram.Parameters) (json.RawMessage, string) {
		return telegram.Moved(to), "the Telegram group became a supergroup"
	})
}

// member notes that the bot was removed from a chat, and that it came back.
func (b *Bot) member(ctx context.Context, m membership) error {
	inside := m.New.Status == "member" || m.New.Status == "administrator" || m.New.Status == "creator" ||
		m.New.Status == "restricted" && m.New.IsMember
	outside := m.New.Status == "left" || m.New.Status == "kicked" || m.New.Status == "restricted" && !m.New.IsMember
	return b.each(ctx, m.Chat.ID, func(p *telegram.Parameters) (json.RawMessage, string) {
		switch {
		case outside && p.RemovedAt == nil:
			return patch(map[string]any{"removed_at": b.Now().UTC().Format(time.RFC3339Nano)}),
				"the bot was removed from the Telegram chat " + title(m.Chat)
		case inside && p.RemovedAt != nil:
			return patch(map[string]any{"removed_at": nil}), "the bot is back in the Telegram chat " + title(m.Chat)
		}
		return nil, ""
	})
}

// each changes the integrations that are bound to a chat; a change of nil changes nothing.
func (b *Bot) each(ctx context.Context, chat int64, change func(*telegram.Parameters) (json.RawMessage, string)) error {
	found, err := b.Integrations.Bound(ctx, system, integration.ByExternalKey(strconv.FormatInt(chat, 10)))
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range found {
		errs = append(errs, b.adapt(ctx, i, chat, change))
	}
	return errors.Join(errs...)
}

func (b *Bot) adapt(ctx context.Context, i integration.Integration, chat int64,
	change func(*telegram.Parameters) (json.RawMessage, string)) error {
	for range tries {
		p, err := b.parameters(ctx, i)
		if err != nil {
			return err
		}
		to, reason := change(p)
		if p.ChatID != chat || to == nil {
			return nil // someone bound it elsewhere meanwhile, or it is as it should be
		}
		_, err = b.Integrations.Adapt(ctx, i, to, reason)
		switch {
		case err == nil:
			b.Log.Info("Telegram chat changed", "tenant", i.Tenant, "integration", i.ID, "chat", chat, "reason", reason)
			b.Changed(i.Tenant, i.ID)
			return nil
		case errors.Is(err, integration.ErrNotFound):
			return nil
		case !errors.Is(err, integration.ErrConflict):
			return err
		}
		if i, err = b.Integrations.Get(ctx, i.Tenant, i.ID); errors.Is(err, integration.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return fmt.Errorf("change the Telegram chat of integration %s: it keeps changing", i.ID)
}
