package sqlite_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/account"
	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/erasuretest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/erasure"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/sending/reference"
	"tocsin/shared/session"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/trigger"
)

const leaving, staying = erasuretest.Leaving, erasuretest.Staying

func TestErasure(t *testing.T) {
	open := func(t *testing.T) erasuretest.Engine {
		path := filepath.Join(quickDir(t), "state.db")
		db := reopen(t, path)
		return erasuretest.Engine{Store: db.Erasure(), Source: db.Erasure(), Jobs: db.Erasures(), Log: db.ActivityLog(),
			Fill: func(t *testing.T, of string) { fillTenant(t, db, of) },
			Rows: func(t *testing.T) map[string][]string {
				out := map[string][]string{}
				walk(t, path, func(table, row string) { out[table] = append(out[table], row) })
				delete(out, "sqlite_schema")
				return out
			}, Unnamed: []string{"progress", "numbers", "used_once", "erasures", "sqlite_sequence", "event_digests",
				"event_filters", "dead_letters_resent", "session_logouts", "event_ids", "events", "finished",
				"gathering", "merged", "pending", "retrying", "blocks", "open_blocks", "outcomes", "sqlite_stat1"},
			Stores: storesOf(db),
		}
	}
	erasuretest.Erasure(t, open)
	erasuretest.People(t, open)
}

// storesOf are those that can name a person.
func storesOf(db *sqlite.DB) erasuretest.Stores {
	return erasuretest.Stores{Integrations: db.Integrations(), Triggers: db.Triggers(), People: db.People(),
		Tokens: db.Tokens(), Suppressions: db.SuppressionList(), Sessions: db.Sessions(), Reports: db.Reports(),
		Deliveries: db.Deliveries(), Overwriting: db.Erasure().Overwriting,
		Arrive: func(t *testing.T, entries []delivery.Entry) []delivery.Entry {
			withinTenant{t, db, leaving, enginetest.At}.pass()
			require.NoError(t, db.Bus().Put(t.Context(), entries))
			received, err := db.Bus().Receive(t.Context(), 1000)
			require.NoError(t, err)
			return received
		}, More: func(t *testing.T, of string) {
			f := withinTenant{t, db, of, enginetest.At}
			ctx, end := t.Context(), time.Date(2126, 3, 1, 12, 0, 0, 0, time.UTC)
			f.ok(db.Accounts().Save(ctx, account.Person{Tenant: of, Email: erasuretest.Address, Revision: 1,
				Name: erasuretest.Called}))
			f.ok(db.SignInLinks().Keep(ctx, account.Link{Digest: [32]byte([]byte(fmt.Sprintf("%-32s", "p"+of))),
				Tenant: of, Address: strings.ToLower(erasuretest.Address), Expires: end}, f.at))
			f.ok(db.MailLog().Keep(ctx, destination.Mail{Tenant: of, To: erasuretest.Address}, f.at))
			f.ok(db.MailLog().Keep(ctx, destination.Mail{Tenant: of, To: "grace@example.com",
				Text: erasuretest.Called + " <" + erasuretest.Address + "> was added."}, f.at))
			f.ok(db.Bus().Put(ctx, []delivery.Entry{{DetailType: "create_user", At: f.at, Detail: fmt.Appendf(nil,
				`{"version":1,"id":"waits","tenant":%q,"time":"2023-03-01T12:00:00Z","data":{"user":{"email":%q}}}`, of,
				erasuretest.Address)}})) // it waits for fan-out
			f.ok(db.Counters().Add(ctx, []health.Count{{Tenant: of, Integration: profile.ID(erasuretest.Address),
				Window: 1, At: f.at, Attempts: 1}}))
		}}
}

// TestAPersonWhoIsErasedIsInNoPageOfTheFile: neither in pages that nothing uses, nor in the log of the file.
func TestAPersonWhoIsErasedIsInNoPageOfTheFile(t *testing.T) {
	path := filepath.Join(quickDir(t), "state.db")
	db := reopen(t, path)
	e := erasuretest.Engine{Stores: storesOf(db), Log: db.ActivityLog()}
	e.FillPerson(t, leaving)
	s := eraser(db)
	s.Source, s.Jobs = db.Erasure(), db.Erasures()
	s.Integrations = db.Erasure().Overwriting(&integration.Service{Store: db.Integrations(), Now: s.Now, NewID: s.NewID,
		Systems: catalogue.Default(), Log: s.Logger})
	_, err := s.ErasePerson(t.Context(), activity.System(leaving), leaving, profile.Names(erasuretest.Address))
	require.NoError(t, err)
	for _, file := range []string{path, path + "-wal"} {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range []string{erasuretest.Address, erasuretest.Called, erasuretest.Subject,
			profile.ID(erasuretest.Address)} {
			require.False(t, bytes.Contains(bytes.ToLower(raw), bytes.ToLower([]byte(name))), "%s is in %s", name,
				filepath.Base(file))
		}
	}
}

