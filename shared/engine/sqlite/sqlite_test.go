package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/activity"
	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/fanouttest"
	"tocsin/shared/engine/enginetest/settingstest"
	"tocsin/shared/engine/enginetest/statetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/ratelimit"
	"tocsin/shared/sending/reference"
)

func open(t *testing.T) *sqlite.DB { return reopen(t, filepath.Join(t.TempDir(), "state.db")) }

func reopen(t *testing.T, path string) *sqlite.DB { return reopenWith(t, path, sqlite.Options{}) }

// layouts runs a suite with every plain delivery in a block, and with each in a row of its own.
func layouts(t *testing.T, suite func(t *testing.T, open func(*testing.T) *sqlite.DB)) {
	for name, least := range map[string]int{"in blocks": 1, "in rows of their own": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			suite(t, func(t *testing.T) *sqlite.DB {
				return reopenWith(t, filepath.Join(t.TempDir(), "state.db"), sqlite.Options{LeastBlock: least})
			})
		})
	}
}

func reopenWith(t *testing.T, path string, o sqlite.Options) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() }) // a second time where the test closed it itself
	return db
}

func TestIntegrations(t *testing.T) {
	settingstest.Integrations(t, func(t *testing.T) (integration.Store, func() []event.Kind) {
		db := open(t)
		return db.Integrations(), func() (kinds []event.Kind) {
			entries, err := db.Bus().Receive(t.Context(), 1000)
			require.NoError(t, err)
			for _, e := range entries {
				kinds = append(kinds, event.Kind(e.DetailType))
			}
			return kinds
		}
	})
}

func TestReferences(t *testing.T) {
	statetest.References(t, func(t *testing.T, now func() time.Time) reference.Store {
		return open(t).ReferencesAt(now)
	})
}

func TestReferencesLeaveWithTheirIntegration(t *testing.T) {
	db := open(t)
	i := integration.Integration{Tenant: "42", ID: "kept", System: "jira", Name: "Jira"}
	require.NoError(t, db.Integrations().Create(t.Context(), i, activity.Record{}))
	now := time.Now()
	for _, id := range []string{"kept", "deleted"} {
		_, err := db.References().Swap(t.Context(), delivery.Lane{Tenant: "42", Integration: id}, "vuln:1", 0,
			reference.Reference{ID: "SEC-1", Expires: now.Add(time.Hour)})
		require.NoError(t, err)
	}
	removed, err := db.References().Prune(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	left, _, err := db.References().Reference(t.Context(), delivery.Lane{Tenant: "42", Integration: "kept"}, "vuln:1")
	require.NoError(t, err)
	require.Equal(t, "SEC-1", left.ID)
}

func TestDeliveries(t *testing.T) {
	layouts(t, func(t *testing.T, open func(*testing.T) *sqlite.DB) {
		enginetest.Deliveries(t, func(t *testing.T) enginetest.Log {
			db := open(t)
			return enginetest.Polled(db.Deliveries(), db.Bus())
		})
	})
}

func TestAccepting(t *testing.T) {
	layouts(t, func(t *testing.T, open func(*testing.T) *sqlite.DB) {
		fanouttest.Accepting(t, func(t *testing.T) fanouttest.AcceptingEngine {
			db := open(t)
			return fanouttest.AcceptingEngine{
				Log: enginetest.Polled(db.Deliveries(), db.Bus()), Systems: catalogue.Default(), System: "web_hooks",
				Later: func(*testing.T) {},
			}
		})
	})
}

func TestTurns(t *testing.T) {
	fanouttest.Turns(t, catalogue.Default(), func(t *testing.T, share int) fanouttest.TurningEngine {
		path := filepath.Join(quickDir(t), "state.db")
		var db *sqlite.DB
		var start func() fanouttest.TurningEngine
		start = func() fanouttest.TurningEngine {
			if db != nil {
				require.NoError(t, db.Close())
			}
			var err error
			db, err = sqlite.Open(context.Background(), path, sqlite.Options{Share: share})
			require.NoError(t, err)
			return fanouttest.TurningEngine{Queues: db.Deliveries(), Bus: db.Bus(), Reopen: start}
		}
		t.Cleanup(func() { _ = db.Close() })
		withIntegrations(t, path, "one", "another")
		return start()
	})
}

// withIntegrations makes a state file in which tenants have an integration.
func withIntegrations(t *testing.T, path string, tenants ...string) {
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	for _, tenant := range tenants {
		script(t, path, fmt.Sprintf("INSERT INTO integrations (tenant, id, revision, body) VALUES ('%s', 'i', 1, '{}')",
			tenant))
	}
}

func TestNothingIsDeferredWhereNobodyWaitsBehindIt(t *testing.T) {
	const share, events = 4, 10
	for name, c := range map[string]struct {
		integrations []string
		deferred     int
	}{
		"nobody has an integration":          {nil, 0},
		"the tenant alone has one":           {[]string{"42"}, 0},
		"another has one":                    {[]string{"7"}, events - share},
		"the tenant and another have one":    {[]string{"42", "7"}, events - share},
		"a tenant before and one behind has": {[]string{"1", "9"}, events - share},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(quickDir(t), "state.db")
			withIntegrations(t, path, c.integrations...)
			db, err := sqlite.Open(t.Context(), path, sqlite.Options{Share: share})
			require.NoError(t, err)
			defer db.Close()
			var entries []delivery.Entry
			for n := range events {
				e := entry(n)
				e.Tenant = "42"
				entries = append(entries, e)
			}
			require.NoError(t, db.Bus().Put(t.Context(), entries[:events/2]))
			require.NoError(t, db.Bus().Put(t.Context(), entries[events/2:]))
			deferred, _, err := db.Bus().Deferred(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.deferred, deferred)
		})
	}
}

