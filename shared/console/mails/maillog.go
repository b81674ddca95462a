package mails

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
)

// Mail is a mail of the mail log.
type Mail struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	// Unsubscribe is the one-click link of its List-Unsubscribe header.
	Unsubscribe string   `json:"unsubscribe,omitempty" doc:"the link of its List-Unsubscribe header"`
	Attachments []string `json:"attachments,omitempty" doc:"names; the files are those of the report"`
}

type mailsOutput struct {
	Body struct {
		Items      []Mail `json:"items" doc:"newest first"`
		NextCursor string `json:"next_cursor,omitempty"`
	}
}

func (s *API) mails(api huma.API) {
	rest.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "list-mails", Method: http.MethodGet, Path: "/v1/mail-log", Tags: []string{"Mail log"},
		Errors:  []int{400, 404, 422},
		Summary: "List the mail log", Description: "The mails of your tenant that a deployment without a mail server " +
			"keeps, the newest 1,000. 404 where mails are sent.",
	}), func(ctx context.Context, in *rest.PageInput) (*mailsOutput, error) {
		if s.MailLog == nil {
			return nil, rest.NewProblem(http.StatusNotFound, "this deployment sends its mails and keeps none")
		}
		before, err := rest.OpenCursor(mailList, rest.Principal(ctx).Tenant, in.Cursor)
		if err != nil {
			return nil, err
		}
		found, err := s.MailLog(ctx, rest.Principal(ctx).Tenant, before, in.Limit+1)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		out := &mailsOutput{}
		out.Body.Items = append([]Mail{}, found[:min(len(found), in.Limit)]...)
		if len(found) > in.Limit {
			out.Body.NextCursor = rest.MakeCursor(mailList, rest.Principal(ctx).Tenant, found[in.Limit-1].ID)
		}
		return out, nil
	})
}

const mailList rest.List = "mails"
