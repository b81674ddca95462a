package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"tocsin/shared/metrics"
)

const (
	prometheus2 = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited," +
		"application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75," +
		"text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
	prometheus3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6," +
		"application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4," +
		"text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)

// read is what /metrics answers, decoded by Prometheus' own library.
func read(t *testing.T, r *metrics.Registry, accept string) (map[string]*dto.MetricFamily, string) {
	t.Helper()
	w := httptest.NewRecorder()
	q := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	q.Header.Set("Accept", accept)
	metrics.Handler(r, "").ServeHTTP(w, q)
	require.Equal(t, http.StatusOK, w.Code)
	out := map[string]*dto.MetricFamily{}
	d := expfmt.NewDecoder(bytes.NewReader(w.Body.Bytes()), expfmt.ResponseFormat(w.Header()))
	for {
		var f dto.MetricFamily
		err := d.Decode(&f)
		if errors.Is(err, io.EOF) {
			return out, w.Header().Get("Content-Type")
		}
		require.NoError(t, err)
		require.Nil(t, out[f.GetName()], "a family comes once")
		out[f.GetName()] = &f
	}
}

// full is a registry that knows each metric.
func full(t *testing.T) *metrics.Registry {
	t.Helper()
	r := metrics.NewRegistry([]string{"slack", "jira"})
	var b metrics.Batch
	r.Expect("slack")
	r.Collect(func(_ context.Context, g *metrics.Gathering) {
		for _, m := range metrics.All() {
			values := make([]string, len(m.Labels))
			for n, l := range m.Labels {
				if values[n] = "jira"; l.Values != nil {
					values[n] = l.Values[0]
				}
			}
			if m.Kind == metrics.Histogram && len(m.Labels) == 0 {
				var d metrics.Distribution
				d.Observe(3)
				g.Distribution(m, d)
			} else if m.Kind == metrics.Gauge || strings.HasPrefix(m.Name, "process_") ||
				strings.HasPrefix(m.Name, "go_") || m == metrics.CommitFailed {
				g.Set(m, 7.25, values...)
			}
		}
	})
	for _, m := range []*metrics.Metric{metrics.AttemptTime, metrics.Latency} {
		b.Time(m, 250*time.Millisecond, "jira")
		b.Time(m, 0, "jira")
		b.Time(m, time.Hour*24*1000, "jira")
	}
	b.Count(metrics.Failed, 3, "jira", metrics.CauseGone)
	r.Add(t.Context(), &b)
	return r
}

func TestBothFormatsSayTheSameToPrometheusLibrary(t *testing.T) {
	r := full(t)
	proto, kind := read(t, r, prometheus2)
	require.Contains(t, kind, "protobuf")
	text, kind := read(t, r, "text/plain")
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", kind)
	require.Len(t, proto, len(metrics.All()))
	for _, m := range metrics.All() {
		p, x := proto[m.Name], text[m.Name]
		require.NotNil(t, p, m.Name)
		require.NotNil(t, x, m.Name)
		require.Equal(t, m.Help, p.GetHelp())
		require.Equal(t, m.Help, x.GetHelp())
		require.Equal(t, strings.ToUpper(string(m.Kind)), p.GetType().String())
		require.Equal(t, p.GetType(), x.GetType())
		require.Equal(t, m.Unit, p.GetUnit())
		require.Len(t, x.Metric, len(p.Metric))
		for n := range p.Metric {
			require.Equal(t, p.Metric[n].Label, x.Metric[n].Label)
			require.Equal(t, p.Metric[n].GetCounter().GetValue(), x.Metric[n].GetCounter().GetValue())
			require.Equal(t, p.Metric[n].GetGauge().GetValue(), x.Metric[n].GetGauge().GetValue())
			a, b := p.Metric[n].GetHistogram(), x.Metric[n].GetHistogram()
			require.Equal(t, a.GetSampleCount(), b.GetSampleCount())
			require.Equal(t, a.GetSampleSum(), b.GetSampleSum())
			if m.Kind == metrics.Histogram { // the last bucket of a text is +Inf, which a message need not have
				require.Len(t, b.Bucket, len(a.Bucket)+1)
			}
			for k := range a.GetBucket() {
				require.Equal(t, a.Bucket[k].GetUpperBound(), b.Bucket[k].GetUpperBound())
				require.Equal(t, a.Bucket[k].GetCumulativeCount(), b.Bucket[k].GetCumulativeCount())
			}
		}
	}
}

func TestNamesAndHelpPassPrometheusLinter(t *testing.T) {
	w := httptest.NewRecorder()
	metrics.Handler(full(t), "").ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	problems, err := promlint.New(w.Body).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	for _, m := range metrics.All() {
		require.True(t, model.LegacyValidation.IsValidMetricName(m.Name))
		require.True(t, strings.HasSuffix(m.Name, "_total") == (m.Kind == metrics.Counter), m.Name)
	}
}

// expand is a native histogram bucket by bucket.
func expand(h *dto.Histogram) map[int32]int64 {
	out := map[int32]int64{}
	at, n, count := int32(0), 0, int64(0)
	for _, s := range h.PositiveSpan {
		at += s.GetOffset()
		for range s.GetLength() {
			if count += h.PositiveDelta[n]; count != 0 {
				out[at] = count
			}
			at++
			n++
		}
	}
	return out
}

func TestNativeHistogramsAreThoseOfPrometheusLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		r := metrics.NewRegistry([]string{"slack"})
		var b metrics.Batch
		theirs := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", NativeHistogramBucketFactor: 1.1,
			NativeHistogramZeroThreshold: math.Ldexp(1, -20)})
		for range 200 {
			var took time.Duration
			switch random.IntN(4) {
			case 0: // powers of two are where buckets end
				took = time.Second << random.IntN(20)
			case 1:
				took = time.Duration(random.Int64N(int64(time.Millisecond)))
			case 2:
				took = time.Duration(random.Int64N(int64(30 * 24 * time.Hour)))
			}
			b.Time(metrics.Latency, took, "slack")
			theirs.Observe(took.Seconds())
			if random.IntN(50) == 0 { // merged from several batches
				r.Add(t.Context(), &b)
				b = metrics.Batch{}
			}
		}
		r.Add(t.Context(), &b)
		var want dto.Metric
		require.NoError(t, theirs.Write(&want))
		families, _ := read(t, r, prometheus2)
		got := families[metrics.Latency.Name].Metric[0].Histogram
		require.Equal(t, want.Histogram.GetSchema(), got.GetSchema())
		require.Equal(t, want.Histogram.GetZeroThreshold(), got.GetZeroThreshold())
		require.Equal(t, want.Histogram.GetZeroCount(), got.GetZeroCount())
		require.Equal(t, want.Histogram.GetSampleCount(), got.GetSampleCount())
		require.InDelta(t, want.Histogram.GetSampleSum(), got.GetSampleSum(), 1e-3)
		require.Equal(t, expand(want.Histogram), expand(got))
	}
}

