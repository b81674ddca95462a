package telegrambot

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"tocsin/shared/sleep"
)

// WebhookPath is where the API takes Telegram's updates.
const WebhookPath = "/telegram"

// secretHeader carries what setWebhook agreed on. Telegram, Bot API, "setWebhook".
const secretHeader = "X-Telegram-Bot-Api-Secret-Token"

// maxUpdate is the size of an update in bytes; the longest message takes about 30 KB.
const maxUpdate = 1 << 20

// ServeHTTP takes one update from Telegram. What was not done is answered with an error: Telegram brings it again.
func (b *Bot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !b.Configured() || subtle.ConstantTimeCompare([]byte(r.Header.Get(secretHeader)), []byte(b.webhook)) != 1 {
		http.Error(w, "this is for Telegram only", http.StatusUnauthorized)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpdate))
	if err != nil {
		http.Error(w, "the update can not be read", http.StatusBadRequest)
		return
	}
	var u update
	if err := json.Unmarshal(raw, &u); err != nil {
		b.Log.Error("an update of Telegram's can not be read", "error", err.Error())
		http.Error(w, "the update can not be read", http.StatusBadRequest)
		return
	}
	if err := b.handle(r.Context(), u); err != nil {
		b.Log.Error("handle an update of Telegram's: it will come again", "update", u.ID, "error", err.Error())
		http.Error(w, "this could not be done now", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// SetWebhook tells Telegram to bring updates to WebhookPath below the API's public address. It needs to be done once;
// to do it again does no harm.
func (b *Bot) SetWebhook(ctx context.Context, address string) error {
	return b.call(ctx, "setWebhook", map[string]any{"url": address + WebhookPath, "secret_token": b.webhook,
		"allowed_updates": subscribed}, nil)
}

// pollSpan is how long Telegram holds a poll that has nothing to tell.
const pollSpan = 50 * time.Second

// Pauses between calls that fail: the first, doubled up to the last.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// confirmLimit bounds the last call of a poll that is to stop.
const confirmLimit = 2 * time.Second

// Poll asks Telegram for updates until the context ends. Only one process may do so for a bot.
func (b *Bot) Poll(ctx context.Context) {
	if !b.until(ctx, "remove the webhook of the Telegram bot", func() error {
		return b.call(ctx, "deleteWebhook", struct{}{}, nil) // while there is one, Telegram answers no poll
	}) {
		return
	}
	next := int64(0)
	for ctx.Err() == nil {
		var updates []update
		if !b.until(ctx, "ask Telegram for updates", func() (err error) {
			updates, err = b.updates(ctx, next, pollSpan)
			return err
		}) {
			break
		}
		for _, u := range updates {
			b.once(ctx, u)
			if ctx.Err() == nil {
				next = u.ID + 1
			}
		}
	}
	if next != 0 { // else the last ones come again
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmLimit)
		defer cancel()
		if _, err := b.updates(last, next, 0); err != nil {
			b.Log.Debug("tell Telegram which updates were taken", "error", err.Error())
		}
	}
}

// Register is SetWebhook, tried until it succeeds or the context ends.
func (b *Bot) Register(ctx context.Context, address string) {
	b.until(ctx, "set the webhook of the Telegram bot", func() error { return b.SetWebhook(ctx, address) })
}

// updates asks for what comes from the update next on, and confirms what was before it.
func (b *Bot) updates(ctx context.Context, next int64, wait time.Duration) ([]update, error) {
	var raw []json.RawMessage
	err := b.callFor(ctx, wait+callLimit, "getUpdates",
		map[string]any{"offset": next, "timeout": int(wait.Seconds()), "allowed_updates": subscribed}, &raw)
	var out []update
	for _, r := range raw {
		var u update
		if json.Unmarshal(r, &u) != nil {
			// One that we can not read must not hold up the rest.
			var only struct {
				ID int64 `json:"update_id"`
			}
			if json.Unmarshal(r, &only) != nil {
				continue
			}
			u = update{ID: only.ID}
		}
		out = append(out, u)
	}
	return out, err
}

// once handles an update, and gives it up after some tries: the ones behind it wait.
func (b *Bot) once(ctx context.Context, u update) {
	for n := range tries {
		err := b.handle(ctx, u)
		if err == nil || ctx.Err() != nil {
			return
		}
		b.Log.Error("handle an update of Telegram's", "update", u.ID, "try", n+1, "error", err.Error())
		sleep.For(ctx, firstPause)
	}
}

// until repeats a call that fails; false when the context ended first.
func (b *Bot) until(ctx context.Context, what string, call func() error) bool {
	for pauses := sleep.Growing(firstPause, lastPause); ; {
		err := call()
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			return true
		}
		wait := pauses.NextBackOff()
		var refused *apiError
		if errors.As(err, &refused) {
			wait = max(wait, refused.retryAfter)
		}
		b.Log.Error(what+": trying again", "in", wait.String(), "error", err.Error())
		sleep.For(ctx, wait)
	}
}