func TestArrivals(t *testing.T) {
	layouts(t, func(t *testing.T, open func(*testing.T) *sqlite.DB) {
		arriving := func(t *testing.T) (fanouttest.AcceptingEngine, health.Counters) {
			db := open(t)
			return fanouttest.AcceptingEngine{
				Log: enginetest.Polled(db.Deliveries(), db.Bus()), Systems: catalogue.Default(), System: "web_hooks",
				Later: func(*testing.T) {},
			}, db.Counters()
		}
		fanouttest.Arrivals(t, arriving)
		fanouttest.Filters(t, arriving)
	})
}

func TestReportsByFilters(t *testing.T) {
	fanouttest.ReportsByFilters(t, func(t *testing.T) fanouttest.ReportingEngine {
		db := open(t)
		return fanouttest.ReportingEngine{Events: db.Deliveries(), Reports: db.Reports(),
			AcceptingEngine: fanouttest.AcceptingEngine{Log: enginetest.Polled(db.Deliveries(), db.Bus()),
				Systems: catalogue.Default()}}
	})
}

func TestBacklog(t *testing.T) {
	layouts(t, func(t *testing.T, open func(*testing.T) *sqlite.DB) {
		enginetest.Backlog(t, func(t *testing.T) (enginetest.Log, integration.Backlog) {
			db := open(t)
			return enginetest.Polled(db.Deliveries(), db.Bus()), db.Deliveries()
		})
	})
}

func TestWhatWaits(t *testing.T) {
	layouts(t, func(t *testing.T, open func(*testing.T) *sqlite.DB) {
		enginetest.Waiting(t, func(t *testing.T) enginetest.WaitingEngine {
			db := open(t)
			return enginetest.WaitingEngine{Log: enginetest.Polled(db.Deliveries(), db.Bus()), Backlog: db.Backlog(),
				Integrations: db.Integrations()}
		})
	})
}

func TestEventLog(t *testing.T) {
	layouts(t, func(t *testing.T, open func(*testing.T) *sqlite.DB) {
		enginetest.EventLog(t, func(t *testing.T) (enginetest.Log, fanout.EventLog) {
			db := open(t)
			return enginetest.Polled(db.Deliveries(), db.Bus()), db.Deliveries()
		})
	})
}

func TestDeliveryLog(t *testing.T) {
	layouts(t, func(t *testing.T, open func(*testing.T) *sqlite.DB) {
		enginetest.DeliveryLog(t, func(t *testing.T) (enginetest.Log, deliverylog.Store) {
			db := open(t)
			return enginetest.Polled(db.Deliveries(), db.Bus()), db.Deliveries()
		})
	})
}

func TestQueue(t *testing.T) {
	layouts(t, func(t *testing.T, open func(*testing.T) *sqlite.DB) {
		enginetest.Queue(t, func(t *testing.T) (enginetest.Queues, enginetest.Bus) {
			db := open(t)
			return db.Deliveries(), db.Bus()
		})
	})
}

