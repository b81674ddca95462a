package trigger

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/event"
	"tocsin/shared/filter"
	"tocsin/shared/patience"
)

// hostile is a pattern that takes seconds on a URI of 2,000 characters.
var hostile = "~" + strings.Repeat(".{0,900}", 50)

func requestsSeen(n int, tenant, url string) Seen {
	data, _ := json.Marshal(map[string]any{"ip": "203.0.113.7", "count": 1, "domain": "shop.example.com", "url": url})
	return Seen{At: noon.AddDate(1, 0, 0), Event: event.Event{ID: fmt.Sprint(tenant, n), Tenant: tenant,
		Kind: event.BruteForceRequests, Time: noon.Add(time.Duration(n) * time.Second), Data: data}}
}

func onURL(id string, patterns ...string) Trigger {
	f := filter.Filter{ID: filter.ByURL, Operator: filter.Equal}
	for _, p := range patterns {
		f.Values = append(f.Values, filter.Value(p))
	}
	return Trigger{ID: id, Name: id, Template: BruteForce, Filters: []filter.Filter{f},
		Threshold: &Threshold{Period: 60, Count: 1}, Actions: []Action{{ID: Mark}}, Revision: 1, Epoch: 1}
}

func of(tenant string, t Trigger) Trigger {
	t.Tenant = tenant
	return t
}

// tenants are the stores of several.
type tenants map[string]*store

func (s tenants) Active(ctx context.Context, tenant string) ([]Trigger, bool, error) {
	return s[tenant].Active(ctx, tenant)
}
func (s tenants) List(ctx context.Context, tenant string) ([]Trigger, bool, error) {
	return s[tenant].List(ctx, tenant)
}
func (s tenants) States(ctx context.Context, tenant string, ids []string) ([]State, error) {
	return s[tenant].States(ctx, tenant, ids)
}
func (s tenants) Create(context.Context, Trigger, []string, activity.Record) error     { return nil }
func (s tenants) Update(context.Context, Trigger, []string, activity.Record) error     { return nil }
func (s tenants) Delete(context.Context, string, string, int64, activity.Record) error { return nil }
func (s tenants) Seed(context.Context, string, []Trigger, activity.Entry) error        { return nil }
func (s tenants) Get(context.Context, string, string) (Trigger, error)                 { return Trigger{}, ErrNotFound }
func (s tenants) Firings(context.Context, FiringQuery) ([]Firings, error)              { return nil, nil }
func (s tenants) NextNumber(context.Context) (int64, error)                            { return 1, nil }
func (s tenants) ByNumber(context.Context, int64) (string, string, error)              { return "", "", ErrNotFound }
func (s tenants) GiveNumber(context.Context, string, string, int64) (int64, error) {
	return 0, ErrNotFound
}

func valueReason(v string) string {
	list := []filter.Filter{{ID: filter.ByURL, Operator: filter.Equal, Values: []filter.Value{filter.Value(v)}}}
	for _, p := range filter.Check(list, requestsOf, "Brute force") {
		return p.Reason
	}
	return ""
}

func TestS5APatternThatIsTooLargeIsRefusedWhenItIsSaved(t *testing.T) {
	for _, bad := range []string{
		hostile, "~.{0,900}", "~(a{0,30}){0,30}", "~((x{1,10}){1,10}){1,10}y{900}", `~(\pL{30}){30}`, "~(?i)" +
			strings.Repeat("[a-z]{100}", 20), "~" + strings.Repeat("(a|b|c|d|e){60}", 5),
		"~((((((.{2}){3}){3}){3}){3}){3})z{900}",
	} {
		var reason string
		made := testing.AllocsPerRun(1, func() { reason = valueReason(bad) })
		require.Contains(t, reason, "too large a regular expression", bad)
		require.Less(t, made, 10_000.0, "found without compiling it")
	}
	for _, good := range []string{
		`~example\.com/v[0-9]+/.*`, `~.*\.example\.com/(api|rest)/v[0-9]{1,3}/users/[0-9a-f-]{36}(/.*)?`,
		`~(?i)shop\.example\.com/(login|signin|sso)/?`,
		`~[^/]{1,63}(\.[^/]{1,63}){1,3}/admin/.{0,100}`, "**/login",
	} {
		require.Empty(t, valueReason(good), good)
	}
	list := []filter.Filter{{ID: filter.ByURL, Operator: filter.Equal}}
	for range 50 {
		list[0].Values = append(list[0].Values, filter.Value("~.{0,60}a"))
	}
	v := filter.Check(list, requestsOf, "Brute force")
	require.Len(t, v, 1)
	require.Contains(t, v[0].Reason, "at most 5000 steps together")
}

