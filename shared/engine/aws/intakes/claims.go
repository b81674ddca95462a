package intakes

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/fanout"
)

// claimRow is the row of an event's key: it makes an event count once. It names the intake that claimed the event;
// the event was accepted when that intake is committed. Rows of version 1 have no intake: there the event itself was
// in its row, and accepted with it.
//
//tocsin:table EventsTable
type claimRow struct {
	Event   string `dynamodbav:"event"` // see eventKey
	Intake  string `dynamodbav:"intake,omitempty"`
	Since   int64  `dynamodbav:"since"` // of the claim, epoch seconds
	Version int    `dynamodbav:"v"`
	Expires int64  `dynamodbav:"expires"`
}

// ClaimFor is how long a claim holds whose intake is neither committed nor aborted: its function is at work that long
// at most (the timeout of FanoutFunction in template.yaml), or it ended.
const ClaimFor = time.Minute

// newIntake is an id of an intake: it sorts by the time of the oldest event, and is another for each try, so that a
// try never waits for the claims of an earlier one.
func newIntake(events []fanout.Accepted) string {
	oldest, sum := events[0].Entry.At, sha256.New()
	for _, a := range events {
		if a.Entry.At.Before(oldest) {
			oldest = a.Entry.At
		}
		sum.Write([]byte(a.Event.ID + "\x00"))
	}
	var try [4]byte
	_, _ = rand.Read(try[:]) // it never fails
	return table.Nanos(max(0, oldest.UnixNano())) + "-" + hex.EncodeToString(sum.Sum(nil)[:8]) + "-" +
		hex.EncodeToString(try[:])
}

// ByTenant groups the places of events by tenant, in the order of their first ones.
func ByTenant(events []fanout.Accepted) (tenants []string, places map[string][]int) {
	places = map[string][]int{}
	for n, a := range events {
		if places[a.Event.Tenant] == nil {
			tenants = append(tenants, a.Event.Tenant)
		}
		places[a.Event.Tenant] = append(places[a.Event.Tenant], n)
	}
	return tenants, places
}

// Begin claims events, those of each tenant for an intake of its own: an event is claimed by inserting the row of its
// key.
func (t *Store) Begin(ctx context.Context, events []fanout.Accepted) ([]fanout.Standing, error) {
	out := make([]fanout.Standing, len(events))
	tenants, places := ByTenant(events)
	for _, tenant := range tenants {
		mine := make([]fanout.Accepted, len(places[tenant]))
		for k, n := range places[tenant] {
			mine[k] = events[n]
		}
		intake := newIntake(mine)
		standings, err := t.claim(ctx, tenant, intake, mine)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("claim %d events of tenant %s: %w", len(mine), tenant, err),
				t.Abort(context.WithoutCancel(ctx), append(claimed(tenant, intake), events...)))
		}
		for k, n := range places[tenant] {
			if out[n] = standings[k]; standings[k] == fanout.Fresh {
				events[n].Intake = intake
			}
		}
	}
	return out, nil
}

// claimed stands for what an intake has claimed.
func claimed(tenant, intake string) []fanout.Accepted {
	a := fanout.Accepted{Intake: intake}
	a.Event.Tenant = tenant
	return []fanout.Accepted{a}
}

func (t *Store) claim(
	ctx context.Context, tenant, intake string, events []fanout.Accepted,
) ([]fanout.Standing, error) {
	rows := make([]table.Item, len(events))
	expires := t.EventsExpire(ctx, tenant)
	for n, a := range events {
		row, err := table.Marshal(claimRow{Event: EventKey(tenant, a.Event.ID), Intake: intake, Since: t.Now().Unix(),
			Version: 2, Expires: expires})
		if err != nil {
			return nil, err
		}
		rows[n] = row
	}
	exists, err := table.InsertAll(ctx, t.DB, t.Tables.Events, rows)
	if err != nil {
		return nil, err
	}
	out := make([]fanout.Standing, len(events))
	var contested []int
	for n := range exists {
		if exists[n] {
			contested = append(contested, n)
		}
	}
	if len(contested) == 0 {
		return out, nil
	}
	return out, t.contest(ctx, tenant, intake, events, contested, out)
}

// contest finds how events stand that have a row already, and takes over the claims of intakes that came to nothing.
func (t *Store) contest(
	ctx context.Context, tenant, intake string, events []fanout.Accepted, contested []int, out []fanout.Standing,
) error {
	place := make(map[string]int, len(contested))
	keys := make([]table.Item, len(contested))
	for k, n := range contested {
		key := EventKey(tenant, events[n].Event.ID)
		place[key], keys[k] = n, table.Item{"event": table.Text(key)}
		out[n] = fanout.Busy // should its row be gone meanwhile
	}
	found, err := table.GetAll(ctx, t.DB, t.Tables.Events, keys, true, "event", "intake", "since", "v", "expires")
	if err != nil {
		return err
	}
	now := t.Now()
	var takeovers []claimRow
	fates := fates{}
	for _, i := range found {
		row, err := table.Unmarshal[claimRow](i)
		if err != nil {
			return err
		}
		n := place[row.Event]
		switch {
		case row.Intake == intake:
			out[n] = fanout.Fresh // our own call, whose answer was lost
		case row.Expires <= now.Unix():
			takeovers = append(takeovers, row)
		case row.Intake == "":
			out[n] = fanout.Known
		default:
			fate, err := t.fate(ctx, tenant, row, fates)
			if err != nil {
				return err
			}
			switch fate {
			case committed:
				out[n] = fanout.Known
			case Aborted:
				takeovers = append(takeovers, row)
			}
		}
	}
	return t.takeOver(ctx, tenant, intake, takeovers, place, out)
}