func TestCounters(t *testing.T) {
	statetest.Counters(t, func(t *testing.T) health.Counters { return open(t).Counters() })
}

func TestMessages(t *testing.T) { // one process needs no table
	c := &fanout.MessageCounts{}
	enginetest.Messages(t, func() fanout.MessageCounter { return c })
}

func TestRequests(t *testing.T) { statetest.Requests(t, &ratelimit.Memory{}) } // one process needs no table

func entry(n int) delivery.Entry {
	return delivery.Entry{DetailType: "create_user", At: time.Unix(1677628800, 0).UTC(), Detail: fmt.Appendf(nil,
		`{"version":1,"id":"e%d","tenant":"42","time":"2023-03-01T12:00:00Z","data":{"user":{"name":"User %d"}}}`, n,
		n)}
}

func TestTheFileKeepsEverythingOverARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "state.db")
	db := reopen(t, path)
	require.NoError(t, db.Bus().Put(t.Context(), []delivery.Entry{entry(1), entry(2)}))
	require.NoError(t, db.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	db = reopen(t, path)
	entries, err := db.Bus().Receive(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	e, err := event.Parse(entries[0].DetailType, entries[0].Detail)
	require.NoError(t, err)
	d := delivery.Delivery{ID: "01GTD8R4000000000000000001", Tenant: "42", Integration: "i", State: delivery.Pending,
		Count: 1, Events: []event.Event{e}}
	require.NoError(t, db.Deliveries().Accept(t.Context(), fanout.Intake{
		Accepted: []fanout.Accepted{{Entry: entries[0], Event: e}},
		Repeated: []fanout.Accepted{{Entry: entries[1]}}, Deliveries: []delivery.Delivery{d},
	}))
	lane := delivery.Lane{Tenant: "42", Integration: "i"}
	leased, err := db.Deliveries().Lease(t.Context(), lane, 1, time.Now(), time.Now(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Len(t, leased, 1)
	require.NoError(t, db.Close())

	db = reopen(t, path)
	entries, err = db.Bus().Receive(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, entries)
	leased, err = db.Deliveries().Lease(t.Context(), lane, 1, time.Now(), time.Now(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Len(t, leased, 1, "a lease does not outlive the process")
	require.Equal(t, []event.Event{e}, leased[0].Events)
}

func TestASecondProcessIsTurnedAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := reopen(t, path)
	_, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.ErrorContains(t, err, "in use by another process")
	require.ErrorContains(t, err, path)
	require.NoError(t, db.Close())
	reopen(t, path)
}

func TestABadFileIsAClearErrorAndStaysAsItIs(t *testing.T) {
	healthy := filepath.Join(t.TempDir(), "healthy.db")
	db := reopen(t, healthy)
	for n := range 200 {
		require.NoError(t, db.Bus().Put(t.Context(), []delivery.Entry{entry(n)}))
	}
	require.NoError(t, db.Close())
	good, err := os.ReadFile(healthy)
	require.NoError(t, err)

	for name, c := range map[string]struct {
		make func(path string)
		says string
	}{
		"a text": {func(path string) {
			require.NoError(t, os.WriteFile(path, []byte("this is not a database, it is a letter to my mother\n"),
				0o600))
		}, "can not be read"},
		"a page of noise in the middle": {func(path string) {
			bad := append([]byte(nil), good...)
			for i := 3 * 4096; i < 6*4096 && i < len(bad); i++ {
				bad[i] = byte(i * 7)
			}
			require.NoError(t, os.WriteFile(path, bad, 0o600))
		}, "can not be read"},
		"a file that was cut off": {func(path string) {
			require.NoError(t, os.WriteFile(path, good[:len(good)/2], 0o600))
		}, "can not be read"},
		"a file of another program": {func(path string) { script(t, path, "CREATE TABLE theirs (a)") },
			"another program"},
		"a file of a newer release": {func(path string) {
			require.NoError(t, os.WriteFile(path, good, 0o600))
			script(t, path, "PRAGMA user_version = 99")
		}, "newer release"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			c.make(path)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			_, err = sqlite.Open(t.Context(), path, sqlite.Options{})
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, path)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

func script(t *testing.T, path, sql string) {
	t.Helper()
	conn, err := driver.OpenConn(path)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(conn, sql, nil))
	require.NoError(t, conn.Close())
}

func TestAFullDiskIsAnErrorAndNotTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{MaxPages: 120})
	require.NoError(t, err)
	stored := 0
	for n := 0; err == nil && n < 10_000; n++ {
		if err = db.Bus().Put(t.Context(), []delivery.Entry{entry(n)}); err == nil {
			stored++
		}
	}
	require.ErrorContains(t, err, "full")
	require.Greater(t, stored, 100)
	require.Error(t, db.Bus().Put(t.Context(), []delivery.Entry{entry(0)}), "it stays an error")
	entries, err := db.Bus().Receive(t.Context(), 10_000)
	require.NoError(t, err, "reading goes on")
	require.Len(t, entries, stored, "what was taken is there, what was refused is not")
	require.NoError(t, db.Close())

	db = reopen(t, path) // now with room
	require.NoError(t, db.Bus().Put(t.Context(), []delivery.Entry{entry(0)}))
	entries, err = db.Bus().Receive(t.Context(), 10_000)
	require.NoError(t, err)
	require.Len(t, entries, stored+1)
}

func TestOneBadWriteDoesNotHurtItsNeighbours(t *testing.T) {
	db := open(t)
	bad := delivery.Delivery{ID: "01GTD8R4000000000000000001", Tenant: "42", Integration: "i",
		State: delivery.Delivered}
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			if n%3 == 0 {
				if err := db.Deliveries().Settle(t.Context(), []delivery.Delivery{bad}); !errors.Is(err,
					delivery.ErrNotFound) {
					t.Errorf("settle what is not there: %v", err)
				}
				return
			}
			if err := db.Bus().Put(t.Context(), []delivery.Entry{entry(n)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	entries, err := db.Bus().Receive(t.Context(), 1000)
	require.NoError(t, err)
	require.Len(t, entries, 66)
}

func TestAWriteAfterCloseIsAnError(t *testing.T) {
	db := open(t)
	require.NoError(t, db.Close())
	require.ErrorContains(t, db.Bus().Put(context.Background(), []delivery.Entry{entry(1)}), "closed")
}

func TestTheMailLogKeepsTheNewest(t *testing.T) {
	db := open(t)
	for n := range 1005 {
		require.NoError(t, db.MailLog().Keep(t.Context(),
			destination.Mail{Tenant: "42", To: "a@example.com", Subject: fmt.Sprint(n)}, time.Unix(int64(n), 0)))
	}
	first, err := db.MailLog().Mails(t.Context(), "42", "", 2)
	require.NoError(t, err)
	require.Equal(t, "1004", first[0].Mail.Subject)
	rest, err := db.MailLog().Mails(t.Context(), "42", first[1].ID, 2000)
	require.NoError(t, err)
	require.Len(t, rest, 998)
}

func TestS2TheMailLogIsEachTenantsOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	for _, tenant := range []string{"42", "43", ""} {
		require.NoError(t, db.MailLog().Keep(t.Context(),
			destination.Mail{Tenant: tenant, To: "a@example.com", Subject: "of " + tenant}, time.Unix(1, 0)))
	}
	look := func(db *sqlite.DB) {
		t.Helper()
		for tenant, want := range map[string]string{"42": "of 42", "43": "of 43", "44": "", "": "", "*": ""} {
			found, err := db.MailLog().Mails(t.Context(), tenant, "", 10)
			require.NoError(t, err)
			subjects := ""
			for _, m := range found {
				subjects += m.Mail.Subject
			}
			require.Equal(t, want, subjects, tenant)
		}
	}
	look(db)
	// One tenant's flood leaves the others' mails where they are.
	for range 1005 {
		require.NoError(t, db.MailLog().Keep(t.Context(), destination.Mail{Tenant: "flood", To: "a@example.com"},
			time.Unix(2, 0)))
	}
	look(db)
}

func TestS2MailsOfAnOlderReleaseSayThemselvesWhoseTheyAre(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	first, err := os.ReadFile("db/schema/001_schema.sql")
	require.NoError(t, err)
	conn, err := driver.OpenConn(path, driver.OpenReadWrite|driver.OpenCreate|driver.OpenWAL)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteScript(conn, string(first)+`;
		INSERT INTO mails (at, body) VALUES (1, '{"Tenant":"42","Subject":"of 42"}'),
			(2, '{"Tenant":"43","Subject":"of 43"}'),
			(3, '{"Subject":"of nobody"}'), (4, 'broken');
		PRAGMA application_id = 0x546f6373; PRAGMA user_version = 1;`, nil))
	require.NoError(t, conn.Close())
	db := reopen(t, path)
	for tenant, want := range map[string]int{"42": 1, "43": 1, "": 0} {
		found, err := db.MailLog().Mails(t.Context(), tenant, "", 10)
		require.NoError(t, err)
		require.Len(t, found, want)
		for _, m := range found {
			require.Equal(t, "of "+tenant, m.Mail.Subject)
		}
	}
}

func TestOldRecordsAreRemovedAndWhatIsNeededStays(t *testing.T) {
	db := open(t)
	f := fanout.Intake{}
	var old []delivery.Delivery
	for n := range 3 {
		e := entry(n)
		e.At = e.At.Add(time.Duration(n) * 2 * time.Hour)
		require.NoError(t, db.Bus().Put(t.Context(), []delivery.Entry{e}))
	}
	entries, err := db.Bus().Receive(t.Context(), 10)
	require.NoError(t, err)
	for n, e := range entries {
		parsed, err := event.Parse(e.DetailType, e.Detail)
		require.NoError(t, err)
		f.Accepted = append(f.Accepted, fanout.Accepted{Entry: e, Event: parsed})
		old = append(old, delivery.Delivery{ID: delivery.DerivedID(e.At, fmt.Append(nil, "delivery ", n)), Tenant: "42",
			Integration: "i", State: delivery.Pending, Count: 1, Events: []event.Event{parsed}})
	}
	f.Deliveries = old
	require.NoError(t, db.Deliveries().Accept(t.Context(), f))
	lane := delivery.Lane{Tenant: "42", Integration: "i"}
	leased, err := db.Deliveries().Lease(t.Context(), lane, 2, time.Now(), time.Now(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	for i := range leased {
		leased[i].State = delivery.Delivered
	}
	require.NoError(t, db.Deliveries().Settle(t.Context(), leased))
	require.NoError(t, db.Counters().Add(t.Context(),
		[]health.Count{{Tenant: "42", Integration: "i", Window: 1, At: time.Unix(1677628800, 0), Attempts: 1}}))

	removed, err := db.Prune(t.Context(), time.Now(), 24*time.Hour)
	require.NoError(t, err)
	require.Equal(t, 2+2+2, removed, "two deliveries, their events, two counters")
	left, err := db.Deliveries().List(t.Context(), delivery.Query{Tenant: "42", Integration: "i", Limit: 10})
	require.NoError(t, err)
	require.Len(t, left, 1)
	kept, err := db.Deliveries().Get(t.Context(), "42", "i", left[0].ID)
	require.NoError(t, err)
	require.Len(t, kept.Events, 1, "the event of what still waits stays")
	require.NoError(t, db.Bus().Put(t.Context(), []delivery.Entry{entry(9)}))
	entries, err = db.Bus().Receive(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, entries, 1, "numbering goes on after a removal")
}

var openHolds fanouttest.OpenHolds = func(t *testing.T, h delivery.Holder, now func() time.Time) fanouttest.HoldEngine {
	return holdsAt(t, filepath.Join(quickDir(t), "state.db"), h, now)
}

func holdsAt(t *testing.T, path string, h delivery.Holder, now func() time.Time) fanouttest.HoldEngine {
	t.Helper()
	db := reopen(t, path)
	d := db.Deliveries()
	d.SetHolder(h)
	return fanouttest.HoldEngine{Log: enginetest.PolledBy(now, d, db.Bus()), Events: d, Searched: d, Backlog: d,
		Reconsider: func(ctx context.Context, tenant, id string) error {
			return d.Reconsider(ctx, tenant, id, now())
		},
		Restart: func(t *testing.T) fanouttest.HoldEngine {
			t.Helper()
			require.NoError(t, db.Close())
			return holdsAt(t, path, h, now)
		}}
}

func TestHolds(t *testing.T) { fanouttest.Holds(t, openHolds) }

// quickDir is a directory in memory where there is one: for tests of many writes that are not about the disk.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tocsin-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestFates(t *testing.T) { fanouttest.Fates(t, openHolds, 100) }
