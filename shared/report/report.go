package report

import (
	"context"
	"errors"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/retention"
	"tocsin/shared/wording"
)

// Errors of a store. Wrap them; callers use errors.Is.
var (
	// ErrNotFound: the tenant has no such report.
	ErrNotFound = errors.New("report not found")
)

// DailyTotals reads the record. It is written by fanout.Store.Accept, together with the events that it comes from, so
// that an event counts exactly once. Implementations are safe for concurrent use; visits are in no particular order,
// and an error of visit ends them.
type DailyTotals interface {
	// Counts visits the counts of the days from first to last.
	Counts(ctx context.Context, tenant string, first, last calendar.Day,
		visit func(calendar.Day, daily.Count) error) error
	// Attacks visits the attacks of each of those days: one that lasted for two days comes twice.
	Attacks(ctx context.Context, tenant string, first, last calendar.Day,
		visit func(calendar.Day, daily.Attack) error) error
	// Incidents visits the incidents; one that was published again is there once for each day.
	Incidents(ctx context.Context, tenant string, first, last calendar.Day, visit func(daily.Incident) error) error
	// Vulnerabilities visits the vulnerabilities.
	Vulnerabilities(ctx context.Context, tenant string, first, last calendar.Day,
		visit func(daily.Vulnerability) error) error
}

// Settings of a tenant. The zero value but for the tenant is that of a tenant that has chosen nothing.
type Settings struct {
	Tenant string `json:"tenant"`
	Zone   string `json:"zone"` // "" = DefaultZone
	// Hour is that of the day, in the zone, at which reports go out; nil = DefaultHour.
	Hour *int `json:"hour,omitempty"`
	// Language is that of what is sent on behalf of the tenant, where neither its integration nor its person has one;
	// "" = English.
	Language wording.Language `json:"language,omitempty"`
	// Hold says when what is sent to integrations whose systems people read waits: see package hold.
	Hold hold.Rules `json:"hold,omitzero"`
	// Retention says how long what comes for the tenant is kept: see package retention.
	Retention retention.Setting `json:"retention,omitzero"`
	// Revision counts changes from 1; 0 before the first one, and of settings that a release before it was kept wrote.
	Revision int64 `json:"revision,omitempty"`
}

// At is the hour at which reports go out.
func (s Settings) At() int {
	if s.Hour == nil {
		return calendar.DefaultHour
	}
	return *s.Hour
}

// fields are those that a person sets.
func (s Settings) fields() map[string]any {
	out := map[string]any{"zone": s.Zone, "hour": s.At()}
	if s.Language != "" {
		out["language"] = s.Language
	}
	if !s.Hold.Zero() {
		out["hold"] = s.Hold
	}
	if s.Retention.Events != 0 {
		out["retention.events"] = s.Retention.Events
	}
	if s.Retention.Deliveries != 0 {
		out["retention.deliveries"] = s.Retention.Deliveries
	}
	return out
}

// ErrLanguage: the product does not speak it.
var ErrLanguage = errors.New("must be en, ja or empty")

// ErrConflict: the settings changed since they were read.
var ErrConflict = errors.New("the settings of reports were changed by someone else")

// Format is what the files of a report are.
type Format string

// The formats of the product facts, 5.2.
const (
	PDF Format = "pdf"
	CSV Format = "csv"
)

// State of a report.
type State string

// The states of a report.
const (
	Waiting State = "waiting" // it is being made
	Ready   State = "ready"
	Failed  State = "failed"
)