func TestS5APatternThatIsSavedAlreadyStallsNobody(t *testing.T) {
	var log bytes.Buffer
	v := evaluator(tenants{
		"42": {cached: []Trigger{of("42", onURL("hostile", hostile)), of("42", onURL("good", "shop.example.com/**"))},
			states: map[string]State{}},
		"43": {cached: []Trigger{of("43", onURL("good", "shop.example.com/**"))}, states: map[string]State{}},
	})
	v.Log = slog.New(slog.NewJSONHandler(&log, nil))
	var batch []Seen
	for n := range 100 {
		batch = append(batch, requestsSeen(n, "42", "shop.example.com/"+strings.Repeat("a", 1980)))
	}
	for n := range 3 {
		batch = append(batch, requestsSeen(n, "43", "shop.example.com/a"))
	}
	began := time.Now()
	o, err := v.Evaluate(t.Context(), batch)
	require.NoError(t, err)
	require.Less(t, time.Since(began), patience.Long, "one match of a hundred took 4.3 s")
	fired := map[string]bool{}
	for _, e := range o.Publish {
		fired[e.Tenant+" "+event.Data[event.CommandData](e).TriggerID] = true
	}
	require.True(t, fired["43 good"], "another tenant's triggers are evaluated")
	skipped := false
	for _, st := range o.States {
		at, err := LastSkipped(st)
		require.NoError(t, err)
		if st.Tenant == "42" && st.Trigger == "hostile" {
			skipped = at.Equal(noon)
			require.True(t, skipped)
		} else {
			require.True(t, at.IsZero())
		}
	}
	require.True(t, skipped, "the state says that it left events out")
	require.Equal(t, 1, strings.Count(log.String(), "a trigger left an event out"), "a sample of a hundred: %s",
		log.String())
}

func TestAPatternThatIsSavedAlreadyIsLookedAtOnShortURIs(t *testing.T) {
	s := &store{cached: []Trigger{onURL("large", hostile)}, states: map[string]State{}}
	o, err := evaluator(s).Evaluate(t.Context(),
		[]Seen{requestsSeen(1, "42", "a.example/b"), requestsSeen(2, "42", "a.example/c")})
	require.NoError(t, err)
	require.Len(t, o.Publish, 1)
}

func TestS5ATenantHasSoMuchTimeAndGetsItBack(t *testing.T) {
	s := &store{cached: []Trigger{onURL("a", "~shop.*", "~api.*")}, states: map[string]State{}}
	v := evaluator(s)
	now, tick := noon, time.Duration(0)
	at := noon
	v.Now = func() time.Time { return now }
	v.Clock = func() time.Time { at = at.Add(tick); return at } // each look at the clock is so much later
	run := func() (published int, skipped bool) {
		o, err := v.Evaluate(t.Context(), []Seen{requestsSeen(1, "42", "shop.example.com/a"),
			requestsSeen(2, "42", "shop.example.com/b")})
		require.NoError(t, err)
		for _, st := range o.States {
			at, err := LastSkipped(st)
			require.NoError(t, err)
			skipped = skipped || !at.IsZero()
		}
		return len(o.Publish), skipped
	}
	n, skipped := run()
	require.Equal(t, 1, n)
	require.False(t, skipped)
	tick = 200 * time.Millisecond
	_, skipped = run()
	require.False(t, skipped, "two matches took 400 ms, which is more than there was")
	tick = 0
	_, skipped = run()
	require.True(t, skipped, "nothing is left")
	n, skipped = func() (int, bool) {
		o, err := v.Evaluate(t.Context(), []Seen{requestsSeen(1, "43", "shop.example.com/a"),
			requestsSeen(2, "43", "shop.example.com/b")})
		require.NoError(t, err)
		return len(o.Publish), false
	}()
	require.Equal(t, 1, n, "another tenant has time of its own")
	require.False(t, skipped)
	now = now.Add(10 * time.Second)
	n, skipped = run()
	require.Equal(t, 1, n, "it comes back")
	require.False(t, skipped)
}

