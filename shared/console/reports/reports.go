// Package reports is the operations on reports and their settings.
package reports

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
	"tocsin/shared/destination"
	"tocsin/shared/filter"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/retention"
	"tocsin/shared/timezone"
	"tocsin/shared/wording"
)

// PeriodView is the range of days of a report.
type PeriodView struct {
	Frequency calendar.Frequency `json:"frequency" enum:"daily,weekly,monthly,once"`
	From      calendar.Day       `json:"from" example:"2023-02-27"`
	To        calendar.Day       `json:"to" doc:"included" example:"2023-03-05"`
	TimeZone  string             `json:"time_zone" doc:"days are cut in it" example:"Europe/Berlin"`
	Title     string             `json:"title" example:"Week 9, 27 February – 5 March 2023"`
}

// ReportView is a report.
type ReportView struct {
	ID         string            `json:"id" example:"weekly-2023-W09"`
	Period     PeriodView        `json:"period"`
	Filters    []rest.FilterView `json:"filters,omitempty" doc:"what selected the events that it tells of; absent: it tells of all"`
	Format     report.Format     `json:"format" enum:"pdf,csv"`
	State      report.State      `json:"state" enum:"waiting,ready,failed" doc:"ask again while it is waiting: it takes seconds"`
	Reason     string            `json:"reason,omitempty" worded:"true" doc:"why it failed"`
	CreatedAt  time.Time         `json:"created_at"`
	CreatedBy  string            `json:"created_by,omitempty" doc:"absent for a scheduled one"`
	Recipients []string          `json:"recipients,omitempty"`
	Headline   *HeadlineView     `json:"headline,omitempty" doc:"once it is ready"`
	Missing    []MissingView     `json:"missing,omitempty" doc:"once it is ready: the kinds of event of which its files list fewer than were counted; absent when they list everything"`
	Files      []FileView        `json:"files"`
}

// HeadlineView is a report in numbers.
type HeadlineView struct {
	Now    report.Headline  `json:"now"`
	Before *report.Headline `json:"before,omitempty" doc:"of the period before; absent of a report by filters, which is compared with nothing"`
}

// MissingView is what a report does not list of one kind of event.
type MissingView struct {
	What     string         `json:"what" enum:"attacks,incidents,vulnerabilities"`
	Listed   int64          `json:"listed" doc:"rows in the report's file" example:"2000"`
	Recorded int64          `json:"recorded" doc:"rows that are kept: a CSV report lists them, 10,000 at most; of - recorded are in no report" example:"2000"`
	Of       int64          `json:"of" doc:"how many were counted; one that was let go of and came again is counted again" example:"3417"`
	Days     []calendar.Day `json:"days,omitempty" doc:"days with more than are kept: a day keeps at least 2,000 attacks and lets go of the smallest so far, and it keeps the first 1,000 incidents and the first 1,000 vulnerabilities" example:"[\"2023-05-03\"]"`
}

// FileView is a file of a report.
type FileView struct {
	Name string `json:"name" example:"tocsin-weekly-report-2023-W09.pdf"`
	Type string `json:"type" example:"application/pdf"`
	Size int    `json:"size" doc:"bytes"`
	Href string `json:"href" doc:"read it with the same token"`
}

func reportView(r report.Report) ReportView {
	v := ReportView{
		ID: r.ID, Format: r.Format, State: r.State, Reason: r.Reason, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy,
		Recipients: r.Recipients, Files: []FileView{},
		Period: PeriodView{r.Period.Frequency, r.Period.From, r.Period.To, r.Period.Zone, r.Period.Title()},
	}
	if len(r.Filters) > 0 {
		v.Filters = rest.FilterViews(r.Filters)
	}
	if r.State != report.Ready {
		return v
	}
	v.Headline = &HeadlineView{Now: r.Headline.Now}
	if !r.Headline.Alone {
		v.Headline.Before = &r.Headline.Before
	}
	for _, m := range r.Missing {
		v.Missing = append(v.Missing, MissingView(m))
	}
	for _, f := range r.Files {
		v.Files = append(v.Files, FileView{f.Name, f.Type, f.Size, "/v1/reports/" + url.PathEscape(r.ID) + "/files/" +
			url.PathEscape(f.Name)})
	}
	return v
}

type reportsOutput struct {
	Body struct {
		Items []ReportView `json:"items" doc:"newest first, at most three"`
	}
}

