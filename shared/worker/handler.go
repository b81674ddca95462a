package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/shared/delivery"
	"tocsin/shared/health"
	"tocsin/shared/sending"
	"tocsin/shared/sleep"
)

// Handler sends what an engine hands to it in parcels, and makes the retries of those that fail travel in batches:
// an outage costs one execution for a parcel, not for a delivery. It is the distributed counterpart of Pool. It
// holds nothing between calls but opened integrations and what it knows of their paces: a call that breaks off is
// simply made again.
type Handler struct {
	BatchStore BatchStore
	Executions RetryStarter
	Router     *sending.TargetCache
	Sender     *sending.Sender
	Monitor    *health.Monitor
	NewID      func() string // of retry batches
	Log        *slog.Logger
	// PerLane is how many requests to one integration are in flight at once; 0 = 32.
	PerLane int
	// Budget is how long after its beginning a call still starts requests; what is left then is handed out again.
	// 0 = no limit. With the longest deadline of a request it must stay below the time that the call may take.
	Budget time.Duration
	// Paces are those that all processes share; nil = this process shares them with nobody.
	Paces Paces

	once  sync.Once
	paces paces
}

func (s *Handler) pace(tenant, integration string) *pace {
	s.once.Do(func() {
		s.paces.shared, s.paces.log, s.paces.local.Now = s.Paces, s.Log, s.Sender.Now
	})
	return s.paces.of(tenant, integration)
}

// Deliver makes the first attempt at what the parcels name. It returns an error for each parcel, nil for those that
// are done with; the others are to be handed in again.
func (s *Handler) Deliver(ctx context.Context, parcels []MessageBatch) []error {
	errs := make([]error, len(parcels))
	var work sync.WaitGroup
	for _, members := range byLane(parcels) {
		work.Go(func() {
			err := s.deliver(ctx, merge(parcels, members))
			for _, n := range members {
				errs[n] = err
			}
		})
	}
	work.Wait()
	return errs
}

// byLane groups the parcels' places by integration.
func byLane(parcels []MessageBatch) [][]int {
	at := map[delivery.Lane]int{}
	var out [][]int
	for n, p := range parcels {
		l := delivery.Lane{Tenant: p.Tenant, Integration: p.Integration}
		k, ok := at[l]
		if !ok {
			k = len(out)
			at[l] = k
			out = append(out, nil)
		}
		out[k] = append(out[k], n)
	}
	return out
}

// merge makes one parcel of several to the same integration.
func merge(parcels []MessageBatch, members []int) MessageBatch {
	p := MessageBatch{Tenant: parcels[members[0]].Tenant, Integration: parcels[members[0]].Integration}
	seen := map[string]bool{}
	for _, n := range members {
		for _, id := range parcels[n].IDs {
			if !seen[id] {
				seen[id] = true
				p.IDs = append(p.IDs, id)
			}
		}
		if since := parcels[n].Spared; p.Spared.IsZero() || !since.IsZero() && since.Before(p.Spared) {
			p.Spared = since
		}
	}
	return p
}

func (s *Handler) deliver(ctx context.Context, whole MessageBatch) error {
	began := s.Sender.Now()
	for ids := range slices.Chunk(whole.IDs, MessageBatchLimit) {
		p := MessageBatch{Tenant: whole.Tenant, Integration: whole.Integration, IDs: ids, Spared: whole.Spared}
		if s.late(began) {
			if err := s.BatchStore.Enqueue(ctx, []MessageBatch{p}, 0); err != nil {
				return fmt.Errorf("hand out %d deliveries of integration %s again: %w", len(ids), p.Integration, err)
			}
			continue
		}
		if err := s.parcel(ctx, p, began); err != nil {
			return err
		}
	}
	return nil
}

