package settingstest

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
	"tocsin/shared/notification"
	"tocsin/shared/trigger"
)

// asked is a command as the bus hands it over.
func asked(id, tenant, trigger, ip string, when time.Time) delivery.Entry {
	return delivery.Entry{DetailType: string(event.IPDenylistRequested), At: at, Detail: fmt.Appendf(nil,
		`{"version":1,"id":%q,"tenant":%q,"client_name":"Acme","time":%q,`+
			`"data":{"trigger_id":%q,"trigger_name":"Payloads","ip":%q,"lock_time":3600}}`,
		id, tenant, when.Format(time.RFC3339), trigger, ip)}
}

// OpenCommands opens an engine.
type OpenCommands func(t *testing.T) (TriggerEngine, command.Store)

// Commands is the suite of command.Store, and of the part of fanout.Store.Accept that fills it.
func Commands(t *testing.T, open OpenCommands) {
	run := enginetest.Parallel(t, open)
	run("TestP2: every reaction is a command for the bus, the list and who subscribed", everyReactionIsACommand)
	run("both triggers of a new account ask for something", bothFirstTriggersAsk)
	run("a command that comes again is there once, and stays acknowledged", repeatedCommandIsThereOnce)
	run("lists are newest first, by state and trigger, in pages, for one tenant", commandsAreListed)
	run("another tenant's can not be acknowledged", anotherTenantsCommandIsNotAcknowledged)
	run("a command goes one way: failed, taken, lifted; what was said before is said once", outcomesOfACommand)
	run("commands are read by their ids", commandsAreReadByID)
	run("nobody takes a command: the tenant is told once for a kind, until one is taken", untakenCommandsAreTold)
	run("of many who look at overdue commands at once one tells", overdueIsToldByOne)
	run("a command that is taken while it is looked at is not told of", takenMeanwhileIsNotTold)
	run("of many who acknowledge at once one is the first, and all learn who", firstAcknowledgementStays)
}

func everyReactionIsACommand(t *testing.T, open OpenCommands) {
	for _, template := range trigger.Templates() {
		for _, action := range template.Actions {
			if action == trigger.Notify {
				continue
			}
			t.Run(string(template.ID)+" "+string(action),
				func(t *testing.T) { reaction(t, template, action, open) })
		}
	}
}

func bothFirstTriggersAsk(t *testing.T, open OpenCommands) {
	r, s := startCommands(t, open)
	f := r.fanout()
	var entries []delivery.Entry
	for n := range 60 {
		entries = append(entries, r.hit(at.Add(time.Duration(n)*time.Second), "203.0.113.7",
			fmt.Sprint("payload ", n)))
	}
	r.process(f, entries...)
	kinds := map[event.Kind]bool{}
	found, err := s.List(t.Context(), command.Query{Tenant: "42", Limit: 100})
	require.NoError(t, err)
	for _, c := range found {
		kinds[c.Kind] = true
		require.Equal(t, "203.0.113.7", c.Data.IP)
		require.Equal(t, command.Pending, c.State())
	}
	require.Equal(t, map[event.Kind]bool{event.IPGraylistRequested: true, event.HitsGroupRequested: true}, kinds)
}

