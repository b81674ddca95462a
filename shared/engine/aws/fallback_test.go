//go:build awslocal

package aws_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/delivery"
)

// A function can end at any call between the death of a delivery and the message of what was made of it: then the death
// is written with the new delivery or neither is, and the sweeper sends the message. The roles of both functions that
// end deliveries allow all of it.
func TestADeathAndItsFallbackAreOneStepAndItsMessageIsNotLost(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../../template.yaml")
	require.NoError(t, err)
	for _, function := range []string{"Deliver", "Retry"} {
		for _, fails := range []string{"", "TransactWriteItems", "SendMessageBatch"} {
			t.Run(function+" "+fails, func(t *testing.T) {
				w := open(t)
				all, clock := w.clocked()
				f := fanoutTo(w, all, "web_hooks")
				f.Recorder = nil
				_, err := f.Process(t.Context(), []delivery.Entry{hitEntry("a", "m", now())})
				require.NoError(t, err)
				var dead delivery.Delivery
				for _, p := range w.receive(t) {
					loaded, err := all.Load(t.Context(), p)
					require.NoError(t, err)
					dead = loaded[0]
				}
				made := delivery.Delivery{ID: delivery.FallbackID(dead, "b"), Tenant: dead.Tenant, Integration: "b",
					State: delivery.Pending, CreatedAt: dead.CreatedAt, Kinds: dead.Kinds, Count: 1,
					Events: dead.Events,
					From: &delivery.From{Integration: dead.Integration, Name: "On call", Delivery: dead.ID,
						Reason: "503"},
					Due: clock.Add(time.Minute), Held: &delivery.Held{By: delivery.HeldByFallback, Merge: true,
						Until: clock.Add(time.Minute)}}
				gone := dead.Kill("503")
				gone.Fallback = &delivery.Fallback{Integration: "b", Delivery: made.ID, Made: &made}
				mine := as(all, function)
				fault := func(call string) *awslocal.Fault {
					if call == fails {
						return &awslocal.Fault{Status: 400, Type: "AccessDeniedException"}
					}
					return nil
				}
				w.gate.Faults(fault)
				w.sends.Faults(fault)
				err = mine.Settle(t.Context(), []delivery.Delivery{gone})
				w.gate.Faults(nil)
				w.sends.Faults(nil)
				if fails == "TransactWriteItems" {
					require.Error(t, err)
					_, err = all.Get(t.Context(), dead.Tenant, "b", made.ID)
					require.ErrorIs(t, err, delivery.ErrNotFound)
					err = mine.Settle(t.Context(), []delivery.Delivery{gone})
				}
				require.NoError(t, err)
				require.ErrorIs(t, mine.Settle(t.Context(), []delivery.Delivery{gone}), delivery.ErrNotFound)
				sweeping := as(all, "Retry")
				for range 4 {
					later(t, clock, sweeping)
				}
				once(t, w.sent(t, as(all, "Deliver")), "a")
				for _, u := range append(w.gate.Uses(), w.sends.Uses()...) {
					if u.Caller != "local" { // the test itself
						require.True(t, template.Allows(u, w.prefix), "the role of %s does not allow %s on %s",
							u.Caller, u.Action, strings.TrimPrefix(u.Resource, w.prefix))
					}
				}
			})
		}
	}
}
