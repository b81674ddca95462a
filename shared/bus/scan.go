package bus

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"tocsin/shared/jsonscan"
)

// maxScanned is the largest body, in bytes, that is read whole before it is looked at.
const maxScanned = 256 << 10

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// scanned reads a call of the usual form at once. ok is false for any other: rest is its body then, for the decoder
// that reads value by value and says what is wrong.
func (d *decoder) scanned() (req request, rest io.Reader, ok bool) {
	if d.r.ContentLength <= 0 || d.r.ContentLength > maxScanned {
		return req, d, false
	}
	buffer, _ := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(buffer)
	buffer.Reset()
	_, err := buffer.ReadFrom(d)
	text := buffer.String()
	if err == nil {
		if req, ok = scan(text); ok {
			return req, nil, true
		}
		err = io.EOF
	}
	return request{}, io.MultiReader(strings.NewReader(text), failing{err}), false
}

// failing ends a body as it ended before.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// scan reads a call whose members have their names as the API reference writes them.
func scan(text string) (req request, ok bool) {
	s := jsonscan.Scanner{Text: text}
	if !s.Enter('{') {
		return req, false
	}
	for seen := false; ; seen = true {
		name, more := s.Name()
		if !more {
			break
		}
		if name != "Entries" || seen || !s.Enter('[') {
			return req, false
		}
		req.Entries = make([]requestEntry, 0, maxEntries)
		for s.Item() {
			if len(req.Entries) == maxEntries {
				return req, false
			}
			e := scanEntry(&s)
			if entrySize(e) > maxEntry {
				return req, false
			}
			req.Entries = append(req.Entries, e)
		}
	}
	return req, s.End()
}

func scanEntry(s *jsonscan.Scanner) (e requestEntry) {
	if !s.Enter('{') {
		s.GiveUp()
		return e
	}
	var seen uint32
	text := func(member uint, into *string) {
		s.Once(&seen, member)
		*into = s.String()
	}
	for {
		name, more := s.Name()
		if !more {
			return e
		}
		switch name {
		case "Source":
			text(0, &e.Source)
		case "DetailType":
			text(1, &e.DetailType)
		case "Detail":
			text(2, &e.Detail)
		case "EventBusName":
			text(3, &e.EventBusName)
		case "Time":
			s.Once(&seen, 4)
			e.Time = scanTime(s)
		case "TraceHeader":
			text(5, &e.TraceHeader)
		default:
			s.GiveUp()
		}
	}
}

// scanTime reads a time; null is none.
func scanTime(s *jsonscan.Scanner) *epoch {
	if s.Null() {
		return nil
	}
	from, to := s.Span()
	var e epoch
	if err := e.UnmarshalJSON([]byte(s.Text[from:to])); err != nil {
		s.GiveUp()
	}
	return &e
}