func repeatedCommandIsThereOnce(t *testing.T, open OpenCommands) {
	r, s := startCommands(t, open)
	f := r.fanout()
	_, err := f.Process(t.Context(), r.Log.Take(t, []delivery.Entry{asked("a", "42", "t", "203.0.113.7", at)}))
	require.NoError(t, err)
	first, err := s.Acknowledge(t.Context(), "a", took, taken("42", "edge", at.Add(time.Minute)))
	require.NoError(t, err)
	require.Equal(t, command.Command{
		ID: "a", Tenant: "42", ClientName: "Acme", Kind: event.IPDenylistRequested, At: at,
		AcknowledgedAt: at.Add(time.Minute),
		AcknowledgedBy: "edge",
		Data: event.CommandData{TriggerID: "t", TriggerName: "Payloads", IP: "203.0.113.7",
			LockTime: 3600},
	}, first)
	again, err := s.Acknowledge(t.Context(), "a", took, taken("42", "another", at.Add(time.Hour)))
	require.NoError(t, err)
	require.Equal(t, first, again, "the first one stays")
	_, err = f.Process(t.Context(), r.Log.Take(t,
		[]delivery.Entry{asked("a", "42", "t", "203.0.113.7", at.Add(time.Second))}))
	require.NoError(t, err)
	found, err := s.List(t.Context(), command.Query{Tenant: "42", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []command.Command{first}, found)
	// an Intake that is handed in again after its answer got lost
	in := fanout.Intake{Commands: []command.Command{
		{ID: "a", Tenant: "42", Kind: event.IPDenylistRequested, At: at, Data: first.Data}}}
	require.NoError(t, r.Log.Accept(t.Context(), in))
	require.Equal(t, []string{"a"}, commandIDs(t, s, command.Query{State: command.Acknowledged}))
}

func commandsAreListed(t *testing.T, open OpenCommands) {
	r, s := startCommands(t, open)
	var entries []delivery.Entry
	for n := range 7 {
		entries = append(entries, asked(fmt.Sprint("c", n), "42", fmt.Sprint("t", n%2), "203.0.113.7",
			at.Add(time.Duration(n/2)*time.Second)))
	}
	entries = append(entries, asked("foreign", "43", "t0", "203.0.113.8", at))
	_, err := r.fanout().Process(t.Context(), r.Log.Take(t, entries))
	require.NoError(t, err)
	require.Equal(t, []string{"c6", "c5", "c4", "c3", "c2", "c1", "c0"}, commandIDs(t, s, command.Query{}))
	require.Equal(t, []string{"c5", "c3", "c1"}, commandIDs(t, s, command.Query{Trigger: "t1"}))
	require.Equal(t, []string{"foreign"}, commandIDs(t, s, command.Query{Tenant: "43"}))
	for _, id := range []string{"c6", "c1"} {
		_, err := s.Acknowledge(t.Context(), id, took, taken("42", "edge", at))
		require.NoError(t, err)
	}
	require.Equal(t, []string{"c6", "c1"}, commandIDs(t, s, command.Query{State: command.Acknowledged}))
	require.Equal(t, []string{"c5", "c3"}, commandIDs(t, s, command.Query{State: command.Pending, Trigger: "t1"}))
	for _, state := range []command.State{"", command.Pending} {
		var pages []string
		q := command.Query{Tenant: "42", State: state, Limit: 2}
		for {
			found, err := s.List(t.Context(), q)
			require.NoError(t, err)
			if len(found) == 0 {
				break
			}
			for _, c := range found {
				pages = append(pages, c.ID)
			}
			q.Before = found[len(found)-1].Place()
		}
		require.Equal(t, commandIDs(t, s, command.Query{State: state}), pages)
	}
}

func anotherTenantsCommandIsNotAcknowledged(t *testing.T, open OpenCommands) {
	r, s := startCommands(t, open)
	_, err := r.fanout().Process(t.Context(),
		r.Log.Take(t, []delivery.Entry{asked("a", "42", "t", "203.0.113.7", at)}))
	require.NoError(t, err)
	for _, who := range [][2]string{{"43", "a"}, {"42", "b"}, {"42", ""}} {
		_, err = s.Acknowledge(t.Context(), who[1], took, taken(who[0], "edge", at))
		require.ErrorIs(t, err, command.ErrNotFound)
	}
	require.Equal(t, []string{"a"}, commandIDs(t, s, command.Query{State: command.Pending}))
}

func firstAcknowledgementStays(t *testing.T, open OpenCommands) {
	r, s := startCommands(t, open)
	_, err := r.fanout().Process(t.Context(),
		r.Log.Take(t, []delivery.Entry{asked("a", "42", "t", "203.0.113.7", at)}))
	require.NoError(t, err)
	answers := make([]command.Command, 6)
	errs := make([]error, len(answers))
	var wg sync.WaitGroup
	for n := range answers {
		wg.Go(func() {
			answers[n], errs[n] = s.Acknowledge(t.Context(), "a", took, taken("42", fmt.Sprint("edge ", n), at))
		})
	}
	wg.Wait()
	for n := range answers {
		require.NoError(t, errs[n])
		require.Equal(t, answers[0].AcknowledgedBy, answers[n].AcknowledgedBy)
	}
}

func startCommands(t *testing.T, open OpenCommands) (*triggerRig, command.Store) {
	engine, store := open(t)
	return &triggerRig{t: t, TriggerEngine: engine}, store
}

func commandIDs(t *testing.T, s command.Store, q command.Query) (ids []string) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	if q.Tenant == "" {
		q.Tenant = "42"
	}
	found, err := s.List(t.Context(), q)
	require.NoError(t, err)
	ids = []string{}
	for _, c := range found {
		ids = append(ids, c.ID)
	}
	return ids
}

