// Package client reads what an account has and changes it, over the API alone.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/configuration"
	"tocsin/shared/report/calendar"
)

// Bounds of a call.
const (
	callTime  = 60 * time.Second
	maxAnswer = 64 << 20 // bytes
	maxTries  = 5
	maxWait   = time.Minute
)

// Client calls the API of one installation for one account.
type Client struct {
	// Tenant is the linked tenant that a global role acts for; "" = the token's own.
	Tenant string
	// Sleep waits between tries, as long as the context lasts. Tests take a clock of their own.
	Sleep func(ctx context.Context, d time.Duration) error
	// Waits tells a person for how long and why a call waits before it is made again.
	Waits func(d time.Duration, why error)

	base  *url.URL
	token string
	http  *http.Client
}

// New makes a client. address is that of the Console; its API is below it.
func New(address, token string, transport http.RoundTripper) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" {
		return nil, errors.New("the address must be that of the Console, such as https://tocsin.example.com")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("the address must hold no user, query or fragment")
	}
	return &Client{base: base, token: token, Sleep: sleep, Waits: func(time.Duration, error) {}, http: &http.Client{
		Transport: transport, Timeout: callTime,
		// A token goes to nobody but to whom it was given.
		CheckRedirect: func(q *http.Request, _ []*http.Request) error {
			return &elsewhere{q.URL.Scheme + "://" + q.URL.Host}
		},
	}}, nil
}

// elsewhere is an address that answers with another one.
type elsewhere struct{ to string }

func (e *elsewhere) Error() string {
	return "the address leads on to " + e.to + ": name that one if it is right"
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Error is an answer that is no success.
type Error struct {
	Status  int
	Detail  string
	Fields  []FieldError
	Request string // what the log calls a call that failed by no fault of the caller's, "" for any other
}

// FieldError is what is wrong with one field.
type FieldError struct{ Field, Reason string }

func (e *Error) Error() string {
	words := e.Detail
	for _, f := range e.Fields {
		words += "; " + f.Field + ": " + f.Reason
	}
	if e.Request != "" {
		words += " (request " + e.Request + ")"
	}
	return fmt.Sprintf("answered %d: %s", e.Status, words)
}

// UnknownError is a change of which it is not known whether it was made.
type UnknownError struct{ Err error }

func (e *UnknownError) Error() string {
	return "it is not known whether this was done: " + e.Err.Error()
}
func (e *UnknownError) Unwrap() error { return e.Err }

// answer is what a call gave.
type answer struct {
	body []byte
	etag string
}

// call makes one call. It is made again where that can do no harm: after 429, which nothing has come of, and where
// nothing is changed.
func (c *Client) call(ctx context.Context, method, path, ifMatch string, body []byte, accept string) (answer, error) {
	for try := 1; ; try++ {
		a, wait, err := c.once(ctx, method, path, ifMatch, body, accept)
		if err == nil || wait == 0 || try == maxTries || ctx.Err() != nil {
			return a, err
		}
		c.Waits(wait, fmt.Errorf("try %d of %d at %s: %w%s", try, maxTries, c.base.Host, err, hint(err)))
		if stopped := c.Sleep(ctx, wait); stopped != nil {
			return a, errors.Join(stopped, err)
		}
	}
}

// once makes a call once. A wait says that it may be made again, and when.
func (c *Client) once(ctx context.Context, method, path, ifMatch string, body []byte,
	accept string) (a answer, wait time.Duration, err error) {
	q, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return a, 0, err
	}
	if c.Tenant != "" {
		query := q.URL.Query()
		query.Set("tenant", c.Tenant)
		q.URL.RawQuery = query.Encode()
	}
	q.Header.Set("Authorization", "Bearer "+c.token)
	q.Header.Set("Accept", accept)
	if ifMatch != "" {
		q.Header.Set("If-Match", ifMatch)
	}
	if body != nil {
		q.Header.Set("Content-Type", map[bool]string{true: "application/merge-patch+json",
			false: "application/json"}[method == http.MethodPatch])
	}
	changes := method != http.MethodGet
	answered, err := c.http.Do(q)
	if err != nil {
		var on *elsewhere
		if errors.As(err, &on) {
			return a, 0, unknown(changes, on) // it would lead there again
		}
		return a, again(!changes), unknown(changes, bare(err))
	}
	defer answered.Body.Close()
	a.etag = answered.Header.Get("ETag")
	a.body, err = io.ReadAll(io.LimitReader(answered.Body, maxAnswer+1))
	if err == nil && len(a.body) > maxAnswer {
		err = errors.New("the answer is too large")
	}
	switch code := answered.StatusCode; {
	case code == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(answered.Header.Get("Retry-After"))
		return a, min(max(time.Second, time.Duration(seconds)*time.Second), maxWait), problem(code, a.body)
	case code >= 500:
		return a, again(!changes), unknown(changes, problem(code, a.body))
	case code >= 300:
		return a, 0, problem(code, a.body)
	case err != nil:
		return a, again(!changes), unknown(changes, err)
	}
	return a, 0, nil
}

