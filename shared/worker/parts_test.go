package worker_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/health"
)

// refusing answers 400 to what holds one of the texts.
func refusing(bad ...string) func(q destination.Request) (int, string) {
	return func(q destination.Request) (int, string) {
		for _, b := range bad {
			if strings.Contains(string(q.Body), `"`+b+`"`) {
				return 400, "I can not read " + b
			}
		}
		return 200, ""
	}
}

func (w *world) once(names ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range names {
		require.Equal(w.t, 1, w.got[n], n)
	}
}

func TestH2ARefusedReceiverKeepsNobodyFromTheirMail(t *testing.T) {
	both(t, letters{}, partsParameters{Addresses: []string{"bad@x", "good@x"}}, func(w *world) {
		w.answers(func(q destination.Request) (int, string) {
			if q.Mail.To == "bad@x" {
				return 550, "rcpt 550 5.7.1 nobody here"
			}
			return 250, ""
		})
		for n := range 30 {
			w.send(made(fmt.Sprintf("d%02d", n), "e"))
		}
		pass(time.Millisecond)
		require.Equal(w.t, 30, w.count("good@x"), "at once")
		pass(2 * time.Hour)
		require.Equal(w.t, 30, w.count("good@x"), "and once")
		require.True(w.t, w.enabled())
		require.Equal(w.t, health.Tally{Attempts: 30}, w.counters.tally("i"))
		d := w.memory.get("d00")
		require.Equal(w.t, delivery.Delivered, d.State)
		require.Equal(w.t, "1 of 2 got it; bad@x was refused: 550 5.7.1 nobody here", d.Reason)
		require.Equal(w.t, []delivery.Part{
			{Key: "bad@x e", Name: "bad@x", State: delivery.PartRefused, Status: 550, Reason: "550 5.7.1 nobody here"},
			{Key: "good@x e", Name: "good@x", State: delivery.PartDelivered, Status: 250},
		}, d.Parts)
	})
}

func TestAMailThatEveryReceiverIsRefusedForGoodEndsAtOnce(t *testing.T) {
	for _, addresses := range [][]string{{"a@x"}, {"a@x", "b@x"}} {
		both(t, letters{}, partsParameters{Addresses: addresses}, func(w *world) {
			w.answers(func(destination.Request) (int, string) { return 550, "rcpt 550 nobody here" })
			for n := range 30 {
				w.send(made(fmt.Sprintf("d%02d", n), "e"))
			}
			pass(time.Hour)
			require.Equal(w.t, 30, w.memory.count(delivery.Dead))
			require.Equal(w.t, 30*len(addresses), w.requests)
			require.Contains(w.t, w.memory.get("d00").Reason, "550 nobody here")
			require.True(w.t, w.enabled(), "it is no fault of the mail service")
			require.Zero(w.t, w.counters.tally("i"))

			w.answers(func(destination.Request) (int, string) { return 250, "" })
			w.replay("d00")
			pass(time.Second)
			require.Equal(w.t, delivery.Delivered, w.memory.get("d00").State, "a person may try again")
		})
	}
}

func TestH3DonePartsStayDoneThroughARenameARestartAndAReplay(t *testing.T) {
	both(t, letters{}, partsParameters{Addresses: []string{"ok@x", "slow@x", "also@x"}}, func(w *world) {
		p := partsParameters{Addresses: []string{"ok@x", "slow@x", "also@x"}}
		w.answers(func(q destination.Request) (int, string) {
			if q.Mail.To == "slow@x" {
				return 451, "rcpt 451 try later"
			}
			return 250, ""
		})
		w.send(made("d", "e"))
		pass(time.Second / 2)
		require.Equal(w.t, "2 of 3 got it; slow@x did not: 451 try later", w.memory.get("d").Reason)
		w.change(p)
		pass(2 * time.Second)
		w.restart()
		w.change(p)
		pass(2 * time.Hour)
		w.once("ok@x", "also@x")
		require.Equal(w.t, 2+17, w.requests)
		require.Equal(w.t, delivery.Dead, w.memory.get("d").State)
		require.True(w.t, w.enabled())

		w.answers(func(destination.Request) (int, string) { return 250, "" })
		p.Addresses = []string{"new@x", "slow@x", "ok@x"} // one left, one came
		w.change(p)
		w.replay("d")
		pass(time.Second)
		w.once("ok@x", "also@x", "slow@x", "new@x")
		require.Equal(w.t, delivery.Delivered, w.memory.get("d").State)
		require.Empty(w.t, w.memory.get("d").Parts)
		require.Empty(w.t, w.memory.get("d").Reason)

		w.replay("d")
		pass(time.Second)
		require.Equal(w.t, 2, w.count("ok@x"), "a person asked for all of a delivered one once more")
	})
}

