package hold_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/hold"
)

// season is a time over which a zone's clocks are set forward or back.
type season struct{ zone, from string }

var seasons = []season{
	{"UTC", "2026-02-26"}, {"Europe/Berlin", "2026-03-27"}, {"Europe/Berlin", "2026-10-23"},
	{"America/New_York", "2026-03-06"}, {"America/New_York", "2026-10-30"},
	{"America/Sao_Paulo", "2018-11-02"}, {"America/Sao_Paulo", "2018-02-16"}, // at midnight
	{"Australia/Lord_Howe", "2026-04-03"}, {"Australia/Lord_Howe", "2026-10-02"}, // by half an hour
	{"Pacific/Apia", "2011-12-28"}, // a day is skipped
	{"Asia/Kathmandu", "2026-12-29"}, {"Pacific/Kiritimati", "2026-05-30"}, {"Etc/GMT+12", "2026-05-30"},
}

const oracleDays = 6

// oracle knows of each minute whether it is quiet, by looking at the clock of the zone at every minute.
type oracle struct {
	start time.Time
	quiet []bool
}

func look(t *testing.T, s season, rules ...hold.Rules) oracle {
	start, err := time.Parse("2006-01-02", s.from)
	require.NoError(t, err)
	const before = 3 * 24 * 60
	o := oracle{start: start, quiet: make([]bool, oracleDays*24*60)}
	begin := start.Add(-before * time.Minute)
	for _, r := range rules {
		for _, q := range r.Quiet {
			z, err := time.LoadLocation(q.Zone)
			require.NoError(t, err)
			walls := make([]string, before+len(o.quiet)+4*24*60)
			for n := range walls {
				walls[n] = begin.Add(time.Duration(n) * time.Minute).In(z).Format("2006-01-02 15:04")
			}
			for d := range oracleDays + 6 {
				o.day(q, walls, begin.AddDate(0, 0, d), before)
			}
		}
		if r.Mute != nil {
			for n := range o.quiet {
				if o.at(n).Before(r.Mute.Until) {
					o.quiet[n] = true
				}
			}
		}
	}
	return o
}

func (o oracle) at(n int) time.Time { return o.start.Add(time.Duration(n) * time.Minute) }

// day fills what begins on a date, by what the clock shows.
func (o oracle) day(q hold.Quiet, walls []string, date time.Time, before int) {
	named := len(q.Days) == 0
	for _, d := range q.Days {
		named = named || string(d) == map[time.Weekday]string{1: "mon", 2: "tue", 3: "wed", 4: "thu", 5: "fri",
			6: "sat", 0: "sun"}[date.Weekday()]
	}
	day := date.Format("2006-01-02")
	if !named || q.First != "" && (day < q.First || day > q.Last) {
		return
	}
	tomorrow := date.AddDate(0, 0, 1).Format("2006-01-02")
	from, to := day+" "+q.From, day+" "+q.To
	switch {
	case q.From == "":
		from, to = day+" 00:00", tomorrow+" 00:00"
	case q.To == "24:00":
		to = tomorrow + " 00:00"
	case q.To <= q.From:
		to = tomorrow + " " + q.To
	}
	first, last := len(walls), 0
	for n := len(walls) - 1; n >= 0; n-- {
		if walls[n] >= from {
			first = n
		}
		if walls[n] < to {
			last = max(last, n+1)
		}
	}
	for n := first; n < last; n++ {
		if k := n - before; k >= 0 && k < len(o.quiet) {
			o.quiet[k] = true
		}
	}
}

func TestQuietHoursAreThoseThatTheClockOfTheirZoneShows(t *testing.T) {
	t.Parallel()
	for _, s := range seasons {
		t.Run(s.zone+" "+s.from, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, uint64(len(s.zone))))
			for range 8 {
				own, tenants := someRules(random, s), someRules(random, s)
				o := look(t, s, own, tenants)
				for n := 0; n < len(o.quiet); n += 1 + random.IntN(40) {
					compare(t, o, own, tenants, n)
				}
			}
		})
	}
}

func compare(t *testing.T, o oracle, own, tenants hold.Rules, n int) {
	h, held := hold.NewMoment(own, tenants, o.at(n)).Hold(event.NewHits, event.Hits)
	require.Equal(t, o.quiet[n], held, "%s: own %+v, its tenant's %+v", o.at(n), own, tenants)
	if !held {
		return
	}
	end := n
	for end < len(o.quiet) && o.quiet[end] {
		end++
	}
	if end == len(o.quiet) {
		require.False(t, h.Until.Before(o.at(end)))
		return
	}
	require.Equal(t, o.at(end), h.Until, "%s: own %+v, its tenant's %+v", o.at(n), own, tenants)
}