// reaction fires one and follows its command.
func reaction(t *testing.T, template trigger.Template, action trigger.ActionID,
	open OpenCommands) {
	r, s := startCommands(t, open)
	require.NoError(t, r.Integrations.Create(t.Context(), integration.Integration{
		ID: "hook", Tenant: "42", ClientName: "Acme", System: "web_hooks", Revision: 1,
		Subscriptions: []integration.Subscription{{Event: event.Command}},
	}, enginetest.Record("42", event.CreateIntegration)))
	r.Left(t)
	th := trigger.Threshold{Period: 60, Count: 1}
	a := trigger.Action{ID: action}
	if action.Lists() {
		a.LockTime = 3600
	}
	r.watch(trigger.Trigger{Template: template.ID, Threshold: &th, Actions: []trigger.Action{a}})
	f := r.fanout()
	if n := len(r.Log.Take(t, nil)); n > 0 { // the event of the integration
		_, err := f.Process(t.Context(), r.Log.Take(t, nil))
		require.NoError(t, err)
	}
	var entries []delivery.Entry
	for n := range 3 {
		when := at.Add(time.Duration(n) * time.Second)
		if template.Kinds[0] == event.NewHits {
			entries = append(entries, r.hit(when, "203.0.113.7", fmt.Sprint("payload ", n)))
			continue
		}
		entries = append(entries, r.entry(string(template.Kinds[0]), fmt.Sprint("n", n), when,
			map[string]any{"ip": "203.0.113.7", "count": 1, "domain": "shop.example.com",
				"url": "shop.example.com/login"}))
	}
	onBus := r.process(f, entries...)
	require.Len(t, onBus, 1, "on the bus")
	kind := map[trigger.ActionID]event.Kind{
		trigger.Denylist: event.IPDenylistRequested, trigger.Graylist: event.IPGraylistRequested,
		trigger.Mark: event.IPMarkRequested, trigger.Group: event.HitsGroupRequested,
	}[action]
	require.Equal(t, kind, onBus[0].Kind)
	found, err := s.List(t.Context(), command.Query{Tenant: "42", Trigger: "t", State: command.Pending, Limit: 10})
	require.NoError(t, err)
	require.Len(t, found, 1, "in the list")
	require.Equal(t, onBus[0].ID, found[0].ID)
	require.Equal(t, kind, found[0].Kind)
	require.Equal(t, event.Data[event.CommandData](onBus[0]), found[0].Data)
	sent := r.Log.Ready(t, "42", "hook", 10)
	require.Len(t, sent, 1, "by the webhook")
	body := notification.Notification{Event: sent[0].Events[0],
		Platform: notification.Platform{Name: "Tocsin"}}.Envelope()
	var envelope struct {
		Details map[string]any
	}
	require.NoError(t, json.Unmarshal(body, &envelope))
	require.Equal(t, found[0].ID, envelope.Details["command_id"], "what the acknowledgement takes")
	require.Equal(t, "203.0.113.7", envelope.Details["ip"])
	require.False(t, strings.Contains(string(body), `"reaction"`))
	done, err := s.Acknowledge(t.Context(), envelope.Details["command_id"].(string), took,
		taken("42", "edge", at))
	require.NoError(t, err)
	require.Equal(t, command.Acknowledged, done.State())
}

// took is the plain acknowledgement.
var took = command.Outcome{State: command.Acknowledged}

func outcomesOfACommand(t *testing.T, open OpenCommands) {
	failed := command.Outcome{State: command.Failed, Reason: "no such list"}
	lifted := command.Outcome{State: command.Lifted, Reason: "by hand"}
	all := map[command.State]command.Outcome{command.Acknowledged: took, command.Failed: failed, command.Lifted: lifted}
	type say struct {
		what  command.State
		wants command.State // the state after it; "" = it is refused
	}
	const ok, no, gone = command.Acknowledged, command.Failed, command.Lifted
	r, s := startCommands(t, open)
	for n, says := range [][]say{
		{{ok, ok}, {gone, gone}, {ok, gone}, {gone, gone}, {no, ""}},
		{{no, no}, {no, no}, {gone, ""}, {ok, ok}, {no, ok}, {gone, gone}, {no, gone}},
		{{gone, ""}, {ok, ok}, {no, ""}, {ok, ok}},
		{{command.Pending, ""}, {gone, ""}, {no, no}},
	} {
		id := fmt.Sprint("c", n)
		_, err := r.fanout().Process(t.Context(),
			r.Log.Take(t, []delivery.Entry{asked(id, "42", "t", "203.0.113.7", at)}))
		require.NoError(t, err)
		first := map[command.State]time.Time{}
		state := command.Pending
		for step, one := range says {
			when := at.Add(time.Duration(step+1) * time.Minute)
			o := all[one.what]
			c, err := s.Acknowledge(t.Context(), id, o, taken("42", fmt.Sprint("edge ", step), when))
			var impossible *command.Impossible
			if one.wants == "" {
				require.ErrorAs(t, err, &impossible, "%d %d", n, step)
			} else {
				require.NoError(t, err)
				require.Equal(t, one.wants, c.State())
				if state = one.wants; first[one.what].IsZero() {
					first[one.what] = when
				}
			}
			require.Equal(t, []string{id}, commandIDs(t, s, command.Query{State: state, Limit: 1}))
			found, err := s.Several(t.Context(), "42", []string{id})
			require.NoError(t, err)
			c = found[0]
			require.Equal(t, []time.Time{first[ok], first[no], first[gone]},
				[]time.Time{c.AcknowledgedAt, c.FailedAt, c.LiftedAt}, "%d %d", n, step)
			require.Equal(t, !c.FailedAt.IsZero(), c.Failure == "no such list" && c.FailedBy != "")
			require.Equal(t, !c.LiftedAt.IsZero(), c.LiftReason == "by hand" && c.LiftedBy != "")
		}
	}
}