func (s *Handler) parcel(ctx context.Context, p MessageBatch, began time.Time) error {
	loaded, err := s.BatchStore.Load(ctx, p)
	if err != nil {
		return fmt.Errorf("load %d deliveries of integration %s: %w", len(p.IDs), p.Integration, err)
	}
	fresh, err := s.resume(ctx, loaded)
	if err == nil {
		fresh, err = s.ripe(ctx, p, fresh)
	}
	if err != nil || len(fresh) == 0 {
		return err
	}
	route, ended, err := s.Router.Target(ctx, p.Tenant, p.Integration)
	if err != nil {
		return err
	}
	if ended != "" {
		return s.end(ctx, fresh, ended)
	}
	if !p.Spared.IsZero() {
		s.pace(p.Tenant, p.Integration).consult(ctx, s.Sender.Now())
	}
	out, err := s.send(ctx, route, fresh, began)
	if err != nil {
		return err
	}
	err = s.conclude(ctx, route, out.sent)
	if len(out.left) > 0 {
		rest := MessageBatch{Tenant: p.Tenant, Integration: p.Integration, IDs: ids(out.left)}
		now := s.Sender.Now()
		if out.limited {
			rest.Spared = p.Spared
			if rest.Spared.IsZero() {
				rest.Spared = now
			}
		}
		err = errors.Join(err, s.BatchStore.Enqueue(ctx, []MessageBatch{rest}, out.after(now, rest.Spared)))
	}
	return err
}

// resume takes up where an earlier visit of the same parcel broke off: what it claimed is in the hands of its batch's
// execution, which exists after this call. The rest is returned.
func (s *Handler) resume(ctx context.Context, loaded []delivery.Delivery) (fresh []delivery.Delivery, err error) {
	started := map[string]bool{}
	for _, d := range loaded {
		switch {
		case d.State == delivery.Pending:
			fresh = append(fresh, d)
		case d.State == delivery.Retrying && !started[d.Batch]:
			started[d.Batch] = true
			if err := s.start(ctx, Round{Batch: d.Batch, Execution: d.Batch, More: true}); err != nil {
				return nil, err
			}
		}
	}
	return fresh, nil
}

// ripe hands out again what still gathers: its parcel came too early.
func (s *Handler) ripe(ctx context.Context, p MessageBatch, fresh []delivery.Delivery) (ripe []delivery.Delivery,
	err error) {
	early := MessageBatch{Tenant: p.Tenant, Integration: p.Integration}
	for _, d := range fresh {
		if d.Due.IsZero() {
			ripe = append(ripe, d)
			continue
		}
		early.IDs = append(early.IDs, d.ID)
		if d.Due.After(early.Due) {
			early.Due = d.Due
		}
	}
	if len(early.IDs) == 0 {
		return ripe, nil
	}
	if err := s.BatchStore.Enqueue(ctx, []MessageBatch{early}, 0); err != nil {
		return nil, fmt.Errorf(
			"put %d deliveries of integration %s back to gather: %w",
			len(early.IDs),
			p.Integration,
			err,
		)
	}
	return ripe, nil
}

// end settles deliveries that are not to be sent any more.
func (s *Handler) end(ctx context.Context, deliveries []delivery.Delivery, reason string) error {
	killed := make([]delivery.Delivery, len(deliveries))
	for i, d := range deliveries {
		killed[i] = d.Kill(reason)
	}
	return s.settle(ctx, killed)
}

func (s *Handler) late(began time.Time) bool {
	return s.Budget > 0 && s.Sender.Now().Sub(began) >= s.Budget
}

// visit is what came of one round of attempts: left are those that there was no time for, or that the system wants to
// be spared from for a while.
type visit struct {
	sent, left []delivery.Delivery
	kept       []delivery.Delivery // those of left of which parts arrived before their attempt broke off
	spare      time.Duration
	limited    bool // the system wants to be spared, or gives no answer
	dead, lost bool // it gives no answer; our own way out is gone
}

// Bounds of how long is waited before a system is asked again that wants to be spared.
const (
	// spareDead is the shortest for a dead receiver: a function's time costs money.
	spareDead = 30 * time.Second
	// What waits for its turn asks again after a quarter of the time that it has waited for already, so that a thousand
	// parcels do not ask a thousand times each; but not after more than spareMost.
	spareMost   = 5 * time.Minute
	spareTenths = 4
	// spareLost is the most when our own way out is gone.
	spareLost = time.Minute
)

