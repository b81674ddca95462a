package fanouttest

import (
	"errors"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/hold"
	"tocsin/shared/integration"
)

// What falls back, in the worlds of Fates: any integration can be another's fallback, in circles too, and one can be
// gone.

// way is how an event comes to an integration: by itself, or by fallback from another one.
func way(to, id, from string) string { return to + " " + id + " " + from }

func (w *fates) drawFallbacks() {
	for _, i := range w.to {
		w.drawFallback(i)
	}
}

func (w *fates) drawFallback(i *receiving) {
	switch x := w.r.IntN(12); {
	case x == 0:
		i.fallback = "gone"
	case x < 9:
		if to := w.to[w.r.IntN(len(w.to))]; to != i {
			i.fallback = to.id
		}
	}
}

// drawNames are the integrations that a trigger's event is for, or the one that an event tells of.
func (w *fates) drawNames(e of) (out []string) {
	for _, i := range w.to {
		if w.r.IntN(4) > 0 {
			out = append(out, i.id)
		}
	}
	if e.kind == event.UpdateIntegration {
		return []string{w.to[w.r.IntN(len(w.to))].id}
	}
	return out
}

// switchOver has a person enable or disable an integration, or its health. Somebody may have its fallback drop what it
// takes itself: that is returned.
func (w *fates) switchOver(i *receiving) (also []*receiving) {
	w.seen["off"]++
	switch {
	case i.off != nil:
		i.off = nil
	case w.r.IntN(4) == 0:
		i.off = &integration.Off{By: integration.ByPerson, Person: "ada@example.com", At: w.now}
	default:
		i.off = &integration.Off{By: integration.ByPlatform, Reason: "too much failed", At: w.now}
	}
	if to := w.find(i.fallback); i.off != nil && to != nil && w.r.IntN(2) == 0 {
		to.own.muted, to.own.then = w.now.Truncate(time.Minute).Add(time.Duration(1+w.r.IntN(9))*time.Hour), hold.Drop
		to.changes++
		return []*receiving{to}
	}
	return nil
}

func (i *receiving) ends() string {
	if i.gone {
		return "the integration was deleted"
	}
	if i.off.By == integration.ByPlatform {
		return "the integration was disabled because it kept failing: too much failed"
	}
	return "the integration was disabled"
}

// find finds an integration that is there.
func (w *fates) find(id string) *receiving {
	if n := slices.IndexFunc(w.to, func(i *receiving) bool { return i.id == id && !i.gone }); n >= 0 {
		return w.to[n]
	}
	return nil
}

func (w *fates) fromOff(id string) *delivery.From {
	return &delivery.From{Integration: id, Name: id, Reason: w.find(id).ends()}
}

func (e of) tellsOf(i *receiving) bool {
	return e.kind == event.UpdateIntegration && slices.Contains(e.names, i.id)
}

// leftOut is why an integration would not get an event that comes, if it was enabled: "" = it would.
func (e of) leftOut(i *receiving) string {
	switch {
	case e.ends(i) && e.stoppedBy(slices.DeleteFunc(slices.Clone(i.filters), bySeverity)) == "":
		return ""
	case e.kind == event.Vuln && e.threat == "Low", e.tellsOf(i), e.reaction() && !slices.Contains(e.names, i.id):
		return "not taken"
	case e.kind == event.Vuln:
		return string(e.stoppedBy(i.filters))
	}
	return ""
}

// instead says what becomes of an event at the fallback of a disabled integration.
func (w *fates) instead(out map[string]fate, i *receiving, e of) {
	to := w.find(i.fallback)
	switch {
	case to == nil || to.off != nil || e.tellsOf(to):
		return
	}
	by, then, until := w.holds(to, e.kind, e.as(), e.at)
	drops := by != "" && then == hold.Drop
	switch {
	case e.leftOut(to) == "" && !drops:
		w.seen["gets it anyway"]++
		return
	case e.leftOut(to) == "":
		w.seen["dropped, and by fallback"]++
	}
	var f fate
	if to.people() && !e.alone(to) {
		f = fate{digest: "fallback/" + i.id, held: "fallback", due: w.now.Truncate(time.Minute).Add(time.Minute)}
	}
	if by != "" {
		f.held, f.due = by, until
	}
	out[way(to.id, e.id, i.id)] = f
}

