//go:build awslocal

package aws_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"tocsin/scripts/awslocal"
	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/counting"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/aws/reports"
	"tocsin/shared/fanout"
	"tocsin/shared/profile"
	"tocsin/shared/receiver"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/report/pdf"
	"tocsin/shared/token"
)

const recordDay = calendar.Day("2023-03-01")

func hits(n int64) []daily.Entry {
	return []daily.Entry{{Tenant: "42", Day: recordDay, Counts: []daily.Count{{Dimension: daily.Total, N: n}}}}
}

func total(t *testing.T, l report.DailyTotals) (n int64) {
	t.Helper()
	require.NoError(t, l.Counts(t.Context(), "42", recordDay, recordDay, func(_ calendar.Day, c daily.Count) error {
		if c.Dimension == daily.Total {
			n += c.N
		}
		return nil
	}))
	return n
}

// hands writes records, as a round of counting that is about an intake of its own.
func (w *world) hands(t *testing.T, intake string, records ...daily.Entry) {
	t.Helper()
	o := counting.Outcome{Tenant: "42", Marks: []counting.Mark{{Intake: intake, To: 1}}, Records: records}
	require.NoError(t, w.countingStore(nil, w.triggers(&published{})).Write(t.Context(), o))
}

// countAll counts what waits in a queue.
func (w *world) countAll(t *testing.T, d *stores, queue *waiting) {
	t.Helper()
	c, _ := w.counts(&published{}, d)
	for tenant, ids := range queue.take() {
		done, err := c.Count(t.Context(), tenant, ids)
		require.NoError(t, err)
		require.Equal(t, len(ids), done)
	}
}

func TestEventsThatCameInOtherCompanyCountOnce(t *testing.T) {
	w := open(t)
	d, queue := w.deliveries(), &waiting{}
	d.Counting = queue
	a, b, c := accepted("a", "/"), accepted("b", "/"), accepted("c", "/")
	require.NoError(t, d.Accept(t.Context(), fanout.Intake{Accepted: []fanout.Accepted{a, b}}))
	require.Error(t, d.Accept(t.Context(), fanout.Intake{Accepted: []fanout.Accepted{b, c}}),
		"one of them is known by now: look again")
	w.countAll(t, d, queue)
	require.EqualValues(t, 2, total(t, w.record()))
	require.Equal(t, []fanout.Standing{fanout.Known, fanout.Fresh}, begin(t, d, b, c))
	require.NoError(t, d.Accept(t.Context(),
		fanout.Intake{Accepted: []fanout.Accepted{c}, Repeated: []fanout.Accepted{b}}))
	w.countAll(t, d, queue)
	require.EqualValues(t, 3, total(t, w.record()))
	require.Error(t,
		d.Accept(t.Context(), fanout.Intake{Accepted: []fanout.Accepted{accepted("d", "/")}, Records: hits(1)}),
		"this engine counts apart")
}

// begin tells how events stand, and gives them up again.
func begin(t *testing.T, d *stores, events ...fanout.Accepted) []fanout.Standing {
	t.Helper()
	list := slices.Clone(events)
	out, err := d.Begin(t.Context(), list)
	require.NoError(t, err)
	require.NoError(t, d.Abort(t.Context(), list))
	return out
}

