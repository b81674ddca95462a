package console

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
)

// Section is a part of the Console that this deployment has and the caller's role may see.
type Section string

// The sections.
const (
	IntegrationSection Section = "integrations"
	TriggerSection     Section = "triggers"
	ReportSection      Section = "reports"
	ProfileSection     Section = "profile"
	OutboxSection      Section = "outbox"
	RejectedSection    Section = "dead_letters"
)

// SessionView is who calls, and what the Console shows to them.
type SessionView struct {
	Platform   string      `json:"platform" example:"Tocsin"`
	Tenant     string      `json:"tenant" example:"42"`
	ClientName string      `json:"client_name,omitempty" example:"Acme"`
	Role       access.Role `json:"role" example:"administrator"`
	Email      string      `json:"email,omitempty" example:"ada@example.com"`
	Name       string      `json:"name,omitempty" example:"Ada Lovelace"`
	Sections   []Section   `json:"sections" doc:"what this deployment has and your role may see"`
}

type sessionOutput struct{ Body SessionView }

// sessionPath is open to every role: a page must be able to say who is signed in before it says what is not allowed.
const sessionPath = "/v1/session"

func (s *server) session(api huma.API) {
	huma.Register(api, s.operation(huma.Operation{
		OperationID: "get-session", Method: http.MethodGet, Path: sessionPath, Tags: []string{"Session"},
		Summary: "Read who you are", Description: "What your token says, and what there is for you. For every role.",
	}), func(ctx context.Context, _ *struct{}) (*sessionOutput, error) {
		p := principal(ctx)
		return &sessionOutput{SessionView{
			Platform: s.Platform, Tenant: p.Tenant, ClientName: p.ClientName, Role: p.Role, Email: p.Email, Name: p.Name, Sections: s.sections(p),
		}}, nil
	})
}

// sections are in the order of the Console. Who may see what: permit.
func (s *server) sections(p access.Principal) []Section {
	out := []Section{}
	show := func(section Section, there bool) {
		if there {
			out = append(out, section)
		}
	}
	reads := p.Administers() || p.Role == access.Analyst || p.Role == access.ReadOnly
	show(IntegrationSection, p.Administers())
	show(TriggerSection, s.Triggers != nil && p.Administers())
	show(ReportSection, s.Reports != nil && reads)
	show(ProfileSection, s.Profiles != nil && p.Email != "")
	show(OutboxSection, s.Outbox != nil && p.Administers())
	show(RejectedSection, p.Administers())
	return out
}
