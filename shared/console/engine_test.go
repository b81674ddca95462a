package console_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/console/deliveries"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/memory"
	"tocsin/shared/engine/memory/sessions"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/erasure"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/session"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/trigger"
	"tocsin/shared/worker"
)

// engine is where a rig keeps everything.
type engine struct {
	Bus interface {
		event.Publisher
		fanout.Inbox
		Put(ctx context.Context, entries []delivery.Entry) error
	}
	Deliveries interface {
		deliveries.History
		deliveries.DeadLetters
		fanout.Store
		fanout.EventLog
		worker.Queue
		worker.OutcomeWriter
		integration.Backlog
	}
	Integrations    integration.Store
	Triggers        trigger.Store
	Commands        command.Store
	Counters        health.Counters
	DailyTotals     report.DailyTotals
	Reports         report.Store
	People          profile.Store
	SuppressionList mail.SuppressionList
	Tokens          token.Store
	Tenants         tenant.Store
	Erasure         interface {
		erasure.Store
		erasure.Source
	}
	Erasures    erasure.Jobs
	ActivityLog activity.Store
	Sessions    session.Store
}

func inMemory(*testing.T) engine {
	db := memory.New(nil)
	return engine{Bus: db.Bus(), Deliveries: db.Deliveries(), Integrations: db.Integrations(), Triggers: db.Triggers(),
		Commands: db.Commands(), Counters: db.Counters(), DailyTotals: db.DailyTotals(), Reports: db.Reports(),
		People: db.People(), SuppressionList: db.SuppressionList(), Tokens: db.Tokens(), Tenants: db.Tenants(),
		ActivityLog: db.ActivityLog(), Sessions: sessions.New(), Erasure: db.Erasure(), Erasures: db.Erasures()}
}

func inSQLite(t *testing.T) engine {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return engine{Bus: db.Bus(), Deliveries: db.Deliveries(), Integrations: db.Integrations(), Triggers: db.Triggers(),
		Commands: db.Commands(), Counters: db.Counters(), DailyTotals: db.DailyTotals(), Reports: db.Reports(),
		People: db.People(), SuppressionList: db.SuppressionList(), Tokens: db.Tokens(), Tenants: db.Tenants(),
		ActivityLog: db.ActivityLog(), Sessions: db.Sessions(), Erasure: db.Erasure(), Erasures: db.Erasures()}
}

// overEngines runs a test over both engines that need no server.
func overEngines(t *testing.T, run func(t *testing.T, open func(*testing.T) engine)) {
	for name, open := range map[string]func(*testing.T) engine{"in memory": inMemory, "SQLite": inSQLite} {
		t.Run(name, func(t *testing.T) { run(t, open) })
	}
}
