package deliveries

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/outbox"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/integration"
	"tocsin/shared/worker"
)

// What is held for an integration has no message until it is let go: a hold can last for weeks, and a message for a
// quarter of an hour. It has a marker in the outbox (outbox.HeldMarker), at which the sweeper looks when it is due:
// then it sends the message that lets go, and so does who changes the rules.
//
// Letting go changes rows by conditions on what was read, notes in each by whom (outbox.Marker.Opened), and sends the
// messages of all rows that bear the name, however often it is begun: so an answer that is lost, or a function that
// ends on the way, leaves none without a message. A row that is merged stays, with the name of the one that has its
// events: who writes it again finds it there, and it tells where its events are.

// stateMerged is the state of the row of a delivery whose events another one has. No reader shows it.
const stateMerged = "merged"

func merged(row table.Item) bool { return table.TextOf(row, "state") == stateMerged }

// isHeld reports whether a row is of a delivery that is held and was not let go.
func isHeld(row table.Item) bool {
	return table.TextOf(row, "held") != "" && table.TextOf(row, "state") == string(delivery.Pending) &&
		table.NumberOf(row, "due") != 0
}

func heldText(h delivery.Held) (types.AttributeValue, error) {
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write what holds a delivery: %w", err)
	}
	return table.Text(string(raw)), nil
}

// allHeld stands in a message batch for all that is held for the integration. It is no delivery's id: those are ULIDs.
const allHeld = "held"

// heldSoon is how long before its time a hold is looked at that lasts for longer than a message: the sweeper looks each
// minute. From then on a message is under way, and the marker stays in case that is lost.
const heldSoon, heldLost = 90 * time.Second, 5 * time.Minute

// lookAt is when the marker of what is held until a time is to be looked at, and the message that lets go, none where
// it would have to wait for too long.
func (d *Store) lookAt(tenant, integration string, until time.Time) (at time.Time, message []worker.MessageBatch) {
	now := d.Now()
	if until.Sub(now) > maxDelay*time.Second-2*lateness {
		return until.Add(-heldSoon), nil
	}
	if now.After(until) {
		until = now
	}
	return until.Add(heldLost), []worker.MessageBatch{d.heldBatch(tenant, integration, until)}
}

func (d *Store) heldBatch(tenant, integration string, due time.Time) worker.MessageBatch {
	return worker.MessageBatch{Tenant: tenant, Integration: integration, IDs: []string{allHeld}, Due: due}
}

// markHeld sees to it that somebody lets go deliveries that are held and whose rows are written. It returns the
// messages of what is let go soon.
func (d *Store) markHeld(ctx context.Context, held []delivery.Delivery) (out []worker.MessageBatch, err error) {
	type first struct {
		since string
		until time.Time
	}
	var lanes []delivery.Lane
	of := map[delivery.Lane]first{}
	for _, v := range held {
		l := delivery.Lane{Tenant: v.Tenant, Integration: v.Integration}
		f, ok := of[l]
		if !ok {
			lanes, f = append(lanes, l), first{v.ID, v.Due}
		}
		f.since = min(f.since, v.ID)
		if v.Due.Before(f.until) {
			f.until = v.Due
		}
		of[l] = f
	}
	for _, l := range lanes {
		at, message := d.lookAt(l.Tenant, l.Integration, of[l].until)
		fresh, err := d.Outbox().MarkHeld(ctx, l.Tenant, l.Integration, of[l].since, at)
		if err != nil {
			return nil, err
		}
		if fresh {
			out = append(out, message...)
		}
	}
	return out, nil
}

// LookHeld has what is held let go: its marker is due.
func (d *Store) LookHeld(ctx context.Context, m outbox.Marker) error {
	if err := d.Enqueue(ctx, []worker.MessageBatch{d.heldBatch(m.Tenant, m.Integration, time.Time{})}, 0); err != nil {
		return err
	}
	return d.Outbox().PostponeHeld(ctx, m)
}

// rulesShow is after how long every fan-out goes by rules that were changed: what one made of the old ones is let go
// then.
const rulesShow = 2 * time.Minute

// Reconsider has what is held for an integration let go where its rules hold it no more, and put off where they hold it
// for longer.
func (d *Store) Reconsider(ctx context.Context, tenant, integration string) error {
	now := d.heldBatch(tenant, integration, time.Time{})
	again := d.heldBatch(tenant, integration, d.Now().Add(rulesShow))
	if err := d.Enqueue(ctx, []worker.MessageBatch{now, again}, 0); err != nil {
		return fmt.Errorf("look anew at what is held for integration %s: %w", integration, err)
	}
	return nil
}

// letGoTries is how often what is held is looked at again because others changed it too.
const letGoTries = 6