// withinTenant is whatever a tenant can have, through the stores that keep it.
type withinTenant struct {
	*testing.T
	db *sqlite.DB
	of string
	at time.Time
}

func (f withinTenant) ok(err error) { require.NoError(f.T, err) }

// fillTenant writes a row of each table.
func fillTenant(t *testing.T, db *sqlite.DB, of string) {
	f := withinTenant{t, db, of, enginetest.At}
	f.settings()
	f.pass()
	f.events()
	f.people()
	f.reports()
}

func (f withinTenant) entry(id string) delivery.Entry {
	return delivery.Entry{DetailType: "create_user", At: f.at, Detail: fmt.Appendf(nil,
		`{"version":1,"id":%q,"tenant":%q,"time":"2023-03-01T12:00:00Z","data":{"user":{"name":"of %s"}}}`, id, f.of,
		f.of)}
}

// events makes a delivery in each state, a dead letter that is sent again, and an event that waits for fan-out.
func (f withinTenant) events() {
	ctx, at := f.Context(), f.at
	bad := f.entry("bad")
	bad.Detail = fmt.Appendf(nil, `{"version":1,"tenant":%q}`, f.of)
	f.ok(f.db.Bus().Put(ctx, []delivery.Entry{f.entry("a"), f.entry("b"), f.entry("c"), f.entry("d"), f.entry("e"),
		bad}))
	received, err := f.db.Bus().Receive(ctx, 6)
	f.ok(err)
	var in fanout.Intake
	for n, e := range received[:5] {
		parsed, err := event.Parse(e.DetailType, e.Detail)
		f.ok(err)
		in.Accepted = append(in.Accepted, fanout.Accepted{Entry: e, Event: parsed})
		d := delivery.Delivery{ID: fmt.Sprintf("01GTD8R400000000000000000%d", n), Tenant: f.of, Integration: "i",
			State: delivery.Pending, Count: 1, Events: []event.Event{parsed}, Reason: "of " + f.of}
		if n >= 3 {
			d.Due = at.Add(time.Hour)
			d.Held = &delivery.Held{By: "mute", Until: d.Due, Merge: true}
		}
		in.Deliveries = append(in.Deliveries, d)
	}
	for n, a := range in.Accepted[:3] { // they share a row
		in.Deliveries = append(in.Deliveries, delivery.Delivery{ID: fmt.Sprintf("01GTD8R5%018d", n), Tenant: f.of,
			Integration: "i", State: delivery.Pending, Count: 1, Events: []event.Event{a.Event}})
	}
	in.Rejected = []fanout.Rejected{{Entry: received[5], Tenant: f.of, Reason: "no id"}}
	in.Records = []daily.Entry{{Tenant: f.of, Day: "2023-03-01",
		Counts:          []daily.Count{{Dimension: daily.ByHost, Value: f.of, N: 1}},
		Attacks:         []daily.Attack{{Host: f.of, Seen: 1, First: at, Last: at}},
		Incidents:       []daily.Incident{{Attack: daily.Attack{ID: f.of, Host: f.of}}},
		Vulnerabilities: []daily.Vulnerability{{ID: f.of}}}}
	in.Commands = []command.Command{{ID: "c", Tenant: f.of, Kind: event.IPDenylistRequested, At: at}}
	in.Triggers = trigger.Outcome{States: []trigger.State{{Tenant: f.of, Trigger: "t", Body: []byte(f.of)}},
		Firings: []trigger.Firings{{Tenant: f.of, Trigger: "t", Place: "p"}}}
	f.ok(f.db.Deliveries().Accept(ctx, in))
	lane := delivery.Lane{Tenant: f.of, Integration: "i"}
	leased, err := f.db.Deliveries().Lease(ctx, lane, 6, at, at, at.Add(time.Minute))
	f.ok(err)
	for _, of := range [][]delivery.Delivery{leased[:2], leased[3:5]} { // with rows of their own, and of the block
		of[0].State, of[1].State, of[1].Due = delivery.Delivered, delivery.Retrying, at.Add(time.Hour)
		f.ok(f.db.Deliveries().Settle(ctx, of))
	}
	f.ok(f.db.Deliveries().Reconsider(ctx, f.of, "i", at)) // nothing holds them: two become one, which waits
	_, err = f.db.Commands().MarkOverdue(ctx, command.Command{ID: "c", Tenant: f.of, Kind: event.IPDenylistRequested,
		At: at}, enginetest.Note(f.of, event.CreateUser), at.Add(time.Hour))
	f.ok(err)
	letters, err := f.db.Deliveries().DeadLetters(ctx, f.of, "", 1)
	f.ok(err)
	_, err = f.db.Deliveries().Resend(ctx, f.of, letters[0].ID, at)
	f.ok(err)
	f.pass()
	f.ok(f.db.Bus().Put(ctx, []delivery.Entry{f.entry("f")}))
	next, err := f.db.Bus().Receive(ctx, 1)
	f.ok(err)
	parsed, err := event.Parse(next[0].DetailType, next[0].Detail)
	f.ok(err)
	f.ok(f.db.Deliveries().Accept(ctx, fanout.Intake{Accepted: []fanout.Accepted{{Entry: next[0], Event: parsed}},
		Deliveries: []delivery.Delivery{{ID: "01GTD8R4000000000000000009", Tenant: f.of, Integration: "i", Count: 1,
			State: delivery.Pending, Due: at.Add(time.Hour), Events: []event.Event{parsed}}}}))
	f.ok(f.db.Bus().Put(ctx, []delivery.Entry{f.entry("g")})) // it waits for fan-out
	f.ok(f.db.Counters().Add(ctx, []health.Count{{Tenant: f.of, Integration: "i", Window: 1, At: at, Attempts: 1}}))
	_, err = f.db.ReferencesAt(func() time.Time { return at }).Swap(ctx, lane, "vuln:1", 0,
		reference.Reference{ID: f.of, Expires: at.Add(time.Hour)})
	f.ok(err)
}

