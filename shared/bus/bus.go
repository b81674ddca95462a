// Package bus is the embedded mode's EventBridge: the PutEvents call as the AWS SDKs make it (JSON 1.1 over POST /).
// It checks an entry as the real service does, and no more: whether an event is one of ours is found out by fan-out,
// which keeps what is not as a dead letter with its reason. The answer is sent when the events are durable.
package bus

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/shared/delivery"
	"tocsin/shared/logsample"
)

// Limits of PutEvents. Amazon EventBridge, API reference, "PutEvents": ten entries, and 256 KB for an entry.
const (
	maxEntries = 10
	maxEntry   = 256 << 10 // bytes, by the formula of entrySize
	// maxBody leaves room for ten entries whose detail is escaped JSON in JSON.
	maxBody = 2 * maxEntries * maxEntry
)

// Target is the value of X-Amz-Target that names the call.
const Target = "AWSEvents.PutEvents"

// Store takes entries in; they are durable when it returns.
type Store interface {
	Put(ctx context.Context, entries []delivery.Entry) error
}

// Config of a Handler; all but AllowRemote is required.
type Config struct {
	Store Store
	Name  string // the bus's own name; `default` is always accepted
	Now   func() time.Time
	NewID func() string // of an event as the bus sees it, answered as EventId
	Log   *slog.Logger
	// AllowRemote takes events from other machines. The call is not authenticated in the embedded mode, so the
	// default is loopback alone.
	AllowRemote bool
}

// Handler serves PutEvents.
func Handler(c Config) http.Handler { return &handler{Config: c} }

type handler struct {
	Config

	lines logsample.Sampler
}

type request struct {
	Entries []requestEntry
}

type requestEntry struct {
	Source       string
	DetailType   string
	Detail       string
	EventBusName string
	Resources    []string
	Time         *epoch
	TraceHeader  string
}

// epoch is a time as the JSON protocol writes it: seconds with a fraction.
type epoch struct{ time.Time }

func (e *epoch) UnmarshalJSON(raw []byte) error {
	var seconds float64
	if err := json.Unmarshal(raw, &seconds); err == nil {
		whole, part := math.Modf(seconds)
		if math.Abs(whole) > 1<<40 {
			return errors.New("time is out of range")
		}
		e.Time = time.Unix(int64(whole), int64(part*1e9)).UTC()
		return nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339, text)
	e.Time = t.UTC()
	return err
}

type response struct {
	FailedEntryCount int
	Entries          []responseEntry
}

type responseEntry struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := h.NewID()
	w.Header().Set("x-amzn-RequestId", id)
	if !h.AllowRemote && !loopback(r.RemoteAddr) {
		h.fail(w, http.StatusForbidden, "AccessDeniedException", "events are taken from this machine only: start with -publish-remote to change that")
		return
	}
	if target := r.Header.Get("X-Amz-Target"); target != Target {
		h.fail(w, http.StatusBadRequest, "UnknownOperationException", "only "+Target+" is served here")
		return
	}
	req, err := decode(w, r)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			h.fail(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "the request is too large")
			return
		}
		h.fail(w, http.StatusBadRequest, "SerializationException", "the request can not be read: "+err.Error())
		return
	}
	if n := len(req.Entries); n == 0 || n > maxEntries {
		h.fail(w, http.StatusBadRequest, "ValidationException", fmt.Sprintf(
			"1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and %d, has %d", maxEntries, n))
		return
	}
	h.put(w, r, req)
}

func (h *handler) put(w http.ResponseWriter, r *http.Request, req request) {
	answer := response{Entries: make([]responseEntry, len(req.Entries))}
	entries := make([]delivery.Entry, 0, len(req.Entries))
	now := h.Now().UTC()
	for i, e := range req.Entries {
		if code, why := h.check(e); code != "" {
			answer.FailedEntryCount++
			answer.Entries[i] = responseEntry{ErrorCode: code, ErrorMessage: why}
			h.lines.Add(h.Log, now, slog.LevelWarn, logsample.Kind{Class: code}, "entry refused", "code", code, "reason", why, "source", short(e.Source), "detail_type", short(e.DetailType))
			continue
		}
		answer.Entries[i].EventID = h.NewID()
		// The entry's own Time is upstream's; the order of arrival is ours.
		entries = append(entries, delivery.Entry{DetailType: e.DetailType, Detail: []byte(e.Detail), At: now})
	}
	if len(entries) > 0 {
		if err := h.Store.Put(r.Context(), entries); err != nil {
			h.Log.Error("events could not be stored", "entries", len(entries), "error", err.Error())
			h.fail(w, http.StatusInternalServerError, "InternalException", "the events could not be stored: send them again")
			return
		}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	h.write(w, http.StatusOK, body)
}

// check applies the real service's rules to one entry.
func (h *handler) check(e requestEntry) (code, why string) {
	switch {
	case e.Source == "":
		return "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."
	case e.DetailType == "":
		return "InvalidArgument", "Parameter DetailType is not valid. Reason: DetailType is a required argument."
	case e.Detail == "":
		return "InvalidArgument", "Parameter Detail is not valid. Reason: Detail is a required argument."
	case strings.HasPrefix(e.Source, "aws."):
		return "NotAuthorizedForSourceException", "Not authorized for the source."
	case !h.ours(e.EventBusName):
		return "InvalidArgument", "Parameter EventBusName is not valid. Reason: there is no such bus here."
	case entrySize(e) > maxEntry:
		return "InvalidArgument", fmt.Sprintf("Total size of the entry is over the limit of %d bytes.", maxEntry)
	case !utf8.ValidString(e.Detail) || !isObject(e.Detail):
		return "MalformedDetail", "Detail is malformed."
	}
	return "", ""
}

// ours reports whether the bus is this one: by its name or by its ARN.
func (h *handler) ours(name string) bool {
	if at := strings.LastIndex(name, ":event-bus/"); strings.HasPrefix(name, "arn:") && at >= 0 {
		name = name[at+len(":event-bus/"):]
	}
	return name == "" || name == "default" || name == h.Name
}

// entrySize is that of the user guide, "Calculating Amazon EventBridge PutEvents event entry size".
func entrySize(e requestEntry) int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	if e.Time != nil {
		n += 14
	}
	for _, r := range e.Resources {
		n += len(r)
	}
	return n
}

func isObject(detail string) bool {
	raw := []byte(detail)
	trimmed := bytes.TrimLeft(raw, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(raw)
}

func decode(w http.ResponseWriter, r *http.Request) (request, error) {
	var req request
	var body io.Reader = http.MaxBytesReader(w, r.Body, maxBody)
	if r.Header.Get("Content-Encoding") == "gzip" { // the SDKs may compress large requests
		z, err := gzip.NewReader(body)
		if err != nil {
			return req, err
		}
		body = http.MaxBytesReader(w, io.NopCloser(z), maxBody)
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return req, err
	}
	return parse(raw)
}

func parse(raw []byte) (request, error) {
	var req request
	err := json.Unmarshal(raw, &req)
	return req, err
}

func (h *handler) fail(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("X-Amzn-Errortype", kind)
	body, err := json.Marshal(map[string]string{"__type": kind, "message": message})
	if err != nil {
		panic(err) // strings always encode
	}
	h.write(w, status, body)
}

func (h *handler) write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a publisher that has gone away publishes again
}

func loopback(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func short(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(s, "�")
}