type reportOutput struct {
	Location string `header:"Location" doc:"of an ordered report"`
	Body     ReportView
}

type orderInput struct {
	Body struct {
		Period struct {
			Frequency calendar.Frequency `json:"frequency,omitempty" enum:"daily,weekly,monthly" doc:"the day, week (from Monday) or month that from lies in; to is left out"`
			From      calendar.Day       `json:"from" example:"2023-02-27"`
			To        calendar.Day       `json:"to,omitempty" doc:"included; at most 366 days" example:"2023-03-05"`
		} `json:"period"`
		Filters    []rest.FilterView `json:"filters,omitempty" maxItems:"6" doc:"select the events that the report tells of: all filters must match, and an event that has nothing of what a filter looks at is selected by ne alone. Filters that no event can pass, or of which one can never apply, are refused; see GET /v1/report-filters. Without any it tells of all events"`
		Format     report.Format     `json:"format,omitempty" enum:"pdf,csv" default:"pdf" doc:"pdf: at most 50 attacks, 200 incidents and 200 vulnerabilities. csv: one file for each kind of event with at most 10,000 rows, attacks and incidents with the most hits first, vulnerabilities with the highest risk first; where rows are missing, a text file beside them says how many"`
		Recipients []string          `json:"recipients,omitempty" maxItems:"50" doc:"addresses that it is mailed to; without any it is only kept for download"`
	}
}

type filtersOutput struct {
	Body struct {
		Filters []rest.FilterRuleView `json:"filters"`
		Kept    int                   `json:"kept" doc:"days that the tenant's events are kept" example:"30"`
		From    calendar.Day          `json:"from" doc:"the first day that a report by filters can be made of, in the time zone of the reports: it is made of the events themselves, which are kept so long, as they arrived until a day after its period. One without filters goes back 13 months" example:"2023-02-03"`
	}
}

type fileInput struct {
	ID   string `path:"id"`
	Name string `path:"name"`
}

type fileOutput struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

// ReportSettings are a tenant's.
type ReportSettings struct {
	Language *wording.Language `json:"language,omitempty" doc:"en or ja: of what is sent, where neither an integration nor a person has one; empty: English; absent in a change: as it is"`
	Hold     *rest.HoldView    `json:"hold,omitempty" doc:"when what is sent to integrations with systems that people read waits, beside their own rules; absent in a change: as it is"`
	TimeZone string            `json:"time_zone" maxLength:"64" doc:"IANA name; days, weeks and months are cut in it, reports go out at the hour of it, and people are told times in it" example:"Europe/Berlin"`
	// Retention is how long events and deliveries are kept.
	Retention *Retention `json:"retention,omitempty" doc:"how long the tenant's events and the log of its deliveries are kept; absent in a change: as it is"`
	Hour      *int       `json:"hour,omitempty" minimum:"0" maximum:"23" doc:"of the day, in the time zone: reports go out within the hour that begins then; 6 until you choose one; absent in a change: as it is" example:"6"`
}

// Retention is a tenant's.
type Retention struct {
	Events     int        `json:"events" minimum:"0" maximum:"400" doc:"days, from 7 to what the installation keeps; 0: as long as the installation. An event holds all that is sent of it: what is older can not be sent again, recovered, or asked for in a report by filters" example:"14"`
	Deliveries int        `json:"deliveries" minimum:"0" maximum:"400" doc:"days that the log of deliveries is kept, with what systems answered, from 7 to those of the events; 0: as long as the events" example:"7"`
	Most       int        `json:"most,omitempty" readOnly:"true" doc:"days that the installation keeps them at most; less than a day is 0" example:"30"`
	Least      int        `json:"least,omitempty" readOnly:"true" doc:"the fewest days that can be chosen; absent where the installation keeps no more, and nothing can be chosen" example:"7"`
	Until      *time.Time `json:"until,omitempty" readOnly:"true" doc:"after a choice of fewer days: what came before it keeps the end that was written with it, and has gone by then; absent where no more than was chosen is kept"`
}

type settingsOutput struct {
	ETag string `header:"ETag"`
	Body ReportSettings
}

type settingsInput struct {
	IfMatch string `header:"If-Match" doc:"the ETag that you read; without it the last change wins"`
	Body    ReportSettings
}