// after is how long what was left waits, of which the first wait began at since.
func (v visit) after(now, since time.Time) time.Duration {
	if v.spare == 0 {
		return 0
	}
	wait := max(v.spare, time.Second)
	if v.dead {
		wait = max(wait, spareDead)
	}
	if len(v.sent) > 0 || since.IsZero() {
		return wait
	}
	most := spareMost
	if v.lost {
		most = spareLost
	}
	wait = max(wait, min(now.Sub(since)/spareTenths, most))
	return wait + rand.N(wait/4)
}

// send makes one attempt at each, side by side: one at first, one more at once with each answer, at the system's pace.
func (s *Handler) send(ctx context.Context, route *sending.Target, deliveries []delivery.Delivery,
	began time.Time) (visit, error) {
	var out visit
	var err error
	var mu sync.Mutex
	room := sync.NewCond(&mu)
	inFlight, limit := 0, 1
	pace := s.pace(route.Integration.Tenant, route.Integration.ID)
	mu.Lock()
	for n, d := range deliveries {
		for inFlight >= limit {
			room.Wait()
		}
		mu.Unlock()
		wait, dead, ok := s.await(ctx, pace, d.ID, len(deliveries)-n, began)
		mu.Lock()
		if !ok {
			out.left, out.spare, out.dead = append(out.left, deliveries[n:]...), max(out.spare, wait), dead
			break
		}
		inFlight++
		go func() {
			after, failed := s.Sender.Send(ctx, route, d)
			if failed == nil {
				pace.learn(ctx, s.Sender.Now(), after) // may call a service: the other answers do not wait for that
			} else if errors.Is(failed, sending.ErrEgress) {
				pace.pause(s.Sender.Now().Add(sending.EgressPause))
			}
			mu.Lock()
			defer mu.Unlock()
			defer room.Broadcast()
			inFlight--
			limit = min(limit+1, s.perLane())
			if failed != nil {
				out.left = append(out.left, d)
				if after.Kept {
					out.kept = append(out.kept, after)
				}
				if errors.Is(failed, sending.ErrEgress) {
					out.spare, out.lost = max(out.spare, sending.EgressPause), true
					return // our own fault: it is handed out again
				}
				err = fmt.Errorf("send delivery %s of integration %s: %w", d.ID, d.Integration, failed)
				return
			}
			out.sent = append(out.sent, after)
		}()
	}
	for inFlight > 0 {
		room.Wait()
	}
	mu.Unlock()
	now := s.Sender.Now()
	pace.flush(context.WithoutCancel(ctx), now)
	out.limited = pace.limits(now)
	s.paces.forget(route.Integration.Tenant, route.Integration.ID, now)
	if len(out.sent) > 0 {
		err = nil // what broke off is left over; what was sent must be written
	}
	if len(out.kept) > 0 {
		err = errors.Join(err, s.settle(context.WithoutCancel(ctx), out.kept))
	}
	slices.SortFunc(out.sent, func(a, b delivery.Delivery) int { return strings.Compare(a.ID, b.ID) })
	return out, err
}

// How long a call waits at most for the pace of a system at a time: one with a budget, because other processes wait for
// their turn meanwhile, and one without.
const (
	awaitShort = 10 * time.Second
	awaitMost  = 30 * time.Second
)

// await waits until the pace lets a request begin; n wait for that. Where it would take too long, or the receiver is
// dead, ok is false and wait says how long is left.
func (s *Handler) await(
	ctx context.Context,
	p *pace,
	id string,
	n int,
	began time.Time,
) (wait time.Duration, dead, ok bool) {
	for ctx.Err() == nil {
		now := s.Sender.Now()
		if s.late(began) {
			return 0, false, false
		}
		within := awaitMost
		if s.Budget > 0 {
			within = min(awaitShort, s.Budget-now.Sub(began))
		}
		at, wait, dead := p.slot(ctx, now, id, n, within)
		if wait > 0 {
			return wait, dead, false
		}
		if at.After(now) {
			sleep.For(ctx, at.Sub(now))
			if p.quiet(s.Sender.Now()) {
				continue // one that was on its way was told so
			}
		}
		return 0, false, ctx.Err() == nil
	}
	return 0, false, false
}

