package erasuretest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/erasure"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/mail/address"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/session"
	"tocsin/shared/token"
	"tocsin/shared/trigger"
)

// Who is erased: the address as it is written, what they are called, and what an identity provider calls them.
const (
	Address = "Augusta.King@lovelace.example"
	Called  = "Augusta Ada King"
	Subject = "idp|0815-lovelace"
	once    = "Augusta Byron" // they were called so before
)

// Stores keep what can name a person.
type Stores struct {
	Integrations integration.Store
	Triggers     trigger.Store
	People       profile.Store
	Tokens       token.Store
	Suppressions mail.SuppressionList
	Sessions     interface {
		Create(ctx context.Context, s session.Session) error
	} // nil = they are kept elsewhere
	Reports    report.Store
	Deliveries enginetest.DeliveryStore
	// Arrive has entries come in over the bus.
	Arrive func(t *testing.T, entries []delivery.Entry) []delivery.Entry
	// More writes what the engine alone keeps; nil = nothing.
	More func(t *testing.T, tenant string)
	// Overwriting is what the engine does while a person is taken out of integrations; nil = nothing.
	Overwriting func(erasure.Integrations) erasure.Integrations
}

// People is the suite of ErasePerson.
func People(t *testing.T, open Open) {
	run := enginetest.Parallel(t, open)
	run("a person who is erased is found nowhere, and what they did stays under a pseudonym", personIsErased)
	run("an export of a person after their erasure names them in no log again", exportAfterErasure)
	run("another tenant's person of the same address stays as they are", otherPersonStays)
	run("an erasure of a person that was broken off goes on", personIsErasedAgain)
	run("who is named again and again is not said to be erased", personComesBack)
}

func peopleService(e Engine, c *clock) *erasure.Service {
	s := service(e, c)
	n := 0
	var integrations erasure.Integrations = &integration.Service{Store: e.Integrations, Systems: catalogue.Default(),
		Now: func() time.Time { return c.now }, Log: slog.New(slog.DiscardHandler),
		NewID: func() string { n++; return fmt.Sprint("changed-", n) }}
	if e.Overwriting != nil {
		integrations = e.Overwriting(integrations)
	}
	s.Integrations = integrations
	return s
}

// FillPerson writes whatever can name a person of a tenant.
func (e Engine) FillPerson(t *testing.T, of string) {
	ctx, at, end := t.Context(), enginetest.At, time.Date(2126, 3, 1, 12, 0, 0, 0, time.UTC)
	ok := func(err error) { t.Helper(); require.NoError(t, err) }
	record := enginetest.Record(of, event.CreateIntegration)
	record.Entry.Email, record.Entry.Name, record.Entry.Subject = Address, Called, Subject
	record.Event.Data = fmt.Appendf(nil, `{"integration":{"id":"shared"},"by":{"name":%q,"email":%q}}`, Called, Address)
	for id, parameters := range map[string]string{"shared": `{"addresses":["` + Address + `","grace@example.com"]}`,
		"alone": `{"addresses":["` + strings.ToUpper(Address) + `"]}`, "made": `{"a": 1}`,
		"login": `{"email":"` + Address + `","url":"https://jira.example.com"}`} {
		i := enginetest.Sample(of, id)
		i.System, i.Parameters, i.CreatedBy = "email", json.RawMessage(parameters), Address
		i.Hold.Mute.By, i.Fallback = Address, ""
		record.Entry.ID, record.Event.ID = "e-"+id+of, "n-"+id+of
		ok(e.Integrations.Create(ctx, i, record))
	}
	ok(e.Triggers.Seed(ctx, of, []trigger.Trigger{{ID: "t-" + of, Tenant: of, Name: "T", Revision: 1, Epoch: 1,
		CreatedBy: Address}}, enginetest.Entry(of)))
	p := enginetest.Person(of, profile.ID(Address), 1)
	p.Email, p.Name = Address, Called
	ok(e.People.Save(ctx, p))
	for _, kind := range []token.Kind{token.Personal, token.Shared} {
		v := token.Token{ID: string(kind) + of, Tenant: of, Name: "deploys", Kind: kind, CreatedBy: Address,
			Digest: token.Digest(string(kind) + of), Revision: 1, CreatedAt: at, ExpiresAt: end}
		if kind == token.Personal {
			v.Email, v.PersonName = Address, Called
		}
		ok(e.Tokens.Create(ctx, v))
	}
	_, err := e.Suppressions.Suppress(ctx, mail.Suppression{Tenant: of, Address: address.Canonical(Address), At: at})
	ok(err)
	if e.Sessions != nil {
		ok(e.Sessions.Create(ctx, session.Session{Digest: session.Digest("person of " + of), Tenant: of, Email: Address,
			Name: Called, Subject: Subject, Method: session.ByProvider, Began: end, IdleEnd: end, End: end}))
	}
	about := activity.Entry{ID: "renamed" + of, At: at, Actor: activity.Actor{Tenant: of, Source: access.FromPlatform},
		Object: activity.User, ObjectID: address.Canonical(Address), ObjectName: Address, Action: activity.Update,
		Changes: []activity.Change{{Field: "name", Before: once, After: Called}}}
	ok(e.Log.Append(ctx, about))
	ok(e.Reports.Save(ctx, report.Report{ID: "r-" + of, Tenant: of, State: report.Ready, CreatedAt: at,
		CreatedBy: Address, Recipients: []string{Address, "grace@example.com"},
		Period: calendar.Containing(calendar.Weekly, "2023-03-01", "UTC")}, nil))
	e.fillDeliveries(t, of)
	if e.More != nil {
		e.More(t, of)
	}
}

