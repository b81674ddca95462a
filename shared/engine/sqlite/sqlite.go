package sqlite

import (
	"context"
	"time"

	"tocsin/shared/engine/sqlite/accounts"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/counters"
	"tocsin/shared/engine/sqlite/dailytotals"
	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/deliveries"
	"tocsin/shared/engine/sqlite/erasure"
	"tocsin/shared/engine/sqlite/eventbus"
	"tocsin/shared/engine/sqlite/people"
	"tocsin/shared/engine/sqlite/references"
	"tocsin/shared/engine/sqlite/reports"
	"tocsin/shared/engine/sqlite/settings"
	"tocsin/shared/metrics"
)

// Options of Open. The zero value is for production.
type Options = db.Options

// ErrInUse: another process has the state file.
var ErrInUse = db.ErrInUse

// OlderError: an older release wrote the file, which was to keep its layout.
type OlderError = db.OlderError

// DB is the open state file with its stores.
type DB struct {
	file         *db.File
	bus          *eventbus.Bus
	deliveries   *deliveries.Deliveries
	integrations *settings.Integrations
	triggers     *settings.Triggers
}

// Open opens the state file and makes a new one where there is none; the folder too. It is the only process that may:
// a second one gets an error. A file that is damaged, is not Tocsin's, or was written by a newer release is an error
// that says so, and stays as it is.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	file, err := db.Open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	bus := eventbus.New(file, o.Share)
	triggers := settings.NewTriggers(file, bus)
	s := &DB{file: file, bus: bus, deliveries: deliveries.New(file, bus, triggers),
		integrations: settings.NewIntegrations(file, bus), triggers: triggers}
	if o.LeastBlock > 0 {
		s.deliveries.SetLeastBlock(o.LeastBlock)
	}
	if err := file.Begin(s.deliveries.Load, bus.Load); err != nil {
		return nil, err
	}
	return s, nil
}

// Close finishes the writes that were handed in, and closes the file.
func (s *DB) Close() error { return s.file.Close() }

// Compact rewrites the file without its free pages, whatever its size. It needs as much room on the disk again.
func (s *DB) Compact(ctx context.Context) error { return s.file.Compact(ctx) }

// Bus returns the bus.
func (s *DB) Bus() *eventbus.Bus { return s.bus }

// Deliveries returns the deliveries.
func (s *DB) Deliveries() *deliveries.Deliveries { return s.deliveries }

// Backlog is what waits, for metrics.
type Backlog struct {
	*deliveries.Deliveries
	*settings.Integrations
}

// Backlog returns what waits.
func (s *DB) Backlog() Backlog { return Backlog{s.deliveries, s.integrations} }

// Collect tells what the writer of the file did, what its readers are at, and how large it is.
func (s *DB) Collect(ctx context.Context, g *metrics.Gathering) { s.file.Collect(ctx, g) }

// Integrations returns the integrations.
func (s *DB) Integrations() *settings.Integrations { return s.integrations }

// Triggers returns the triggers.
func (s *DB) Triggers() *settings.Triggers { return s.triggers }

// Commands returns what triggers ask of the platform.
func (s *DB) Commands() *settings.Commands { return settings.NewCommands(s.file, s.bus) }

// ActivityLog returns the activity log.
func (s *DB) ActivityLog() *activitylog.Log { return activitylog.New(s.file) }

// References returns what systems call what was made of objects.
func (s *DB) References() *references.References { return s.ReferencesAt(time.Now) }

// ReferencesAt are those by a clock.
func (s *DB) ReferencesAt(now func() time.Time) *references.References {
	return references.New(s.file, now)
}

// Counters returns the counts of attempts.
func (s *DB) Counters() *counters.Counters { return counters.New(s.file) }

// DailyTotals returns the daily totals.
func (s *DB) DailyTotals() *dailytotals.DailyTotals { return dailytotals.New(s.file) }

// Reports returns the reports.
func (s *DB) Reports() *reports.Reports { return reports.New(s.file) }

// Sessions returns who is signed in.
func (s *DB) Sessions() *accounts.Sessions { return accounts.NewSessions(s.file) }

// Tokens returns the API tokens.
func (s *DB) Tokens() *accounts.Tokens { return accounts.NewTokens(s.file) }

// Tenants returns which tenants are linked.
func (s *DB) Tenants() *accounts.Tenants { return accounts.NewTenants(s.file) }

// Erasure erases tenants.
func (s *DB) Erasure() *erasure.Tenants {
	return &erasure.Tenants{DB: s.file, Deliveries: s.deliveries, Integrations: s.integrations, Triggers: s.triggers}
}

// Erasures keeps those that the API was asked for.
func (s *DB) Erasures() erasure.Jobs { return erasure.Jobs{DB: s.file} }

// People returns the people.
func (s *DB) People() *people.People { return people.New(s.file) }

// Accounts returns the people who may sign in.
func (s *DB) Accounts() *accounts.People { return accounts.NewPeople(s.file) }

// SignInLinks returns the links that sign people in.
func (s *DB) SignInLinks() *accounts.Links { return accounts.NewLinks(s.file) }

// SuppressionList returns the addresses that get no mail.
func (s *DB) SuppressionList() *people.SuppressionList { return people.NewSuppressionList(s.file) }

// MailLog returns the mails of a machine without a mail server.
func (s *DB) MailLog() *people.MailLog { return people.NewMailLog(s.file) }