// letGo lets go what is not held any more.
func (d *Store) letGo(ctx context.Context, tenant, integration string) error {
	marker, found, err := d.Outbox().OpenHeld(ctx, tenant, integration)
	if err != nil || !found {
		return err
	}
	holding, err := delivery.HoldingOf(ctx, d.Holder, tenant, integration)
	if err != nil {
		return fmt.Errorf("read what holds it: %w", err)
	}
	g := letting{Store: d, tenant: tenant, integration: integration, marker: marker}
	for range letGoTries {
		if err := g.read(ctx); err != nil {
			return err
		}
		to := holding.LetGo(g.held, d.Now(), func(v delivery.Delivery) int { return g.by[v.ID].Size })
		if len(to.Off)+len(to.Alone)+len(to.Merged) > 0 {
			if err := g.write(ctx, to); err != nil {
				return err
			}
			continue // what is there now is what was done, whose answers were lost too
		}
		if err := g.send(ctx); err != nil {
			return err
		}
		var next time.Time
		if !to.Next.IsZero() {
			var message []worker.MessageBatch
			next, message = d.lookAt(tenant, integration, to.Next)
			if err := d.Enqueue(ctx, message, 0); err != nil {
				return err
			}
		}
		return d.Outbox().CloseHeld(ctx, marker, next)
	}
	return errMerging
}

// letting lets go what was held for one integration.
type letting struct {
	*Store
	tenant, integration string
	marker              outbox.Marker
	held                []delivery.Delivery // oldest first
	by                  map[string]windowedRow
	loose               []delivery.Delivery // what was let go under the marker's name and was not sent yet
}

func (g *letting) read(ctx context.Context) error {
	g.held, g.by, g.loose = nil, map[string]windowedRow{}, nil
	in := heldRows(&g.Tables.Deliveries, g.tenant, g.integration, g.marker.Since)
	return g.Each(ctx, in, 1<<62, func(r table.Item) (bool, error) {
		v, err := ReadRow(r)
		if err != nil {
			return false, err
		}
		switch {
		case !v.Due.IsZero():
			g.held = append(g.held, v)
			g.by[v.ID] = windowedRow{Windowed: delivery.Windowed{ID: v.ID, Count: v.Count,
				Size: int(table.NumberOf(r, "size")), Digest: v.Digest}, events: table.TextsOf(r, "events"),
				kinds: table.TextsOf(r, "kinds"), intakes: table.TextsOf(r, "intakes")}
		case table.TextOf(r, "go") == g.marker.Opened:
			g.loose = append(g.loose, v)
		}
		return true, nil
	})
}

// heldRows asks for rows of deliveries that are pending and are or were held, from an id on, oldest first.
func heldRows(name *string, tenant, integration, since string) *dynamodb.QueryInput {
	in := table.Between("lane", table.LaneKey(tenant, integration), since, delivery.GreatestID)
	in.TableName, in.ConsistentRead = name, awssdk.Bool(true)
	in.FilterExpression = awssdk.String("attribute_exists(held) AND #state = :pending")
	in.ExpressionAttributeNames["#state"] = "state"
	in.ExpressionAttributeValues[":pending"] = table.Text(string(delivery.Pending))
	return in
}

// write makes the changes. Those that come too late change nothing.
func (g *letting) write(ctx context.Context, to delivery.LetGo) error {
	var statements []types.BatchStatementRequest
	statement := func(v delivery.Delivery, change string, parameters ...types.AttributeValue) {
		was := g.was(v.ID)
		statements = append(statements, types.BatchStatementRequest{
			Statement: awssdk.String(`UPDATE "` + g.Tables.Deliveries + `"` + change +
				` WHERE "lane" = ? AND "id" = ? AND "state" = ? AND "due" = ?`),
			Parameters: append(parameters, table.Text(table.LaneKey(g.tenant, g.integration)), table.Text(v.ID),
				table.Text(string(delivery.Pending)), table.Number(was.Due.UnixNano())),
		})
	}
	for _, v := range to.Off {
		held, err := heldText(*v.Held)
		if err != nil {
			return err
		}
		statement(v, ` SET "held" = ? SET "due" = ?`, held, table.Number(v.Due.UnixNano()))
	}
	for _, v := range to.Alone {
		held, err := heldText(*v.Held)
		if err != nil {
			return err
		}
		statement(v, ` SET "held" = ? SET "go" = ? REMOVE "due"`, held, table.Text(g.marker.Opened))
	}
	if _, err := table.ExecuteAll(ctx, g.DB, statements); err != nil {
		return fmt.Errorf("change %d deliveries that are held: %w", len(statements), err)
	}
	for _, whole := range to.Merged {
		for _, group := range fitting(whole, g.by) {
			group[0].Digest, group[0].Held = whole[0].Digest, whole[0].Held
			if err := g.merge(ctx, group); err != nil {
				return fmt.Errorf("merge %d deliveries that were held: %w", len(group), err)
			}
		}
	}
	return nil
}