// fillDeliveries makes deliveries of events that tell of the person: to their integrations, and to themselves.
func (e Engine) fillDeliveries(t *testing.T, of string) {
	entry := func(id string) delivery.Entry {
		return delivery.Entry{DetailType: "create_user", At: enginetest.At, Receipt: "person-" + id + of,
			Detail: fmt.Appendf(nil, `{"version":1,"id":%q,"tenant":%q,"time":"2023-03-01T12:00:00Z","data":{"user":{`+
				`"name":%q,"email":%q},"trigger_name":"<b> %s: %s \u0026"}}`, id, of, Called, Address, Address, Called)}
	}
	entries := e.Arrive(t, []delivery.Entry{entry("p1"), entry("p2"), entry("p3"), entry("p4"), entry("")})
	in := fanout.Intake{Rejected: []fanout.Rejected{{Entry: entries[len(entries)-1], Tenant: of, Reason: "no id"}}}
	for n, received := range entries[:len(entries)-1] {
		parsed, err := event.Parse(received.DetailType, received.Detail)
		require.NoError(t, err)
		in.Accepted = append(in.Accepted, fanout.Accepted{Entry: received, Event: parsed})
		for place, to := range []string{"shared", profile.ID(Address)} {
			id := fmt.Sprintf("01GTD8R4%017d%d", n, place)
			in.Deliveries = append(in.Deliveries, delivery.Delivery{ID: id, Tenant: of, Integration: to, Count: 1,
				State: delivery.Pending, Kinds: []event.Kind{event.CreateUser}, Events: []event.Event{parsed}})
		}
	}
	require.NoError(t, e.Deliveries.Accept(t.Context(), in))
	done := in.Deliveries
	for n := range done[:4] {
		d := &done[n]
		d.State, d.Reason = delivery.Delivered, "sent to "+Address
		if n%2 == 0 && n > 1 || n == 1 {
			d.State, d.Due, d.Failures = delivery.Retrying, enginetest.At.Add(time.Hour), 1
		}
		d.Attempts = []delivery.Attempt{{At: enginetest.At, Status: 550, Reason: "refused",
			Answer: "550 5.1.1 <" + Address + ">: unknown", Delivered: d.State == delivery.Delivered}}
		d.Parts = []delivery.Part{{Key: address.Canonical(Address) + " p1", Name: Address,
			State: delivery.PartFailed, Status: 550, Reason: "no " + Address}}
	}
	require.NoError(t, e.Deliveries.Settle(t.Context(), done[:4]))
}

