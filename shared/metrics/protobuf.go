package metrics

import (
	"encoding/binary"
	"math"
)

// The numbers of fields, and of kinds, are those of io.prometheus.client.MetricFamily (metrics.proto of
// github.com/prometheus/client_model). The judge in the tests is that module.
const (
	familyName, familyHelp, familyType, familyMetric, familyUnit = 1, 2, 3, 4, 5

	metricLabel, metricGauge, metricCounter, metricHistogram = 1, 2, 3, 7

	labelName, labelValue = 1, 2

	value = 1 // of a gauge and of a counter

	histogramCount, histogramSum, histogramBucket               = 1, 2, 3
	histogramSchema, histogramZeroThreshold, histogramZeroCount = 5, 6, 7
	histogramPositiveSpan, histogramPositiveDelta               = 12, 13
	bucketCount, bucketEnd                                      = 1, 2
	spanOffset, spanLength                                      = 1, 2
	typeCounter, typeGauge, typeHistogram                       = 0, 1, 4
	wireVarint, wireFixed, wireBytes                            = 0, 1, 2
)

// proto is a message of protocol buffers.
type proto []byte

func (p proto) tag(field, wire uint64) proto { return binary.AppendUvarint(p, field<<3|wire) }

func (p proto) number(field, v uint64) proto {
	return binary.AppendUvarint(p.tag(field, wireVarint), v)
}

// signed writes a number of the type sint32 or sint64.
func (p proto) signed(field uint64, v int64) proto {
	return binary.AppendVarint(p.tag(field, wireVarint), v)
}

func (p proto) double(field uint64, v float64) proto {
	return binary.LittleEndian.AppendUint64(p.tag(field, wireFixed), math.Float64bits(v))
}

func (p proto) text(field uint64, s string) proto {
	return append(binary.AppendUvarint(p.tag(field, wireBytes), uint64(len(s))), s...)
}

func (p proto) message(field uint64, m proto) proto { return p.text(field, string(m)) }

// writeProto writes the families one after the other, each with its length before it.
func writeProto(families []Family) []byte {
	var out []byte
	for _, f := range families {
		p := proto(nil).text(familyName, f.Name).text(familyHelp, f.Help).number(familyType, typeOf(f.Kind))
		for _, s := range f.Series {
			p = p.message(familyMetric, metricOf(f.Metric, s))
		}
		if f.Unit != "" {
			p = p.text(familyUnit, f.Unit)
		}
		out = append(binary.AppendUvarint(out, uint64(len(p))), p...)
	}
	return out
}

func typeOf(k Kind) uint64 {
	switch k {
	case Counter:
		return typeCounter
	case Histogram:
		return typeHistogram
	}
	return typeGauge
}

func metricOf(m *Metric, s Series) (p proto) {
	for n, l := range m.Labels {
		p = p.message(metricLabel, proto(nil).text(labelName, l.Name).text(labelValue, s.Values[n]))
	}
	switch m.Kind {
	case Counter:
		return p.message(metricCounter, proto(nil).double(value, s.Value))
	case Histogram:
		return p.message(metricHistogram, histogramOf(&s.Distribution))
	}
	return p.message(metricGauge, proto(nil).double(value, s.Value))
}

// histogramOf has the native buckets, and the classic ones for who can not read those.
func histogramOf(d *Distribution) proto {
	p := proto(nil).number(histogramCount, d.Count).double(histogramSum, d.Sum)
	d.classic(func(end float64, count uint64) {
		p = p.message(histogramBucket, proto(nil).number(bucketCount, count).double(bucketEnd, end))
	})
	p = p.signed(histogramSchema, schema).double(histogramZeroThreshold, math.Ldexp(1, lowest)).
		number(histogramZeroCount, d.zero)
	if len(d.by) == 0 { // a span of no length says that the histogram is a native one though it is empty
		return p.message(histogramPositiveSpan, proto(nil).signed(spanOffset, 0).number(spanLength, 0))
	}
	// A native bucket has the number of its end: the one that ends at 1 has 0.
	p = p.message(histogramPositiveSpan, proto(nil).signed(spanOffset, int64(d.first+lowest*perTwo+1)).
		number(spanLength, uint64(len(d.by))))
	last := int64(0)
	for _, count := range d.by {
		p = p.signed(histogramPositiveDelta, int64(count)-last)
		last = int64(count)
	}
	return p
}
