// Command telegram tells Telegram where the platform's bot takes its updates: below the public address of the API of an
// AWS stack. Run it once after the first deployment and after every change of the bot's token:
//
//	TOCSIN_TELEGRAM_TOKEN=123456:ABC… go run ./scripts/telegram -api https://abc.execute-api.eu-west-1.amazonaws.com
//
// The embedded program needs it not: it asks Telegram for updates, or sets its webhook itself (-telegram-webhook).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"tocsin/shared/destination/telegram"
	"tocsin/shared/telegrambot"
)

func main() {
	api := flag.String("api", "", "public https address of the API")
	server := flag.String("telegram-api", telegram.DefaultAPI, "address of the Bot API server")
	flag.Parse()
	if err := run(context.Background(), os.Getenv("TOCSIN_TELEGRAM_TOKEN"), *server,
		strings.TrimSuffix(*api, "/")); err != nil {
		fmt.Fprintln(os.Stderr, "telegram:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, token, server, api string) error {
	if token == "" {
		return errors.New("TOCSIN_TELEGRAM_TOKEN is not set: it is the bot's token, from @BotFather")
	}
	if !strings.HasPrefix(api, "https://") {
		return errors.New("-api must be the address of the API, and begin with https://")
	}
	b, err := telegrambot.New(telegrambot.Config{Telegram: telegram.Bot{Token: token, API: server}, Now: time.Now,
		Log:   slog.Default(),
		Proxy: http.ProxyFromEnvironment})
	if err != nil {
		return err
	}
	if err := b.SetWebhook(ctx, api); err != nil {
		return err
	}
	fmt.Println("Telegram brings updates to", api+telegrambot.WebhookPath)
	return nil
}
