package trace

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Context names a span that is recorded. The zero value is none.
type Context struct {
	Trace [16]byte
	Span  [8]byte
}

// Recorded reports whether there is a span.
func (c Context) Recorded() bool { return c != Context{} }

// String is the context as W3C's Trace Context writes it in the header traceparent; "" of none.
func (c Context) String() string {
	if !c.Recorded() {
		return ""
	}
	return "00-" + hex.EncodeToString(c.Trace[:]) + "-" + hex.EncodeToString(c.Span[:]) + "-01"
}

// Parent is what is kept with an event: the span whose child its first one is, as a traceparent; Unfollowed; or "" when
// nobody has decided, and the event's own id decides.
type Parent string

// Unfollowed is the Parent of what no span is recorded of.
const Unfollowed Parent = "-"

// context is that of a Parent which names a span.
func (p Parent) context() (c Context) {
	c, _, _ = parse(string(p))
	return c
}

// parse reads a traceparent (W3C, "Trace Context", 3.2). sampled is the flag of that name.
func parse(header string) (c Context, sampled, ok bool) {
	part := strings.Split(strings.TrimSpace(header), "-")
	if len(part) < 4 || len(part[0]) != 2 || part[0] == "ff" || part[0] == "00" && len(part) != 4 ||
		!decode(c.Trace[:], part[1]) || !decode(c.Span[:], part[2]) {
		return Context{}, false, false
	}
	var flags, version [1]byte
	if !decode(flags[:], part[3]) && part[3] != "00" || !decode(version[:], part[0]) && part[0] != "00" {
		return Context{}, false, false
	}
	return c, flags[0]&1 == 1, true
}

// parseXRay reads the header of AWS X-Ray, as the TraceHeader of an entry of PutEvents has it (X-Ray, Developer Guide,
// "Tracing header"). decided is false where it leaves the decision to the receiver.
func parseXRay(header string) (c Context, sampled, decided, ok bool) {
	for _, part := range strings.Split(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Root":
			version, rest, _ := strings.Cut(value, "-")
			if version != "1" || !decode(c.Trace[:], strings.Replace(rest, "-", "", 1)) {
				return Context{}, false, false, false
			}
		case "Parent":
			if !decode(c.Span[:], value) {
				return Context{}, false, false, false
			}
		case "Sampled":
			sampled, decided = value == "1", value == "0" || value == "1"
		}
	}
	return c, sampled, decided, c.Trace != [16]byte{}
}

// decode reads as many lower-case hexadecimal digits as there is room for; zeros alone name nothing.
func decode(into []byte, text string) bool {
	if len(text) != 2*len(into) || strings.ToLower(text) != text {
		return false
	}
	if _, err := hex.Decode(into, []byte(text)); err != nil {
		return false
	}
	for _, b := range into {
		if b != 0 {
			return true
		}
	}
	return false
}

// within reports whether a ratio of all traces takes one in. It goes by the half of the id that is random in every
// format, as OpenTelemetry's TraceIDRatioBased does, so that other programs with the same ratio take the same ones.
func within(trace [16]byte, ratio float64) bool {
	if ratio >= 1 {
		return true
	}
	return binary.BigEndian.Uint64(trace[8:])>>1 < uint64(ratio*(1<<63))
}
