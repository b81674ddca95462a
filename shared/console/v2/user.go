package v2

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
)

// userView is who calls, so far as we know of it what the platform does.
type userView struct {
	Client      int64    `json:"client_id"`
	ClientID    int64    `json:"clientid"` // the name of older clients
	Email       string   `json:"email"`
	Username    string   `json:"username"`
	Name        string   `json:"realname"`
	Permissions []string `json:"permissions"`
	Actual      []string `json:"actual_permissions"`
	Enabled     bool     `json:"enabled"`
}

type userOutput struct {
	Body struct {
		Status int      `json:"status"`
		Body   userView `json:"body"`
	}
}

// roleCodes are the platform's names of roles (product facts, section 7). One without a code has our name.
var roleCodes = map[access.Role]string{
	access.Administrator: "admin", access.Analyst: "analytic", access.ReadOnly: "auditor", access.Deploy: "deploy",
	access.GlobalAdministrator: "partner_admin", access.GlobalAnalyst: "partner_analytic",
	access.GlobalReadOnly: "partner_auditor",
}

func (s *API) user(api huma.API) {
	rest.Register(api, operation(access.SignIn, "platform-user", http.MethodPost, userPath),
		func(ctx context.Context, _ *struct{}) (*userOutput, error) {
			p := rest.Principal(ctx)
			client, err := clientNumber(p.Tenant)
			if err != nil {
				return nil, err
			}
			code, ok := roleCodes[p.Role]
			if !ok {
				code = p.Role.Name()
			}
			out := &userOutput{}
			out.Body.Status = http.StatusOK
			out.Body.Body = userView{Client: client, ClientID: client, Email: p.Email, Username: p.Email, Name: p.Name,
				Permissions: []string{code}, Actual: []string{code}, Enabled: true}
			return out, nil
		})
}