func someRules(random *rand.Rand, s season) (r hold.Rules) {
	for range random.IntN(4) {
		q := hold.Quiet{Zone: s.zone}
		if random.IntN(4) == 0 {
			q.Zone = "Asia/Tokyo"
		}
		if random.IntN(4) > 0 {
			q.From = fmt.Sprintf("%02d:%02d", random.IntN(24), random.IntN(4)*15)
			if q.To = fmt.Sprintf("%02d:%02d", random.IntN(24), random.IntN(4)*15); q.To == q.From {
				q.To = "24:00"
			}
			if random.IntN(3) == 0 { // in the hours in which clocks are set
				q.From = []string{"01:30", "02:30", "23:30", "22:00"}[random.IntN(4)]
				q.To = []string{"00:15", "01:15", "01:45", "02:15", "02:45", "03:15", "23:45"}[random.IntN(7)]
			}
		}
		for _, d := range hold.Days() {
			if random.IntN(3) == 0 {
				q.Days = append(q.Days, d)
			}
		}
		if random.IntN(3) == 0 {
			from, _ := time.Parse("2006-01-02", s.from)
			first := from.AddDate(0, 0, random.IntN(oracleDays))
			q.First, q.Last = first.Format("2006-01-02"), first.AddDate(0, 0, random.IntN(3)).Format("2006-01-02")
		}
		r.Quiet = append(r.Quiet, q)
	}
	if random.IntN(4) == 0 {
		from, _ := time.Parse("2006-01-02", s.from)
		r.Mute = &hold.Mute{Until: from.Add(time.Duration(random.IntN(72*60)) * time.Minute)}
	}
	return r
}