// Batches of many functions at once, with calls that fail before and after they were carried out, readers that fold,
// and events that come again: each event counts once.
func TestTheRecordIsExactWhateverFails(t *testing.T) {
	w := open(t)
	const workers, batches, perBatch = 4, 12, 7
	queue := &waiting{}
	var n atomic.Int64
	w.gate.Faults(func(call string) *awslocal.Fault {
		if n.Add(1)%11 == 0 {
			return &awslocal.Fault{Status: 400, Type: "InternalServerError"}
		}
		return nil
	})
	var work sync.WaitGroup
	for worker := range workers {
		work.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			d := w.deliveries()
			d.Counting = queue
			for batch := range batches {
				var all []fanout.Accepted
				for i := range perBatch {
					// as do the others
					all = append(all, accepted(fmt.Sprintf("e-%d-%d", batch, (i+random.IntN(3))%perBatch), "/"))
				}
				for try := 0; ; try++ {
					if acceptAll(t.Context(), d, all) == nil || try == 200 {
						break
					}
				}
				if batch%4 == worker {
					// it folds, or fails
					_ = w.record().Counts(t.Context(), "42", recordDay, recordDay,
						func(calendar.Day, daily.Count) error { return nil })
				}
			}
		})
	}
	work.Wait()
	w.gate.Faults(nil)
	sweeper := w.deliveries()
	sweeper.Counting, sweeper.Now = queue, func() time.Time { return now().Add(time.Hour) }
	_, err := sweeper.Sweep(t.Context()) // intakes that broke off before they were handed to the queue
	require.NoError(t, err)
	w.countAll(t, sweeper, queue)
	want := int64(0)
	for batch := range batches {
		for i := range perBatch {
			if begin(t, w.deliveries(), accepted(fmt.Sprintf("e-%d-%d", batch, i), "/"))[0] == fanout.Known {
				want++
			}
		}
	}
	require.Greater(t, want, int64(batches*perBatch/2))
	require.Equal(t, want, total(t, w.record()))
	require.Empty(t, w.rows(t, "j "), "all is folded")
}

// acceptAll does what fanout.Fanout does with a batch.
func acceptAll(ctx context.Context, d *stores, all []fanout.Accepted) error {
	seen := map[string]bool{}
	var distinct []fanout.Accepted
	for _, a := range all {
		if !seen[a.Event.ID] {
			seen[a.Event.ID] = true
			distinct = append(distinct, a)
		}
	}
	standings, err := d.Begin(ctx, distinct)
	if err != nil {
		return err
	}
	var in fanout.Intake
	for n, a := range distinct {
		if standings[n] == fanout.Fresh {
			in.Accepted = append(in.Accepted, a)
		}
	}
	if err := d.Accept(ctx, in); err != nil {
		return errors.Join(err, d.Abort(ctx, in.Accepted))
	}
	if slices.Contains(standings, fanout.Busy) {
		return fanout.ErrBusy
	}
	return nil
}

// rows lists the ids of the record's table with a prefix.
func (w *world) rows(t *testing.T, prefix string) (ids []string) {
	t.Helper()
	for _, id := range w.ids(t, "DailyTotalsTable") {
		if strings.HasPrefix(id, prefix) {
			ids = append(ids, id)
		}
	}
	return ids
}

// ids are those of a table's rows.
func (w *world) ids(t *testing.T, table string) (ids []string) {
	t.Helper()
	pages := dynamodb.NewScanPaginator(w.db,
		&dynamodb.ScanInput{TableName: awssdk.String(w.prefix + table), ConsistentRead: awssdk.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, row := range page.Items {
			ids = append(ids, row["id"].(*types.AttributeValueMemberS).Value)
		}
	}
	return ids
}

func noise(random *rand.Rand, size int) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[random.IntN(64)]
	}
	return string(b)
}

func TestATurnThatAddsMuchIsRecorded(t *testing.T) {
	w := open(t)
	random := rand.New(rand.NewPCG(1, 1))
	r := daily.Entry{Tenant: "42", Day: recordDay, Counts: []daily.Count{{Dimension: daily.Total, N: 98}}}
	for n := range 98 {
		a := daily.Attack{Type: noise(random, 200), Host: noise(random, 200), Path: noise(random, 200), Seen: 1,
			First: now(), Last: now()}
		for range 10 {
			a.Sources, a.Applications = append(a.Sources, noise(random, 200)),
				append(a.Applications, noise(random, 200))
		}
		a.Key[0] = byte(n)
		r.Attacks = append(r.Attacks, a)
	}
	w.hands(t, "large", r)
	require.NotEmpty(t, w.rows(t, "p "), "the entry is larger than its row")
	require.EqualValues(t, 98, total(t, w.record()))
	found := 0
	require.NoError(t, w.record().Attacks(t.Context(), "42", recordDay, recordDay,
		func(_ calendar.Day, a daily.Attack) error {
			require.Equal(t, r.Attacks[a.Key[0]], a)
			found++
			return nil
		}))
	require.Equal(t, 98, found)
}

