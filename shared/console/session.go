package console

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
)

// Section is a part of the Console that this deployment has and the caller's role may see.
type Section string

// The sections.
const (
	IntegrationSection Section = "integrations"
	LogSection         Section = "log"
	TriggerSection     Section = "triggers"
	ReportSection      Section = "reports"
	ProfileSection     Section = "profile"
	MailLogSection     Section = "mail_log"
	RejectedSection    Section = "dead_letters"
	AddressSection     Section = "addresses"
	TokenSection       Section = "tokens"
	ActivitySection    Section = "activity"
	LeavingSection     Section = "leaving"
)

// SessionView is who calls, and what the Console shows to them.
type SessionView struct {
	Platform   string      `json:"platform" example:"Tocsin"`
	Tenant     string      `json:"tenant" example:"42"`
	ClientName string      `json:"client_name,omitempty" example:"Acme"`
	Role       access.Role `json:"role" example:"administrator"`
	// Permissions are those of a role of custom ones.
	Permissions []string `json:"permissions,omitempty" doc:"of the role custom: what it may do; all else is denied"`
	Email       string   `json:"email,omitempty" example:"ada@example.com"`
	Name        string   `json:"name,omitempty" example:"Ada Lovelace"`
	// HomeTenant is the tenant of the credentials where another one is acted for.
	HomeTenant string    `json:"home_tenant,omitempty" doc:"your own, where you act for another"`
	Global     bool      `json:"global,omitempty" doc:"you may act for tenants that are linked to yours: GET /v1/tenants"`
	Zone       string    `json:"time_zone,omitempty" doc:"in which you read times, where you chose one: see set-notifications" example:"Asia/Tokyo"`
	Token      string    `json:"token,omitempty" doc:"the name of the API token that you call with"`
	Sections   []Section `json:"sections" doc:"what this deployment has and your role may see"`
	Changes    []Section `json:"changes" doc:"of the sections those in which your role may change something"`
}

type sessionOutput struct{ Body SessionView }

// sessionPath is open to every role, one that is not known too: a page must be able to say who is signed in before it
// says what is not allowed. It tells nothing but what the token says, and the zone that its person chose.
const sessionPath = "/v1/session"

func (s *server) session(api huma.API) {
	rest.Register(api, rest.Operation(access.SignIn, huma.Operation{
		OperationID: "get-session", Method: http.MethodGet, Path: sessionPath, Tags: []string{"Session"},
		Summary: "Read who you are", Description: "What your token says, and what there is for you. For every role.",
	}), func(ctx context.Context, _ *struct{}) (*sessionOutput, error) {
		p := rest.Principal(ctx)
		home := ""
		if p.Tenant != p.Home {
			home = p.Home
		}
		zone, err := s.zone(ctx, p)
		if err != nil {
			return nil, (&rest.Kit{Log: s.Log}).Answer(ctx, err)
		}
		return &sessionOutput{SessionView{
			Zone: zone, HomeTenant: home, Global: p.Role.Global() && s.Tenants != nil, Token: p.Token,
			Platform: s.Platform, Tenant: p.Tenant, ClientName: p.ClientName, Role: access.Role(p.Role.Name()),
			Permissions: p.Role.Permissions(), Email: p.Email, Name: p.Name, Sections: s.sections(p),
			Changes: s.changes(p),
		}}, nil
	})
}

// zone is that in which who calls reads times. A profile is of the home tenant.
func (s *server) zone(ctx context.Context, p access.Principal) (string, error) {
	if s.Profiles == nil || p.Email == "" {
		return "", nil
	}
	return s.Profiles.ZoneOf(ctx, p.Home, p.Email)
}

// sections are in the order of the Console. What they hold is the operations' to guard.
func (s *server) sections(p access.Principal) []Section {
	out := []Section{}
	show := func(section Section, right access.Right, there bool) {
		if there && p.May(right) {
			out = append(out, section)
		}
	}
	show(IntegrationSection, access.Administer.View(), true)
	show(LogSection, access.Administer.View(), true)
	show(TriggerSection, access.Triggers.View(), s.Triggers != nil)
	show(ReportSection, access.ViewEvents, s.Reports != nil)
	show(ProfileSection, access.OwnProfile, s.Profiles != nil && p.Email != "")
	show(MailLogSection, access.Administer.View(), s.MailLog != nil)
	show(RejectedSection, access.Administer.View(), true)
	show(TokenSection, access.PersonalTokens, s.Tokens != nil)
	show(ActivitySection, access.ViewActivity, s.Activity != nil)
	show(LeavingSection, access.Leaving, s.Erasures != nil)
	show(AddressSection, access.Addresses, true)
	return out
}

// changing is the right by which something of a section is changed; what is not here is one's own, or never changes.
var changing = map[Section]access.Right{
	IntegrationSection: access.Administer, TriggerSection: access.Triggers, ReportSection: access.ManageEvents,
	MailLogSection: access.Administer, RejectedSection: access.Administer, LeavingSection: access.Leaving,
}

func (s *server) changes(p access.Principal) []Section {
	out := []Section{}
	for _, section := range s.sections(p) {
		right, ok := changing[section]
		if section == ProfileSection || section == TokenSection || ok && p.May(right) {
			out = append(out, section)
		}
	}
	return out
}