// settingsETag is that of settings. An ETag counts from 1, and settings that nobody set have the revision 0.
func settingsETag(revision int64) string { return rest.MakeETag(revision + 1) }

// API is the operations on reports.
type API struct {
	rest.Kit
	Reports *report.Service
	// Ordered wakes what makes reports.
	Ordered func(ctx context.Context, r report.Report)
}

// Register adds the operations.
func (s *API) Register(api huma.API) {
	s.reports(api)
	s.settings(api)
}

func (s *API) reports(api huma.API) {
	tags := []string{"Reports"}
	rest.Register(api, rest.Operation(access.ViewEvents, huma.Operation{
		OperationID: "list-reports", Method: http.MethodGet, Path: "/v1/reports", Tags: tags,
		Summary:     "List the last reports",
		Description: "The last three, scheduled or on demand. For administrators, analysts and read-only users.",
	}), func(ctx context.Context, _ *struct{}) (*reportsOutput, error) {
		found, err := s.Reports.Recent(ctx, rest.Principal(ctx).Tenant)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		out := &reportsOutput{}
		out.Body.Items = []ReportView{}
		for _, r := range found {
			out.Body.Items = append(out.Body.Items, reportView(r))
		}
		return out, nil
	})
	huma.Register(api, rest.Operation(access.ManageEvents, huma.Operation{
		OperationID: "order-report", Method: http.MethodPost, Path: "/v1/reports", Tags: tags,
		Errors: []int{400, 413, 415, 422, 429}, DefaultStatus: http.StatusAccepted,
		Summary: "Make a report now",
		Description: "Answers at once; read the report until it is ready. For administrators and analysts. " +
			rest.QuotaWords,
	}), s.order)
	huma.Register(api, rest.Operation(access.ViewEvents, huma.Operation{
		OperationID: "get-report-filters", Method: http.MethodGet, Path: "/v1/report-filters", Tags: tags,
		Summary: "List the filters that a report can be made by", Description: "And how far back such a report can go.",
	}), s.filters)
	huma.Register(api, rest.Operation(access.ViewEvents, huma.Operation{
		OperationID: "get-report", Method: http.MethodGet, Path: "/v1/reports/{id}", Tags: tags, Errors: []int{404},
		Summary:     "Read a report",
		Description: "Its state, its headline numbers, its files, and what these do not list.",
	}), func(ctx context.Context, in *rest.IDInput) (*reportOutput, error) {
		r, err := s.Reports.Get(ctx, rest.Principal(ctx).Tenant, in.ID)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		return &reportOutput{Body: reportView(r)}, nil
	})
	huma.Register(api, rest.Operation(access.ViewEvents, huma.Operation{
		OperationID: "get-report-file", Method: http.MethodGet, Path: "/v1/reports/{id}/files/{name}", Tags: tags,
		Errors:      []int{404},
		Summary:     "Download a file of a report",
		Description: "A PDF, or CSV in UTF-8, or the text that says which rows the CSV files lack.",
		Responses: map[string]*huma.Response{"200": {Description: "the file", Content: map[string]*huma.MediaType{
			"application/pdf": {}, "text/csv": {}, "text/plain": {},
		}}},
	}), s.file)
}

func (s *API) settings(api huma.API) {
	tags := []string{"Reports"}
	huma.Register(api, rest.Operation(access.ReportSettings, huma.Operation{
		OperationID: "get-report-settings", Method: http.MethodGet, Path: "/v1/report-settings", Tags: tags,
		Summary: "Read the settings of reports", Description: "UTC and 06:00 until you choose others.",
	}), func(ctx context.Context, _ *struct{}) (*settingsOutput, error) {
		v, err := s.Reports.Settings(ctx, rest.Principal(ctx).Tenant)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		return &settingsOutput{settingsETag(v.Revision), s.settingsView(v)}, nil
	})
	huma.Register(api, rest.Operation(access.ReportSettings, huma.Operation{
		OperationID: "set-report-settings", Method: http.MethodPut, Path: "/v1/report-settings", Tags: tags,
		Errors:  []int{400, 409, 412, 413, 415, 422},
		Summary: "Set the settings of reports",
		Description: "A new time zone holds for the days from now on; days that are recorded stay as they were cut. " +
			"Where fewer days are chosen to keep events and deliveries, what is older goes for good.",
	}), s.setSettings)
}

