// Package memory is an engine in memory, for tests of the domain: maps and one mutex, nothing that is kept and nothing
// that is fast. It passes the contract suites of enginetest, so that what a test of the domain learns of it holds for
// the engines that customers run on. No deployable imports it.
package memory

import (
	"encoding/json"
	"sync"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/memory/counters"
	"tocsin/shared/engine/memory/erasures"
	"tocsin/shared/engine/memory/references"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/report/daily"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/trigger"
	"tocsin/shared/worker"
)

// Engine holds everything. Its stores are views of it. It is safe for concurrent use.
type Engine struct {
	mu  sync.Mutex
	now func() time.Time

	// Holder says what is held; nil = nothing is when its time has come. Set it before the engine is used.
	Holder delivery.Holder

	entries []delivery.Entry // of the bus, by their place; the receipt is the number of the place, from 1
	passed  int              // entries that fan-out is done with
	arrived chan struct{}

	accepted    []accepted
	known       map[key]bool // by tenant and event
	deliveries  map[key]map[string]delivery.Delivery
	merged      map[key]map[string]merged // what was held, by the ids that it had
	leases      map[string]time.Time      // until when, by delivery
	deadLetters []delivery.DeadLetter
	batches     map[string]worker.Batch
	queue       []worker.MessageBatch

	integrations map[key]integration.Integration
	triggers     map[key]trigger.Trigger
	seeded       map[string]bool
	states       map[key]trigger.State
	references   *references.Store
	firings      map[key][]trigger.Firings
	commands     map[key]command.Command
	untaken      map[key]untaken // by tenant and kind
	counters     counters.Buckets
	days         map[dayOf]*daily.Totals
	settings     map[string]report.Settings
	reports      map[key]kept
	schedule     map[subscription]report.Subscription
	people       map[key]profile.Profile
	suppressions map[suppressionKey]mail.Suppression
	activity     []activity.Entry
	tokens       map[key]token.Token
	links        map[key]tenant.Link // by technical and linked tenant
	erasures     *erasures.Store

	lastIntegration, lastTrigger int64 // numbers
}

// key names something of a tenant: an integration, an event, a report.
type key struct{ tenant, id string }

// New makes an empty engine. now is its clock, nil = the machine's.
func New(now func() time.Time) *Engine {
	if now == nil {
		now = time.Now
	}
	e := &Engine{
		now: now, arrived: make(chan struct{}, 1),
		known: map[key]bool{}, deliveries: map[key]map[string]delivery.Delivery{}, leases: map[string]time.Time{},
		merged:  map[key]map[string]merged{},
		batches: map[string]worker.Batch{}, integrations: map[key]integration.Integration{},
		triggers: map[key]trigger.Trigger{}, seeded: map[string]bool{}, states: map[key]trigger.State{},
		firings:  map[key][]trigger.Firings{},
		commands: map[key]command.Command{}, untaken: map[key]untaken{}, counters: counters.Buckets{},
		days:     map[dayOf]*daily.Totals{},
		settings: map[string]report.Settings{}, reports: map[key]kept{},
		schedule: map[subscription]report.Subscription{}, people: map[key]profile.Profile{},
		suppressions: map[suppressionKey]mail.Suppression{}, tokens: map[key]token.Token{},
		links: map[key]tenant.Link{}, references: references.New(now),
	}
	e.erasures = erasures.New(func(entries []activity.Entry) {
		defer e.lock()()
		e.activity = append(e.activity, clone(entries)...)
	})
	return e
}

// References returns what systems call what was made of objects.
func (e *Engine) References() *references.Store { return e.references }

// Counters returns the counts of attempts.
func (e *Engine) Counters() counters.Store { return counters.Store{Buckets: e.counters, Lock: e.lock} }

// lock is `defer e.lock()()`.
func (e *Engine) lock() (unlock func()) {
	e.mu.Lock()
	return e.mu.Unlock
}

// clone copies what a store holds as JSON in the other engines.
func clone[T any](v T) T {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // the other engines could not keep it either
	}
	var out T
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	return out
}