func (s *Handler) perLane() int {
	if s.PerLane > 0 {
		return s.PerLane
	}
	return Limits{}.filled().PerLane
}

// conclude writes what became of attempts: first the outcomes, so that nothing is sent again for it; then the counts.
func (s *Handler) conclude(ctx context.Context, route *sending.Target, sent []delivery.Delivery) error {
	if len(sent) == 0 {
		return nil
	}
	var settled, failing []delivery.Delivery
	for _, d := range sent {
		s.Sender.Tell(s.Log, d)
		if d.State == delivery.Retrying && d.Batch == "" {
			failing = append(failing, d)
		} else {
			settled = append(settled, d)
		}
	}
	err := s.settle(ctx, settled)
	if len(failing) > 0 {
		err = errors.Join(err, s.claim(ctx, failing))
	}
	return errors.Join(err, s.judge(ctx, route, sent))
}

// claim puts first failures into a batch and starts its retries; into several where they do not fit into one.
func (s *Handler) claim(ctx context.Context, failing []delivery.Delivery) error {
	for len(failing) > 0 {
		batch, integration := s.NewID(), failing[0].Integration
		for i := range failing {
			failing[i].Batch = batch
		}
		n, rest, err := s.BatchStore.Claim(ctx, batch, failing)
		if err != nil {
			return fmt.Errorf(
				"claim %d deliveries of integration %s for their retries: %w",
				len(failing),
				integration,
				err,
			)
		}
		if n > 0 { // else another visit of the same parcel was faster
			first := next(Round{Batch: batch, Execution: batch}, failing[:len(failing)-len(rest)])
			if err := s.start(ctx, first); err != nil {
				return err
			}
		}
		failing = rest
	}
	return nil
}

func (s *Handler) start(ctx context.Context, first Round) error {
	if err := s.Executions.Start(ctx, first); err != nil {
		return fmt.Errorf("start the retries of batch %s as %s: %w", first.Batch, first.Execution, err)
	}
	return nil
}

func (s *Handler) settle(ctx context.Context, deliveries []delivery.Delivery) error {
	if len(deliveries) == 0 {
		return nil
	}
	if err := settle(ctx, s.BatchStore, s.Log, deliveries); err != nil {
		return fmt.Errorf(
			"write the outcome of %d deliveries of integration %s: %w",
			len(deliveries),
			deliveries[0].Integration,
			err,
		)
	}
	return nil
}

func (s *Handler) judge(ctx context.Context, route *sending.Target, sent []delivery.Delivery) error {
	batch := make([]outcome, len(sent))
	for n, d := range sent {
		batch[n] = outcome{delivery: d, window: route.Integration.Window,
			failing: sending.FailingSince(route.Integration)}
	}
	counts, err := count(ctx, s.Monitor.Counters, batch, s.Sender.Now())
	if err != nil || len(counts) == 0 {
		return err
	}
	if err := s.Monitor.Counters.Add(ctx, counts); err != nil {
		return fmt.Errorf("count %d attempts of integration %s: %w", counts[0].Attempts, route.Integration.ID, err)
	}
	_, err = s.Monitor.Judge(ctx, counts)
	return err
}

// Retry is one turn of a retry batch. With Round 0 it only says how long the first wait is; then each turn makes one
// attempt at every member that still waits and says how long the next wait is. It may be called again with the same
// Round after an error: members whose attempt was written are not sent twice.
func (s *Handler) Retry(ctx context.Context, r Round) (Round, error) {
	began := s.Sender.Now()
	end := Round{Batch: r.Batch, Execution: r.Execution, Round: r.Round}
	b, err := s.BatchStore.Batch(ctx, r.Batch)
	if err != nil {
		return r, fmt.Errorf("read retry batch %s: %w", r.Batch, err)
	}
	if cmp.Or(r.Execution, r.Batch) != cmp.Or(b.Execution, r.Batch) {
		s.Log.Info(
			"an execution ends: another has taken its batch over",
			"batch",
			r.Batch,
			"execution",
			r.Execution,
			"other",
			b.Execution,
		)
		return end, nil
	}
	waiting, err := s.waiting(ctx, r.Batch, b.MessageBatch)
	if err != nil || len(waiting) == 0 {
		return end, err
	}
	route, ended, err := s.Router.Target(ctx, b.Tenant, b.Integration)
	if err != nil {
		return r, err
	}
	if ended != "" {
		return end, s.end(ctx, waiting, ended)
	}
	if r.Round == 0 {
		return next(end, waiting), nil
	}
	return s.attempt(ctx, r, route, waiting, began)
}