func (s *API) setSettings(ctx context.Context, in *settingsInput) (*settingsOutput, error) {
	p := rest.Principal(ctx)
	var now report.Settings
	err := s.UnlessChanged(ctx, in.IfMatch, func(revision int64) (err error) {
		now, err = s.Reports.Set(ctx, rest.Person(ctx), report.SettingsChange{Zone: in.Body.TimeZone,
			Hour: in.Body.Hour, Language: in.Body.Language, Hold: in.Body.Hold.Rules(),
			Retention: in.Body.Retention.days()}, revision-1)
		for field, of := range map[string]error{"time_zone": timezone.Err, "hour": calendar.ErrHour,
			"language": report.ErrLanguage} {
			if errors.Is(err, of) {
				return destination.InvalidParameters{{Field: field, Reason: err.Error()}}
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Log.Info("report settings set", "tenant", p.Tenant, "zone", now.Zone, "hour", now.At(), "by", p.Who())
	return &settingsOutput{settingsETag(now.Revision), s.settingsView(now)}, nil
}

func (s *API) settingsView(v report.Settings) ReportSettings {
	hour := v.At()
	return ReportSettings{Language: &v.Language, Hold: rest.HoldViewOf(v.Hold), TimeZone: v.Zone, Hour: &hour,
		Retention: s.retention(v)}
}

func (s *API) retention(v report.Settings) *Retention {
	out := &Retention{Events: v.Retention.Events, Deliveries: v.Retention.Deliveries,
		Most: int(s.Reports.EventsKept / (24 * time.Hour))}
	if out.Most > retention.Least {
		out.Least = retention.Least
	}
	if until := s.Reports.Leaves(v); !until.IsZero() {
		out.Until = &until
	}
	return out
}

// days are what a change asks for.
func (r *Retention) days() *retention.Days {
	if r == nil {
		return nil
	}
	return &retention.Days{Events: r.Events, Deliveries: r.Deliveries}
}

func (s *API) order(ctx context.Context, in *orderInput) (*reportOutput, error) {
	zone, err := s.Reports.Zone(ctx, rest.Principal(ctx).Tenant)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	q := in.Body
	filters, err := rest.Filters(q.Filters)
	if err != nil {
		return nil, err
	}
	period, err := asked(q.Period.Frequency, q.Period.From, q.Period.To, zone)
	if err != nil {
		return nil, err
	}
	r, err := s.Reports.Order(ctx, rest.Person(ctx), report.Request{Period: period, Filters: filters,
		Format: q.Format, Recipients: q.Recipients})
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	s.Ordered(ctx, r)
	return &reportOutput{Location: "/v1/reports/" + r.ID, Body: reportView(r)}, nil
}

func (s *API) filters(ctx context.Context, _ *struct{}) (*filtersOutput, error) {
	v, err := s.Reports.Settings(ctx, rest.Principal(ctx).Tenant)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	out := &filtersOutput{}
	out.Body.Filters, out.Body.From = rest.FilterRules(filter.ReportRules()), s.Reports.Since(v)
	out.Body.Kept = int(s.Reports.Kept(v).Events / (24 * time.Hour))
	return out, nil
}

// asked is the period that a person asks for.
func asked(f calendar.Frequency, from, to calendar.Day, zone string) (calendar.Period, error) {
	wrong := func(field, reason string) error {
		return rest.NewProblem(http.StatusUnprocessableEntity, "the period is not valid",
			rest.Fault("period."+field, reason))
	}
	switch {
	case !from.Valid():
		return calendar.Period{}, wrong("from", "must be a day such as 2023-03-05")
	case f == "" && to == "":
		return calendar.Period{}, wrong("to", "is required, or a frequency")
	case f != "" && to != "":
		return calendar.Period{}, wrong("to", "must be left out with a frequency")
	case f != "":
		return calendar.Containing(f, from, zone), nil
	}
	p, err := calendar.NewPeriod(from, to, zone)
	if err != nil {
		return p, wrong("to", err.Error())
	}
	return p, nil
}

func (s *API) file(ctx context.Context, in *fileInput) (*fileOutput, error) {
	f, err := s.Reports.File(ctx, rest.Principal(ctx).Tenant, in.ID, in.Name)
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	return &fileOutput{f.Type, mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}), f.Data}, nil
}
