package integrations

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/telegrambot"
)

// TelegramLinkView is an invitation to bind a Telegram chat.
type TelegramLinkView struct {
	Bot        string    `json:"bot" doc:"the name of the platform's bot" example:"tocsin_bot"`
	PrivateURL string    `json:"private_url" doc:"opens a private chat with the bot" example:"https://t.me/tocsin_bot?start=AYWrWAAAAAAAAAAAAAAAAWP-hQAbc"`
	GroupURL   string    `json:"group_url" doc:"lets you choose a group, and adds the bot to it" example:"https://t.me/tocsin_bot?startgroup=AYWrWAAAAAAAAAAAAAAAAWP-hQAbc"`
	Command    string    `json:"command" doc:"the same for a group that the bot is in already: send it there" example:"/start@tocsin_bot AYWrWAAAAAAAAAAAAAAAAWP-hQAbc"`
	ExpiresAt  time.Time `json:"expires_at"`
}

type telegramLinkOutput struct{ Body TelegramLinkView }

func (s *API) telegram(api huma.API) {
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "make-telegram-link", Method: http.MethodPost, Path: "/v1/integrations/{id}/telegram-link",
		Tags: []string{"Integrations"}, Errors: []int{404, 409, 502},
		Summary: "Make links that bind a Telegram chat",
		Description: "Whoever opens one of the links in Telegram within 15 minutes binds the private chat or the " +
			"group to the integration, in place of the one that is bound now. The first use ends all links of the " +
			"integration. Read the integration afterwards to see the chat, then test it.",
	}), func(ctx context.Context, in *rest.IDInput) (*telegramLinkOutput, error) {
		i, err := s.Integrations.Get(ctx, rest.Principal(ctx).Tenant, in.ID)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		if s.Telegram == nil {
			return nil, rest.NewProblem(http.StatusConflict, telegrambot.ErrNoBot.Error())
		}
		l, err := s.Telegram.Link(ctx, i)
		switch {
		case errors.Is(err, telegrambot.ErrNoBot), errors.Is(err, telegrambot.ErrOtherSystem):
			return nil, rest.NewProblem(http.StatusConflict, err.Error())
		case err != nil:
			s.Log.Error("make a link for Telegram", "tenant", i.Tenant, "integration", i.ID, "request",
				rest.Principal(ctx).RequestID, "error", err.Error())
			return nil, rest.NewProblem(http.StatusBadGateway,
				"Telegram did not tell the name of the platform's bot: try again")
		}
		s.Record(ctx, activity.Entry{Object: s.Integrations.Object(i.System), ObjectID: i.ID, ObjectName: i.Name,
			Action: activity.Link, Changes: []activity.Change{activity.SecretChange("telegram_link")}})
		return &telegramLinkOutput{TelegramLinkView{Bot: l.Bot, PrivateURL: l.Private, GroupURL: l.Group,
			Command: l.Command, ExpiresAt: l.Expires}}, nil
	})
}