// everyName are all texts that name the person, in lower case.
func everyName() []string {
	return []string{strings.ToLower(Address), profile.ID(Address), strings.ToLower(Called), strings.ToLower(Subject),
		strings.ToLower(once)}
}

// foundNowhere looks for the person in each row.
func (e Engine) foundNowhere(t *testing.T) {
	t.Helper()
	for table, rows := range e.Rows(t) {
		for _, row := range rows {
			for _, name := range everyName() {
				require.NotContains(t, strings.ToLower(row), name, "a row of %s", table)
			}
		}
	}
}

func exportOf(t *testing.T, e Engine, of string) (rows []string) {
	t.Helper()
	source, err := erasure.Person(profile.Names(Address)).Of(e.Source)
	require.NoError(t, err)
	for after := ""; ; {
		page, next, err := source.Page(t.Context(), of, after)
		require.NoError(t, err)
		for _, r := range page {
			rows = append(rows, r.Table+" "+string(r.Body))
		}
		if after = next; after == "" {
			return rows
		}
	}
}

func entries(t *testing.T, e Engine, q activity.Query) (all []activity.Entry) {
	t.Helper()
	q.Tenant, q.Limit = Leaving, 1000
	for {
		page, err := e.Log.List(t.Context(), q)
		require.NoError(t, err)
		all = append(all, page.Entries...)
		if q.Before = page.Next; page.Next == "" {
			return all
		}
	}
}

func personIsErased(t *testing.T, open Open) {
	e := open(t)
	e.FillPerson(t, Leaving)
	person := erasure.Person(profile.Names(strings.ToUpper(Address)))
	require.Greater(t, len(exportOf(t, e, Leaving)), 15)
	source, err := person.Of(e.Source)
	require.NoError(t, err)
	counted, err := erasure.Counted(t.Context(), source, Leaving)
	require.NoError(t, err)
	require.Equal(t, len(exportOf(t, e, Leaving)), counted.Total())
	did := len(entries(t, e, activity.Query{Person: address.Canonical(Address)}))
	all := len(entries(t, e, activity.Query{}))
	require.Positive(t, did)

	c := &clock{enginetest.At}
	s := peopleService(e, c)
	try, err := s.TryPerson(t.Context(), Leaving, person)
	require.NoError(t, err)
	require.Equal(t, []erasure.Changed{{ID: "alone", Name: "Ops alone", Disabled: true},
		{ID: "login", Name: "Ops login", Disabled: true}, {ID: "shared", Name: "Ops shared"}}, try)
	require.Equal(t, counted.Total(), len(exportOf(t, e, Leaving)), "to try changes nothing")
	_, err = s.PersonJob(t.Context(), Leaving, person)
	require.ErrorIs(t, err, erasure.ErrNotFound)
	j, err := s.ErasePerson(t.Context(), operator, Leaving, person)
	require.NoError(t, err)
	require.Equal(t, erasure.Done, j.State)
	require.Equal(t, try, j.Integrations)
	require.Empty(t, j.Person)
	require.Empty(t, j.Called)
	require.Regexp(t, `^erased person [0-9a-f]{12}$`, j.Pseudonym)
	require.Positive(t, j.Rows["people"])
	require.GreaterOrEqual(t, j.Rows[erasure.Pseudonymous("activity")], did)
	require.Empty(t, exportOf(t, e, Leaving), "an export finds nobody any more")
	e.foundNowhere(t)

	require.Len(t, entries(t, e, activity.Query{Person: j.Pseudonym}), did, "what they did is one person's")
	log := entries(t, e, activity.Query{})
	require.Len(t, log, all+5, "three integrations were changed; the erasure was asked for, and done")
	asked := entries(t, e, activity.Query{ObjectID: j.Pseudonym, Action: activity.Erase})
	require.Len(t, asked, 2)
	require.Equal(t, access.FromSystem, asked[0].Source)
	require.NotEmpty(t, asked[0].Changes)
	require.Equal(t, operator.Email, asked[1].Email)
	e.integrationsAreLeft(t, j.Pseudonym)
	e.deliveriesAreLeft(t, j.Pseudonym)

	again, err := s.ErasePerson(t.Context(), operator, Leaving, person)
	require.NoError(t, err)
	require.Zero(t, again.Rows.Total(), "%v", again.Rows)
	require.Equal(t, j.Pseudonym, again.Pseudonym)
	other, err := s.StartPerson(t.Context(), operator, Staying, person)
	require.NoError(t, err)
	require.NotEqual(t, j.Pseudonym, other.Pseudonym, "another tenant does not learn that it is the same person")
	for _, nobody := range []erasure.Person{nil, {" "}, {"lovelace.example"}, {"@lovelace.example"}} {
		_, err = s.StartPerson(t.Context(), operator, Leaving, nobody)
		require.ErrorIs(t, err, erasure.ErrPerson)
	}
	_, err = s.StartPerson(t.Context(), operator, "*", person)
	require.ErrorIs(t, err, erasure.ErrName)
}