// takeOver claims events whose claim is of no account any more.
func (t *Store) takeOver(
	ctx context.Context, tenant, intake string, rows []claimRow, place map[string]int, out []fanout.Standing,
) error {
	statements := make([]types.BatchStatementRequest, len(rows))
	expires := t.EventsExpire(ctx, tenant)
	for k, row := range rows {
		condition := "intake = ?"
		parameters := []types.AttributeValue{table.Text(intake), table.Number(t.Now().Unix()), table.Number(2),
			table.Number(expires), table.Text(row.Event), table.Number(row.Expires)}
		if row.Intake == "" {
			condition = "intake IS MISSING"
		} else {
			parameters = append(parameters, table.Text(row.Intake))
		}
		statements[k] = types.BatchStatementRequest{Parameters: parameters, Statement: awssdk.String(
			`UPDATE "` + t.Tables.Events + `" SET intake = ? SET since = ? SET v = ? SET expires = ?
				WHERE event = ? AND expires = ? AND ` + condition)}
	}
	unmet, err := table.ExecuteAll(ctx, t.DB, statements)
	if err != nil {
		return err
	}
	var keys []table.Item
	for k, row := range rows {
		if !unmet[k] {
			out[place[row.Event]] = fanout.Fresh
		} else {
			keys = append(keys, table.Item{"event": table.Text(row.Event)})
		}
	}
	// A call whose answer was lost is made again, and finds its own effect: what is ours must be in our intake.
	found, err := table.GetAll(ctx, t.DB, t.Tables.Events, keys, true, "event", "intake")
	for _, row := range found {
		if table.TextOf(row, "intake") == intake {
			out[place[table.TextOf(row, "event")]] = fanout.Fresh
		}
	}
	return err
}

// fate of an intake.
type fate int

const (
	Undecided fate = iota // its function may be at work still
	committed
	Aborted
)

// fates remembers those of one call.
type fates map[string]fate

// fate tells what became of the intake that a claim names. One that is undecided for too long is aborted.
func (t *Store) fate(ctx context.Context, tenant string, row claimRow, known fates) (fate, error) {
	if f, ok := known[row.Intake]; ok && f != Undecided {
		return f, nil
	}
	f, err := t.Decided(ctx, tenant, row.Intake)
	if err == nil && f == Undecided && row.Since <= t.Now().Add(-ClaimFor).Unix() {
		f, err = t.Tombstone(ctx, tenant, row.Intake)
	}
	if err != nil {
		return Undecided, err
	}
	known[row.Intake] = f
	return f, nil
}

func (t *Store) Decided(ctx context.Context, tenant, intake string) (fate, error) {
	out, err := t.DB.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.Tables.Intakes, Key: intakeKey(tenant, intake), ConsistentRead: awssdk.Bool(true),
		ProjectionExpression: awssdk.String("intake, aborted"),
	})
	if err != nil {
		return Undecided, fmt.Errorf("look intake %s of tenant %s up: %w", intake, tenant, err)
	}
	return fateOf(out.Item), nil
}

func fateOf(row table.Item) fate {
	switch _, tombstone := row["aborted"]; {
	case row == nil:
		return Undecided
	case tombstone:
		return Aborted
	}
	return committed
}

// Tombstone puts a tombstone in the place of an intake that is not committed: from then on it can not be. An intake
// that is committed already stays.
func (t *Store) Tombstone(ctx context.Context, tenant, intake string) (fate, error) {
	row, err := table.Marshal(intakeRow{Intake: ID(tenant, intake), Aborted: true, Version: 2,
		Expires: outlives(Intake{}, t.Expires())})
	if err != nil {
		return Undecided, err
	}
	there, err := table.PutNew(ctx, t.DB, t.Tables.Intakes, "intake", row)
	if err != nil {
		return Undecided, fmt.Errorf("abort intake %s of tenant %s: %w", intake, tenant, err)
	}
	if there != nil {
		return fateOf(there), nil
	}
	return Aborted, nil
}

// Abort aborts the intakes of events.
func (t *Store) Abort(ctx context.Context, events []fanout.Accepted) error {
	done := map[string]bool{}
	var wrong []error
	for _, a := range events {
		if a.Intake == "" || done[a.Intake] {
			continue
		}
		done[a.Intake] = true
		_, err := t.Tombstone(ctx, a.Event.Tenant, a.Intake)
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

func (claimRow) Newest() int64 { return 2 }
