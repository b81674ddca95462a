package telegrambot

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"tocsin/shared/destination/telegram"
	"tocsin/shared/integration"
)

// system is the name of Telegram in the catalogue.
const system = "telegram"

// Errors of Link.
var (
	// ErrNoBot: the deployment has no bot.
	ErrNoBot = errors.New(telegram.NoBot)
	// ErrOtherSystem: the integration is not one of Telegram's.
	ErrOtherSystem = errors.New("this integration is not one of Telegram's")
)

// Config names what a Bot works with; every field but Changed is required. What signs links and calls of the webhook is
// derived from the bot's token: a new token ends both.
type Config struct {
	// Telegram may be the zero value: then no link can be made.
	Telegram     telegram.Bot
	Integrations *integration.Service
	Now          func() time.Time
	Log          *slog.Logger
	// Changed is told of an integration whose chat changed; nil = nobody asks.
	Changed func(tenant, id string)
	// Proxy says which proxy a call goes through; nil = none.
	Proxy func(*http.Request) (*url.URL, error)
}

// Bot is the platform's bot. It is safe for concurrent use.
type Bot struct {
	Config
	http    *http.Client
	links   []byte // signs the links
	chats   []byte // signs what chatData names
	webhook string // what Telegram sends with every call of the webhook

	mu       sync.Mutex
	username string
}

// New makes a Bot.
func New(c Config) (*Bot, error) {
	if c.Changed == nil {
		c.Changed = func(string, string) {}
	}
	b := &Bot{Config: c, http: client(c.Proxy)}
	var err error
	if b.links, err = derive(c.Telegram.Token, "link"); err != nil {
		return nil, err
	}
	if b.chats, err = derive(c.Telegram.Token, "chat"); err != nil {
		return nil, err
	}
	hook, err := derive(c.Telegram.Token, "webhook")
	if err != nil {
		return nil, err
	}
	b.webhook = base64.RawURLEncoding.EncodeToString(hook)
	return b, nil
}

// derive makes a secret of 32 bytes for one purpose.
func derive(token, purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "tocsin telegram "+purpose, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive a key for Telegram's %s: %w", purpose, err)
	}
	return key, nil
}

// Configured reports whether the deployment has a bot.
func (b *Bot) Configured() bool { return b.Telegram.Token != "" }

// Link is an invitation to bind a chat to an integration.
type Link struct {
	Private string // opens a private chat with the bot
	Group   string // lets choose a group and adds the bot to it
	Command string // for a group, to be sent by hand
	Bot     string // the bot's name, without @
	Expires time.Time
}

// Link makes an invitation for an integration. Errors: ErrNoBot, ErrOtherSystem.
func (b *Bot) Link(ctx context.Context, i integration.Integration) (Link, error) {
	if i.System != system {
		return Link{}, ErrOtherSystem
	}
	if !b.Configured() {
		return Link{}, ErrNoBot
	}
	name, err := b.name(ctx)
	if err != nil {
		return Link{}, err
	}
	p, err := b.parameters(ctx, i)
	if err != nil {
		return Link{}, err
	}
	expires := b.Now().Add(linkGood).Truncate(time.Second).UTC()
	t, err := issue(b.links, i, p, expires)
	if err != nil {
		return Link{}, err
	}
	at := "https://t.me/" + name
	return Link{Private: at + "?start=" + t, Group: at + "?startgroup=" + t, Command: "/start@" + name + " " + t,
		Bot: name, Expires: expires}, nil
}

func (b *Bot) parameters(ctx context.Context, i integration.Integration) (*telegram.Parameters, error) {
	opened, err := b.Integrations.Open(ctx, i)
	if err != nil {
		return nil, err
	}
	p, ok := opened.Parameters.(*telegram.Parameters)
	if !ok {
		return nil, fmt.Errorf("integration %s: %w", i.ID, ErrOtherSystem)
	}
	return p, nil
}
