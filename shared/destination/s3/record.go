package s3

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// Formats of a file.
const (
	JSON  = "json"
	Lines = "jsonl"
)

// Record is a hit as a file holds it: the fields of the product facts, section 8, in their order. Every field is always
// there.
type Record struct {
	Time          string          `json:"time"` // Unix seconds
	RequestID     string          `json:"request_id"`
	IP            string          `json:"ip"`
	Datacenter    string          `json:"datacenter"`
	Tor           string          `json:"tor"`
	RemoteCountry string          `json:"remote_country"`
	ApplicationID []int64         `json:"application_id"`
	Domain        string          `json:"domain"`
	Method        string          `json:"method"`
	URI           string          `json:"uri"`
	Protocol      string          `json:"protocol"`
	StatusCode    int             `json:"status_code"`
	AttackType    string          `json:"attack_type"`
	BlockStatus   string          `json:"block_status"`
	Payload       []string        `json:"payload"`
	Point         []string        `json:"point"`
	Tags          json.RawMessage `json:"tags"` // an object
}

// hit are the members of a hit that event.Hit does not name (facts, 1.9). Each is read for itself: one of an unexpected
// type must not cost the others.
type hit map[string]json.RawMessage

func (h hit) text(name string) string {
	var s string
	_ = json.Unmarshal(h[name], &s) // another type stays empty
	return s
}

func (h hit) texts(name string) []string {
	var list []json.RawMessage
	_ = json.Unmarshal(h[name], &list)
	out := []string{}
	for _, raw := range list {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			s = string(raw) // a number in a point: ["json", 0]
		}
		out = append(out, s)
	}
	return out
}

// numbers reads the applications' ids; names, which some hits have in their place, are none.
func (h hit) numbers(names ...string) []int64 {
	out := []int64{}
	for _, name := range names {
		for _, s := range h.texts(name) {
			if n, err := strconv.ParseInt(s, 10, 64); err == nil {
				out = append(out, n)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return out
}

// RecordOf reads the record of a hit.
func RecordOf(n notification.Notification) Record {
	known := event.Data[event.HitData](n.Event).Hit
	var d struct{ Hit hit }
	_ = json.Unmarshal(n.Event.Data, &d) // it was validated when it was accepted
	r := Record{
		Time: strconv.FormatInt(at(known, n).Unix(), 10), RequestID: d.Hit.text("request_id"), IP: known.Source(),
		Datacenter: d.Hit.text("datacenter"),
		Tor:        d.Hit.text("tor"), RemoteCountry: d.Hit.text("remote_country"),
		ApplicationID: d.Hit.numbers("application_id", "applications"),
		Domain:        known.Site(), Method: known.Method, URI: known.Path, Protocol: d.Hit.text("protocol"),
		StatusCode: known.ResponseStatus,
		AttackType: known.Type, BlockStatus: known.BlockStatus, Payload: d.Hit.texts("payloads"),
		Point: d.Hit.texts("point"), Tags: json.RawMessage("{}"),
	}
	if tags := d.Hit["tags"]; ijson.Members(tags) != nil {
		r.Tags = tags
	}
	return r
}

// at is the time of the request, that of the event where the hit has none.
func at(h event.Hit, n notification.Notification) time.Time {
	if h.RequestTime > 0 {
		return time.Unix(int64(h.RequestTime), 0)
	}
	return n.Event.Time
}

// maxFile is the size of one object in bytes: what a window holds (destination.File) makes one, or a few where
// records are longer than their events.
const maxFile = 32 << 20

// A File is one object to write.
type File struct {
	Key    string
	Body   []byte
	Header http.Header // its Content-Type, and that it is late
	Holds  int         // records
}

// lateHeader is metadata of an object (S3, "Working with object metadata"): the records keep to the product facts,
// which have no such field. Records have a time of their own.
const lateHeader = "X-Amz-Meta-Late"

// fallbackHeader names the integration that the file could not be delivered to, by its id: metadata is ASCII.
const fallbackHeader = "X-Amz-Meta-Fallback-Of"

// Files writes records as the files of one delivery, that of the notifications.
func Files(t destination.Target, format string, ns []notification.Notification, records [][]byte) []File {
	var out []File
	for part := range destination.Chunks(records, destination.Batch{Count: destination.File.Count, Bytes: maxFile}) {
		f := File{Body: destination.JoinArray(part), Holds: len(part),
			Header: http.Header{"Content-Type": {"application/json"}}}
		extension := JSON
		if format == Lines {
			f.Body, extension = destination.JoinLines(part), Lines
			f.Header = http.Header{"Content-Type": {"application/x-ndjson"}}
		}
		if ns[0].Late {
			f.Header.Set(lateHeader, "true")
		}
		if of := ns[0].FellBack; of != nil {
			f.Header.Set(fallbackHeader, of.Integration)
		}
		f.Key = "hitlogs-" + stamp(t, len(out)) + "." + extension
		out = append(out, f)
	}
	return out
}