// ends is what becomes of a delivery that was handed out: it arrives, or it dies.
func (w *fates) ends(i *receiving, d delivery.Delivery) {
	if !i.idle() && w.r.IntN(5) > 0 {
		require.NoError(w, w.engine.Log.Settle(w.Context(), []delivery.Delivery{enginetest.Arrived(d)}))
		return
	}
	why := "gave up"
	if i.idle() {
		why = i.ends()
	}
	d = d.Kill(why)
	if i.gone { // nobody knows its fallback any more
		w.seen["ended: deleted"] += len(d.Events)
		require.NoError(w, w.engine.Log.Settle(w.Context(), []delivery.Delivery{d}))
		return
	}
	var left []string
	from, to := 0, 0
	if d.Digest == "" && w.r.IntN(2) == 0 {
		from = w.r.IntN(len(d.Events))
		to = from + w.r.IntN(len(d.Events)-from+1)
		d.Parts = []delivery.Part{{Key: "k", From: from, To: to, State: delivery.PartDelivered}}
	}
	for n, e := range d.Events {
		if n < from || n >= to {
			left = append(left, e.ID)
		}
	}
	at, err := w.Get(w.Context(), w.tenant, i.id)
	require.NoError(w, err)
	d.Fallback, err = w.falls.Of(w.Context(), at, d)
	require.NoError(w, err)
	made := w.died(i, d, left)
	require.NoError(w, w.engine.Log.Settle(w.Context(), []delivery.Delivery{d}))
	if w.r.IntN(3) == 0 { // the answer was lost
		var ended *delivery.NotWaitingError
		if err := w.engine.Log.Settle(w.Context(), []delivery.Delivery{d}); !errors.As(err, &ended) {
			require.NoError(w, err)
		}
	}
	if made == nil {
		return
	}
	w.waiting = append(w.waiting, made)
	w.seen["fallback"] += len(made.events)
	if to > from {
		w.seen["fell back: partly"]++
	}
	if i.off != nil && i.off.By == integration.ByPlatform {
		w.seen["fell back: by health"]++
	}
	if made.held != delivery.HeldByFallback && made.held != "" {
		w.seen["fell back: held"]++
	}
}

// died compares where the events of a dead delivery go that did not arrive with what the oracle says.
func (w *fates) died(i *receiving, d delivery.Delivery, left []string) *unit {
	to, why := w.find(i.fallback), delivery.NotFallback("")
	if to != nil {
		left = slices.DeleteFunc(left, func(id string) bool { return w.known[id].tellsOf(to) })
	}
	switch {
	case i.fallback == "":
		require.Nil(w, d.Fallback, "seed %d", w.seed)
		return nil
	case d.From != nil:
		why = delivery.FallbackOnce
	case to == nil:
		why = delivery.FallbackDeleted
	case to.off != nil:
		why = delivery.FallbackDisabled
	case len(left) == 0:
		why = delivery.FallbackDirect
	}
	require.NotNil(w, d.Fallback, "seed %d", w.seed)
	require.Equal(w, [2]string{i.fallback, string(why)}, [2]string{d.Fallback.Integration, string(d.Fallback.Why)},
		"seed %d: %v to %s", w.seed, left, i.id)
	w.seen["fell back: "+string(why)]++
	if why != "" {
		require.Nil(w, d.Fallback.Made, "seed %d", w.seed)
		return nil
	}
	want := &unit{id: d.Fallback.Delivery, to: to.id, from: i.id, events: left, fate: w.falling(i, to, left)}
	want.merge = want.digest != ""
	for _, id := range left {
		if k := w.known[id].kind; !slices.Contains(want.kinds, k) {
			want.kinds = append(want.kinds, k)
		}
	}
	require.Equal(w, want, unitOf(*d.Fallback.Made), "seed %d: from %s", w.seed, i.id)
	require.Equal(w, &delivery.From{Integration: i.id, Name: i.id, Delivery: d.ID, Reason: d.Reason},
		d.Fallback.Made.From)
	return want
}

// falling is what becomes of a dead delivery's events at the fallback: people get those of a minute as one message.
func (w *fates) falling(i, to *receiving, ids []string) (f fate) {
	if to.people() && !slices.ContainsFunc(ids, func(id string) bool { return w.known[id].alone(to) }) {
		f = fate{digest: "fallback/" + i.id, held: "fallback", due: w.now.Truncate(time.Minute).Add(time.Minute)}
	}
	for _, id := range ids {
		e := w.known[id]
		if by, _, until := w.holds(to, e.kind, e.as(), w.now); by != "" && until.After(f.due) {
			f.held, f.due = by, until
		}
	}
	return f
}

// unitOf is a delivery as the oracle sees it.
func unitOf(d delivery.Delivery) *unit {
	u := &unit{id: d.ID, to: d.Integration, kinds: d.Kinds, fate: fate{digest: d.Digest, due: d.Due}}
	for _, e := range d.Events {
		u.events = append(u.events, e.ID)
	}
	if d.Held != nil {
		u.held, u.merge, u.join, u.ends = d.Held.By, d.Held.Merge, d.Held.Join, d.Held.Gathers
	}
	if d.From != nil {
		u.from = d.From.Integration
	}
	return u
}

func bySeverity(f filter.Filter) bool { return f.ID == filter.BySeverity }