func TestAFailureOfTheMailServiceEndsTheAttempt(t *testing.T) {
	both(t, letters{}, partsParameters{Addresses: []string{"a@x", "b@x", "c@x", "d@x", "e@x"}}, func(w *world) {
		n := 0
		w.answers(func(destination.Request) (int, string) {
			if n++; n >= 2 && n <= 4 {
				return 554, "554 no service"
			}
			return 250, ""
		})
		w.send(made("d", "e"))
		pass(time.Second / 2)
		require.Equal(w.t, 4, w.requests, "three in a row are the service: the fifth was not tried")
		require.Equal(w.t, "1 of 5 got it; then: 554 no service", w.memory.get("d").Reason)
		require.Equal(w.t, health.Tally{Attempts: 1}, w.counters.tally("i"), "it took one")
		pass(time.Minute)
		w.once("a@x", "b@x", "c@x", "d@x", "e@x")
		require.Equal(w.t, delivery.Delivered, w.memory.get("d").State)
	})
}

// What the mail service says of one mail need not say that it is about its receiver: a server that relays to one domain
// alone, one that asks to wait, one that closes the session.
func TestH2WhatTheServiceSaysAtOneReceiverKeepsNobodyFromTheirMail(t *testing.T) {
	for name, answer := range map[string]struct {
		status int
		text   string
	}{
		"relaying denied": {550, "550 5.7.1 relaying denied"}, "a wait": {421, "421 4.3.2 try again later"},
		"no answer": {0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, letters{}, partsParameters{Addresses: []string{"bad@x", "good@x", "bad@y", "fine@x", "bad@z"}},
				func(w *world) {
					w.answers(func(q destination.Request) (int, string) {
						if strings.HasPrefix(q.Mail.To, "bad") {
							return answer.status, answer.text
						}
						return 250, ""
					})
					w.send(made("d00", "e"))
					pass(time.Millisecond)
					require.Equal(w.t, 1, w.count("good@x"), "at once")
					require.Equal(w.t, 1, w.count("fine@x"), "at once")
					for n := range 29 {
						w.send(made(fmt.Sprintf("d%02d", n+1), "e"))
					}
					pass(2 * time.Minute) // 30 mails to a service that asks for a pause in each are paced
					require.Equal(w.t, 30, w.count("good@x"))
					require.Equal(w.t, 30, w.count("fine@x"))
					pass(24 * time.Hour)
					require.Equal(w.t, 30, w.count("good@x"), "and once")
					require.True(w.t, w.enabled(), "it takes mails: one domain that it does not take disables nothing")
					require.Zero(w.t, w.counters.tally("i").Failures)
					d := w.memory.get("d00")
					require.Equal(w.t, delivery.Dead, d.State)
					require.Contains(w.t, d.Reason, "2 of 5 got it")
				})
		})
	}
}

func TestH2ReceiversThatWereNotTriedComeBeforeThoseThatFailed(t *testing.T) {
	both(t, letters{}, partsParameters{Addresses: []string{"bad1@x", "bad2@x", "bad3@x", "bad4@x", "good@x"}},
		func(w *world) {
			w.answers(func(q destination.Request) (int, string) {
				if strings.HasPrefix(q.Mail.To, "bad") {
					return 550, "550 5.7.1 relaying denied"
				}
				return 250, ""
			})
			w.send(made("d", "e"))
			pass(2 * time.Second)
			require.Equal(w.t, 1, w.count("good@x"), "with the second attempt")
			parts := w.memory.get("d").Parts
			require.Equal(w.t, []string{"bad1@x", "bad2@x", "bad3@x", "bad4@x", "good@x"}, []string{
				parts[0].Name, parts[1].Name, parts[2].Name, parts[3].Name, parts[4].Name})
		})
}