func TestAnHourThatComesTwiceOrNotAtAll(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ date, from, to, begin, end string }{
		"the beginning comes twice: from the first time": {"2026-10-25", "02:30", "05:00", "2026-10-25T00:30:00Z",
			"2026-10-25T04:00:00Z"},
		"the end comes twice: to the second time": {"2026-10-24", "22:00", "02:30", "2026-10-24T20:00:00Z",
			"2026-10-25T01:30:00Z"},
		"both come twice": {"2026-10-25", "02:15", "02:30", "2026-10-25T00:15:00Z", "2026-10-25T01:30:00Z"},
		"the beginning is skipped: from the jump": {"2026-03-29", "02:30", "05:00", "2026-03-29T01:00:00Z",
			"2026-03-29T03:00:00Z"},
		"the end is skipped: to the jump": {"2026-03-28", "22:00", "02:30", "2026-03-28T21:00:00Z",
			"2026-03-29T01:00:00Z"},
		"a whole day of 23 hours": {"2026-03-29", "", "", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		"a whole day of 25 hours": {"2026-10-25", "", "", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
	} {
		r := hold.Rules{Quiet: []hold.Quiet{{First: c.date, Last: c.date, From: c.from, To: c.to,
			Zone: "Europe/Berlin"}}}
		_, held := r.At(at(c.begin).Add(-time.Nanosecond), event.Vuln, event.VulnLow)
		require.False(t, held, name)
		h, held := r.At(at(c.begin), event.Vuln, event.VulnLow)
		require.True(t, held, name)
		require.Equal(t, at(c.end), h.Until, name)
		_, held = r.At(at(c.end), event.Vuln, event.VulnLow)
		require.False(t, held, name)
	}
	skipped := hold.Rules{Quiet: []hold.Quiet{{First: "2026-03-29", Last: "2026-03-29", From: "02:15", To: "02:45",
		Zone: "Europe/Berlin"}}}
	_, held := skipped.At(at("2026-03-29T01:00:00Z"), event.Vuln, event.VulnLow)
	require.False(t, held, "quiet hours that are skipped whole")
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

var night = hold.Rules{Quiet: []hold.Quiet{{From: "22:00", To: "07:00", Zone: "Europe/Berlin"}}}

func TestTheFirstRuleSaysWhatBecomesOfAnEvent(t *testing.T) {
	t.Parallel()
	now := at("2026-06-01T21:00:00Z") // 23:00 in Berlin
	night := night
	night.Then = hold.Digest
	muted := hold.Rules{Mute: &hold.Mute{Until: at("2026-06-02T09:00:00Z"), Then: hold.Drop}}
	for name, c := range map[string]struct {
		own, tenants hold.Rules
		want         hold.Hold
	}{
		"its quiet hours": {night, hold.Rules{}, hold.Hold{By: hold.ByQuiet, Until: at("2026-06-02T05:00:00Z"),
			Zone: "Europe/Berlin", Then: hold.Digest}},
		"its tenant's": {hold.Rules{}, night, hold.Hold{By: hold.ByQuiet, Until: at("2026-06-02T05:00:00Z"),
			Zone: "Europe/Berlin", Then: hold.Digest, Tenant: true}},
		"its mute, which ends later": {muted, night, hold.Hold{By: hold.ByMute, Until: at("2026-06-02T09:00:00Z"),
			Then: hold.Drop}},
		"its quiet hours before its tenant's mute": {night, muted, hold.Hold{By: hold.ByQuiet,
			Until: at("2026-06-02T09:00:00Z"), Then: hold.Digest}},
		"a mute that says nothing": {hold.Rules{Mute: &hold.Mute{Until: at("2026-06-02T09:00:00Z")}, Then: hold.Drop},
			hold.Rules{}, hold.Hold{By: hold.ByMute, Until: at("2026-06-02T09:00:00Z"), Then: hold.Drop}},
	} {
		got, held := hold.NewMoment(c.own, c.tenants, now).Hold(event.Vuln, event.VulnHigh)
		require.True(t, held, name)
		require.Equal(t, c.want, got, name)
	}
	alone := hold.Rules{OwnOnly: true}
	_, held := hold.NewMoment(alone, night, now).Hold(event.Vuln, event.VulnHigh)
	require.False(t, held, "its tenant's rules do not count for it")
}

func TestWhatAnIntegrationNamesPassesTheRulesOfItsTenantToo(t *testing.T) {
	t.Parallel()
	now := at("2026-06-01T21:00:00Z")
	held := func(own hold.Rules, k event.Kind, typ event.Type) bool {
		tenants := night
		tenants.Pass = []string{}
		_, held := hold.NewMoment(own, tenants, now).Hold(k, typ)
		return held
	}
	named := hold.Rules{Pass: []string{"vuln_high"}}
	require.False(t, held(named, event.Vuln, event.VulnHigh))
	require.True(t, held(named, event.Vuln, event.VulnLow))
	require.True(t, held(named, event.IncidentsExceeded, ""))
	require.True(t, held(hold.Rules{}, event.IncidentsExceeded, ""), "nobody named it for this integration")
}

func TestWhatPassesIsHeldOnlyByRulesThatDoNotLetItPass(t *testing.T) {
	t.Parallel()
	now := at("2026-06-01T21:00:00Z")
	held := func(own, tenants hold.Rules, k event.Kind, typ event.Type) bool {
		_, held := hold.NewMoment(own, tenants, now).Hold(k, typ)
		return held
	}
	require.False(t, held(night, hold.Rules{}, event.IncidentsExceeded, ""), "incidents pass by default")
	require.True(t, held(night, hold.Rules{}, event.AttacksExceeded, ""))
	all, high := night, night
	all.Pass, high.Pass = []string{}, []string{"vuln_high", "attacks_exceeded"}
	require.True(t, held(all, hold.Rules{}, event.IncidentsExceeded, ""))
	require.False(t, held(high, hold.Rules{}, event.Vuln, event.VulnHigh))
	require.True(t, held(high, hold.Rules{}, event.Vuln, event.VulnLow))
	require.False(t, held(high, hold.Rules{}, event.AttacksExceeded, ""))
	require.False(t, held(high, night, event.Vuln, event.VulnHigh), "its tenant's hold what others get")
	require.True(t, held(night, high, event.Vuln, event.VulnHigh), "its own do not let it pass")
	for _, k := range []event.Kind{event.Report, event.IntegrationFailing, event.IPDenylistRequested} {
		require.False(t, held(all, all, k, ""), k)
	}
	none := hold.Rules{Mute: &hold.Mute{Until: now}}
	require.False(t, held(none, hold.Rules{}, event.Vuln, event.VulnLow), "a mute that is over")
}

func BenchmarkAMomentOfQuietHours(b *testing.B) {
	now := at("2026-06-01T21:00:00Z")
	for b.Loop() {
		hold.NewMoment(night, hold.Rules{}, now).Hold(event.NewHits, event.Hits)
	}
}