func exportAfterErasure(t *testing.T, open Open) {
	e := open(t)
	e.FillPerson(t, Leaving)
	s := peopleService(e, &clock{enginetest.At})
	person := erasure.Person(profile.Names(Address))
	noted := func() string {
		t.Helper()
		_, _, err := s.Export(t.Context(), operator, Leaving, person, "")
		require.NoError(t, err)
		log := entries(t, e, activity.Query{Action: activity.Export})
		require.NotEmpty(t, log)
		return log[0].Changes[0].After
	}
	require.Equal(t, Address, noted(), "before the erasure")
	j, err := s.ErasePerson(t.Context(), operator, Leaving, person)
	require.NoError(t, err)
	person = profile.Names(strings.ToUpper(Address))
	require.Equal(t, j.Pseudonym, noted())
	e.foundNowhere(t)
}

// integrationsAreLeft: those that the person made stay, and work where they can.
func (e Engine) integrationsAreLeft(t *testing.T, pseudonym string) {
	shared, err := e.Integrations.Get(t.Context(), Leaving, "shared")
	require.NoError(t, err)
	require.True(t, shared.Enabled())
	require.JSONEq(t, `{"addresses":["grace@example.com"]}`, string(shared.Parameters))
	require.Equal(t, []byte{0, 1, 2, 255}, shared.Sealed)
	require.Equal(t, []string{pseudonym, pseudonym}, []string{shared.CreatedBy, shared.Hold.Mute.By})
	alone, err := e.Integrations.Get(t.Context(), Leaving, "alone")
	require.NoError(t, err)
	require.False(t, alone.Enabled())
	require.Contains(t, alone.Off.Reason, "say where it sends to")
	require.JSONEq(t, `{"addresses":["`+pseudonym+`"]}`, string(alone.Parameters))
	login, err := e.Integrations.Get(t.Context(), Leaving, "login")
	require.NoError(t, err)
	require.False(t, login.Enabled(), "nobody signs in by a pseudonym")
	require.JSONEq(t, `{"email":"`+pseudonym+`","url":"https://jira.example.com"}`, string(login.Parameters))
	made, err := e.Integrations.Get(t.Context(), Leaving, "made")
	require.NoError(t, err)
	want := enginetest.Sample(Leaving, "made")
	want.System, want.Parameters, want.CreatedBy, want.Fallback = "email", made.Parameters, pseudonym, ""
	want.Hold.Mute.By, want.Number = pseudonym, made.Number
	require.Equal(t, want, made, "it is no change of an integration that somebody made it")
	require.JSONEq(t, `{"a":1}`, string(made.Parameters))
	enabled, err := e.Integrations.Enabled(t.Context(), Leaving)
	require.NoError(t, err)
	require.Len(t, enabled, 2)
	list, err := e.Tokens.List(t.Context(), Leaving, "", 10)
	require.NoError(t, err)
	require.Len(t, list, 1, "a shared token is the tenant's")
	require.Equal(t, pseudonym, list[0].CreatedBy)
}