func TestH4AMailServiceThatAsksToSlowDownIsPacedAndNoFailure(t *testing.T) {
	both(t, letters{}, partsParameters{Addresses: []string{"a@x", "b@x", "c@x"}}, func(w *world) {
		next := time.Now()
		w.answers(func(destination.Request) (int, string) {
			if time.Now().Before(next) {
				return 421, "421 too many connections"
			}
			next = time.Now().Add(900 * time.Millisecond)
			return 250, ""
		})
		w.send(made("d", "e"))
		pass(10 * time.Minute)
		w.once("a@x", "b@x", "c@x")
		d := w.memory.get("d")
		require.Equal(w.t, delivery.Delivered, d.State)
		require.Len(w.t, d.Attempts, 3)
		require.Equal(w.t, time.Second, d.Attempts[2].Waited, "an attempt that got on uses up no wait")
		require.Zero(w.t, w.counters.tally("i").Failures)
	})
}

func TestH10TheBadRecordStandsAloneAndTheGoodOnesArriveAtOnce(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		w.answers(refusing("e07"))
		w.send(made("d", names(10)...))
		pass(time.Millisecond)
		require.Len(w.t, w.got, 9, "at once")
		require.LessOrEqual(w.t, w.requests, 9, "by halving")
		require.Contains(w.t, w.memory.get("d").Reason, "9 of 10 events arrived; 1 did not: answered 400 Bad Request")
		w.restart()
		pass(2 * time.Hour)
		w.once(slices.DeleteFunc(names(10), func(n string) bool { return n == "e07" })...)
		d := w.memory.get("d")
		require.Equal(w.t, delivery.Dead, d.State)
		require.Len(w.t, d.Attempts, 17)
		require.Equal(w.t, "I can not read e07", d.Attempts[16].Answer)
		require.Equal(w.t, 400, d.Attempts[16].Status)
		require.LessOrEqual(w.t, w.requests, 9+16, "it alone goes through the cycles")
		require.Zero(w.t, w.counters.tally("i").Failures)
		var states []string
		for _, p := range d.Outcomes() {
			states = append(states, fmt.Sprintf("%d-%d %s", p.From, p.To, p.State))
		}
		require.Equal(w.t, []string{"0-7 delivered", "7-8 failed", "8-10 delivered"}, states)

		w.answers(refusing())
		w.replay("d")
		pass(time.Second)
		w.once(names(10)...)
		require.Equal(w.t, delivery.Delivered, w.memory.get("d").State)
	})
}

func TestH10EveryRequestOfADeliveryHasItsOwnStableID(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		w.answers(refusing("e07"))
		w.send(made("d", names(10)...))
		pass(30 * time.Second)
		byID := map[string]bool{}
		for _, ids := range w.ids {
			for _, id := range ids {
				byID[id] = true
			}
		}
		require.Equal(w.t, []string{"d-0-5", "d-5-7", "d-8-10"}, slices.Sorted(maps.Keys(byID)))
		last := w.order[len(w.order)-1]
		require.Equal(w.t, "d-7-8", last)
		require.Greater(w.t, strings.Count(strings.Join(w.order, " "), "d-7-8"), 3, "the same at each attempt")
	})
}

func TestH10ABadRecordSwitchesNoFeedOff(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		w.answers(refusing("bad"))
		for n := range 50 {
			all := names(10)
			all[n%10] = "bad"
			w.send(made(fmt.Sprintf("d%02d", n), all...))
		}
		pass(3 * time.Hour)
		require.True(w.t, w.enabled())
		require.Equal(w.t, 50, w.memory.count(delivery.Dead))
		total := 0
		for _, n := range w.got {
			total += n
		}
		require.Equal(w.t, 450, total)
	})
}

func TestH10BadRecordsAloneInTheirDeliveriesSwitchNoFeedOff(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		w.answers(refusing("bad"))
		for n := range 100 { // an attacker's hits come alone, the others once in five minutes
			w.send(made(fmt.Sprintf("b%02d", n), "bad"))
			if n%10 == 0 {
				w.send(made(fmt.Sprintf("d%02d", n), "good"))
			}
			pass(30 * time.Second)
		}
		pass(3 * time.Hour)
		require.True(w.t, w.enabled(), "%+v", w.counters.tally("i"))
		require.Equal(w.t, 10, w.count("good"))
	})
}

