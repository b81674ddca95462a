// Package bus is the embedded mode's EventBridge: the PutEvents call as the AWS SDKs make it (JSON 1.1 over POST /).
// It checks an entry as the real service does, and no more: whether an event is one of ours is found out by fan-out,
// which keeps what is not as a dead letter with its reason. The answer is sent when the events are durable.
//
// Who may call is in admit.go, how a call is read in decode.go.
package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"tocsin/shared/bus/sigv4"
	"tocsin/shared/cut"
	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/logsample"
	"tocsin/shared/trace"
)

// Limits of PutEvents. Amazon EventBridge, API reference, "PutEvents": ten entries, and 256 KB for an entry.
const (
	maxEntries = 10
	maxEntry   = 256 << 10 // bytes, by the formula of entrySize
)

// Limits of all calls that are in progress. What is over them is told to come again, as AWS does; its clients do.
const (
	maxReading = 32 << 20 // bytes of calls that were read, after inflation
	maxPutting = 64       // calls that wait for the disk
	putWait    = 5 * time.Second
)

// Target is the value of X-Amz-Target that names the call.
const Target = "AWSEvents.PutEvents"

// Store takes entries in; they are durable when it returns.
type Store interface {
	Put(ctx context.Context, entries []delivery.Entry) error
}

// Config of a Handler; all but Publishers, SignedOnly, Region and Quota is required.
type Config struct {
	Store Store
	Name  string // the bus's own name; `default` is always accepted
	Now   func() time.Time
	NewID func() string // of an event as the bus sees it, answered as EventId
	Log   *slog.Logger
	// Publishers has the keys with which calls are signed; nil = there are none.
	Publishers Publishers
	// SignedOnly takes no unsigned call from this machine either, see local: for a listener that others reach.
	SignedOnly bool
	// Tracer is nil where nothing is traced.
	Tracer *trace.Tracer
	// Region is the one that a signature must name; "" takes any.
	Region string
	// Quota bounds what each tenant publishes; nil = nothing does.
	Quota *Quota
}

// Handler serves PutEvents.
func Handler(c Config) http.Handler {
	return &handler{Config: c, putting: make(chan struct{}, maxPutting)}
}