// pass lets fan-out pass what is on the bus.
func (f withinTenant) pass() {
	in := fanout.Intake{}
	entries, err := f.db.Bus().Receive(f.Context(), 1000)
	f.ok(err)
	for _, e := range entries {
		parsed, err := event.Parse(e.DetailType, e.Detail)
		if err != nil {
			in.Rejected = append(in.Rejected, fanout.Rejected{Entry: e, Tenant: parsed.Tenant})
			continue
		}
		in.Repeated = append(in.Repeated, fanout.Accepted{Entry: e, Event: parsed})
	}
	f.ok(f.db.Deliveries().Accept(f.Context(), in))
}

func (f withinTenant) settings() {
	ctx, record := f.Context(), enginetest.Record(f.of, event.CreateUser)
	i := enginetest.Sample(f.of, "i")
	i.Subscriptions[0].Event = event.ReportDaily
	f.ok(f.db.Integrations().Create(ctx, i, record))
	f.ok(f.db.Triggers().Seed(ctx, f.of, []trigger.Trigger{{ID: "t", Tenant: f.of, Name: "T", Revision: 1, Epoch: 1}},
		enginetest.Entry(f.of)))
	f.ok(f.db.Tenants().Link(ctx, tenant.Link{Technical: f.of, Tenant: "other", LinkedAt: f.at}))
	f.ok(f.db.Tenants().Link(ctx, tenant.Link{Technical: "other", Tenant: f.of, LinkedAt: f.at}))
}