func TestClassicBucketsCountWhatIsAtMostSoLong(t *testing.T) {
	r := metrics.NewRegistry([]string{"slack"})
	var b metrics.Batch
	var all []float64
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		took := time.Duration(math.Exp(random.Float64()*40-3)) * time.Nanosecond
		all = append(all, took.Seconds())
		b.Time(metrics.Latency, took, "slack")
	}
	b.Time(metrics.Latency, time.Second, "slack")
	all = append(all, 1)
	r.Add(t.Context(), &b)
	families, _ := read(t, r, "text/plain")
	h := families[metrics.Latency.Name].Metric[0].Histogram
	require.NotEmpty(t, h.Bucket)
	for _, bucket := range h.Bucket {
		want := uint64(0)
		for _, v := range all {
			if v <= bucket.GetUpperBound() {
				want++
			}
		}
		require.Equal(t, want, bucket.GetCumulativeCount(), "at most %v", bucket.GetUpperBound())
	}
}

func TestTheReaderChoosesTheFormat(t *testing.T) {
	const openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
	const plain = "text/plain; version=0.0.4; charset=utf-8"
	for accept, want := range map[string]string{
		"":                             plain,
		"*/*":                          plain,
		"text/html":                    plain,
		"text/plain;version=0.0.4":     plain,
		prometheus2:                    `application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited`,
		prometheus3:                    openMetrics,
		"application/openmetrics-text": openMetrics,
		"text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.1": plain,
		"application/vnd.google.protobuf;proto=another;encoding=delimited":                plain,
		"application/openmetrics-text;version=2.0.0":                                      plain,
		";;;,text/plain;q=none,application/openmetrics-text;version=1.0.0;q=0.2":          openMetrics,
	} {
		w := httptest.NewRecorder()
		q := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		q.Header.Set("Accept", accept)
		metrics.Handler(full(t), "").ServeHTTP(w, q)
		require.Equal(t, want, w.Header().Get("Content-Type"), accept)
	}
}

