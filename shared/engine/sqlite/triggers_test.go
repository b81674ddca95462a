package sqlite_test

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/settingstest"
	"tocsin/shared/engine/enginetest/statetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/trigger"
)

func TestPublisher(t *testing.T) {
	publisher := func(t *testing.T) (event.Publisher, func(t *testing.T) []delivery.Entry) {
		db := open(t)
		return db.Bus(), func(t *testing.T) []delivery.Entry {
			entries := left(t, db)
			var in fanout.Intake
			for _, e := range entries {
				in.Repeated = append(in.Repeated, fanout.Accepted{Entry: e})
			}
			require.NoError(t, db.Deliveries().Accept(t.Context(), in))
			return entries
		}
	}
	statetest.Publisher(t, publisher)
	statetest.Traces(t, publisher)
}

func TestTriggers(t *testing.T) {
	settingstest.Triggers(t, func(t *testing.T) settingstest.TriggerEngine { return engine(open(t)) })
}

func engine(db *sqlite.DB) settingstest.TriggerEngine {
	return settingstest.TriggerEngine{
		Log: enginetest.Polled(db.Deliveries(), db.Bus()), Store: db.Triggers(), Integrations: db.Integrations(),
		Systems: catalogue.Default(), Workers: 1,
		Left: func(t *testing.T) []delivery.Entry { return left(t, db) },
	}
}

func left(t *testing.T, db *sqlite.DB) []delivery.Entry {
	t.Helper()
	entries, err := db.Bus().Receive(t.Context(), 1000)
	require.NoError(t, err)
	return entries
}

func TestCommands(t *testing.T) {
	settingstest.Commands(t, func(t *testing.T) (settingstest.TriggerEngine, command.Store) {
		db := open(t)
		return engine(db), db.Commands()
	})
}

func TestDeadLetters(t *testing.T) {
	enginetest.DeadLetters(t, func(t *testing.T) enginetest.DeadLetterEngine {
		db := open(t)
		return enginetest.DeadLetterEngine{
			Log: enginetest.Polled(db.Deliveries(), db.Bus()), DeadLetters: db.Deliveries(),
			Left: func(t *testing.T) []delivery.Entry { return left(t, db) },
		}
	})
}

func TestOldCommandsArePruned(t *testing.T) {
	db := open(t)
	old := command.Command{ID: "old", Tenant: "42", Kind: event.IPDenylistRequested, At: time.Unix(1677628800, 0).UTC()}
	young := old
	young.ID, young.At = "young", old.At.Add(time.Hour)
	require.NoError(t, db.Deliveries().Accept(t.Context(), fanout.Intake{Commands: []command.Command{old, young}}))
	_, err := db.Prune(t.Context(), old.At.Add(30*24*time.Hour+time.Minute), 30*24*time.Hour)
	require.NoError(t, err)
	found, err := db.Commands().List(t.Context(), command.Query{Tenant: "42", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []command.Command{young}, found)
}

// The states in memory are those of the file, whatever wrote: a batch, a person who changes or deletes a trigger, an
// erasure, or a batch that was refused.
func TestTheStatesOfTriggersInMemoryAreThoseOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := reopen(t, path)
	ids := []string{"t", "u"}
	for _, tenant := range []string{"42", "43"} {
		for _, id := range ids {
			require.NoError(t, db.Triggers().Create(t.Context(), trigger.Trigger{ID: id, Tenant: tenant, Revision: 1,
				Template: trigger.Hits}, nil, enginetest.Record(tenant, event.TriggerCreate)))
		}
	}
	states := func(tenant string, ids ...string) []trigger.State {
		out, err := db.Triggers().States(t.Context(), tenant, ids)
		require.NoError(t, err)
		return out
	}
	count := func(tenant, body string, version int64, ids ...string) error {
		var in fanout.Intake
		for _, id := range ids {
			in.Triggers.States = append(in.Triggers.States, trigger.State{Tenant: tenant, Trigger: id, Version: version,
				Body: []byte(body), Expires: enginetest.At})
		}
		return db.Deliveries().Accept(t.Context(), in)
	}
	remove := func(id string) error {
		return db.Triggers().Delete(t.Context(), "42", id, 2, enginetest.Record("42", event.TriggerDelete))
	}
	for n, step := range []func() error{
		func() error { return count("42", "one", 0, "t") },
		func() error { return count("42", "two", 1, "t") },
		func() error { return count("43", "other", 0, "t", "u") },
		func() error { return count("42", "three", 2, "t") },
		func() error { return count("42", "three", 0, "u") },
		func() error { return is(count("42", "older", 1, "t", "u"), trigger.ErrStale) },
		func() error { return is(count("42", "older", 0, "u"), trigger.ErrStale) },
		func() error { return count("42", "four", 3, "t") },
		func() error {
			return db.Triggers().Update(t.Context(), trigger.Trigger{ID: "t", Tenant: "42", Revision: 2,
				Template: trigger.Hits}, nil, enginetest.Record("42", event.TriggerUpdate))
		},
		func() error { return count("42", "five", 4, "t") },
		func() error { return remove("t") },
		func() error { return is(count("42", "gone", 5, "t"), trigger.ErrStale) },
		func() error { return count("42", "again", 1, "u") },
		func() error {
			_, _, err := db.Erasure().Erase(t.Context(), "43", "")
			return err
		},
		func() error { return is(count("43", "gone", 1, "t", "u"), trigger.ErrStale) },
	} {
		require.NoError(t, step(), "step %d", n)
		for _, tenant := range []string{"42", "43"} {
			want := written(t, path, tenant, ids)
			require.Equal(t, want, states(tenant, ids...), "step %d, tenant %s", n, tenant)
			for at, id := range ids { // what memory has of one may be enough
				require.Equal(t, want[at:at+1], states(tenant, id), "step %d, trigger %s of tenant %s", n, id, tenant)
			}
		}
	}
	require.EqualValues(t, 2, states("42", "u")[0].Version)
}

// is turns an error that is wanted into none.
func is(err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("want %w, got %w", want, cmp.Or(err, errors.New("none")))
}

// written are the states that a file has, read by another connection.
func written(t *testing.T, path, tenant string, ids []string) (out []trigger.State) {
	t.Helper()
	conn, err := driver.OpenConn(path, driver.OpenReadOnly)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	for _, id := range ids {
		st := trigger.State{Tenant: tenant, Trigger: id}
		require.NoError(t, sqlitex.Execute(conn, "SELECT version, body FROM trigger_states WHERE tenant = ? AND id = ?",
			&sqlitex.ExecOptions{Args: []any{tenant, id}, ResultFunc: func(s *driver.Stmt) error {
				st.Version, st.Body = s.ColumnInt64(0), make([]byte, s.ColumnLen(1))
				s.ColumnBytes(1, st.Body)
				return nil
			}}))
		out = append(out, st)
	}
	return out
}