func again(may bool) time.Duration {
	if may {
		return time.Second
	}
	return 0
}

func unknown(changes bool, err error) error {
	if changes {
		return &UnknownError{err}
	}
	return err
}

// bare is the cause of a failed call, without the address again.
func bare(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	return fmt.Errorf("%w: %w", errNoAnswer, err)
}

// errNoAnswer: nobody answered at the address.
var errNoAnswer = errors.New("no answer")

// problem reads an answer of RFC 9457. What is none came from somebody before the API, and is not repeated.
func problem(status int, body []byte) *Error {
	var p struct {
		Detail  string
		Errors  []struct{ Field, Reason string }
		Request string `json:"request_id"`
	}
	e := &Error{Status: status}
	if json.Unmarshal(body, &p) == nil {
		e.Detail, e.Request = p.Detail, p.Request
		for _, f := range p.Errors {
			e.Fields = append(e.Fields, FieldError(f))
		}
	}
	e.Detail = cmp.Or(e.Detail, http.StatusText(status), "no success")
	return e
}

// Export is the document of the account, in YAML or in JSON.
func (c *Client) Export(ctx context.Context, yaml bool) ([]byte, error) {
	accept := "application/json"
	if yaml {
		accept = "application/yaml"
	}
	a, err := c.call(ctx, http.MethodGet, "/v1/export", "", nil, accept)
	return a.body, c.explain("export the configuration", err)
}

// Schema is the JSON Schema of documents.
func (c *Client) Schema(ctx context.Context) (json.RawMessage, error) {
	a, err := c.call(ctx, http.MethodGet, "/configuration.schema.json", "", nil, "application/json")
	if err == nil && !json.Valid(a.body) {
		err = errors.New("the answer is not JSON")
	}
	return a.body, c.explain("read the schema of configurations", err)
}

// explain says what failed, where, and what to do about the usual causes.
func (c *Client) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s at %s: %w%s", what, c.base.Host, err, hint(err))
}

// hint is what to do about the usual causes.
func hint(err error) string {
	var e *Error
	if errors.As(err, &e) {
		switch e.Status {
		case http.StatusUnauthorized:
			return ": give an API token of this installation in TOCSIN_TOKEN"
		case http.StatusForbidden:
			return ": the token needs the role of an administrator"
		case http.StatusNotFound:
			return ": is this the address of a Tocsin that knows configurations?"
		}
	}
	if errors.Is(err, errNoAnswer) {
		return ": is Tocsin running there? -url or TOCSIN_URL names another address"
	}
	return ""
}

// get reads JSON.
func (c *Client) get(ctx context.Context, path string, into any) (etag string, err error) {
	a, err := c.call(ctx, http.MethodGet, path, "", nil, "application/json")
	if err == nil {
		if err = json.Unmarshal(a.body, into); err != nil {
			err = errors.New("the answer is not what this program knows: is it of another release?")
		}
	}
	return a.etag, c.explain("read "+strings.SplitN(path, "?", 2)[0], err)
}

// State reads what the account has.
func (c *Client) State(ctx context.Context) (s configuration.State, err error) {
	if s.Systems, err = c.systems(ctx); err == nil {
		if s.Integrations, err = c.integrations(ctx, ""); err == nil {
			if s.Triggers, err = c.triggers(ctx); err == nil {
				s.Reports, err = c.reports(ctx)
			}
		}
	}
	return s, err
}

func (c *Client) systems(ctx context.Context) (map[string]configuration.System, error) {
	var got struct {
		Groups []struct {
			Systems []struct {
				Name, Title         string
				Available, Personal bool
				BoundThere          bool `json:"bound_there"`
				Events              []struct{ Event string }
				Parameters          json.RawMessage
			}
		}
	}
	if _, err := c.get(ctx, "/v1/systems", &got); err != nil {
		return nil, err
	}
	out := map[string]configuration.System{}
	for _, g := range got.Groups {
		for _, s := range g.Systems {
			if !s.Available || s.Personal {
				continue
			}
			system := configuration.System{Name: s.Name, Title: s.Title, BoundThere: s.BoundThere}
			for _, e := range s.Events {
				system.Events = append(system.Events, e.Event)
			}
			var err error
			if system.Fields, err = configuration.Fields(s.Parameters); err != nil {
				return nil, fmt.Errorf("read the system %s: %w", s.Name, err)
			}
			out[s.Name] = system
		}
	}
	return out, nil
}

