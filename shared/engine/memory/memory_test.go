package memory_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/deliverylog"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/accounttest"
	"tocsin/shared/engine/enginetest/activitytest"
	"tocsin/shared/engine/enginetest/fanouttest"
	"tocsin/shared/engine/enginetest/reporttest"
	"tocsin/shared/engine/enginetest/settingstest"
	"tocsin/shared/engine/enginetest/statetest"
	"tocsin/shared/engine/memory"
	"tocsin/shared/engine/memory/sessions"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/sending/reference"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/worker"
)

func open() *memory.Engine { return memory.New(func() time.Time { return enginetest.At }) }

func polled(e *memory.Engine) enginetest.Log { return enginetest.Polled(e.Deliveries(), e.Bus()) }

func left(t *testing.T, e *memory.Engine) []delivery.Entry {
	t.Helper()
	entries, err := e.Bus().Receive(t.Context(), 1000)
	require.NoError(t, err)
	return entries
}

func TestAccounts(t *testing.T) {
	accounttest.Tokens(t, func(*testing.T) token.Store { return open().Tokens() })
	accounttest.Tenants(t, func(*testing.T) tenant.Store { return open().Tenants() })
}

func TestDeliveries(t *testing.T) {
	enginetest.Deliveries(t, func(*testing.T) enginetest.Log { return polled(open()) })
	enginetest.Queue(t, func(*testing.T) (enginetest.Queues, enginetest.Bus) {
		e := open()
		return e.Deliveries(), e.Bus()
	})
	fanouttest.Accepting(t, func(*testing.T) fanouttest.AcceptingEngine {
		return fanouttest.AcceptingEngine{Log: polled(open()), Systems: catalogue.Default(), System: "web_hooks",
			Later: func(*testing.T) {}}
	})
	arriving := func(*testing.T) (fanouttest.AcceptingEngine, health.Counters) {
		e := open()
		return fanouttest.AcceptingEngine{Log: polled(e), Systems: catalogue.Default(), System: "web_hooks",
			Later: func(*testing.T) {}}, e.Counters()
	}
	fanouttest.Arrivals(t, arriving)
	fanouttest.Filters(t, arriving)
	fanouttest.ReportsByFilters(t, func(*testing.T) fanouttest.ReportingEngine {
		e := open()
		return fanouttest.ReportingEngine{Events: e.Deliveries(), Reports: e.Reports(),
			AcceptingEngine: fanouttest.AcceptingEngine{Log: polled(e), Systems: catalogue.Default()}}
	})
	fanouttest.Turns(t, catalogue.Default(), func(*testing.T, int) fanouttest.TurningEngine {
		e := open()
		return fanouttest.TurningEngine{Queues: e.Deliveries(), Bus: e.Bus()}
	})
	enginetest.Backlog(t, func(*testing.T) (enginetest.Log, integration.Backlog) {
		e := open()
		return polled(e), e.Deliveries()
	})
	enginetest.Waiting(t, func(*testing.T) enginetest.WaitingEngine {
		e := open()
		return enginetest.WaitingEngine{Log: polled(e), Backlog: e.Backlog(), Integrations: e.Integrations()}
	})
	enginetest.EventLog(t, func(*testing.T) (enginetest.Log, fanout.EventLog) {
		e := open()
		return polled(e), e.Deliveries()
	})
	enginetest.DeliveryLog(t, func(*testing.T) (enginetest.Log, deliverylog.Store) {
		e := open()
		return polled(e), e.Deliveries()
	})
	enginetest.DeadLetters(t, func(*testing.T) enginetest.DeadLetterEngine {
		e := open()
		return enginetest.DeadLetterEngine{Log: polled(e), DeadLetters: e.Deliveries(),
			Left: func(t *testing.T) []delivery.Entry { return left(t, e) }}
	})
	enginetest.Batches(t, func(*testing.T) enginetest.BatchEngine {
		e := open()
		return enginetest.BatchEngine{Log: polled(e), Batches: e.Deliveries(),
			Queued: func(*testing.T) []worker.MessageBatch { return e.Deliveries().Queued() }}
	})
}

