package aws

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

	"tocsin/shared/fanout"
)

// claimRow is the row of an event's key: it makes an event count once. It names the intake that claimed the event;
// the event was accepted when that intake is committed. Rows of version 1 have no intake: there the event itself was
// in its row, and accepted with it.
type claimRow struct {
	Event   string `dynamodbav:"event"` // see eventKey
	Intake  string `dynamodbav:"intake,omitempty"`
	Since   int64  `dynamodbav:"since"` // of the claim, epoch seconds
	Version int    `dynamodbav:"v"`
	Expires int64  `dynamodbav:"expires"`
}

// claimFor is how long a claim holds whose intake is neither committed nor aborted: its function is at work that long
// at most (the timeout of FanoutFunction in template.yaml), or it ended.
const claimFor = time.Minute

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
	return nanos(max(0, oldest.UnixNano())) + "-" + hex.EncodeToString(sum.Sum(nil)[:8]) + "-" +
		hex.EncodeToString(try[:])
}

// byTenant groups the places of events by tenant, in the order of their first ones.
func byTenant(events []fanout.Accepted) (tenants []string, places map[string][]int) {
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
func (d *Deliveries) Begin(ctx context.Context, events []fanout.Accepted) ([]fanout.Standing, error) {
	out := make([]fanout.Standing, len(events))
	tenants, places := byTenant(events)
	for _, tenant := range tenants {
		mine := make([]fanout.Accepted, len(places[tenant]))
		for k, n := range places[tenant] {
			mine[k] = events[n]
		}
		intake := newIntake(mine)
		standings, err := d.claim(ctx, tenant, intake, mine)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("claim %d events of tenant %s: %w", len(mine), tenant, err),
				d.Abort(context.WithoutCancel(ctx), append(claimed(tenant, intake), events...)))
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

func (d *Deliveries) claim(
	ctx context.Context, tenant, intake string, events []fanout.Accepted,
) ([]fanout.Standing, error) {
	rows := make([]item, len(events))
	for n, a := range events {
		row, err := marshal(claimRow{Event: eventKey(tenant, a.Event.ID), Intake: intake, Since: d.Now().Unix(),
			Version: 2,
			Expires: d.expires()})
		if err != nil {
			return nil, err
		}
		rows[n] = row
	}
	exists, err := insertAll(ctx, d.DB, d.Tables.Events, rows)
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
	return out, d.contest(ctx, tenant, intake, events, contested, out)
}

// contest finds how events stand that have a row already, and takes over the claims of intakes that came to nothing.
func (d *Deliveries) contest(
	ctx context.Context, tenant, intake string, events []fanout.Accepted, contested []int, out []fanout.Standing,
) error {
	place := make(map[string]int, len(contested))
	keys := make([]item, len(contested))
	for k, n := range contested {
		key := eventKey(tenant, events[n].Event.ID)
		place[key], keys[k] = n, item{"event": text(key)}
		out[n] = fanout.Busy // should its row be gone meanwhile
	}
	found, err := getAll(ctx, d.DB, d.Tables.Events, keys, true, "event", "intake", "since", "v", "expires")
	if err != nil {
		return err
	}
	now := d.Now()
	var takeovers []claimRow
	fates := fates{}
	for _, i := range found {
		row, err := unmarshal[claimRow](i)
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
			fate, err := d.fate(ctx, tenant, row, fates)
			if err != nil {
				return err
			}
			switch fate {
			case committed:
				out[n] = fanout.Known
			case aborted:
				takeovers = append(takeovers, row)
			}
		}
	}
	return d.takeOver(ctx, intake, takeovers, place, out)
}

// takeOver claims events whose claim is of no account any more.
func (d *Deliveries) takeOver(
	ctx context.Context, intake string, rows []claimRow, place map[string]int, out []fanout.Standing,
) error {
	statements := make([]types.BatchStatementRequest, len(rows))
	for k, row := range rows {
		condition := "intake = ?"
		parameters := []types.AttributeValue{text(intake), number(d.Now().Unix()), number(2), number(d.expires()),
			text(row.Event), number(row.Expires)}
		if row.Intake == "" {
			condition = "intake IS MISSING"
		} else {
			parameters = append(parameters, text(row.Intake))
		}
		statements[k] = types.BatchStatementRequest{Parameters: parameters, Statement: awssdk.String(
			`UPDATE "` + d.Tables.Events + `" SET intake = ? SET since = ? SET v = ? SET expires = ?
				WHERE event = ? AND expires = ? AND ` + condition)}
	}
	unmet, err := executeAll(ctx, d.DB, statements)
	if err != nil {
		return err
	}
	var keys []item
	for k, row := range rows {
		if !unmet[k] {
			out[place[row.Event]] = fanout.Fresh
		} else {
			keys = append(keys, item{"event": text(row.Event)})
		}
	}
	// A call whose answer was lost is made again, and finds its own effect: what is ours must be in our intake.
	found, err := getAll(ctx, d.DB, d.Tables.Events, keys, true, "event", "intake")
	for _, row := range found {
		if textOf(row, "intake") == intake {
			out[place[textOf(row, "event")]] = fanout.Fresh
		}
	}
	return err
}

// fate of an intake.
type fate int

const (
	undecided fate = iota // its function may be at work still
	committed
	aborted
)

// fates remembers those of one call.
type fates map[string]fate

// fate tells what became of the intake that a claim names. One that is undecided for too long is aborted.
func (d *Deliveries) fate(ctx context.Context, tenant string, row claimRow, known fates) (fate, error) {
	if f, ok := known[row.Intake]; ok && f != undecided {
		return f, nil
	}
	f, err := d.decided(ctx, tenant, row.Intake)
	if err == nil && f == undecided && row.Since <= d.Now().Add(-claimFor).Unix() {
		f, err = d.abort(ctx, tenant, row.Intake)
	}
	if err != nil {
		return undecided, err
	}
	known[row.Intake] = f
	return f, nil
}

func (d *Deliveries) decided(ctx context.Context, tenant, intake string) (fate, error) {
	out, err := d.DB.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &d.Tables.Intakes, Key: intakeKey(tenant, intake), ConsistentRead: awssdk.Bool(true),
		ProjectionExpression: awssdk.String("intake, aborted"),
	})
	if err != nil {
		return undecided, fmt.Errorf("look intake %s of tenant %s up: %w", intake, tenant, err)
	}
	return fateOf(out.Item), nil
}