// integrationItem is an integration as the API shows it.
type integrationItem struct {
	ID, Name, System string
	Language, Rate   string
	Grouping         string
	StormGuard       string `json:"storm_guard"`
	Fallback         string
	MessageTemplate  configuration.MessageTemplate `json:"message_template"`
	Revision         int64
	Enabled          bool
	Events           []struct {
		Event       string
		Active      bool
		WithHeaders bool `json:"with_headers"`
	}
	Filters    []filterItem
	Hold       json.RawMessage
	Parameters json.RawMessage
}

// integrations reads them all, or those with a text in their names.
func (c *Client) integrations(ctx context.Context, query string) (out []configuration.StoredIntegration, err error) {
	for cursor := ""; ; {
		var page struct {
			Items      []integrationItem
			NextCursor string `json:"next_cursor"`
		}
		path := "/v1/integrations?" + url.Values{"limit": {"200"}, "cursor": {cursor}, "q": {query}}.Encode()
		if _, err := c.get(ctx, path, &page); err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			stored := configuration.StoredIntegration{ID: i.ID, Revision: i.Revision, Name: i.Name, System: i.System,
				Language: i.Language, Rate: i.Rate, Grouping: i.Grouping, StormGuard: i.StormGuard,
				Fallback:        i.Fallback,
				MessageTemplate: i.MessageTemplate, Enabled: i.Enabled, Filters: filters(i.Filters),
				Parameters: i.Parameters}
			if stored.Hold, err = configuration.HoldOf(i.Hold); err != nil {
				return nil, fmt.Errorf("read the hold of integration %s: %w", i.ID, err)
			}
			for _, e := range i.Events {
				if e.Active {
					stored.Events = append(stored.Events,
						configuration.Subscription{Event: e.Event, WithHeaders: e.WithHeaders})
				}
			}
			out = append(out, stored)
		}
		if cursor = page.NextCursor; cursor == "" {
			return out, nil
		}
	}
}

// filterItem is a filter as the API shows it.
type filterItem struct {
	ID, Operator string
	Values       []json.RawMessage // texts and whole numbers
}

func filters(list []filterItem) (out []configuration.Filter) {
	for _, f := range list {
		filter := configuration.Filter{ID: f.ID, Operator: f.Operator}
		for _, raw := range f.Values {
			var s string
			if json.Unmarshal(raw, &s) != nil {
				s = string(raw)
			}
			filter.Values = append(filter.Values, s)
		}
		out = append(out, filter)
	}
	return out
}

// triggers reads them all; nil where the installation has none, or the caller may not see them.
func (c *Client) triggers(ctx context.Context) ([]configuration.StoredTrigger, error) {
	var got struct {
		Items []struct {
			ID, Name, Comment string
			Revision          int64
			Enabled           bool
			Template          string `json:"template_id"`
			Threshold         *configuration.Threshold
			Filters           []filterItem
			Actions           []struct {
				ID     string
				Params struct {
					Integrations []string `json:"integration_ids"`
					LockTime     int64    `json:"lock_time"`
				}
			}
		}
	}
	if _, err := c.get(ctx, "/v1/triggers", &got); err != nil {
		return nil, hidden(err)
	}
	out := []configuration.StoredTrigger{}
	for _, t := range got.Items {
		stored := configuration.StoredTrigger{ID: t.ID, Revision: t.Revision, Trigger: configuration.Trigger{
			Name: t.Name, Comment: t.Comment, Template: t.Template, Enabled: &t.Enabled, Threshold: t.Threshold}}
		stored.Filters = filters(t.Filters)
		for _, a := range t.Actions {
			stored.Actions = append(stored.Actions, configuration.Action{ID: a.ID,
				Integrations: a.Params.Integrations, LockTime: a.Params.LockTime})
		}
		out = append(out, stored)
	}
	return out, nil
}

// reports reads the settings of reports; nil where there are none to be seen.
func (c *Client) reports(ctx context.Context) (*configuration.StoredReports, error) {
	var got struct {
		TimeZone string `json:"time_zone"`
		Hour     int
		Language string
		Hold     json.RawMessage
		// Retention is not there of a release that has none.
		Retention configuration.Retention
	}
	got.Hour = calendar.DefaultHour // a release that has no hour of its own
	etag, err := c.get(ctx, "/v1/report-settings", &got)
	if err != nil {
		return nil, hidden(err)
	}
	held, err := configuration.HoldOf(got.Hold)
	if err != nil {
		return nil, fmt.Errorf("read the hold of the settings of reports: %w", err)
	}
	return &configuration.StoredReports{TimeZone: got.TimeZone, Hour: got.Hour, Language: got.Language, Hold: held,
		Retention: got.Retention, ETag: etag}, nil
}

// hidden is nil for what is not there, or not for the caller.
func hidden(err error) error {
	var e *Error
	if errors.As(err, &e) && (e.Status == http.StatusNotFound || e.Status == http.StatusForbidden) {
		return nil
	}
	return err
}