func commandsAreReadByID(t *testing.T, open OpenCommands) {
	r, s := startCommands(t, open)
	var entries []delivery.Entry
	var ids []string
	for n := range 120 { // more than one call of an engine takes
		ids = append(ids, fmt.Sprint("c", n))
		entries = append(entries, asked(ids[n], "42", "t", "203.0.113.7", at.Add(time.Duration(n)*time.Second)))
	}
	entries = append(entries, asked("foreign", "43", "t", "203.0.113.7", at))
	for part := range slices.Chunk(entries, 50) {
		_, err := r.fanout().Process(t.Context(), r.Log.Take(t, part))
		require.NoError(t, err)
	}
	found, err := s.Several(t.Context(), "42", append(ids, "c1", "foreign", "none"))
	require.NoError(t, err)
	var got []string
	for _, c := range found {
		got = append(got, c.ID)
	}
	require.ElementsMatch(t, ids, got)
	found, err = s.Several(t.Context(), "42", nil)
	require.NoError(t, err)
	require.Empty(t, found)
}

// notices is the rule over a store, at a time.
func notices(s command.Store, now time.Time) *command.Notices {
	return &command.Notices{Store: s, Wait: command.DefaultWait, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler)}
}

// told are the events that tell of commands that nobody took, since the last call.
func (r *triggerRig) told(t *testing.T) (out []event.NotTakenData) {
	t.Helper()
	for _, e := range r.Left(t) {
		if e.DetailType == string(event.CommandNotTaken) {
			parsed, err := event.Parse(e.DetailType, e.Detail)
			require.NoError(t, err)
			require.Equal(t, "42", parsed.Tenant)
			require.Equal(t, "Acme", parsed.ClientName)
			out = append(out, event.Data[event.NotTakenData](parsed))
		}
	}
	return out
}

// untakenRig asks for commands that nobody takes.
type untakenRig struct {
	*triggerRig
	t    *testing.T
	s    command.Store
	seen map[string]bool // commands that were told of
}

func (r *untakenRig) ask(id string, when time.Time) {
	r.t.Helper()
	_, err := r.fanout().Process(r.t.Context(),
		r.Log.Take(r.t, []delivery.Entry{asked(id, "42", "t", "203.0.113.7", when)}))
	require.NoError(r.t, err)
}

func (r *untakenRig) say(id string, s command.State, when time.Time) {
	r.t.Helper()
	_, err := r.s.Acknowledge(r.t.Context(), id, command.Outcome{State: s, Reason: "why"}, taken("42", "edge", when))
	require.NoError(r.t, err)
}

// look has overdue commands looked for, and wants the tenant to be told of some.
func (r *untakenRig) look(now time.Time, want ...string) {
	r.t.Helper()
	n, err := notices(r.s, now).Send(r.t.Context())
	require.NoError(r.t, err)
	require.Equal(r.t, len(want), n)
	var got []string
	for _, d := range r.told(r.t) { // an engine may tell all that there were
		if !r.seen[d.Command.ID] {
			got = append(got, d.Command.ID)
		}
		r.seen[d.Command.ID] = true
		require.Equal(r.t, event.IPDenylistRequested, d.Command.Kind)
		require.Equal(r.t, "t", d.Trigger.ID)
	}
	require.ElementsMatch(r.t, want, got)
}