func TestPublisher(t *testing.T) {
	publisher := func(*testing.T) (event.Publisher, func(t *testing.T) []delivery.Entry) {
		e := open()
		return e.Bus(), func(t *testing.T) []delivery.Entry {
			entries := left(t, e)
			var in fanout.Intake
			for _, v := range entries {
				in.Repeated = append(in.Repeated, fanout.Accepted{Entry: v})
			}
			require.NoError(t, e.Deliveries().Accept(t.Context(), in))
			return entries
		}
	}
	statetest.Publisher(t, publisher)
	statetest.Traces(t, publisher)
}

func TestRetention(t *testing.T) {
	reporttest.Retention(t, func(_ *testing.T, now func() time.Time, most time.Duration) reporttest.Retaining {
		e := memory.New(now)
		return reporttest.Retaining{Log: enginetest.PolledBy(now, e.Deliveries(), e.Bus()), Events: e.Deliveries(),
			Settings: e.Reports(), Prune: func(*testing.T) { e.Prune(now(), most) }}
	})
}

func TestCounters(t *testing.T) {
	statetest.Counters(t, func(*testing.T) health.Counters { return open().Counters() })
}

func TestSettings(t *testing.T) {
	settingstest.Integrations(t, func(*testing.T) (integration.Store, func() []event.Kind) {
		e := open()
		return e.Integrations(), func() (kinds []event.Kind) {
			for _, v := range left(t, e) {
				kinds = append(kinds, event.Kind(v.DetailType))
			}
			return kinds
		}
	})
	settingstest.Triggers(t, func(*testing.T) settingstest.TriggerEngine { return triggers(open()) })
	settingstest.Commands(t, func(*testing.T) (settingstest.TriggerEngine, command.Store) {
		e := open()
		return triggers(e), e.Commands()
	})
	settingstest.People(t, func(*testing.T) profile.Store { return open().People() })
	settingstest.SuppressionList(t, func(*testing.T) mail.SuppressionList { return open().SuppressionList() })
}

func triggers(e *memory.Engine) settingstest.TriggerEngine {
	return settingstest.TriggerEngine{
		Log: polled(e), Store: e.Triggers(), Integrations: e.Integrations(), Systems: catalogue.Default(), Workers: 1,
		Left: func(t *testing.T) []delivery.Entry { return left(t, e) },
	}
}

func TestReports(t *testing.T) {
	reporttest.Reports(t, func(*testing.T) (report.Store, integration.Store, profile.Store) {
		e := open()
		return e.Reports(), e.Integrations(), e.People()
	})
	reporttest.DailyTotals(t, func(*testing.T) reporttest.DailyTotalsEngine {
		e := open()
		return reporttest.DailyTotalsEngine{Log: polled(e), Totals: e.DailyTotals()}
	})
}

func TestActivity(t *testing.T) {
	settingstest.Activity(t, func(*testing.T) activity.Store { return open().ActivityLog() })
}

func TestSessions(t *testing.T) {
	accounttest.Sessions(t, func(*testing.T) accounttest.Store { return sessions.New() })
}

func TestActivityOfEveryStore(t *testing.T) {
	activitytest.Activity(t, func(*testing.T) activitytest.Engine {
		e := open()
		return activitytest.Engine{Log: e.ActivityLog(), Integrations: e.Integrations(), Triggers: e.Triggers(),
			Reports: e.Reports(), People: e.People(), Suppressions: e.SuppressionList(), Tokens: e.Tokens(),
			Tenants: e.Tenants()}
	})
}

func TestReferences(t *testing.T) {
	statetest.References(t, func(_ *testing.T, now func() time.Time) reference.Store {
		return memory.New(now).References()
	})
}

var openHolds fanouttest.OpenHolds = func(_ *testing.T, h delivery.Holder, now func() time.Time) fanouttest.HoldEngine {
	e := memory.New(now)
	e.Holder = h
	d := e.Deliveries()
	return fanouttest.HoldEngine{Log: enginetest.PolledBy(now, d, e.Bus()), Events: d, Searched: d, Backlog: d,
		Reconsider: d.Reconsider}
}

func TestHolds(t *testing.T) { fanouttest.Holds(t, openHolds) }

func TestFates(t *testing.T) { fanouttest.Fates(t, openHolds, 200) }