// waiting loads the members of a batch that still wait in it.
func (s *Handler) waiting(ctx context.Context, batch string, p MessageBatch) ([]delivery.Delivery, error) {
	loaded, err := s.BatchStore.Load(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("load retry batch %s of integration %s: %w", batch, p.Integration, err)
	}
	return slices.DeleteFunc(loaded, func(d delivery.Delivery) bool {
		return d.State != delivery.Retrying || d.Batch != batch
	}), nil
}

func (s *Handler) attempt(
	ctx context.Context,
	r Round,
	route *sending.Target,
	waiting []delivery.Delivery,
	began time.Time,
) (Round, error) {
	var turn, after []delivery.Delivery
	for _, d := range waiting {
		if d.Failures <= r.Round {
			turn = append(turn, d)
		} else {
			after = append(after, d) // sent by a call with the same Round that broke off later
		}
	}
	pace := s.pace(route.Integration.Tenant, route.Integration.ID)
	if r.Spared > 0 || slices.ContainsFunc(turn, delivery.Delivery.Spares) {
		pace.consult(ctx, s.Sender.Now())
	}
	if len(turn) > 1 && !slices.ContainsFunc(turn, func(d delivery.Delivery) bool { return !d.Unanswered() }) {
		pace.expectSilence()
	}
	out, err := s.send(ctx, route, turn, began)
	if err != nil {
		return r, err
	}
	if err := s.conclude(ctx, route, out.sent); err != nil {
		return r, err
	}
	if len(out.left) > 0 {
		rest := Round{Batch: r.Batch, Execution: r.Execution, Round: r.Round, More: true}
		now := s.Sender.Now()
		if out.limited {
			rest.Spared = cmp.Or(r.Spared, now.Unix())
		}
		rest.Seconds = seconds(out.after(now, time.Unix(cmp.Or(rest.Spared, now.Unix()), 0)))
		return rest, nil
	}
	for _, d := range out.sent {
		if d.State == delivery.Retrying {
			after = append(after, d)
		}
	}
	return next(Round{Batch: r.Batch, Execution: r.Execution}, after), nil
}

// next is the turn of a batch after this one, with the wait before it: as long as the most patient of its members was
// told to wait.
func next(r Round, waiting []delivery.Delivery) Round {
	r = Round{Batch: r.Batch, Execution: r.Execution, More: len(waiting) > 0}
	for _, d := range waiting {
		if r.Round == 0 || d.Failures < r.Round {
			r.Round = d.Failures
		}
		r.Seconds = max(r.Seconds, seconds(d.Planned()))
	}
	return r
}

// seconds rounds up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// Resume takes a batch up again whose retries broke off, by a new execution whose name ends with what is unique to the
// reason, such as the id of a message: the names of others stay used up. An execution that is still at work ends at its
// next turn.
func (s *Handler) Resume(ctx context.Context, batch, reason string) error {
	name := batch + "-" + reason
	switch err := s.BatchStore.TakeOver(ctx, batch, name); {
	case errors.Is(err, delivery.ErrNotFound):
		s.Log.Warn("a retry batch that is to be taken up again is kept no more", "batch", batch)
		return nil
	case err != nil:
		return fmt.Errorf("take over the retries of batch %s as %s: %w", batch, name, err)
	}
	return s.start(ctx, Round{Batch: batch, Execution: name, More: true})
}

func ids(deliveries []delivery.Delivery) []string {
	out := make([]string, len(deliveries))
	for i, d := range deliveries {
		out[i] = d.ID
	}
	return out
}