func TestASystemThatRefusesAllIsDisabledAsEver(t *testing.T) {
	for _, count := range []int{1, 2, 10, 100} {
		both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
			w.answers(func(destination.Request) (int, string) { return 400, "wrong settings" })
			for n := range 5 {
				w.send(made(fmt.Sprintf("d%d", n), names(count)...))
			}
			pass(3 * time.Hour)
			require.False(w.t, w.enabled())
			require.Equal(w.t, 5, w.memory.count(delivery.Dead))
			require.Equal(w.t, w.counters.tally("i").Attempts, w.counters.tally("i").Failures)
			if count > 2 {
				require.LessOrEqual(w.t, w.requests, 5*64+4*w.counters.tally("i").Attempts, "halving is bounded")
			}
			for _, d := range w.memory.All() {
				require.Contains(w.t, d.Attempts[0].Reason, "answered 400 Bad Request")
			}
		})
	}
}

func TestASystemWhoseSettingsAreMendedGetsAllOfWhatItRefused(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		w.answers(func(destination.Request) (int, string) { return 400, "wrong settings" })
		w.send(made("d", names(100)...))
		pass(20 * time.Second)
		w.answers(refusing())
		pass(time.Hour)
		w.once(names(100)...)
		require.Equal(w.t, delivery.Delivered, w.memory.get("d").State)
	})
}

func TestH10WhereverTheBadOnesAreTheGoodOnesArriveAtOnce(t *testing.T) {
	for name, bad := range map[string][]int{
		"two of sixteen": {3, 12}, "two neighbours": {0, 1}, "one in each quarter": {0, 5, 9, 15},
		"the first half": {0, 1, 2, 3, 4, 5, 6, 7},
		"the last half":  {8, 9, 10, 11, 12, 13, 14, 15}, "every other": {0, 2, 4, 6, 8, 10, 12, 14},
		"all but the last": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
				all := names(16)
				var list []string
				for _, n := range bad {
					list = append(list, all[n])
				}
				w.answers(refusing(list...))
				w.send(made("d", all...))
				pass(time.Millisecond)
				if len(bad) < 15 {
					require.Len(w.t, w.got, 16-len(bad), "at once")
				}
				pass(2 * time.Hour)
				require.Len(w.t, w.got, 16-len(bad))
				for n := range w.got {
					w.once(n)
				}
				require.Equal(w.t, delivery.Dead, w.memory.get("d").State)
			})
		})
	}
}

// heavy is a delivery of events of this many bytes.
func heavy(id string, count, bytes int) delivery.Delivery {
	d := made(id, names(count)...)
	for n := range d.Events {
		d.Events[n].Data = fmt.Appendf(nil, `{"user":{"name":"%s-%02d"},"x":%q}`, id, n, strings.Repeat("x", bytes))
	}
	return d
}

func upTo(bytes int) func(q destination.Request) (int, string) {
	return func(q destination.Request) (int, string) {
		if len(q.Body) > bytes {
			return 413, "too large"
		}
		return 200, ""
	}
}

func TestH11TheSizeThatWentThroughIsRememberedForAWhile(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		w.answers(upTo(100_000))
		w.send(heavy("a", 10, 15_000))
		pass(time.Millisecond)
		require.Len(w.t, w.got, 10, "at once")
		require.Equal(w.t, 1, w.refused)
		d := w.memory.get("a")
		require.Equal(w.t, delivery.Delivered, d.State)
		require.Equal(w.t,
			"it went in 2 smaller requests, because the receiver refused it as one (413 Request Entity Too Large)",
			d.Reason)
		require.Empty(w.t, d.Parts)
		require.Empty(w.t, d.Attempts[0].Answer)

		w.reset()
		for n := range 20 {
			w.send(heavy(fmt.Sprintf("b%02d", n), 10+n, 15_000))
			pass(time.Minute)
		}
		require.Zero(w.t, w.refused, "they are cut before")
		total := 0
		for n, times := range w.got {
			require.Equal(w.t, 1, times, n)
			total++
		}
		require.Equal(w.t, 20*10+190, total)

		w.reset()
		w.answers(upTo(1 << 30)) // the receiver takes more now
		pass(time.Hour)
		w.send(heavy("c", 10, 15_000))
		pass(time.Second)
		require.Equal(w.t, 1, w.requests, "it is tried as one again")
	})
}