func fateOf(row item) fate {
	switch _, tombstone := row["aborted"]; {
	case row == nil:
		return undecided
	case tombstone:
		return aborted
	}
	return committed
}

// abort puts a tombstone in the place of an intake that is not committed: from then on it can not be. An intake that is
// committed already stays.
func (d *Deliveries) abort(ctx context.Context, tenant, intake string) (fate, error) {
	row, err := marshal(intakeRow{Intake: intakeID(tenant, intake), Aborted: true, Version: 2, Expires: d.outlives()})
	if err != nil {
		return undecided, err
	}
	there, err := putNew(ctx, d.DB, d.Tables.Intakes, "intake", row)
	if err != nil {
		return undecided, fmt.Errorf("abort intake %s of tenant %s: %w", intake, tenant, err)
	}
	if there != nil {
		return fateOf(there), nil
	}
	return aborted, nil
}

// Abort aborts the intakes of events.
func (d *Deliveries) Abort(ctx context.Context, events []fanout.Accepted) error {
	done := map[string]bool{}
	var wrong []error
	for _, a := range events {
		if a.Intake == "" || done[a.Intake] {
			continue
		}
		done[a.Intake] = true
		_, err := d.abort(ctx, a.Event.Tenant, a.Intake)
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

// putNew writes a row unless there is one with its key, which it returns then.
func putNew(ctx context.Context, db *dynamodb.Client, table, key string, row item) (there item, err error) {
	_, err = db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &table, Item: row, ConditionExpression: awssdk.String("attribute_not_exists(#key)"),
		ExpressionAttributeNames:            map[string]string{"#key": key},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var unmet *types.ConditionalCheckFailedException
	if errors.As(err, &unmet) {
		return unmet.Item, nil
	}
	return nil, err
}