type handler struct {
	Config
	reading atomic.Int64 // bytes, see maxReading
	putting chan struct{}
	lines   logsample.Sampler
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

// encode writes the answer. Where all was taken it holds nothing but ids of ours.
func (r response) encode() []byte {
	if r.FailedEntryCount > 0 {
		body, err := json.Marshal(r)
		if err != nil {
			panic(err) // strings and numbers always encode
		}
		return body
	}
	body := append(make([]byte, 0, 64+64*len(r.Entries)), `{"FailedEntryCount":0,"Entries":[`...)
	for i, e := range r.Entries {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"EventId":"`...)
		body = append(body, e.EventID...)
		body = append(body, `"}`...)
	}
	return append(body, "]}"...)
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-amzn-RequestId", h.NewID())
	caller, err := h.admit(r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	if target := r.Header.Get("X-Amz-Target"); target != Target {
		h.fail(w, http.StatusBadRequest, "UnknownOperationException", "only "+Target+" is served here")
		return
	}
	d := h.decoder(w, r, caller.signature != nil)
	defer d.done()
	req, unread := d.request()
	// The body is hashed while it is read, so that none is kept for it: who signed is known only now.
	if err := caller.verify(r, d); err != nil {
		h.refuse(w, r, err)
		return
	}
	if unread != nil {
		h.refuse(w, r, unread)
		return
	}
	if len(req.Entries) == 0 {
		h.refuse(w, r, lengthError("has 0"))
		return
	}
	h.put(w, r, req)
}

// refuse answers a call that is not served.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var refused *sigv4.Error
	if !errors.As(err, &refused) {
		h.lines.Add(h.Log, h.Now().UTC(), slog.LevelError, logsample.Kind{Class: "not checked"},
			"a call could not be checked", "error", err.Error())
		refused = &sigv4.Error{Status: http.StatusInternalServerError, Code: "InternalFailure",
			Message: "the call could not be checked: make it again"}
	}
	h.Log.Debug("call refused", "code", refused.Code, "reason", refused.Message, "from", r.RemoteAddr)
	// What is left of the body is not waited for.
	w.Header().Set("Connection", "close")
	if refused == errBusy {
		w.Header().Set("Retry-After", "1")
	}
	h.fail(w, refused.Status, refused.Code, refused.Message)
}

func (h *handler) put(w http.ResponseWriter, r *http.Request, req request) {
	answer := response{Entries: make([]responseEntry, len(req.Entries))}
	now := h.Now().UTC()
	span, parent := h.Tracer.Call(r.Header.Get("Traceparent"))
	fault := ""
	defer func() { h.trace(span, parent, now, answer, fault) }()
	tenants, waits := h.judge(req, &answer, now)
	h.Quota.meter(r.Context(), waits)
	entries := make([]delivery.Entry, 0, len(req.Entries))
	for i, e := range req.Entries {
		if answer.Entries[i].ErrorCode != "" {
			continue
		}
		answer.Entries[i].EventID = h.NewID()
		// The entry's own Time is upstream's; the order of arrival is ours.
		entries = append(entries, delivery.Entry{Tenant: cmp.Or(tenants[i], delivery.NoTenant),
			DetailType: e.DetailType, Detail: []byte(e.Detail), At: now,
			Trace: h.Tracer.Published(span, e.TraceHeader)})
	}
	if len(entries) > 0 {
		if !h.place(r.Context()) {
			fault = errBusy.Code
			h.giveBack(tenants, waits)
			h.refuse(w, r, errBusy)
			return
		}
		err := h.Store.Put(r.Context(), entries)
		<-h.putting
		if err != nil {
			fault = "InternalException"
			h.giveBack(tenants, waits)
			// Publishers call again, and the disk that is full can be that of the log.
			h.lines.Add(h.Log, now, slog.LevelError, logsample.Kind{Class: "not stored"}, "events could not be stored",
				"entries", len(entries), "error", err.Error())
			h.fail(w, http.StatusInternalServerError, "InternalException",
				"the events could not be stored: send them again")
			return
		}
	}
	h.write(w, http.StatusOK, answer.encode())
}

// judge answers the entries that are not taken: by the real service's rules, and by what their tenants may publish. It
// returns the entries' tenants, and how long each has to wait.
func (h *handler) judge(req request, answer *response, now time.Time) (tenants []string, waits []time.Duration) {
	refuse := func(i int, code, why, group string) {
		answer.FailedEntryCount++
		answer.Entries[i] = responseEntry{ErrorCode: code, ErrorMessage: why}
		e := req.Entries[i]
		h.lines.Add(h.Log, now, slog.LevelWarn, logsample.Kind{Group: group, Class: code}, "entry refused",
			"code", code, "reason", why, "source", short(e.Source), "detail_type", short(e.DetailType))
	}
	tenants = make([]string, len(req.Entries))
	for i, e := range req.Entries {
		tenant, code, why := h.check(e)
		if tenants[i] = tenant; code != "" {
			tenants[i] = uncounted
			refuse(i, code, why, "")
		}
	}
	if h.Quota == nil {
		return tenants, nil
	}
	waits = h.Quota.take(tenants, now)
	for i, wait := range waits {
		if wait > 0 {
			code, why := h.Quota.throttled(tenants[i], wait)
			refuse(i, code, why, tenants[i])
		}
	}
	return tenants, waits
}

// giveBack uncounts the entries of a call that was not kept.
func (h *handler) giveBack(tenants []string, waits []time.Duration) {
	if h.Quota != nil {
		h.Quota.giveBack(tenants, waits)
	}
}

// place waits for a place among the calls that wait for the disk; false when there is none for too long.
func (h *handler) place(ctx context.Context) bool {
	select {
	case h.putting <- struct{}{}:
		return true
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, putWait)
	defer cancel()
	select {
	case h.putting <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// check applies the real service's rules to one entry, and reads whose it is.
func (h *handler) check(e requestEntry) (tenant, code, why string) {
	switch {
	case e.Source == "":
		return "", "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."
	case e.DetailType == "":
		return "", "InvalidArgument", "Parameter DetailType is not valid. Reason: DetailType is a required argument."
	case e.Detail == "":
		return "", "InvalidArgument", "Parameter Detail is not valid. Reason: Detail is a required argument."
	case strings.HasPrefix(e.Source, "aws."):
		return "", "NotAuthorizedForSourceException", "Not authorized for the source."
	case !h.ours(e.EventBusName):
		return "", "InvalidArgument", "Parameter EventBusName is not valid. Reason: there is no such bus here."
	case e.tooLarge:
		return "", "InvalidArgument", fmt.Sprintf("Total size of the entry is over the limit of %d bytes.", maxEntry)
	}
	tenant, object := event.TenantOf(e.Detail)
	if !object || !utf8.ValidString(e.Detail) {
		return "", "MalformedDetail", "Detail is malformed."
	}
	return tenant, "", ""
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
	return n + int(e.Resources)
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

func short(s string) string { return cut.Runes(strings.ToValidUTF8(s, "�"), 64) }
