package notification

import (
	"tocsin/shared/cut"
	"tocsin/shared/ijson"
	"tocsin/shared/plaintext"
)

// FellBack says where a notification could not be delivered that came by fallback.
type FellBack struct {
	Integration string // its id
	Name        string
	Reason      string // why, in English, as wording.In reads it
}

// fallbackMember is the member of `details` of what came by fallback. Others have none, so that the published bodies
// stay as they are.
const fallbackMember = "fallback"

func (f *FellBack) appendTo(b []byte) []byte {
	if f == nil {
		return b
	}
	b = append(b, `,"`+fallbackMember+`":{"integration_id":`...)
	b = ijson.AppendString(b, f.Integration)
	b = append(b, `,"integration":`...)
	b = ijson.AppendString(b, f.Name)
	b = append(b, `,"reason":`...)
	return append(ijson.AppendString(b, f.Reason), '}')
}

// Bounds of what people read of it, in characters: it stands before all else, and must leave that room.
const (
	fellBackName   = 60
	fellBackReason = 300
)

// fact is the line that says it, in English.
func (f *FellBack) fact() Fact {
	return Fact{"Fallback", "could not be delivered to " + cut.Runes(plaintext.Line(f.Name), fellBackName) + ": " +
		cut.Runes(plaintext.Line(f.Reason), fellBackReason)}
}

// FallbackNote says it in a line of its own, "" of what came by no fallback.
func (n Notification) FallbackNote() string {
	if n.FellBack == nil {
		return ""
	}
	f := n.FellBack.fact()
	return n.Mark(n.Say(f.Label)) + n.Say(f.Value)
}