// A month in which every day is full is reported on; the record keeps no rows that it does not name.
func TestAFullMonthIsReportedOn(t *testing.T) {
	w := open(t)
	month := calendar.Containing(calendar.Monthly, "2023-03-01", "UTC")
	began := time.Now()
	w.fullMonth(t, month)
	t.Logf("written in %s", time.Since(began))
	w.gate.Calls()
	ctx, stop := context.WithCancel(t.Context())
	peak := watchHeap(ctx)
	began = time.Now()
	s, err := report.Build(t.Context(), w.record(), "42", "Acme", month, report.RowsOf(report.PDF), now())
	require.NoError(t, err)
	took := time.Since(began)
	made, err := pdf.Renderer{}.Render(s, "Tocsin", "")
	require.NoError(t, err)
	stop()
	calls, units := w.gate.Calls()
	t.Logf("a month of full days: built in %s, rendered in %s, %d bytes, heap at most %d MiB, calls %v, units %v", took,
		time.Since(began)-took, len(made), (<-peak)>>20, calls, units)
	require.EqualValues(t, 31*8*500, s.Now.Hits)
	require.EqualValues(t, 31*4000, s.Now.Attacks)
	require.Equal(t, 2000, s.SourcesSeen)

	began = time.Now()
	s, err = report.Build(t.Context(), w.record(), "42", "Acme", month, report.RowsOf(report.PDF), now())
	require.NoError(t, err)
	calls, units = w.gate.Calls()
	t.Logf("once more, nothing to fold: built in %s, calls %v, units %v", time.Since(began), calls, units)
	require.EqualValues(t, 31*8*500, s.Now.Hits)
	require.Empty(t, w.rows(t, "j "))
	require.Len(t, w.rows(t, "p "), w.namedParts(t), "rows that were replaced are removed")
}

// fullMonth hands over days on which every kind of what is kept is full.
func (w *world) fullMonth(t *testing.T, month calendar.Period) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	for n, day := range month.Each() {
		for batch := range 8 {
			r := daily.Entry{Tenant: "42", Day: day, Counts: []daily.Count{{Dimension: daily.Total, N: 500}}}
			for i := range 500 {
				a := daily.Attack{Type: "sqli", Host: "shop.example.com", Path: "/" + noise(random, 24),
					Parameter: noise(random, 8), Seen: 1, First: now(), Last: now(), Sources: []string{"203.0.113.7"}}
				a.Key[0], a.Key[1], a.Key[2], a.Key[3] = byte(n), byte(batch), byte(i>>8), byte(i)
				r.Attacks = append(r.Attacks, a)
				if i < 250 {
					source := fmt.Sprintf("10.%d.%d.%d", batch, i/256, i%256)
					r.Counts = append(r.Counts, daily.Count{Dimension: daily.BySource, Value: source, N: 1},
						daily.Count{Dimension: daily.ByHost, Value: noise(random, 20), N: 1})
				}
			}
			w.hands(t, fmt.Sprintf("m-%s-%d", day, batch), r)
		}
	}
}