func (f withinTenant) people() {
	ctx, end := f.Context(), time.Date(2126, 3, 1, 12, 0, 0, 0, time.UTC)
	f.ok(f.db.People().Save(ctx, enginetest.Person(f.of, "p", 1)))
	f.ok(f.db.Accounts().Save(ctx, account.Person{Tenant: f.of, Email: "a@" + f.of, Revision: 1}))
	f.ok(f.db.SignInLinks().Keep(ctx, account.Link{Digest: [32]byte([]byte(fmt.Sprintf("%-32s", f.of))), Tenant: f.of,
		Address: "a@" + f.of, Expires: end}, f.at))
	f.ok(f.db.Sessions().Create(ctx, session.Session{Digest: session.Digest(f.of), Tenant: f.of, Email: "a@" + f.of,
		Method: session.ByProvider, Subject: "of " + f.of, Began: end, IdleEnd: end, End: end}))
	f.ok(f.db.Tokens().Create(ctx, token.Token{ID: "t", Tenant: f.of, Name: f.of, Kind: token.Personal,
		Digest: token.Digest(f.of), Revision: 1, CreatedAt: f.at}))
	_, err := f.db.SuppressionList().Suppress(ctx, mail.Suppression{Tenant: f.of, Address: "a@" + f.of, At: f.at})
	f.ok(err)
	f.ok(f.db.MailLog().Keep(ctx, destination.Mail{Tenant: f.of, To: "a@" + f.of}, f.at))
	f.ok(f.db.ActivityLog().Append(ctx, enginetest.Entry(f.of)))
}

func (f withinTenant) reports() {
	ctx := f.Context()
	f.ok(f.db.Reports().SaveSettings(ctx, report.Settings{Tenant: f.of, Zone: "UTC", Revision: 1},
		enginetest.Entry(f.of)))
	f.ok(f.db.Reports().Save(ctx, report.Report{ID: "r", Tenant: f.of, State: report.Ready, CreatedAt: f.at,
		Period: calendar.Containing(calendar.Weekly, "2023-03-01", "UTC")},
		[]report.File{{Name: "r.csv", Type: "text/csv", Data: []byte("of " + f.of)}}))
}

// tables are those of a file.
func tables(t *testing.T, path string) (out []string) {
	conn, err := driver.OpenConn(path, driver.OpenReadWrite)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, sqlitex.ExecuteTransient(conn, "SELECT name FROM sqlite_schema WHERE type = 'table'",
		&sqlitex.ExecOptions{ResultFunc: func(s *driver.Stmt) error {
			out = append(out, s.ColumnText(0))
			return nil
		}}))
	return out
}

// walk visits each row of each table of a file, as text.
func walk(t *testing.T, path string, visit func(table, row string)) {
	conn, err := driver.OpenConn(path, driver.OpenReadWrite)
	require.NoError(t, err)
	defer conn.Close()
	for _, table := range tables(t, path) {
		require.NoError(t, sqlitex.ExecuteTransient(conn, "SELECT * FROM "+table,
			&sqlitex.ExecOptions{ResultFunc: func(s *driver.Stmt) error {
				var row strings.Builder
				for n := range s.ColumnCount() {
					value := make([]byte, s.ColumnLen(n))
					s.ColumnBytes(n, value)
					row.Write(append(value, '\n'))
				}
				visit(table, row.String())
				return nil
			}}))
	}
}

// counts are the rows of each table, and those that name a tenant.
func counts(t *testing.T, path, of string) (all, naming map[string]int) {
	all, naming = map[string]int{}, map[string]int{}
	for _, table := range tables(t, path) {
		all[table] = 0
	}
	walk(t, path, func(table, row string) {
		if all[table]++; strings.Contains(row, of) {
			naming[table]++
		}
	})
	return all, naming
}

func eraser(db *sqlite.DB) *erasure.Service {
	n := 0
	return &erasure.Service{Store: db.Erasure(), Log: db.ActivityLog(), Now: func() time.Time { return enginetest.At },
		NewID: func() string { n++; return fmt.Sprint("erased-", n) }, Logger: slog.New(slog.DiscardHandler)}
}

