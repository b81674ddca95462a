package bus

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/shared/bus/sigv4"
)

// Limits of one call, in bytes. They hold for what comes over the wire, and again for what it becomes when inflated.
const (
	// maxBody leaves room for ten entries whose detail is escaped JSON in JSON.
	maxBody = 2 * maxEntries * maxEntry
	// maxValue bounds one entry, and any other member of the call, as it is written: an entry each of whose
	// characters is escaped has six times its size.
	maxValue = 7 * maxEntry
	// maxMembers is far above the two that PutEvents has: Entries and EndpointId.
	maxMembers = 16
	// step is how much is read at once.
	step = 32 << 10
)

var (
	errTooLarge = &sigv4.Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLargeException",
		Message: "the request is too large"}
	// errBusy has the status that proxies and curl understand; the AWS clients go by the code and try again.
	errBusy = &sigv4.Error{Status: http.StatusTooManyRequests, Code: "ThrottlingException",
		Message: "too much is being taken in at the moment: send the events again"}
)

func serialization(format string, args ...any) *sigv4.Error {
	return &sigv4.Error{Status: http.StatusBadRequest, Code: "SerializationException",
		Message: "the request can not be read: " + fmt.Sprintf(format, args...)}
}

func lengthError(has string) *sigv4.Error {
	return &sigv4.Error{Status: http.StatusBadRequest, Code: "ValidationException", Message: fmt.Sprintf(
		"1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length "+
			"between 1 and %d, %s", maxEntries, has)}
}

type request struct {
	Entries []requestEntry
}

