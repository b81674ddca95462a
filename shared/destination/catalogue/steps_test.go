package catalogue_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/telegram"
)

// P10: the form says of a system without a set-up page that it needs no steps at its own side. That is true of mail
// alone.
func TestP10EverySystemThatNeedsStepsHasThem(t *testing.T) {
	for _, e := range catalogue.Default().All() {
		steps := e.System.Steps("42")
		if e.System.Personal || e.System.Name == "email" {
			require.Empty(t, steps, e.System.Name)
			continue
		}
		require.Greater(t, len(strings.Fields(steps)), 40, "%s: what to click at its side", e.System.Name)
	}
}

// P8: a deployment without a bot says so of Telegram, before and after an integration is made.
func TestP8TelegramWithoutABotSaysSo(t *testing.T) {
	s, _, _ := catalogue.Default().Lookup("telegram")
	require.Equal(t, "this deployment has no Telegram bot: its operator must configure the bot's token", s.Missing)
	s, _, _ = catalogue.Default(telegram.New(telegram.Bot{Token: "123:ABC"})).Lookup("telegram")
	require.Empty(t, s.Missing)
}