func (g *letting) was(id string) delivery.Delivery {
	n, _ := slices.BinarySearchFunc(g.held, id, func(v delivery.Delivery, id string) int {
		switch {
		case v.ID < id:
			return -1
		case v.ID > id:
			return 1
		}
		return 0
	})
	return g.held[n]
}

// heldMerge is how many rows one transaction marks as merged beside the row that carries their events.
const heldMerge = table.TransactLimit - 1

// merge lets the first of a group carry the events of all, as many in each transaction as it takes; the last one lets
// it go. Each row must have as many events as were read: so none is merged twice, or after it took in others.
func (g *letting) merge(ctx context.Context, group []windowedRow) error {
	first, rest := group[0], group[1:]
	held, err := heldText(*first.Held)
	if err != nil {
		return err
	}
	for {
		n := min(len(rest), heldMerge)
		count := first.Count
		var events, intakes []string
		var writes []types.TransactWriteItem
		for _, r := range rest[:n] {
			events, intakes = append(events, r.events...), append(intakes, r.intakes...)
			first.Count, first.Size = first.Count+r.Count, first.Size+r.Size
			for _, k := range r.kinds {
				if !slices.Contains(first.kinds, k) {
					first.kinds = append(first.kinds, k)
				}
			}
			writes = append(writes, g.update(r.ID, r.Count, "SET #state = :merged, #into = :into REMOVE due",
				map[string]string{"#into": "into"},
				table.Item{":merged": table.Text(stateMerged), ":into": table.Text(first.ID)}))
		}
		expression := "SET #events = list_append(#events, :events), intakes = list_append(intakes, :intakes), " +
			"#count = :now, #size = :size, kinds = :kinds"
		names := map[string]string{"#events": "events", "#size": "size"}
		values := table.Item{":events": table.Texts(events), ":intakes": table.Texts(intakes),
			":now": table.Number(first.Count), ":size": table.Number(first.Size), ":kinds": table.Texts(first.kinds)}
		if first.Digest != "" {
			expression += ", digest = :digest"
			values[":digest"] = table.Text(first.Digest)
		}
		if rest = rest[n:]; len(rest) == 0 {
			expression += ", held = :held, #go = :go REMOVE due"
			names["#go"], values[":go"], values[":held"] = "go", table.Text(g.marker.Opened), held
		}
		unmet, err := table.Transact(ctx, g.DB,
			append(writes, g.update(first.ID, count, expression, names, values)), "")
		if err != nil || len(unmet) > 0 || len(rest) == 0 {
			return err // where one is not as it was read, all is read again
		}
	}
}

func (g *letting) update(id string, count int, expression string, names map[string]string,
	values table.Item) types.TransactWriteItem {
	names["#state"], names["#count"] = "state", "count"
	values[":pending"], values[":count"] = table.Text(string(delivery.Pending)), table.Number(count)
	return types.TransactWriteItem{Update: &types.Update{
		TableName: &g.Tables.Deliveries, Key: Key(g.tenant, g.integration, id),
		ConditionExpression: awssdk.String("#state = :pending AND attribute_exists(due) AND #count = :count"),
		UpdateExpression:    &expression, ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	}}
}

// send sends the messages of all that was let go. Their markers stay until they are pending no more, as an intake's
// does.
func (g *letting) send(ctx context.Context) error {
	list := messageBatches(g.loose)
	if len(list) == 0 {
		return nil
	}
	if err := g.Outbox().MarkBatches(ctx, list); err != nil {
		return fmt.Errorf("mark %d deliveries that were held: %w", len(g.loose), err)
	}
	return g.Enqueue(ctx, list, 0)
}

// countHeld counts what is held for integrations, up to a limit for each.
func (d *Store) countHeld(ctx context.Context, tenant string, integrations []string, limit int,
	out []integration.Waiting) error {
	markers, err := d.Outbox().HeldMarkers(ctx, tenant, integrations)
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(atOnce)
	for n, id := range integrations {
		m, found := markers[id]
		if !found {
			continue
		}
		work.Go(func() error {
			err := d.Each(ctx, heldRows(&d.Tables.Deliveries, tenant, id, m.Since), table.ScanLimit,
				func(r table.Item) (bool, error) {
					due := table.Instant(table.NumberOf(r, "due"))
					if due.IsZero() {
						return true, nil
					}
					if out[n].Held++; out[n].HeldUntil.IsZero() || due.Before(out[n].HeldUntil) {
						out[n].HeldUntil = due
					}
					return out[n].Held < limit, nil
				})
			if err != nil {
				return fmt.Errorf("count what is held for integration %s: %w", id, err)
			}
			return nil
		})
	}
	return work.Wait()
}