// deliveriesAreLeft: those to integrations, with the pseudonym in what their events tell.
func (e Engine) deliveriesAreLeft(t *testing.T, pseudonym string) {
	found, err := e.Deliveries.List(t.Context(), delivery.Query{Tenant: Leaving, Integration: "shared", Limit: 10})
	require.NoError(t, err)
	require.Len(t, found, 4)
	for _, d := range found {
		full, err := e.Deliveries.Get(t.Context(), Leaving, "shared", d.ID)
		require.NoError(t, err)
		require.Len(t, full.Events, 1)
		u := event.Data[event.UserData](full.Events[0])
		require.Equal(t, event.Person{Name: pseudonym, Email: pseudonym}, u.User)
		require.Equal(t, "<b> "+pseudonym+": "+pseudonym+" &", u.TriggerName)
		for _, a := range full.Attempts {
			require.Equal(t, "550 5.1.1 <"+pseudonym+">: unknown", a.Answer)
			require.Equal(t, pseudonym, full.Parts[0].Name)
		}
	}
	own, err := e.Deliveries.List(t.Context(), delivery.Query{Tenant: Leaving, Integration: profile.ID(Address),
		Limit: 10})
	require.NoError(t, err)
	require.Empty(t, own)
}

func otherPersonStays(t *testing.T, open Open) {
	e := open(t)
	e.FillPerson(t, Leaving)
	e.Fill(t, Staying)
	e.FillPerson(t, Staying)
	before, others := e.naming(t, Staying), exportOf(t, e, Staying)
	s := peopleService(e, &clock{enginetest.At})
	_, err := s.ErasePerson(t.Context(), operator, Leaving, profile.Names(Address))
	require.NoError(t, err)
	require.Empty(t, exportOf(t, e, Leaving))
	require.Equal(t, before, e.naming(t, Staying))
	require.ElementsMatch(t, others, exportOf(t, e, Staying))
}

// brokenJobs fails at one save.
type brokenJobs struct {
	erasure.Jobs
	left *int
}

var errBroken = errors.New("the power failed")

func (b brokenJobs) SaveJob(ctx context.Context, j erasure.Job, entries ...activity.Entry) error {
	if *b.left--; *b.left == 0 {
		return errBroken
	}
	return b.Jobs.SaveJob(ctx, j, entries...)
}

func personIsErasedAgain(t *testing.T, open Open) {
	for _, at := range []int{1, 2, 3, 5, 40} {
		e := open(t)
		e.FillPerson(t, Leaving)
		c, left := &clock{enginetest.At}, at
		e.Jobs = brokenJobs{e.Jobs, &left}
		s := peopleService(e, c)
		_, err := s.ErasePerson(t.Context(), operator, Leaving, profile.Names(Address))
		if left > 0 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, errBroken, "at save %d", at)
		}
		left = 0 // nothing breaks any more
		c.now = c.now.Add(time.Hour)
		j, err := s.ErasePerson(t.Context(), operator, Leaving, profile.Names(Address))
		require.NoError(t, err)
		require.Equal(t, erasure.Done, j.State)
		require.Empty(t, exportOf(t, e, Leaving))
		e.foundNowhere(t)
		e.integrationsAreLeft(t, j.Pseudonym)
		e.deliveriesAreLeft(t, j.Pseudonym)
	}
}

func personComesBack(t *testing.T, open Open) {
	e := open(t)
	c := &clock{enginetest.At}
	s := peopleService(e, c)
	j, err := s.StartPerson(t.Context(), operator, Leaving, profile.Names(Address))
	require.NoError(t, err)
	at, err := s.StartPerson(t.Context(), operator, Leaving, profile.Names(Address))
	require.NoError(t, err)
	require.Equal(t, j, at, "one is at work already")
	for n := range 500 {
		entry := enginetest.Entry(Leaving)
		entry.ID, entry.Email = fmt.Sprint("again-", n), Address
		require.NoError(t, e.Log.Append(t.Context(), entry))
		c.now = c.now.Add(time.Hour)
		_, err := s.Work(t.Context(), c.now.Add(time.Minute))
		require.NoError(t, err)
		if j, err = s.PersonJob(t.Context(), Leaving, profile.Names(Address)); j.Over() {
			require.NoError(t, err)
			require.Equal(t, erasure.Failed, j.State)
			require.Contains(t, j.Problem, "again and again")
			require.Empty(t, j.Person)
			return
		}
	}
	require.FailNow(t, "it goes on for good")
}
