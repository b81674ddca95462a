package triggers

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/console/rest"
	"tocsin/shared/event"
)

// CommandView is what a trigger asked of the platform.
type CommandView struct {
	ID             string        `json:"id" doc:"that of its event; command_id in what integrations get" example:"trigger:01GTD8R4000000000000000001:5f2a:block_ips"`
	Kind           event.Kind    `json:"kind" enum:"ip_denylist_requested,ip_graylist_requested,ip_mark_requested,hits_group_requested"`
	At             time.Time     `json:"at"`
	State          command.State `json:"state" enum:"pending,acknowledged"`
	AcknowledgedAt *time.Time    `json:"acknowledged_at,omitempty"`
	AcknowledgedBy string        `json:"acknowledged_by,omitempty" doc:"who said first that it was taken"`
	Trigger        string        `json:"trigger_id"`
	TriggerName    string        `json:"trigger_name"`
	IP             string        `json:"ip" example:"203.0.113.7"`
	LockTime       int64         `json:"lock_time,omitempty" doc:"of ip_denylist_requested and ip_graylist_requested, in seconds; 315360000 = for ever"`
	Mark           string        `json:"mark,omitempty" doc:"of ip_mark_requested: brute, dirbust or bola"`
	From           int64         `json:"time_from,omitempty" doc:"Unix seconds: the requests that it is about begin here"`
	To             int64         `json:"time_to,omitempty" doc:"Unix seconds: they end here; absent for those to come"`
}

type (
	commandsInput struct {
		State   string `query:"state" enum:"all,pending,acknowledged" default:"all" doc:"only commands in this state"`
		Trigger string `query:"trigger" maxLength:"64" doc:"only those of the trigger with this id"`
		Cursor  string `query:"cursor" maxLength:"400" doc:"next_cursor of the page before"`
		Limit   int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"items on a page, at most 200"`
	}
	commandsOutput struct {
		Body struct {
			Items      []CommandView `json:"items" doc:"newest first"`
			NextCursor string        `json:"next_cursor,omitempty"`
		}
	}
	commandOutput struct{ Body CommandView }
)

func (s *API) commands(api huma.API) {
	tags := []string{"Commands"}
	huma.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "list-commands", Method: http.MethodGet, Path: "/v1/commands", Tags: tags, Errors: []int{400, 422},
		Summary: "List what triggers asked of the platform",
		Description: "Commands to list an address, to mark requests and to group hits. Tocsin can only ask: whoever " +
			"carries them out takes them here, " +
			"from the bus, or by an integration that subscribes to commands, and acknowledges each. They are kept as " +
			"long as events are.",
	}), s.listCommands)
	huma.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "acknowledge-command", Method: http.MethodPost, Path: "/v1/commands/{id}/ack", Tags: tags,
		Errors:      []int{404},
		Summary:     "Say that a command was taken",
		Description: "It is no error when it already was: the answer says by whom first, and when.",
	}), func(ctx context.Context, in *rest.IDInput) (*commandOutput, error) {
		p := rest.Principal(ctx)
		c, err := s.Commands.Acknowledge(ctx, in.ID, activity.Entry{ID: s.NewID(), At: s.Now(), Actor: rest.Person(ctx),
			Object: activity.Command, ObjectID: in.ID, Action: activity.Acknowledge}.Bounded())
		if errors.Is(err, command.ErrNotFound) {
			return nil, rest.NewProblem(http.StatusNotFound, "there is no such command")
		}
		if err != nil {
			return nil, s.Answer(err)
		}
		s.Log.Info("command acknowledged", "tenant", p.Tenant, "command", in.ID, "by", c.AcknowledgedBy)
		return &commandOutput{Body: commandView(c)}, nil
	})
}

func (s *API) listCommands(ctx context.Context, in *commandsInput) (*commandsOutput, error) {
	tenant := rest.Principal(ctx).Tenant
	before, err := rest.OpenCursor(commandList, tenant, in.Cursor)
	if err != nil {
		return nil, err
	}
	q := command.Query{Tenant: tenant, Trigger: in.Trigger, Before: before, Limit: in.Limit + 1}
	if in.State != "all" {
		q.State = command.State(in.State)
	}
	found, err := s.Commands.List(ctx, q)
	if err != nil {
		return nil, s.Answer(err)
	}
	out := &commandsOutput{}
	out.Body.Items = []CommandView{}
	for _, c := range found[:min(len(found), in.Limit)] {
		out.Body.Items = append(out.Body.Items, commandView(c))
	}
	if len(found) > in.Limit {
		out.Body.NextCursor = rest.MakeCursor(commandList, tenant, found[in.Limit-1].Place())
	}
	return out, nil
}

func commandView(c command.Command) CommandView {
	v := CommandView{
		ID: c.ID, Kind: c.Kind, At: c.At, State: c.State(), AcknowledgedBy: c.AcknowledgedBy, Trigger: c.Data.TriggerID,
		TriggerName: c.Data.TriggerName,
		IP:          c.Data.IP, LockTime: c.Data.LockTime, Mark: c.Data.Mark, From: c.Data.From, To: c.Data.To,
	}
	if !c.AcknowledgedAt.IsZero() {
		v.AcknowledgedAt = &c.AcknowledgedAt
	}
	return v
}

const commandList rest.List = "commands"
