package sqlite_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/settingstest"
	"tocsin/shared/engine/enginetest/statetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
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