// Report is a report of a tenant, made or being made.
type Report struct {
	ID     string          `json:"id"`
	Tenant string          `json:"tenant"`
	Client string          `json:"client"` // the tenant's company name
	Period calendar.Period `json:"period"`
	// Filters select the events that a report on demand tells of; none = all.
	Filters   []filter.Filter `json:"filters,omitempty"`
	Format    Format          `json:"format"`
	State     State           `json:"state"`
	Reason    string          `json:"reason,omitempty"` // why it failed
	CreatedAt time.Time       `json:"created_at"`
	CreatedBy string          `json:"created_by,omitempty"` // "" for a scheduled one
	// Recipients are the addresses of a report on demand.
	Recipients []string `json:"recipients,omitempty"`
	// Headline is known once it is ready.
	Headline Comparison `json:"headline"`
	// Missing is what the files do not list, for each kind of event of which they do not list everything.
	Missing []Missing  `json:"missing,omitempty"`
	Files   []FileInfo `json:"files,omitempty"`
}

// FileInfo is a file of a report, without its bytes.
type FileInfo struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Size int    `json:"size"`
}

// File is a file of a report.
type File struct {
	Name string // ASCII
	Type string // media type
	Data []byte
}

// Kept is how many reports stay downloadable (facts, 5.1). What is younger than KeepFiles is held beyond that, because
// a delivery of it may still wait or be replayed, and is listed no more.
const Kept = 3

// SettingsStore keeps the settings of tenants.
type SettingsStore interface {
	SettingsReader
	// SaveSettings replaces a tenant's settings and makes its subscriptions due at once, so that the schedule looks at
	// them anew. Since and Done of each stay: no report is lost by it and none comes twice. Settings with a revision
	// replace those with the one before it alone. The entry of the activity log goes with the change.
	// Error: ErrConflict.
	SaveSettings(ctx context.Context, s Settings, e activity.Entry) error
}

// Archive keeps reports and their files.
type Archive interface {
	// Save inserts or replaces a report; files, when there are any, replace its files. The entries are of what a person
	// did.
	Save(ctx context.Context, r Report, files []File, entries ...activity.Entry) error
	// Get returns one report. Error: ErrNotFound.
	Get(ctx context.Context, tenant, id string) (Report, error)
	// Recent returns up to limit reports of the tenant, newest first.
	Recent(ctx context.Context, tenant string, limit int) ([]Report, error)
	// File returns one file of a report. Error: ErrNotFound.
	File(ctx context.Context, tenant, id, name string) (File, error)
	// Waiting returns up to limit reports that are to be made, oldest first, of all tenants.
	Waiting(ctx context.Context, limit int) ([]Report, error)
}

// Schedule keeps who is sent reports, and when.
type Schedule interface {
	// Due returns up to limit subscriptions whose time has come, of all tenants, those to be looked at anew first. The
	// engine keeps it as a sparse index beside integrations and people: an enabled integration and a person have a row
	// for each of Frequencies that they subscribe to, made and removed in the same write as they are; its cost does
	// not depend on how many tenants there are.
	Due(ctx context.Context, now time.Time, limit int) ([]Subscription, error)
	// Reschedule sets when subscriptions are due, and their Since and Done: of each if it still is due as it was read;
	// nothing happens to one that was moved meanwhile or has gone. After an error any of them may have been moved.
	Reschedule(ctx context.Context, moves []Move) error
	// SettingsOf returns the settings of tenants, one for each.
	SettingsOf(ctx context.Context, tenants []string) (map[string]Settings, error)
}

// Store keeps reports, settings and the schedule. Each reader takes a part of it; an engine implements all.
// Implementations are safe for concurrent use.
type Store interface {
	SettingsStore
	Archive
	Schedule
}

// Move is a subscription, due as it was read, with the time at which it is due next.
type Move struct {
	Subscription
	Next time.Time
}

// Subscription is a receiver of scheduled reports.
type Subscription struct {
	Tenant    string
	Receiver  string // an integration's id or a person's
	Frequency calendar.Frequency
	Due       time.Time // zero: it is new, or settings were saved: look at it now
	// Since is when the receiver subscribed: the UpdatedAt of the integration or the profile that first named the
	// frequency. Zero for one that is older than this field.
	Since time.Time
	// Done is the last day of the newest period whose report was handed over, or that was over when the receiver
	// subscribed; "" = nobody has looked yet.
	Done calendar.Day
}
