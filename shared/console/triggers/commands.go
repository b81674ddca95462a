package triggers

import (
	"cmp"
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
	"tocsin/shared/plaintext"
)

// CommandView is what a trigger asked of the platform.
type CommandView struct {
	ID   string     `json:"id" doc:"that of its event; command_id in what integrations get" example:"trigger:01GTD8R4000000000000000001:5f2a:block_ips"`
	Kind event.Kind `json:"kind" enum:"ip_denylist_requested,ip_graylist_requested,ip_mark_requested,hits_group_requested"`
	At   time.Time  `json:"at"`
	CommandStateView
	Trigger     string `json:"trigger_id"`
	TriggerName string `json:"trigger_name"`
	IP          string `json:"ip" example:"203.0.113.7"`
	LockTime    int64  `json:"lock_time,omitempty" doc:"of ip_denylist_requested and ip_graylist_requested, in seconds; 315360000 = for ever"`
	Mark        string `json:"mark,omitempty" doc:"of ip_mark_requested: brute, dirbust or bola"`
	From        int64  `json:"time_from,omitempty" doc:"Unix seconds: the requests that it is about begin here"`
	To          int64  `json:"time_to,omitempty" doc:"Unix seconds: they end here; absent for those to come"`
}

// CommandStateView is what became of a command.
type CommandStateView struct {
	State          command.State `json:"state" enum:"pending,acknowledged,failed,lifted" doc:"pending: nobody said anything of it; acknowledged: it was taken; failed: it could not be carried out; lifted: it was taken, and that is over"`
	OverdueAt      *time.Time    `json:"overdue_at,omitempty" doc:"when it was found that nobody had taken it within its time"`
	AcknowledgedAt *time.Time    `json:"acknowledged_at,omitempty"`
	AcknowledgedBy string        `json:"acknowledged_by,omitempty" doc:"who said first that it was taken"`
	EndsAt         *time.Time    `json:"ends_at,omitempty" doc:"of one that was taken: acknowledged_at and the lock time. Whether the address left the list then is upstream's to say, with the outcome lifted: the state does not change by itself"`
	FailedAt       *time.Time    `json:"failed_at,omitempty"`
	FailedBy       string        `json:"failed_by,omitempty"`
	Failure        string        `json:"failure,omitempty" doc:"why it could not be carried out, in upstream's words"`
	LiftedAt       *time.Time    `json:"lifted_at,omitempty"`
	LiftedBy       string        `json:"lifted_by,omitempty"`
	LiftReason     string        `json:"lift_reason,omitempty"`
}

// AckBody is what upstream says of a command.
type AckBody struct {
	Outcome command.State `json:"outcome,omitempty" enum:"acknowledged,failed,lifted" default:"acknowledged" doc:"acknowledged: it was taken, or carried out; failed: it could not be; lifted: what was taken is over, by its time or because somebody removed it"`
	Reason  string        `json:"reason,omitempty" maxLength:"500" doc:"of failed, which needs one, and of lifted" example:"no such list"`
}

type (
	ackInput struct {
		rest.IDInput
		Body *AckBody
	}
	commandsInput struct {
		State   string `query:"state" enum:"all,pending,acknowledged,failed,lifted" default:"all" doc:"only commands in this state"`
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
	rest.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "list-commands", Method: http.MethodGet, Path: "/v1/commands", Tags: tags, Errors: []int{400, 422},
		Summary: "List what triggers asked of the platform",
		Description: "Commands to list an address, to mark requests and to group hits. Tocsin can only ask: whoever " +
			"carries them out takes them here, " +
			"from the bus, or by an integration that subscribes to commands, and acknowledges each. They are kept as " +
			"long as events are.",
	}), s.listCommands)
	rest.Register(api, rest.Operation(access.Triggers, huma.Operation{
		OperationID: "acknowledge-command", Method: http.MethodPost, Path: "/v1/commands/{id}/ack", Tags: tags,
		Errors:  []int{404, 409, 422},
		Summary: "Say what became of a command",
		Description: "Without a body: that it was taken. A command goes one way: it may fail, be taken (after a " +
			"failure, too), and be lifted once it was taken; 409 answers what can not be. It is no error when the " +
			"same was said before: the answer says by whom first, and when.",
	}), s.acknowledge)
}

func (s *API) acknowledge(ctx context.Context, in *ackInput) (*commandOutput, error) {
	o := command.Outcome{State: command.Acknowledged}
	if in.Body != nil {
		o = command.Outcome{State: cmp.Or(in.Body.Outcome, command.Acknowledged),
			Reason: plaintext.Line(in.Body.Reason)}
	}
	if o.State == command.Failed && o.Reason == "" {
		return nil, rest.NewProblem(http.StatusUnprocessableEntity, "validation failed",
			rest.Fault("reason", "is needed with the outcome failed"))
	}
	c, err := s.Commands.Acknowledge(ctx, in.ID, o, activity.Entry{ID: s.NewID(), At: s.Now(),
		Actor: rest.Person(ctx), Object: activity.Command, ObjectID: in.ID, Action: activity.Acknowledge}.Bounded())
	var impossible *command.Impossible
	switch {
	case errors.Is(err, command.ErrNotFound):
		return nil, rest.Missing("there is no such command", `there is no command "%s"`, "id")
	case errors.As(err, &impossible):
		return nil, rest.NewProblem(http.StatusConflict, impossible.Error())
	case err != nil:
		return nil, s.Answer(ctx, err)
	}
	s.Log.Info("command acknowledged", "tenant", c.Tenant, "command", c.ID, "outcome", string(o.State), "state",
		string(c.State()), "by", rest.Person(ctx).Who())
	return &commandOutput{Body: commandView(c)}, nil
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
		return nil, s.Answer(ctx, err)
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
	return CommandView{ID: c.ID, Kind: c.Kind, At: c.At, CommandStateView: commandState(c), Trigger: c.Data.TriggerID,
		TriggerName: c.Data.TriggerName, IP: c.Data.IP, LockTime: c.Data.LockTime, Mark: c.Data.Mark,
		From: c.Data.From, To: c.Data.To}
}

func commandState(c command.Command) CommandStateView {
	return CommandStateView{State: c.State(), OverdueAt: moment(c.OverdueAt),
		AcknowledgedAt: moment(c.AcknowledgedAt), AcknowledgedBy: c.AcknowledgedBy, EndsAt: moment(c.Ends()),
		FailedAt: moment(c.FailedAt), FailedBy: c.FailedBy, Failure: c.Failure,
		LiftedAt: moment(c.LiftedAt), LiftedBy: c.LiftedBy, LiftReason: c.LiftReason}
}

// moment is nil for a time that is not there.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

const commandList rest.List = "commands"