func TestMetricsAreReadWithTheTokenAlone(t *testing.T) {
	h := metrics.Handler(full(t), "0123456789abcdef")
	for sent, want := range map[string]int{"": 401, "Bearer 0123456789abcde": 401, "Bearer 0123456789abcdef": 200,
		"Basic 0123456789abcdef": 401} {
		w := httptest.NewRecorder()
		q := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		q.Header.Set("Authorization", sent)
		h.ServeHTTP(w, q)
		require.Equal(t, want, w.Code, sent)
		require.Equal(t, want == 200, strings.Contains(w.Body.String(), "tocsin_"))
	}
}

func TestNoLabelHasAValueThatIsNotKnownBeforehand(t *testing.T) {
	r := metrics.NewRegistry([]string{"slack"})
	var b metrics.Batch
	for n := range 1000 {
		secret := "https://hooks.example.com/s3cret-" + time.Duration(n).String()
		b.Count(metrics.Failed, 1, secret, secret)
		b.Time(metrics.Latency, time.Second, secret)
		b.Count(metrics.Dead, 1, "", secret)
	}
	r.Add(t.Context(), &b)
	r.Expect("made up")
	families, _ := read(t, r, prometheus2)
	for _, f := range families {
		require.LessOrEqual(t, len(f.Metric), 16, f.GetName())
		require.NotContains(t, f.String(), "s3cret")
		require.NotContains(t, f.String(), "made up")
	}
	require.Equal(t, 1000.0, sum(families[metrics.Failed.Name]))
	for _, m := range metrics.All() {
		for _, l := range m.Labels {
			for _, not := range []string{"tenant", "integration", "address", "url", "id"} {
				require.NotEqual(t, not, l.Name, m.Name)
			}
		}
	}
}

func sum(f *dto.MetricFamily) (out float64) {
	for _, m := range f.Metric {
		out += m.GetCounter().GetValue()
	}
	return out
}

func TestReadingWhileMuchIsCountedLosesNothing(t *testing.T) {
	r := metrics.NewRegistry([]string{"slack"})
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 200 {
				var b metrics.Batch
				b.Count(metrics.Attempts, 5, "slack")
				b.Time(metrics.Latency, time.Second, "slack")
				r.Add(context.Background(), &b)
				r.Gather(context.Background())
			}
		})
	}
	work.Wait()
	families, _ := read(t, r, prometheus2)
	require.Equal(t, 8000.0, sum(families[metrics.Attempts.Name]))
	require.Equal(t, uint64(1600), families[metrics.Latency.Name].Metric[0].Histogram.GetSampleCount())
}

func TestCountersOfASystemBeginAtNothing(t *testing.T) {
	r := metrics.NewRegistry([]string{"slack"})
	r.Expect("slack")
	families, _ := read(t, r, prometheus2)
	require.Len(t, families[metrics.Failed.Name].Metric, len(metrics.Failed.Labels[1].Values))
	require.Zero(t, sum(families[metrics.Failed.Name]))
	require.Len(t, families[metrics.Delivered.Name].Metric, 1)
}

// backlog is one that is given.
type backlog struct {
	lanes  []metrics.Lane
	oldest time.Time
	broken error
}

func (b *backlog) Lanes(_ context.Context, visit func(metrics.Lane) error) error {
	for _, l := range b.lanes {
		if err := visit(l); err != nil {
			return err
		}
	}
	return b.broken
}

func (b *backlog) Inbox(context.Context) (int, time.Time, error) { return 3, b.oldest, nil }

func (b *backlog) States(context.Context) ([]metrics.States, error) {
	return []metrics.States{{System: "s3", State: metrics.StateBroken, Count: 2}}, nil
}

