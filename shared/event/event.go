package event

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/shared/cut"
	"tocsin/shared/trace"
)

// Version is the only version of the event envelope so far.
const Version = 1

// Limits of the envelope's own members, in bytes.
const (
	maxID         = 128
	maxTenant     = 64
	maxClientName = 256
)

// Event is one fact that the platform published. Its zero value is not valid: make one with Parse, or fill every
// field and call Validate.
type Event struct {
	// ID is upstream's: the same id is the same event, however often it arrives.
	ID     string
	Tenant string
	// ClientName is the tenant's company name, shown in every message.
	ClientName string
	Kind       Kind
	Time       time.Time
	// Data is a JSON object whose shape depends on Kind: see the *Data types.
	Data json.RawMessage
	// Trace says which span its first one is a child of. It is no member of the wire form: engines keep it beside.
	Trace trace.Parent
	// hit is what Parse read of a hit's data: see Data.
	hit *hitReading
}

// detail is the wire form, the `Detail` of a bus entry.
type detail struct {
	Version    int             `json:"version"`
	ID         string          `json:"id"`
	Tenant     string          `json:"tenant"`
	ClientName string          `json:"client_name,omitempty"`
	Time       Timestamp       `json:"time"`
	Data       json.RawMessage `json:"data"`
}

// Publisher puts events on the bus. An error means that none, some or all of them may have been published:
// publish again with the same ids.
type Publisher interface {
	Publish(ctx context.Context, events ...Event) error
}

// An InvalidError says why an entry of the bus is not an event, and which member is at fault.
type InvalidError struct {
	Field  string // dotted path from the detail's root, "" when the detail as a whole is at fault
	Reason string
}

func (e *InvalidError) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return e.Field + ": " + e.Reason
}

func invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Parse reads an event from a bus entry's detail-type and detail. Every error is an *InvalidError.
func Parse(detailType string, raw []byte) (Event, error) {
	e, err := Decode(detailType, raw)
	if err != nil {
		return e, err
	}
	return e, e.validate()
}

// Decode reads the envelope and leaves the data unchecked. It is for reading back what Parse once accepted; after
// an error it still returns what could be read, so that a dead letter can be filed under its tenant. The data may share
// the memory of raw.
func Decode(detailType string, raw []byte) (Event, error) {
	if d, ok := scanDetail(raw); ok && d.Version == Version {
		return Event{ID: d.ID, Tenant: d.Tenant, ClientName: d.ClientName, Kind: Kind(detailType), Time: d.Time.UTC(),
			Data: d.Data}, nil
	}
	var d detail
	err := json.Unmarshal(raw, &d)
	e := Event{ID: d.ID, Tenant: d.Tenant, ClientName: d.ClientName, Kind: Kind(detailType), Time: d.Time.UTC(),
		Data: d.Data}
	switch {
	case err != nil:
		return e, decodeError("", err)
	case d.Version != Version:
		return e, invalid("version", "is %d, this release reads version %d", d.Version, Version)
	}
	if name, ok := unknownMember(raw); ok {
		return e, invalid(clip(name), "is not a member of an event")
	}
	return e, nil
}

// members of the envelope, as detail names them.
var members = [][]byte{[]byte("version"), []byte("id"), []byte("tenant"), []byte("client_name"), []byte("time"),
	[]byte("data")}

// unknownMember finds a member of a valid JSON object that the envelope does not have. It is on the way of every
// event: a json.Decoder that disallows unknown members costs more than the rest of the fan-out.
func unknownMember(raw []byte) (name string, found bool) {
	depth, isName := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '"':
			start := i + 1
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			if text := raw[start:i]; depth == 1 && isName {
				if !slices.ContainsFunc(members, func(m []byte) bool { return bytes.EqualFold(m, text) }) {
					return string(text), true
				}
				isName = false
			}
		case '{', '[':
			depth++
			isName = depth == 1
		case '}', ']':
			depth--
		case ',':
			isName = depth == 1
		}
	}
	return "", false
}

// Encode writes the wire form that Parse reads, `<`, `>` and `&` as they are: the escapes of a page would travel on.
func (e Event) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(detail{Version: Version, ID: e.ID, Tenant: e.Tenant, ClientName: e.ClientName,
		Time: Timestamp{e.Time}, Data: e.Data}); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// Validate checks every member, the data against its kind. Every error is an *InvalidError.
func (e Event) Validate() error { return e.validate() }

func (e *Event) validate() error {
	k, known := kinds[e.Kind]
	switch {
	case !known:
		return invalid("detail-type", "%q is not a known kind of event", clip(string(e.Kind)))
	case e.ID == "":
		return invalid("id", "is missing")
	case len(e.ID) > maxID || !printable(e.ID):
		return invalid("id", "must be at most %d printable ASCII characters", maxID)
	case e.Tenant == "":
		return invalid("tenant", "is missing")
	case len(e.Tenant) > maxTenant || !printable(e.Tenant):
		return invalid("tenant", "must be at most %d printable ASCII characters", maxTenant)
	case len(e.ClientName) > maxClientName || !utf8.ValidString(e.ClientName):
		return invalid("client_name", "must be at most %d bytes of UTF-8", maxClientName)
	case e.Time.IsZero():
		return invalid("time", "is missing")
	case e.Time.Year() < 1970 || e.Time.Year() > 9999:
		return invalid("time", "must be a year from 1970 to 9999")
	case len(e.Data) == 0 || e.Data[0] != '{':
		return invalid("data", "must be an object")
	}
	if e.Kind == NewHits {
		return e.checkHit()
	}
	return k.check(e.Data)
}

// KnownTenant is the tenant that an event names, "" when that can be none: a dead letter is filed under it.
func KnownTenant(tenant string) string {
	if len(tenant) > maxTenant || !printable(tenant) {
		return ""
	}
	return tenant
}

// Type is the subscription that this event falls under, "" when no subscription asks for it: it reaches
// integrations only through triggers, or, as a hit of an experimental rule or one that sampling dropped, not
// at all (product facts, 1.5).
func (e Event) Type() Type {
	k, ok := kinds[e.Kind]
	if !ok {
		return ""
	}
	if e.Kind == NewHits {
		return Data[HitData](e).asType() // which was read when the event was parsed
	}
	return k.typeOf(e.Data)
}

// Client is the company name for messages, the tenant's id when upstream gave none.
func (e Event) Client() string {
	if e.ClientName != "" {
		return e.ClientName
	}
	return e.Tenant
}

func decodeError(field string, err error) error {
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		return invalid(join(field, te.Field), "must be %s, is %s", kindName(te), te.Value)
	}
	return invalid(field, "is not valid JSON: %v", err)
}

func kindName(te *json.UnmarshalTypeError) string {
	switch te.Type {
	case reflect.TypeFor[Timestamp]():
		return "a time such as 2023-03-01T00:00:00Z"
	case reflect.TypeFor[Seconds]():
		return "a number of Unix seconds"
	}
	switch k := te.Type.Kind().String(); {
	case strings.HasPrefix(k, "int"), strings.HasPrefix(k, "float"):
		return "a number"
	case k == "struct", k == "map":
		return "an object"
	case k == "slice":
		return "a list"
	case k == "bool":
		return "true or false"
	default:
		return "a " + k
	}
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "." + b
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// clip keeps a stranger's text short and on one line, for an error.
func clip(s string) string { return cut.Keep(strings.ToValidUTF8(s, "�"), 64) }