// untaken wants these to be listed, of this tenant alone.
func (r *untakenRig) untaken(now time.Time, want ...string) {
	r.t.Helper()
	found, err := r.s.Untaken(r.t.Context(), "42", now)
	require.NoError(r.t, err)
	var ids []string
	for _, c := range found {
		ids = append(ids, c.ID)
		require.False(r.t, c.OverdueAt.IsZero())
	}
	require.Equal(r.t, want, ids)
	none, err := r.s.Untaken(r.t.Context(), "43", now)
	require.NoError(r.t, err)
	require.Empty(r.t, none)
}

func untakenCommandsAreTold(t *testing.T, open OpenCommands) {
	of, s := startCommands(t, open)
	r := &untakenRig{triggerRig: of, t: t, s: s, seen: map[string]bool{}}
	hour := func(n int) time.Time { return at.Add(time.Duration(n) * time.Hour) }
	overdue := at.Add(command.DefaultWait)
	r.ask("a", at)
	r.ask("b", at.Add(time.Second))
	r.look(overdue.Add(-1))
	r.untaken(at)
	r.look(overdue.Add(time.Minute), "a") // and b is of the same kind
	r.look(overdue.Add(2 * time.Minute))
	r.untaken(overdue, "a")
	r.ask("c", hour(1))
	r.look(hour(2))
	found, err := s.Several(t.Context(), "42", []string{"c"})
	require.NoError(t, err)
	require.Equal(t, hour(2), found[0].OverdueAt.UTC())
	// one is taken: the next that is not is told
	r.say("b", command.Acknowledged, hour(2))
	r.untaken(hour(2))
	r.ask("d", hour(2))
	r.ask("e", hour(2))
	r.say("e", command.Acknowledged, hour(2))
	r.look(hour(3), "d")
	r.say("d", command.Failed, hour(3)) // who fails takes them
	r.untaken(hour(3))
	r.ask("f", hour(3))
	r.look(hour(4), "f")
	r.say("b", command.Lifted, hour(4)) // what is lifted was taken before
	r.untaken(hour(4), "f")
	later := hour(31 * 24)
	r.untaken(later)
	r.ask("g", later)
	r.look(later.Add(time.Hour), "g")
	r.untaken(later.Add(time.Hour), "g")
}

func overdueIsToldByOne(t *testing.T, open OpenCommands) {
	r, s := startCommands(t, open)
	var entries []delivery.Entry
	for n := range 3 {
		entries = append(entries, asked(fmt.Sprint("c", n), "42", "t", "203.0.113.7", at))
	}
	_, err := r.fanout().Process(t.Context(), r.Log.Take(t, entries))
	require.NoError(t, err)
	var wg sync.WaitGroup
	told, errs := make([]int, 5), make([]error, 5)
	for n := range told {
		wg.Go(func() { told[n], errs[n] = notices(s, at.Add(time.Hour)).Send(t.Context()) })
	}
	wg.Wait()
	sum := 0
	for n := range told {
		require.NoError(t, errs[n])
		sum += told[n]
	}
	require.Equal(t, 1, sum)
	require.Len(t, r.told(t), 1)
	left, err := s.Overdue(t.Context(), at.Add(time.Hour), 10)
	require.NoError(t, err)
	require.Empty(t, left)
}

func takenMeanwhileIsNotTold(t *testing.T, open OpenCommands) {
	r, s := startCommands(t, open)
	_, err := r.fanout().Process(t.Context(),
		r.Log.Take(t, []delivery.Entry{asked("a", "42", "t", "203.0.113.7", at)}))
	require.NoError(t, err)
	found, err := s.Overdue(t.Context(), at, 10)
	require.NoError(t, err)
	require.Len(t, found, 1)
	_, err = s.Acknowledge(t.Context(), "a", took, taken("42", "edge", at))
	require.NoError(t, err)
	found[0].OverdueAt = at
	first, err := s.MarkOverdue(t.Context(), found[0], event.CommandNotTaken.Example(), at.Add(time.Hour))
	require.NoError(t, err)
	require.False(t, first)
	none, err := s.Untaken(t.Context(), "42", at)
	require.NoError(t, err)
	require.Empty(t, none)
	require.Empty(t, r.told(t))
	left, err := s.Overdue(t.Context(), at, 10)
	require.NoError(t, err)
	require.Empty(t, left)
}

// taken is the entry of somebody who acknowledges a command.
func taken(tenant, by string, at time.Time) activity.Entry {
	e := enginetest.Entry(tenant)
	e.At, e.Email, e.Action = at, by, activity.Acknowledge
	return e
}
