package trigger

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAWindowAgreesWithAListOfAllThatWasCounted compares windows of every size, with and without steps, with a list of
// all that was ever counted.
func TestAWindowAgreesWithAListOfAllThatWasCounted(t *testing.T) {
	type seen struct {
		at, n int64
		key   uint64
	}
	for round := range 400 {
		random := rand.New(rand.NewPCG(7, uint64(round)))
		th := Threshold{Period: 1 + random.Int64N(600),
			Count: []int64{0, 1, 2, 5, 40, 511, 512, 2047, 2048, 5000}[round%10]}
		distinct := round%3 == 0
		r := newRuler(th, &ThresholdRule{PerSource: round%2 == 0, Distinct: distinct})
		require.LessOrEqual(t, time.Duration(r.span)*r.step, time.Duration(th.Period)*time.Second,
			"a window is never longer than its period")
		require.GreaterOrEqual(t, time.Duration(r.span+1)*r.step, time.Duration(th.Period)*time.Second,
			"and short of it by a step at most")
		var all []seen
		fired := int64(none)
		s := state{epoch: 1}
		clock := time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC)
		for range 150 {
			clock = clock.Add(time.Duration(random.Int64N(th.Period*1000/20+1)) * time.Millisecond)
			at := clock
			if random.IntN(3) == 0 {
				at = at.Add(-time.Duration(random.Int64N(th.Period*1500)) * time.Millisecond)
			}
			e := seen{at: r.at(at), n: 1 + random.Int64N(max(1, th.Count/20))}
			if distinct {
				e.n, e.key = 1, 1+random.Uint64N(uint64(th.Count)+5)
			}
			end := int64(none)
			for _, a := range all {
				end = max(end, a.at)
			}
			late := e.at <= end-r.span
			end = max(end, e.at)
			all = append(all, e)
			total, keys := int64(0), map[uint64]bool{}
			for _, a := range all {
				if a.at <= end-r.span || a.key != 0 && keys[a.key] {
					continue
				}
				keys[a.key] = true
				total += a.n
			}
			want := !late && total > th.Count && (fired == none || end >= fired+r.span)
			if want {
				fired = end
			}
			_, fires := s.add(r, 0, e.at, e.n, e.key)
			require.Equal(t, want, fires, "round %d: more than %d in %d s", round, th.Count, th.Period)

			body := s.encode(r)
			require.LessOrEqual(t, len(s.windows[0].entries), int(min(th.Count, r.span))+1, "what is kept is bounded")
			var err error
			if s, err = decode(body); err != nil || random.IntN(2) == 0 {
				require.NoError(t, err)
				require.Equal(t, body, s.encode(r), "a state is read back whole")
			}
		}
	}
}

func TestAStateForgetsTheSourcesThatWereQuietLongest(t *testing.T) {
	r := newRuler(Threshold{Period: 3600, Count: 3}, distinctBySource)
	s := state{epoch: 1}
	const many = 20_000
	for n := range many {
		for k := range 3 {
			s.add(r, uint64(n+1), int64(n), 1, uint64(k+1))
		}
	}
	body := s.encode(r)
	require.LessOrEqual(t, len(body), MaxState)
	back, err := decode(body)
	require.NoError(t, err)
	require.Greater(t, len(back.windows), 500)
	_, fires := back.add(r, many, many, 1, 99)
	require.True(t, fires, "the newest source is remembered")
	require.NotContains(t, back.index, uint64(1), "the oldest is not")
}

func TestAnIdleSourceIsForgotten(t *testing.T) {
	r := newRuler(Threshold{Period: 10, Count: 3}, distinctBySource)
	s := state{epoch: 1}
	s.add(r, 1, 0, 1, 0)
	s.add(r, 2, 2*r.span-1, 1, 0)
	s.encode(r)
	require.Len(t, s.windows, 2)
	s.add(r, 2, 2*r.span, 1, 0)
	s.encode(r)
	require.Len(t, s.windows, 1)
}

var distinctBySource = &ThresholdRule{PerSource: true, Distinct: true}