func TestATenantThatLeavesIsFoundNowhere(t *testing.T) {
	path := filepath.Join(quickDir(t), "state.db")
	db := reopen(t, path)
	fillTenant(t, db, leaving)
	before, _ := counts(t, path, leaving)
	for table, rows := range before {
		// Of none, of older releases alone, or filled by a flood alone.
		if slices.Contains([]string{"used_once", "numbers", "event_filters", "event_ids", "erasures", "deferred"},
			table) || strings.HasPrefix(table, "sqlite_") {
			continue
		}
		require.NotZero(t, rows, "nothing is tried of the table %s: fill it", table)
	}
	fillTenant(t, db, staying)
	_, others := counts(t, path, staying)

	rows, err := eraser(db).Erase(t.Context(), leaving)
	require.NoError(t, err)
	for table, want := range before {
		if !slices.Contains([]string{"progress", "numbers", "event_digests"}, table) &&
			!strings.HasPrefix(table, "sqlite_") {
			require.Equal(t, want, rows[table], table)
		}
	}
	after, left := counts(t, path, leaving)
	require.Equal(t, map[string]int{"activity": 1}, left, "the entry of the erasure alone")
	_, same := counts(t, path, staying)
	require.Equal(t, others, same, "another tenant keeps what it has")
	for table, want := range before {
		if rows[table] > 0 && table != "activity" {
			require.Equal(t, want, after[table], "%s: what is left is of the other tenant", table)
		}
	}
	for _, file := range []string{path, path + "-wal"} {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, mark := range []string{"of ", "a@"} {
			require.False(t, bytes.Contains(raw, []byte(mark+leaving)), "%s: in an unused page", filepath.Base(file))
		}
	}
	again, err := eraser(db).Erase(t.Context(), leaving)
	require.NoError(t, err)
	require.Equal(t, 1, again.Total(), "the entry of the first")

	// It may come again, as anybody new.
	fillTenant(t, db, leaving)
	found, err := db.Deliveries().Lease(t.Context(), delivery.Lane{Tenant: leaving, Integration: "i"}, 100,
		enginetest.At, enginetest.At, enginetest.At.Add(time.Minute))
	require.NoError(t, err)
	require.NotEmpty(t, found)
}

func TestTheEntryOfAnErasureNamesNobody(t *testing.T) {
	path := filepath.Join(quickDir(t), "state.db")
	db := reopen(t, path)
	fillTenant(t, db, leaving)
	_, err := eraser(db).Erase(t.Context(), leaving)
	require.NoError(t, err)
	found := false
	walk(t, path, func(table, row string) {
		if table == "activity" {
			found = true
			require.NotContains(t, row, "@")
			require.Contains(t, row, `"object":"Tenant"`)
			require.Contains(t, row, `"action":"erase"`)
			require.Contains(t, row, `"field":"events"`)
		}
	})
	require.True(t, found)
}

func TestWhatIsKeptOfATenantIsExported(t *testing.T) {
	path := filepath.Join(quickDir(t), "state.db")
	db := reopen(t, path)
	fillTenant(t, db, leaving)
	fillTenant(t, db, staying)
	snapshot, err := sqlite.Look(path)
	require.NoError(t, err)
	defer snapshot.Close() // an erasure need not wait for who reads
	var file bytes.Buffer
	rows, err := erasure.Archive(t.Context(), snapshot.Tenants(), leaving, "", enginetest.At, &file)
	require.NoError(t, err)

	z, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	require.NoError(t, err)
	found := map[string]int{}
	for _, f := range z.File {
		r, err := f.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NotContains(t, string(text), staying)
		name, isTable := strings.CutSuffix(f.Name, ".jsonl")
		if !isTable {
			require.Contains(t, string(text), leaving)
			continue
		}
		for line := range strings.Lines(string(text)) {
			found[name]++
			var row map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &row))
			for _, hidden := range []string{"digest", "Digest", "Sealed"} {
				require.NotContains(t, line, `"`+hidden+`":`, name)
			}
		}
	}
	require.Equal(t, rows, erasure.Counts(found))
	erased, err := eraser(db).Erase(t.Context(), leaving)
	require.NoError(t, err)
	for table, n := range erased {
		require.Equal(t, n, rows[table], "what is erased was exported: %s", table)
	}
}

func TestWhatStandsBesideTheLineIsErasedToo(t *testing.T) {
	path := filepath.Join(quickDir(t), "state.db")
	withIntegrations(t, path, staying)
	db := reopen(t, path)
	var flood []delivery.Entry
	for n := range 300 {
		e := withinTenant{t, db, leaving, enginetest.At}.entry(fmt.Sprint("e", n))
		e.Tenant = leaving
		flood = append(flood, e)
	}
	require.NoError(t, db.Bus().Put(t.Context(), flood))
	deferred, _, err := db.Bus().Deferred(t.Context())
	require.NoError(t, err)
	require.NotZero(t, deferred)

	rows, err := eraser(db).Erase(t.Context(), leaving)
	require.NoError(t, err)
	require.Equal(t, deferred, rows["deferred"])
	require.Equal(t, len(flood)-deferred, rows["events"])
	_, left := counts(t, path, leaving)
	require.Equal(t, map[string]int{"activity": 1}, left)
	entries, err := db.Bus().Receive(t.Context(), 1000)
	require.NoError(t, err)
	require.Empty(t, entries)
}
