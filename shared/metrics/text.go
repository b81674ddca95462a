package metrics

import (
	"math"
	"strconv"
	"strings"
)

// text writes Prometheus' text format 0.0.4, or OpenMetrics 1.0.
type text struct {
	out  []byte
	open bool // OpenMetrics
}

func writeText(families []Family, open bool) []byte {
	t := text{open: open}
	for _, f := range families {
		t.family(f)
	}
	if open {
		t.out = append(t.out, "# EOF\n"...)
	}
	return t.out
}

func (t *text) family(f Family) {
	name, sample := f.Name, f.Name
	if t.open && f.Kind == Counter { // its family is named without the suffix of its sample
		name = strings.TrimSuffix(name, "_total")
	}
	t.header("HELP", name, help.Replace(f.Help))
	t.header("TYPE", name, string(f.Kind))
	if t.open && f.Unit != "" {
		t.header("UNIT", name, f.Unit)
	}
	for _, s := range f.Series {
		if f.Kind == Histogram {
			t.histogram(f.Metric, s)
			continue
		}
		t.sample(f.Metric, sample, s.Values, "", s.Value)
	}
}

func (t *text) header(what, name, words string) {
	t.out = append(append(append(append(append(append(append(t.out, "# "...), what...), ' '), name...), ' '), words...),
		'\n')
}

func (t *text) histogram(m *Metric, s Series) {
	s.classic(func(end float64, count uint64) {
		t.sample(m, m.Name+"_bucket", s.Values, t.number(end), float64(count))
	})
	t.sample(m, m.Name+"_bucket", s.Values, "+Inf", float64(s.Count))
	t.sample(m, m.Name+"_sum", s.Values, "", s.Sum)
	t.sample(m, m.Name+"_count", s.Values, "", float64(s.Count))
}

var (
	help  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	label = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func (t *text) sample(m *Metric, name string, v Values, end string, value float64) {
	t.out = append(t.out, name...)
	mark := byte('{')
	put := func(name, value string) {
		t.out = append(append(append(append(t.out, mark), name...), `="`...), label.Replace(value)...)
		t.out = append(t.out, '"')
		mark = ','
	}
	for n, l := range m.Labels {
		put(l.Name, v[n])
	}
	if end != "" {
		put("le", end)
	}
	if mark == ',' {
		t.out = append(t.out, '}')
	}
	t.out = append(append(append(t.out, ' '), t.number(value)...), '\n')
}

// number writes a number; in OpenMetrics the end of a bucket is a decimal fraction always.
func (t *text) number(v float64) string {
	out := strconv.FormatFloat(v, 'g', -1, 64)
	if t.open && v == math.Trunc(v) && !strings.ContainsAny(out, "e.") {
		out += ".0"
	}
	return out
}
