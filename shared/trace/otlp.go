package trace

import (
	"encoding/binary"
	"strings"
)

// Fields of opentelemetry/proto/trace/v1/trace.proto and common.proto, version 1. ExportTraceServiceRequest has
// resource_spans under the number that TracesData has it under.
const (
	resourceSpans = 1

	resource   = 1 // of ResourceSpans
	scopeSpans = 2

	resourceAttributes = 1

	scope      = 1 // of ScopeSpans
	spansField = 2
	scopeName  = 1

	spanTrace      = 1
	spanID         = 2
	spanParent     = 4
	spanName       = 5
	spanKind       = 6
	spanStart      = 7
	spanEnd        = 8
	spanAttributes = 9
	spanLinks      = 13
	spanLinksLost  = 14
	spanStatus     = 15
	spanFlags      = 16

	linkTrace, linkSpan = 1, 2

	statusMessage, statusCode = 2, 3
	statusError               = 2

	keyField, valueField = 1, 2
	textValue, boolValue = 1, 2
	intValue             = 3

	// The lowest byte has the flags of W3C; that the parent is known not to be remote or to be is left open.
	sampledFlag = 1
)

// proto writes a message in the wire format of protocol buffers (protobuf.dev, "Encoding").
type proto []byte

func (p proto) tag(field int, wire uint64) proto {
	return binary.AppendUvarint(p, uint64(field)<<3|wire)
}

func (p proto) number(field int, v uint64) proto { return binary.AppendUvarint(p.tag(field, 0), v) }

func (p proto) bytes(field int, v []byte) proto {
	return append(binary.AppendUvarint(p.tag(field, 2), uint64(len(v))), v...)
}

// text is UTF-8, whatever came: for one text that is not, a receiver refuses all spans that are sent with it.
func (p proto) text(field int, v string) proto {
	v = strings.ToValidUTF8(v, "\uFFFD")
	return append(binary.AppendUvarint(p.tag(field, 2), uint64(len(v))), v...)
}

func (p proto) fixed64(field int, v uint64) proto {
	return binary.LittleEndian.AppendUint64(p.tag(field, 1), v)
}

func (p proto) fixed32(field int, v uint32) proto {
	return binary.LittleEndian.AppendUint32(p.tag(field, 5), v)
}

func (p proto) attributes(field int, all []Attribute) proto {
	for _, a := range all {
		var v proto
		switch is := a.Value.(type) {
		case string:
			v = v.text(textValue, is)
		case bool:
			n := uint64(0)
			if is {
				n = 1
			}
			v = v.number(boolValue, n)
		case int64:
			v = v.number(intValue, uint64(is))
		}
		p = p.bytes(field, proto(nil).text(keyField, a.Name).bytes(valueField, v))
	}
	return p
}

// encode writes a request to a receiver of traces.
func encode(of []Attribute, spans []Span) []byte {
	list := proto(nil).bytes(scope, proto(nil).text(scopeName, "tocsin"))
	for n := range spans {
		list = list.bytes(spansField, encodeSpan(&spans[n]))
	}
	return proto(nil).bytes(resourceSpans, proto(nil).
		bytes(resource, proto(nil).attributes(resourceAttributes, of)).
		bytes(scopeSpans, list))
}

func encodeSpan(s *Span) proto {
	p := proto(nil).bytes(spanTrace, s.Trace[:]).bytes(spanID, s.Context.Span[:])
	if s.Parent != [8]byte{} {
		p = p.bytes(spanParent, s.Parent[:])
	}
	p = p.text(spanName, s.Name).number(spanKind, uint64(s.Kind)).
		fixed64(spanStart, uint64(s.Start.UnixNano())).fixed64(spanEnd, uint64(s.End.UnixNano())).
		attributes(spanAttributes, s.Attributes)
	for _, l := range s.Links.Spans {
		p = p.bytes(spanLinks, proto(nil).bytes(linkTrace, l.Trace[:]).bytes(linkSpan, l.Span[:]))
	}
	if more := s.Links.More; more > 0 {
		p = p.number(spanLinksLost, uint64(more)).attributes(spanAttributes, []Attribute{{LeftOut, int64(more)}})
	}
	if s.Error != "" {
		p = p.bytes(spanStatus, proto(nil).text(statusMessage, s.Error).number(statusCode, statusError))
	}
	return p.fixed32(spanFlags, sampledFlag)
}
