package fanout_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/trace"
	"tocsin/shared/trace/tracetest"
)

func TestAFanOutIsTracedOnceForEachEventThatIsFollowed(t *testing.T) {
	f, m := newFanout(event.System)
	got := tracetest.New(t)
	f.Tracer = got.Tracer
	m.known["42/known"], m.busy["42/busy"] = true, true
	theirs := entry(event.CreateUser, "theirs", "42", newUser)
	theirs.Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	not := entry(event.CreateUser, "not", "42", newUser)
	not.Trace = trace.Unfollowed
	batch := []delivery.Entry{theirs, not, entry(event.CreateUser, "ours", "42", newUser),
		entry(event.CreateUser, "known", "42", newUser), entry(event.CreateUser, "busy", "42", newUser),
		entry("made_up", "bad", "42", "{}")}
	for n := range batch {
		batch[n].Receipt = strconv.Itoa(n)
	}
	_, err := f.Process(t.Context(), batch)
	require.Error(t, err, "one is busy")

	type key struct{ name, event string }
	ids := map[key][]byte{}
	for _, s := range got.Spans() {
		for _, a := range s.GetAttributes() {
			if a.GetKey() == trace.MessageID {
				k := key{s.GetName(), a.GetValue().GetStringValue()}
				require.Nil(t, ids[k], "once")
				ids[k] = s.GetSpanId()
				if k.name == "fan-out" {
					require.Equal(t, ids[key{"accept", k.event}], s.GetParentSpanId())
				}
			}
		}
		require.LessOrEqual(t, s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano())
	}
	require.Len(t, ids, 4)
	for _, e := range []string{"theirs", "ours"} {
		require.NotEmpty(t, ids[key{"fan-out", e}], e)
	}
}
