package trigger

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/trace"
	"tocsin/shared/trace/tracetest"
)

// untraced are the firings of an outcome without what traces add.
func untraced(o Outcome) (out []event.Event) {
	for _, e := range o.Publish {
		e.Trace = ""
		out = append(out, e)
	}
	return out
}

// TestAFiringLinksToTheEventsThatItCounted compares with a list of all that was counted, and with an evaluator without
// traces, which fires at the same times.
func TestAFiringLinksToTheEventsThatItCounted(t *testing.T) {
	got := tracetest.New(t)
	for seed, most := range []int64{0, 1, 5, 126, 127, 128, 200, 511, 1000} {
		random := rand.New(rand.NewPCG(5, uint64(seed)))
		trig := hitsTrigger(1)
		trig.Threshold = &Threshold{Period: 60, Count: most}
		traced := &store{cached: []Trigger{trig}, now: []Trigger{trig}, states: map[string]State{}}
		plain := &store{cached: traced.cached, now: traced.now, states: map[string]State{}}
		with, without := evaluator(traced), evaluator(plain)
		with.Tracer = got.Tracer
		clock, number, fired := noon, 0, 0
		var all []counting
		for fired < 3 {
			var batch []Seen
			for range 1 + random.IntN(int(most)/3+2) {
				clock = clock.Add(time.Duration(1+random.Int64N(60_000/(most+1)+1)) * time.Millisecond)
				number++
				s := seenHit(number, clock)
				if random.IntN(3) == 0 {
					s.Event.Trace = trace.Unfollowed
				}
				batch = append(batch, s)
			}
			// One by one the list knows which one sets it off.
			for _, s := range batch {
				o, err := with.Evaluate(t.Context(), []Seen{s})
				require.NoError(t, err)
				p, err := without.Evaluate(t.Context(), []Seen{s})
				require.NoError(t, err)
				require.Equal(t, untraced(p), untraced(o), "traces change no firing")
				require.Empty(t, p.Spans)
				traced.keep(o)
				plain.keep(p)
				all = append(all, counting{s.Event.Time, with.span(s.Event)})
				if len(o.Publish) > 0 {
					fired++
					checkLinks(t, o, all, most)
				}
			}
		}
	}
}

// counting is an event of the list.
type counting struct {
	at   time.Time
	span trace.Context
}

// checkLinks compares the links of a firing's span with the newest of all events, as many as exceed the threshold.
func checkLinks(t *testing.T, o Outcome, all []counting, most int64) {
	t.Helper()
	spans, last := map[string]bool{}, all[len(all)-1]
	for _, c := range all[max(0, len(all)-int(most)-1):] {
		if c.span.Recorded() && last.at.Sub(c.at) < time.Minute {
			spans[c.span.String()] = true
		}
	}
	within := len(spans)
	require.Len(t, o.Spans, 1)
	require.Equal(t, o.Spans[0].String(), string(o.Publish[0].Trace))
	links := o.Spans[0].Links
	require.Equal(t, within, len(links.Spans)+links.More, "each that is recorded, once")
	require.Len(t, links.Spans, min(within, trace.MaxLinks))
	seen := map[string]bool{}
	for _, l := range links.Spans {
		require.False(t, seen[l.String()])
		seen[l.String()] = true
		require.True(t, spans[l.String()])
	}
	if last.span.Recorded() {
		require.True(t, seen[last.span.String()], "what set it off is among them")
	}
}

// TestTracesTakeNoRoomFromWhatCounts: the same sources are remembered with traces as without.
func TestTracesTakeNoRoomFromWhatCounts(t *testing.T) {
	r := newRuler(Threshold{Period: 3600, Count: 3}, distinctBySource)
	plain, traced := state{epoch: 1}, state{epoch: 1}
	for n := range 2000 {
		for k := range 3 {
			plain.add(r, uint64(n+1), int64(n), 1, uint64(k+1))
			traced.add(r, uint64(n+1), int64(n), 1, uint64(k+1))
			traced.window(uint64(n+1)).link(int64(n), uint64(k+1),
				trace.Context{Trace: [16]byte(fmt.Appendf(nil, "%016d", n)), Span: [8]byte{1}})
		}
	}
	require.Equal(t, plain.encode(r), traced.encode(r))
}

func TestAStateWithLinksIsReadBackWhole(t *testing.T) {
	r := newRuler(Threshold{Period: 60, Count: 300}, &ThresholdRule{})
	s := state{epoch: 1}
	for n := range 200 {
		s.add(r, 0, int64(n/2), 1, 0)
		s.window(0).link(int64(n/2), 0, trace.Context{Trace: [16]byte{1}, Span: [8]byte{byte(n + 1)}})
	}
	body := s.encode(r)
	back, err := decode(body)
	require.NoError(t, err)
	require.Equal(t, trace.MaxLinks, back.windows[0].spans)
	require.Equal(t, s.windows[0].links(), back.windows[0].links())
	require.Equal(t, 200-trace.MaxLinks, back.windows[0].links().More)
	require.Equal(t, body, back.encode(r))
	for cut := range body {
		if back, err := decode(body[:cut]); err == nil {
			require.NotEqual(t, body, back.encode(r))
		}
	}
}