func TestWhatWaitsIsOverdueFromItsDueTimeOn(t *testing.T) {
	now := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
	b := &backlog{oldest: now.Add(-4 * time.Second), lanes: []metrics.Lane{
		{Integration: "i", Waiting: 5, Held: 1, First: now.Add(-2 * time.Minute), Due: now.Add(time.Hour)},
		{Integration: "j", Waiting: 2, Due: now.Add(-3 * time.Minute)},
		{Integration: "file", Waiting: 1, First: now.Add(-12 * time.Minute)}, // its window is ten minutes
		{Integration: "gone", Waiting: 1, First: now.Add(-time.Hour)},
	}}
	r := metrics.NewRegistry([]string{"slack", "s3"})
	s := &metrics.Sampler{Backlog: b, Registry: r, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler),
		System: func(_ context.Context, _, id string) (string, time.Duration, error) {
			switch id {
			case "file":
				return "s3", 10 * time.Minute, nil
			case "gone":
				return "", 0, nil
			}
			return "slack", 0, nil
		}}
	r.Collect(s.Collect)
	families, _ := read(t, r, prometheus2)
	require.Nil(t, families[metrics.Waiting.Name], "nothing is claimed before the first count")
	_, err := s.Sample(t.Context())
	require.NoError(t, err)
	values := func(m *metrics.Metric) map[string]float64 {
		families, _ := read(t, r, prometheus2)
		out := map[string]float64{}
		for _, s := range families[m.Name].GetMetric() {
			name := ""
			for _, l := range s.Label {
				name += l.GetValue()
			}
			out[name] = s.GetGauge().GetValue()
		}
		return out
	}
	require.Equal(t, map[string]float64{"slack": 7, "s3": 1, "other": 1}, values(metrics.Waiting))
	require.Equal(t, map[string]float64{"slack": 1, "s3": 0, "other": 0}, values(metrics.Held))
	require.Equal(t, map[string]float64{"slack": 180, "s3": 120, "other": 3600}, values(metrics.Overdue))
	require.Equal(t, map[string]float64{"s3broken": 2}, values(metrics.Integrations))
	require.Equal(t, map[string]float64{"": 4}, values(metrics.InboxAge))
	now = now.Add(time.Minute)
	b.broken = errors.New("the disk is gone")
	_, err = s.Sample(t.Context())
	require.Error(t, err)
	require.Equal(t, map[string]float64{"": 60}, values(metrics.SampleAge), "the last count stays")
	require.Equal(t, 7.0, values(metrics.Waiting)["slack"])
}

// noBacklog can not be counted.
type noBacklog struct{ metrics.Backlog }

func (noBacklog) States(context.Context) ([]metrics.States, error) {
	return nil, errors.New("the disk is gone")
}

// TestACountThatNeverSucceedsHasAnAge: without it no alert could fire.
func TestACountThatNeverSucceedsHasAnAge(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := metrics.NewRegistry(nil)
	s := &metrics.Sampler{Backlog: noBacklog{}, Registry: r, Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler)}
	r.Collect(s.Collect)
	ended, end := context.WithCancel(t.Context())
	end()
	s.Run(ended)
	now = now.Add(3 * time.Minute)
	families, _ := read(t, r, prometheus2)
	age := families[metrics.SampleAge.Name].GetMetric()
	require.Len(t, age, 1)
	require.InDelta(t, 180, age[0].GetGauge().GetValue(), 0)
	require.Nil(t, families[metrics.Waiting.Name], "nothing else is claimed")
}

var update = flag.Bool("update", false, "write the table of docs/metrics.md anew")

// table is what docs/metrics.md says of each metric.
func table() string {
	var out strings.Builder
	out.WriteString("| metric | kind | labels | AWS | what it is |\n|---|---|---|---|---|\n")
	for _, m := range metrics.All() {
		var labels []string
		for _, l := range m.Labels {
			labels = append(labels, "`"+l.Name+"`")
		}
		on := ""
		if m.AWS {
			on = "AWS"
		}
		out.WriteString("| `" + m.Name + "` | " + string(m.Kind) + " | " + strings.Join(labels, ", ") + " | " + on +
			" | " + m.Help + " |\n")
	}
	return out.String()
}

func TestTheDocumentHasEachMetric(t *testing.T) {
	const page, begin, end = "../../docs/metrics.md", "<!-- metrics -->\n", "<!-- /metrics -->\n"
	raw, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(raw), begin)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	want := before + begin + table() + end + after
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(raw), "go test ./shared/metrics -run Document -update")
}