// TestALargeThresholdIsExact counts up to 10,000 different things with repeats and late ones, in batches between which
// the state is written and read, beside a list of all that was counted.
func TestALargeThresholdIsExact(t *testing.T) {
	for seed := range 60 {
		random := rand.New(rand.NewPCG(11, uint64(seed)))
		th := Threshold{Period: 60 + random.Int64N(86_340), Count: []int64{2001, 5000, 9_999, 10_000}[seed%4]}
		r := newRuler(th, &ThresholdRule{PerSource: seed%2 == 0, Distinct: true})
		require.Equal(t, time.Millisecond, r.step, "to the millisecond, however large")
		clock := time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC)
		s, last, end, fired := state{epoch: 1}, map[uint64]int64{}, int64(none), int64(none)
		firings := 0
		for n := range 3 * int(th.Count) {
			clock = clock.Add(time.Duration(random.Int64N(th.Period*1000/th.Count*2+1)) * time.Millisecond)
			at := r.at(clock)
			if random.IntN(20) == 0 {
				at -= random.Int64N(r.span)
			}
			key := 1 + random.Uint64N(uint64(th.Count)*4)
			late := at <= end-r.span
			end = max(end, at)
			want := false
			if !late && at > last[key] {
				last[key] = at
				in := int64(0)
				for k, v := range last { // the oracle is slow: it looks only where the window may be full
					if len(last) <= int(th.Count) {
						break
					}
					if v <= end-r.span {
						delete(last, k)
					}
				}
				in = int64(len(last))
				want = in > th.Count && (fired == none || end >= fired+r.span)
			}
			if want {
				fired = end
				firings++
			}
			_, fires := s.add(r, 0, at, 1, key)
			require.Equal(t, want, fires, "seed %d, event %d: more than %d in %d s", seed, n, th.Count, th.Period)
			if random.IntN(400) == 0 {
				body := s.encode(r)
				require.LessOrEqual(t, len(body), MaxLargeState)
				var err error
				s, err = decode(body)
				require.NoError(t, err)
				require.LessOrEqual(t, len(s.windows[0].entries), int(th.Count)+1)
			}
		}
	}
}

func TestALargeStateIsBounded(t *testing.T) {
	r := newRuler(Threshold{Period: 86_400, Count: 10_000}, distinctBySource)
	s := state{epoch: 1}
	for source := range uint64(8) {
		for n := range int64(10_000) {
			s.add(r, source+1, int64(source)*10_000+n*3, 1, digest(fmt.Sprint(source, n)))
		}
	}
	body := s.encode(r)
	require.LessOrEqual(t, len(body), MaxLargeState)
	back, err := decode(body)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(back.windows), 2, "two sources with 10,000 payloads")
	_, fires := back.add(r, 8, 8*10_000+40_000, 1, 1)
	require.True(t, fires, "the newest source is remembered whole")
}

// BenchmarkLargeWindow is an event of a trigger whose window is full of 10,000 different attacks, with its part of a
// batch of 100: read, count, write.
func BenchmarkLargeWindow(b *testing.B) {
	for _, count := range []int64{10, 2000, 10_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			r := newRuler(Threshold{Period: 86_400, Count: count}, &ThresholdRule{Distinct: true})
			s, at := state{epoch: 1}, int64(0)
			add := func() {
				at += 700
				s.add(r, 0, at, 1, digest(fmt.Sprint(at)))
			}
			for range count {
				add()
			}
			body := s.encode(r)
			b.ReportMetric(float64(len(body)), "bytes")
			for b.Loop() {
				s, _ = decode(body)
				for range 100 {
					add()
				}
				body = s.encode(r)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
		})
	}
}

func FuzzDecode(f *testing.F) {
	r := newRuler(Threshold{Period: 10, Count: 3}, distinctBySource)
	s := state{epoch: 2, fired: 7}
	s.add(r, 1, 5, 1, 9)
	s.add(r, 2, 5, 4, 0)
	f.Add(s.encode(r))
	f.Add([]byte{stateFormat})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(s.encode(r))
		require.NoError(t, err)
		require.Equal(t, s.epoch, again.epoch)
	})
}