// namedParts is how many rows of parts the days name.
func (w *world) namedParts(t *testing.T) (named int) {
	t.Helper()
	pages := dynamodb.NewScanPaginator(w.db,
		&dynamodb.ScanInput{TableName: awssdk.String(w.prefix + "DailyTotalsTable")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, row := range page.Items {
			for name, v := range row {
				if n, ok := v.(*types.AttributeValueMemberN); ok && strings.HasSuffix(name, "_parts") {
					var parts int
					_, err := fmt.Sscan(n.Value, &parts)
					require.NoError(t, err)
					named += parts
				}
			}
		}
	}
	return named
}

// watchHeap answers the most that was live until the context ended.
func watchHeap(ctx context.Context) <-chan uint64 {
	out := make(chan uint64, 1)
	go func() {
		var m runtime.MemStats
		most := uint64(0)
		for {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			select {
			case <-ctx.Done():
				out <- most
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return out
}

func TestReportsThatAreOldAreRemovedAndTheLastThreeAreKept(t *testing.T) {
	w := open(t)
	s := w.reports()
	save := func(id string, at time.Time) {
		r := report.Report{ID: id, Tenant: "42", Period: calendar.Containing(calendar.Daily, recordDay, "UTC"),
			Format: report.PDF, State: report.Ready, CreatedAt: at}
		require.NoError(t, s.Save(t.Context(), r,
			[]report.File{{Name: "r.pdf", Type: "application/pdf", Data: []byte(id)}}))
	}
	for n := range 6 {
		save(fmt.Sprint("old-", n), now().AddDate(0, 0, n-30))
	}
	got, err := s.Recent(t.Context(), "42", 10)
	require.NoError(t, err)
	require.Len(t, got, 3)
	for n := range 6 {
		f, err := s.File(t.Context(), "42", fmt.Sprint("old-", n), "r.pdf")
		if n < 3 {
			require.ErrorIs(t, err, report.ErrNotFound)
		} else {
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint("old-", n), string(f.Data))
		}
	}
	for n := range 5 {
		save(fmt.Sprint("young-", n), now().AddDate(0, 0, n-5))
	}
	got, err = s.Recent(t.Context(), "42", 10)
	require.NoError(t, err)
	require.Len(t, got, 5, "a delivery of a young one may still wait")
	s.Now = func() time.Time { return now().AddDate(0, 14, 0) }
	got, err = s.Recent(t.Context(), "42", 10)
	require.NoError(t, err)
	require.Empty(t, got, "what TTL has not deleted yet is left out")
}

func TestALookAtTheScheduleCostsTheSameForAnyNumberOfTenants(t *testing.T) {
	w := open(t)
	for n := range 40 {
		p := profile.Profile{ID: "person.a", Tenant: fmt.Sprint("tenant-", n), Email: "a@example.com",
			Choices: profile.Default, Role: access.ReadOnly, Revision: 1, UpdatedAt: now()}
		require.NoError(t, w.people().Save(t.Context(), p))
	}
	s := w.reports()
	all, err := s.Due(t.Context(), now(), 1000)
	require.NoError(t, err)
	require.Len(t, all, 200) // two reports and three digests of each
	var moves []report.Move
	for _, v := range all {
		moves = append(moves, report.Move{Subscription: v, Next: now().Add(time.Hour)})
	}
	require.NoError(t, s.Reschedule(t.Context(), moves))
	w.gate.Calls()
	none, err := s.Due(t.Context(), now(), 100)
	require.NoError(t, err)
	require.Empty(t, none)
	calls, units := w.gate.Calls()
	require.Equal(t, map[string]int{"Query": 8}, calls)
	require.LessOrEqual(t, units["read"], 8.0)
}

// TestTheReportsOfTwoThousandTenantsAreLookedUpInPages: nobody of them has chosen a zone, so all are due in one hour.
func TestTheReportsOfTwoThousandTenantsAreLookedUpInPages(t *testing.T) {
	const tenants = 2000
	w := open(t)
	people := w.people()
	var work errgroup.Group
	work.SetLimit(16)
	for n := range tenants {
		work.Go(func() error {
			return people.Save(t.Context(), profile.Profile{
				ID: report.PersonPrefix + "a", Tenant: fmt.Sprint("tenant-", n), Email: "a@example.com",
				Choices: profile.Choices{ReportDaily: true}, Role: access.Administrator, Revision: 1, UpdatedAt: now(),
			})
		})
	}
	require.NoError(t, work.Wait())
	clock := now()
	var jobs []report.Job
	s := &report.Service{
		Store: w.reports(), Receivers: &receiver.Directory{Integrations: w.integrations(&published{}),
			Systems: catalogue.Default(), People: people, Now: now},
		Now: func() time.Time { return clock }, Log: slog.New(slog.DiscardHandler), Spread: 45 * time.Minute,
		Enqueue: func(_ context.Context, more []report.Job) error {
			jobs = append(jobs, more...)
			return nil
		},
	}
	_, err := s.RunSchedule(t.Context()) // the time of each is set
	require.NoError(t, err)
	w.gate.Calls()
	jobs = nil
	most, looks := 0, 0
	for clock = time.Date(2023, 3, 2, 6, 0, 0, 0, time.UTC); clock.Hour() == 6 &&
		clock.Minute() <= 45; clock = clock.Add(5 * time.Minute) {
		made, err := s.RunSchedule(t.Context())
		require.NoError(t, err)
		most, looks = max(most, made), looks+1
	}
	require.Len(t, jobs, tenants, "each once")
	require.Less(t, most, tenants/6, "none of the looks has all of them")
	calls, units := w.gate.Calls()
	total := 0
	for _, n := range calls {
		total += n
	}
	t.Logf("%d reports in %d looks, at most %d in one: %d calls of DynamoDB, %v; units %v", tenants, looks, most, total,
		calls, units)
	require.Zero(t, calls["GetItem"])
	require.Zero(t, calls["UpdateItem"])
	require.LessOrEqual(t, calls["BatchExecuteStatement"], tenants/25+looks*4)
	require.LessOrEqual(t, total, tenants/4, "one by one they would be three calls each")
}

// reporter is a report.Service over these stores with a renderer that fails for a client.
type fails string

func (f fails) Render(s *report.Summary, _ string, _ report.Console) ([]byte, error) {
	if s.Client == string(f) {
		return nil, errors.New("out of ink")
	}
	return []byte("%PDF-"), nil
}

func TestJobsOfAReportThatFailsKeepTheirOrder(t *testing.T) {
	w := open(t)
	bus := &published{}
	s := &report.Service{Store: w.reports(), Totals: w.record(), Renderer: fails("Broken"), Bus: bus,
		Platform: "Tocsin", Now: now, Log: slog.New(slog.DiscardHandler)}
	handle := reports.Handler(s, &token.Notices{}, slog.New(slog.DiscardHandler))
	call := func() reports.Answer {
		var in events.SQSEvent
		for n, client := range []string{"Broken", "Acme", "Broken", "Acme"} {
			body, err := json.Marshal(map[string]any{
				"job": report.Job{Tenant: client, Client: client, Receiver: "i",
					Address: fmt.Sprintf("%d@example.com", n),
					Period:  calendar.Containing(calendar.Daily, recordDay, "UTC")}})
			require.NoError(t, err)
			in.Records = append(in.Records, events.SQSMessage{MessageId: fmt.Sprint(n), Body: string(body),
				Attributes: map[string]string{"MessageGroupId": client}})
		}
		raw, err := json.Marshal(in)
		require.NoError(t, err)
		out, err := handle(t.Context(), raw)
		require.NoError(t, err)
		return out
	}
	got := call()
	require.Equal(t, []events.SQSBatchItemFailure{{ItemIdentifier: "0"}, {ItemIdentifier: "2"}}, got.BatchItemFailures)
	require.Len(t, bus.kinds(), 2)
	s.Renderer = fails("")
	require.Empty(t, call().BatchItemFailures)
	ids := map[string]bool{}
	for _, e := range bus.events {
		ids[e.ID] = true
	}
	require.Len(t, ids, 4, "a job that is done again has the same event")
}

func TestAReportOnDemandThatWasLeftBehindIsTakenUpByTheSchedule(t *testing.T) {
	w := open(t)
	clock := now()
	s := &report.Service{Store: w.reports(), Totals: w.record(), Renderer: fails(""), Bus: &published{},
		Platform: "Tocsin", Now: func() time.Time { return clock }, Log: slog.New(slog.DiscardHandler),
		NewID: func() string { return "ordered" }}
	p, err := calendar.NewPeriod(recordDay, recordDay, "UTC")
	require.NoError(t, err)
	_, err = s.Order(t.Context(), activity.Actor{Tenant: "42"}, report.Request{Period: p, Format: report.PDF})
	require.NoError(t, err)
	handle := reports.Handler(s, &token.Notices{}, slog.New(slog.DiscardHandler))
	for _, want := range []report.State{report.Waiting, report.Ready} {
		_, err := handle(t.Context(), json.RawMessage(`{"due":true}`))
		require.NoError(t, err)
		r, err := s.Store.Get(t.Context(), "42", "ordered")
		require.NoError(t, err)
		require.Equal(t, want, r.State)
		clock = clock.Add(time.Hour)
	}
}