type requestEntry struct {
	Source       string
	DetailType   string
	Detail       string
	EventBusName string
	Resources    resources
	Time         *epoch
	TraceHeader  string

	tooLarge bool
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

// resources is the size of a list of texts, in bytes. Nothing here reads the texts, and a million of them is a line of
// text and not a million allocations.
type resources int

func (n *resources) UnmarshalJSON(raw []byte) error {
	*n = 0
	if string(raw) == "null" {
		return nil
	}
	if raw[0] != '[' {
		return errors.New("the entry's Resources must be a list")
	}
	// What is given here is one whole value, valid JSON.
	for i := 1; i < len(raw); i++ {
		switch raw[i] {
		case ',', ' ', '\t', '\r', '\n', ']':
		case 'n': // null stands for no text
			i += len("null") - 1
		case '"':
			end := i + 1
			for raw[end] != '"' {
				if raw[end] == '\\' {
					end++
				}
				end++
			}
			size := end - i - 1
			if bytes.IndexByte(raw[i:end], '\\') >= 0 {
				var text string
				if err := json.Unmarshal(raw[i:end+1], &text); err != nil {
					return err
				}
				size = len(text)
			}
			*n += resources(size)
			i = end
		default:
			return errors.New("the entry's Resources must be a list of texts")
		}
	}
	return nil
}

// decoder reads one call as it comes in and stops at the first fault. No more than a value of it is held at once.
type decoder struct {
	h    *handler
	r    *http.Request
	wire io.Reader // of a bounded length
	sum  hash.Hash // of what came over the wire; nil when nobody asks
	held int64     // of handler.reading

	left, value int // bytes that the call, and the value that is being read, may still have
	body        io.Reader
	over        error // once a bound was met: json.Decoder may read on behind an error
}

func (h *handler) decoder(w http.ResponseWriter, r *http.Request, hashed bool) *decoder {
	d := &decoder{h: h, r: r, wire: http.MaxBytesReader(w, r.Body, maxBody), left: maxBody, value: maxValue}
	if hashed {
		d.sum = sha256.New()
		d.wire = io.TeeReader(d.wire, d.sum)
	}
	return d
}

// done gives back the call's share of what may be in progress.
func (d *decoder) done() { d.h.reading.Add(-d.held) }

// rest reads what is left of the body and returns the hash of all of it.
func (d *decoder) rest() (sum [sha256.Size]byte, err error) {
	if _, err := io.Copy(io.Discard, d.wire); err != nil {
		return sum, d.fault(err)
	}
	return [sha256.Size]byte(d.sum.Sum(nil)), nil
}

// Read reads the inflated body within the bounds.
func (d *decoder) Read(p []byte) (int, error) {
	if d.over != nil {
		return 0, d.over
	}
	n, err := d.body.Read(p[:min(len(p), step)])
	d.held += int64(n)
	d.left -= n
	d.value -= n
	switch busy := d.h.reading.Add(int64(n)) > maxReading; {
	case busy:
		d.over = errBusy
	case d.left < 0 || d.value < 0:
		d.over = errTooLarge
	default:
		return n, err
	}
	return 0, d.over
}

// request reads the call. Errors: *sigv4.Error.
func (d *decoder) request() (req request, err error) {
	encodings := strings.Join(d.r.Header.Values("Content-Encoding"), ",")
	rest := io.Reader(d)
	switch strings.ToLower(strings.TrimSpace(encodings)) {
	case "", "identity":
		d.body = d.wire
		var ok bool
		if req, rest, ok = d.scanned(); ok {
			return req, nil
		}
	case "gzip", "x-gzip": // the SDKs may compress large requests
		z, err := gzip.NewReader(d.wire)
		if err != nil {
			return req, d.fault(err)
		}
		d.body = z
	default:
		return req, serialization("its Content-Encoding is not taken: gzip, once, or none")
	}
	in := json.NewDecoder(rest)
	if err := open(in, '{'); err != nil {
		return req, d.fault(err)
	}
	seen := false
	for members := 1; in.More(); members++ {
		if members > maxMembers {
			return req, serialization("it has more members than any call")
		}
		d.value = maxValue
		name, err := in.Token()
		if err != nil {
			return req, d.fault(err)
		}
		if name != "Entries" {
			var other skipped
			if err := in.Decode(&other); err != nil {
				return req, d.fault(err)
			}
			continue
		}
		if seen {
			return req, serialization("Entries is there twice")
		}
		seen = true
		if req.Entries, err = d.entries(in); err != nil {
			return req, d.fault(err)
		}
	}
	d.value = maxValue
	if _, err := in.Token(); err != nil { // the closing brace
		return req, d.fault(err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("something follows the JSON object")
		}
		return req, d.fault(err)
	}
	return req, nil
}

// skipped is a member that nothing here reads.
type skipped struct{}

func (*skipped) UnmarshalJSON([]byte) error { return nil }

func open(in *json.Decoder, want json.Delim) error {
	t, err := in.Token()
	if err == nil && t != want {
		err = fmt.Errorf("there is no %s where one belongs", want)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (d *decoder) entries(in *json.Decoder) (out []requestEntry, err error) {
	if t, err := in.Token(); err != nil || t == nil { // null is no entry
		return nil, err
	} else if t != json.Delim('[') {
		return nil, errors.New("the list of entries (Entries) is not a list")
	}
	for in.More() {
		if len(out) == maxEntries {
			return nil, lengthError(fmt.Sprintf("has more than %d", maxEntries))
		}
		var e requestEntry
		d.value = maxValue
		if err := in.Decode(&e); err != nil {
			return nil, err
		}
		if entrySize(e) > maxEntry {
			e.Detail, e.tooLarge = "{}", true // it is refused: nothing of it is kept
		}
		out = append(out, e)
	}
	_, err = in.Token() // the closing bracket
	return out, err
}

// fault is what the call is answered for an error of its reading.
func (d *decoder) fault(err error) error {
	var told *sigv4.Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &large):
		return errTooLarge
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return serialization("it ends too early")
	}
	text := err.Error()
	if len(text) > 200 || !utf8.ValidString(text) {
		text = "it is not the JSON of a call"
	}
	return serialization("%s", text)
}