func TestS5PatternsWithManyStarsAndLongURIs(t *testing.T) {
	var patterns []string
	for range filter.MaxValues {
		patterns = append(patterns, strings.TrimSuffix(strings.Repeat("**/a/", 100), "/")+"/b")
	}
	var list []Trigger
	for n := range MaxThresholds {
		list = append(list, onURL(fmt.Sprint("t", n), patterns...))
	}
	v := evaluator(&store{cached: list, states: map[string]State{}})
	began := time.Now()
	_, err := v.Evaluate(t.Context(), []Seen{requestsSeen(1, "42", "h"+strings.Repeat("/a", 5000)),
		requestsSeen(2, "42", strings.Repeat("/", 100_000))})
	require.NoError(t, err)
	require.Less(t, time.Since(began), patience.Long)
}

func TestOfAnEventWithThousandsOfAddressesTheFirstCount(t *testing.T) {
	var list []string
	for n := range 30_000 {
		list = append(list, fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255))
	}
	require.Len(t, filter.Addresses(list...), 1000)
	var values []filter.Value
	for n := range filter.MaxValues {
		values = append(values, filter.Value(fmt.Sprintf("203.0.113.%d", n)))
	}
	m, err := compile(Trigger{Template: Payloads, Threshold: &Threshold{1, 1},
		Filters: []filter.Filter{{ID: filter.ByIP, Operator: filter.Equal, Values: values}}})
	require.NoError(t, err)
	s := &subject{payloads: []string{"x"}}
	s.Addresses = append(filter.Addresses(list...), "203.0.113.49")
	require.True(t, m.matches(s), "many values are found as few are")
	s.Addresses = s.Addresses[:10]
	require.False(t, m.matches(s))
}

// before writes a state as a release before addresses were kept did: in the format 1 or 2.
func (s *state) before() []byte {
	b := []byte{stateFormat}
	b = binary.AppendVarint(b, s.epoch)
	b = binary.AppendVarint(b, s.fired)
	if s.skipped != 0 {
		b[0] = stateSkipped
		b = binary.AppendVarint(b, s.skipped)
	}
	for _, w := range s.windows {
		of := w.append(nil, stateAddresses)
		b = append(append(b, of[:8]...), of[9:]...) // the length of the address, which is 0, was not there
	}
	return b
}

func TestAStateFromBeforeIsRead(t *testing.T) {
	r := newRuler(Threshold{Period: 60, Count: 3}, &ThresholdRule{})
	s := state{epoch: 3, fired: 7}
	s.add(r, digest("203.0.113.5"), r.at(noon), 1, 0)
	old := s.before()
	s.skipped = 9
	skipped := s.before()
	for _, b := range [][]byte{old, skipped, s.encode(r)} {
		got, err := decode(b)
		require.NoError(t, err)
		require.EqualValues(t, 3, got.epoch)
		require.EqualValues(t, 7, got.fired)
		require.Len(t, got.windows, 1)
	}
	got, err := decode(skipped)
	require.NoError(t, err)
	require.EqualValues(t, 9, got.skipped)
	require.Empty(t, got.standing(r, noon).Groups[0].Source)
	got.add(r, digest("203.0.113.5"), r.at(noon)+1, 1, 0)
	got.named(digest("203.0.113.5"), "203.0.113.5")
	got, err = decode(got.encode(r))
	require.NoError(t, err)
	require.Len(t, got.windows, 1, "it counts on")
	require.Equal(t, "203.0.113.5", got.standing(r, noon).Groups[0].Source)
}

// BenchmarkPatterns is an event of a tenant with ten patterns of a person's; BenchmarkHostile one with a pattern that
// an earlier release took. With Go's regexp alone the latter takes 4.3 s.
func BenchmarkPatterns(b *testing.B) {
	benchmark(b, "shop.example.com/api/v1/users/17",
		`~.*\.example\.com/(api|rest)/v[0-9]{1,3}/users/[0-9a-f-]{36}(/.*)?`, "shop.example.com/**")
}

func BenchmarkHostile(b *testing.B) {
	b.Run("budget", func(b *testing.B) { benchmark(b, "shop.example.com/"+strings.Repeat("a", 1980), hostile) })
	b.Run("regexp", func(b *testing.B) {
		re := regexp.MustCompile(`\A(?:` + hostile[1:] + `)\z`)
		for b.Loop() {
			re.MatchString("shop.example.com/" + strings.Repeat("a", 1980))
		}
	})
}

func benchmark(b *testing.B, url string, patterns ...string) {
	v := evaluator(&store{cached: []Trigger{onURL("a", patterns...), onURL("b", patterns...), onURL("c", patterns...),
		onURL("d", patterns...), onURL("e", patterns...)}, states: map[string]State{}})
	batch := []Seen{requestsSeen(1, "42", url)}
	for b.Loop() {
		if _, err := v.Evaluate(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}
