package telegrambot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tocsin/shared/redact"
)

// maxAnswer is in bytes: 100 updates of the longest messages take about 3 MB.
const maxAnswer = 8 << 20

// callLimit bounds every call but a poll.
const callLimit = 10 * time.Second

// client makes the calls. It follows no redirect: the address holds the token. It reads no proxy from the environment.
func client(proxy func(*http.Request) (*url.URL, error)) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = proxy
	return &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// apiError is a refusal of the Bot API.
type apiError struct {
	code        int
	description string
	retryAfter  time.Duration
}

func (e *apiError) Error() string {
	said := fmt.Sprintf("Telegram answered %d: %s", e.code, e.description)
	if e.code == http.StatusUnauthorized || e.code == http.StatusNotFound { // 404 to a token of another shape
		said += ": it does not know the bot's token, and whoever runs Tocsin has to set one of @BotFather's that is " +
			"valid"
	}
	return said
}

// call calls a method of the Bot API. No error of it holds the token.
func (b *Bot) call(ctx context.Context, method string, parameters, result any) error {
	return b.callFor(ctx, callLimit, method, parameters, result)
}

func (b *Bot) callFor(ctx context.Context, limit time.Duration, method string, parameters, result any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, err := json.Marshal(parameters)
	if err != nil {
		return fmt.Errorf("call Telegram's %s: %w", method, err)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, b.Telegram.URL(method), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call Telegram's %s: the address of the Bot API or the bot's token is malformed", method)
	}
	q.Header.Set("Content-Type", "application/json")
	r, err := b.http.Do(q)
	if err != nil {
		var wrapped *url.Error // its text is the address with the token
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return fmt.Errorf("call Telegram's %s: %w", method, err)
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of Telegram's %s: %w", method, err)
	}
	if err := b.decode(r.StatusCode, raw, result); err != nil {
		return fmt.Errorf("call Telegram's %s: %w", method, err)
	}
	return nil
}

func (b *Bot) decode(status int, raw []byte, result any) error {
	var a struct {
		OK          bool            `json:"ok"`
		Result      json.RawMessage `json:"result"`
		Code        int             `json:"error_code"`
		Description string          `json:"description"`
		Parameters  struct {
			RetryAfter int `json:"retry_after"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("answered %d, and not as the Bot API does", status)
	}
	if !a.OK && a.Code == 0 { // JSON of something before the Bot API
		return fmt.Errorf("answered %d, and not as the Bot API does", status)
	}
	if !a.OK {
		description := redact.New(b.Telegram.Token).Text(strings.ToValidUTF8(a.Description, "�"))
		return &apiError{a.Code, description,
			time.Duration(max(0, a.Parameters.RetryAfter)) * time.Second}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(a.Result, result)
}

// say writes plain text to a chat. That it could not be said is logged and no more: nothing depends on it.
func (b *Bot) say(ctx context.Context, chat int64, text string) {
	err := b.call(ctx, "sendMessage", map[string]any{"chat_id": chat, "text": text,
		"link_preview_options": map[string]bool{"is_disabled": true}}, nil)
	if err != nil {
		b.Log.Warn("answer in a Telegram chat", "chat", chat, "error", err.Error())
	}
}

// name is the bot's user name, asked for once.
func (b *Bot) name(ctx context.Context) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.username == "" {
		var me struct {
			Username string `json:"username"`
		}
		if err := b.call(ctx, "getMe", struct{}{}, &me); err != nil {
			return "", err
		}
		if me.Username == "" {
			return "", errors.New("ask Telegram for the bot's name: there is none in the answer")
		}
		b.username = me.Username
	}
	return b.username, nil
}