func TestH11AReceiverThatTakesOneEventAtATimeGetsThemAll(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		w.answers(upTo(20_000))
		w.send(heavy("a", 100, 15_000))
		pass(time.Hour)
		require.Len(w.t, w.got, 100)
		require.Equal(w.t, delivery.Delivered, w.memory.get("a").State)
		require.LessOrEqual(w.t, w.requests, 199)
	})
}

func TestH11OneRecordThatIsTooLargeAloneDiesAlone(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		w.answers(upTo(100_000))
		d := heavy("a", 10, 1000)
		d.Events[4].Data = heavy("x", 1, 200_000).Events[0].Data
		w.send(d)
		pass(2 * time.Hour)
		require.Len(w.t, w.got, 9)
		require.Equal(w.t, delivery.Dead, w.memory.get("a").State)
		require.True(w.t, w.enabled())
		require.Contains(w.t, w.memory.get("a").Reason, "413 Request Entity Too Large")
	})
}

func TestAnEventThatCanNotBeWrittenKeepsNoOtherBack(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 100}, func(w *world) {
		w.send(made("d", "a", "b", "unwritable", "c"))
		pass(2 * time.Hour)
		w.once("a", "b", "c")
		d := w.memory.get("d")
		require.Equal(w.t, delivery.Dead, d.State)
		require.Equal(w.t,
			"3 of 4 events arrived; 1 did not: this message could not be written for Array: no way to say it", d.Reason)
		require.True(w.t, w.enabled())
	})
}

func TestAChangeOfSettingsRepeatsOnlyWhatGoesElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		to   partsParameters
		each int
	}{
		"a name":               {partsParameters{URL: "u", Most: 3}, 1},
		"events in a request":  {partsParameters{URL: "u", Most: 4}, 1},
		"all in one request":   {partsParameters{URL: "u", Most: 100}, 1},
		"another address: all": {partsParameters{URL: "v", Most: 3}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, array{}, partsParameters{URL: "u", Most: 3}, func(w *world) {
				w.answers(func(q destination.Request) (int, string) {
					if strings.Contains(string(q.Body), "e04") {
						return 503, ""
					}
					return 200, ""
				})
				w.send(made("d", names(10)...))
				pass(time.Second / 2)
				require.Len(w.t, w.got, 3)
				w.change(c.to)
				w.answers(refusing())
				pass(time.Minute)
				require.Equal(w.t, c.each, w.count("e00"))
				w.once("e03", "e04", "e09")
			})
		})
	}
}

func TestAStopInTheMiddleOfAnAttemptForgetsNothingThatArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{destination: letters{}, rule: atOnce,
			parameters: partsParameters{Addresses: []string{"a@x", "b@x"}}})
		begin := func(do transport) (stop func()) {
			w.transport = do
			return beginPool(w)
		}
		w.memory.put(made("d", "e"))
		stop := begin(func(ctx context.Context, q destination.Request) (destination.Response, error) {
			if q.Mail.To == "b@x" {
				<-ctx.Done()
				return destination.Response{}, ctx.Err()
			}
			return w.Do(ctx, q)
		})
		pass(time.Second)
		stop()
		require.Equal(t, delivery.Pending, w.memory.get("d").State)
		require.Empty(t, w.memory.get("d").Attempts)
		stop = begin(w.Do)
		pass(time.Second)
		stop()
		w.once("a@x", "b@x")
		require.Equal(t, delivery.Delivered, w.memory.get("d").State)
	})
}

func TestAHealthyDeliveryKeepsNoParts(t *testing.T) {
	both(t, array{}, partsParameters{URL: "u", Most: 4}, func(w *world) {
		w.send(made("d", names(10)...))
		pass(time.Second)
		require.Empty(w.t, w.memory.get("d").Parts)
		require.Equal(w.t, []string{"d", "d-2", "d-3"}, w.order)
	})
}
