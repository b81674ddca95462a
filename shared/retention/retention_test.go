package retention_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/retention"
)

const day = 24 * time.Hour

var now = time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)

func TestADeliveryIsKeptNoLongerThanItsEventsAndNothingLongerThanTheInstallationKeeps(t *testing.T) {
	for chosen, want := range map[retention.Setting]retention.Kept{
		{}:                          {Events: 30 * day, Deliveries: 30 * day},
		{Events: 14}:                {Events: 14 * day, Deliveries: 14 * day},
		{Deliveries: 7}:             {Events: 30 * day, Deliveries: 7 * day},
		{Events: 14, Deliveries: 7}: {Events: 14 * day, Deliveries: 7 * day},
		// the installation came to keep less than was chosen
		{Events: 60, Deliveries: 40}: {Events: 30 * day, Deliveries: 30 * day},
	} {
		require.Equal(t, want, chosen.For(30*day), chosen)
	}
}

func TestWhatWasToGoIsNotPromisedAgain(t *testing.T) {
	const most = 30 * day
	var s retention.Setting
	require.Equal(t, now.Add(-most), s.Since(now, most, false))
	s = s.Change(retention.Days{Events: 7}, now, most)
	require.Equal(t, now.Add(-7*day), s.Since(now, most, false))
	require.Equal(t, now.Add(most), s.Until, "what was written a moment ago keeps its end")
	at := now.Add(time.Hour)
	s = s.Change(retention.Days{}, at, most)
	require.Equal(t, at.Add(-7*day), s.Since(at, most, false), "more days bring nothing back")
	require.Equal(t, at.Add(-7*day), s.Since(at.Add(23*day), most, false))
	require.Equal(t, at, s.Since(at.Add(23*day), most, true), "what came before went as it was to go")
	require.Equal(t, at.Add(-6*day), s.Since(at.Add(24*day), most, false), "by now it is 30 days that are there")
	require.Equal(t, at.Add(day), s.Since(at.Add(31*day), most, true))
	require.Equal(t, now.Add(most), s.Until)
}

// TestWithWhateverChoicesThatIsThereWhichIsPromised holds the setting against both ways to forget, hour by hour: an end
// that is written with each event, and a prune by what is chosen now.
func TestWithWhateverChoicesThatIsThereWhichIsPromised(t *testing.T) {
	const most = 30 * day
	choices := []int{7, 20, 0, 14, 7, 0}
	s := retention.Setting{}
	ends, there := map[time.Time]time.Time{}, map[time.Time]bool{}
	for hour := range 90 * 24 {
		at := now.Add(time.Duration(hour) * time.Hour)
		if hour%(15*24) == 5 {
			s = s.Change(retention.Days{Events: choices[hour/(15*24)]}, at, most)
		}
		kept := s.For(most).Events
		ends[at], there[at] = at.Add(kept), true
		written, pruned := s.Since(at, most, true), s.Since(at, most, false)
		for wrote, end := range ends {
			if end.After(at) && at.After(s.Until) {
				require.Less(t, at.Sub(wrote), kept, "what is there at %s is too old", at)
			}
			if !end.After(at) {
				require.False(t, wrote.After(written), "what came at %s is promised at %s", wrote, at)
				delete(ends, wrote)
			}
			if wrote.Before(at.Add(-most)) {
				delete(there, wrote)
			}
		}
		for wrote, is := range there {
			if is && at.Sub(wrote) >= kept {
				there[wrote] = false
			}
			require.False(t, !there[wrote] && wrote.After(pruned), "what came at %s is promised at %s", wrote, at)
		}
	}
}

func TestAChoiceIsWithinTheBounds(t *testing.T) {
	for _, c := range []struct {
		events, deliveries int
		most               time.Duration
		field              string
	}{
		{0, 0, 30 * day, ""}, {7, 0, 30 * day, ""}, {30, 30, 30 * day, ""}, {30, 7, 30 * day, ""},
		{6, 0, 30 * day, "retention.events"}, {31, 0, 30 * day, "retention.events"},
		{-7, 0, 30 * day, "retention.events"},
		{0, 6, 30 * day, "retention.deliveries"}, {14, 15, 30 * day, "retention.deliveries"},
		{0, 0, time.Hour, ""}, {1, 0, time.Hour, "retention.events"}, {7, 0, 7 * day, "retention.events"},
		{7, 0, 8 * day, ""}, {0, 8, 8 * day, ""},
	} {
		problems := retention.Check(retention.Days{Events: c.events, Deliveries: c.deliveries}, c.most, "retention")
		if c.field == "" {
			require.Empty(t, problems, c)
			continue
		}
		require.Len(t, problems, 1, c)
		require.Equal(t, c.field, problems[0].Field, c)
	}
}
