package telegrambot

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"

	"tocsin/shared/integration"
)

// Of the chat_data that names a chat to the platform's API (product facts, 1.1: an opaque base64 text, which a client
// keeps and sends again when it makes the integration anew). Ours is the chat's id, signed: 32 characters. The bot
// tells it to who is in the chat, so whoever has it was told by somebody who reads there. It is good as long as the bot
// is in the chat and has its token.
const chatIDSize = 8 // bytes

// Errors of FindChat.
var (
	// ErrForeignChat: the chat_data is none of this bot's.
	ErrForeignChat = errors.New("is none of this bot's: say /chat_data to it in the chat")
	// ErrChatGone: the bot is not in the chat any more, or there is none.
	ErrChatGone = errors.New("is of a chat that the bot is not in: add it there again")
)

// Chat is a chat that the bot is in.
type Chat struct{ chat chat }

func (b *Bot) chatData(id int64) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(id))
	mac := hmac.New(sha256.New, b.chats)
	mac.Write(raw) // a hash takes everything
	return base64.StdEncoding.EncodeToString(mac.Sum(raw)[:chatIDSize+macSize])
}

// FindChat finds the chat that a chat_data names. Errors: ErrNoBot, ErrForeignChat, ErrChatGone.
func (b *Bot) FindChat(ctx context.Context, data string) (c Chat, err error) {
	if b == nil || !b.Configured() {
		return c, ErrNoBot
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(data)
	if err != nil || len(raw) != chatIDSize+macSize {
		return c, ErrForeignChat
	}
	id := int64(binary.BigEndian.Uint64(raw))
	if !hmac.Equal([]byte(data), []byte(b.chatData(id))) {
		return c, ErrForeignChat
	}
	err = b.call(ctx, "getChat", map[string]any{"chat_id": id}, &c.chat)
	if refused := (*apiError)(nil); errors.As(err, &refused) && (refused.code == http.StatusBadRequest ||
		refused.code == http.StatusForbidden) {
		return c, ErrChatGone
	}
	return c, err
}

// Bind binds a chat to an integration.
func (b *Bot) Bind(ctx context.Context, i integration.Integration, c Chat) (integration.Integration, error) {
	i, err := b.Integrations.Rebind(ctx, i, bound(c.chat, b.Now()), "bound to the Telegram chat "+title(c.chat))
	if err == nil {
		b.Log.Info("Telegram chat bound", "tenant", i.Tenant, "integration", i.ID, "chat", c.chat.ID, "kind",
			c.chat.Type)
		b.Changed(i.Tenant, i.ID)
	}
	return i, err
}
