// Package patience is for tests that need real time, so that they hold on a machine that is busy.
//
// What has to happen is waited for as long as Long. What is only true while the machine keeps up, such as "the request
// was under way when its time was over", is tried with a longer time where it did not hold: a fault stays one however
// long the time is.
package patience

import (
	"testing"
	"time"
)

// Long is how long a test waits for what has to happen. No machine is so busy, and a test that waits for it ends.
const Long = time.Minute

// Growing calls holds with first, and with three times as long as before until it is true, up to half of Long. It ends
// the test if it never is. What a try found goes into why, for the last one is told.
func Growing(t testing.TB, first time.Duration, holds func(unit time.Duration) (ok bool, why string)) {
	t.Helper()
	said := ""
	for unit := first; unit <= Long/2; unit *= 3 {
		ok, why := holds(unit)
		if ok {
			return
		}
		said = why
		t.Logf("within %s: %s", unit, why)
	}
	t.Fatal("it holds in no time: ", said)
}
