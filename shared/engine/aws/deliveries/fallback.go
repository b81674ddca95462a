package deliveries

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/worker"
)

// fallBack writes a delivery that died and the one that was made of it, with a marker of the outbox, in one
// transaction; then it makes the new one ready, which the sweeper does where that fails. ended reports whether the dead
// one waits nowhere any more: then nothing was written.
func (d *Store) fallBack(ctx context.Context, v delivery.Delivery) (ended bool, err error) {
	made := *v.Fallback.Made
	intakes, err := d.heldWith(ctx, v, made)
	if err != nil {
		return false, err
	}
	row, err := d.write(made, intakes, d.DeliveriesExpire(ctx, made.Tenant))
	if err != nil {
		return false, err
	}
	end, err := d.end(v)
	if err != nil {
		return false, err
	}
	mark, err := d.Outbox().Fallback(worker.MessageBatch{Tenant: made.Tenant, Integration: made.Integration,
		IDs: []string{made.ID}}, made.Due)
	if err != nil {
		return false, err
	}
	put := types.TransactWriteItem{Put: &types.Put{TableName: &d.Tables.Deliveries, Item: row,
		ConditionExpression:      awssdk.String("attribute_not_exists(#id)"),
		ExpressionAttributeNames: map[string]string{"#id": "id"}}}
	marker := types.TransactWriteItem{Put: &types.Put{TableName: &mark.Table, Item: mark.Item}}
	unmet, err := table.Transact(ctx, d.DB, []types.TransactWriteItem{end, put, marker}, "")
	if err == nil && slices.Equal(unmet, []int{1}) { // it was made before: the death alone is new
		unmet, err = table.Transact(ctx, d.DB, []types.TransactWriteItem{end}, "")
		return len(unmet) > 0, err
	}
	if err != nil || len(unmet) > 0 {
		return len(unmet) > 0, err
	}
	if err := d.Send(ctx, []delivery.Delivery{made}, true); err != nil {
		d.Logger().Error("a delivery by fallback is not ready: the sweeper sends it", "tenant", made.Tenant,
			"integration", made.Integration, "delivery", made.ID, "error", err.Error())
	}
	return false, nil
}

// heldWith are the intakes that hold the events of a delivery that is made of a dead one. One that is held can wait for
// longer than the intakes of the dead one are kept: it has its events in one of its own, which is written first.
func (d *Store) heldWith(ctx context.Context, dead, made delivery.Delivery) ([]string, error) {
	of, err := d.intakesOf(ctx, dead)
	if err != nil || made.Held == nil {
		return of, err
	}
	if err := d.Intakes().Keep(ctx, made); err != nil {
		return nil, err
	}
	return append(of, made.ID), nil
}

// intakesOf are those that hold the events of a delivery.
func (d *Store) intakesOf(ctx context.Context, v delivery.Delivery) ([]string, error) {
	rows, err := table.GetAll(ctx, d.DB, d.Tables.Deliveries, []table.Item{Key(v.Tenant, v.Integration, v.ID)}, true,
		"lane", "id", "intakes")
	if err != nil {
		return nil, fmt.Errorf("read which intakes delivery %s is of: %w", v.ID, err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return table.TextsOf(rows[0], "intakes"), nil
}

// end is the write of a delivery's death.
func (d *Store) end(v delivery.Delivery) (types.TransactWriteItem, error) {
	changes, err := d.changes(v)
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	u := &types.Update{TableName: &d.Tables.Deliveries, Key: Key(v.Tenant, v.Integration, v.ID),
		ConditionExpression:      awssdk.String("#state IN (:pending, :retrying)"),
		ExpressionAttributeNames: map[string]string{"#state": "state"},
		ExpressionAttributeValues: table.Item{":pending": table.Text(string(delivery.Pending)),
			":retrying": table.Text(string(delivery.Retrying))}}
	expression := table.Update(changes, u.ExpressionAttributeNames, u.ExpressionAttributeValues)
	u.UpdateExpression = &expression
	return types.TransactWriteItem{Update: u}, nil
}

// fellBack reports whether a delivery that died made one for a fallback.
func fellBack(v delivery.Delivery) bool { return v.Fallback != nil && v.Fallback.Made != nil }

// addFallback adds where a delivery's events went to what changes of its row.
func addFallback(c table.Item, v delivery.Delivery) error {
	if v.Fallback == nil {
		return nil
	}
	raw, err := json.Marshal(v.Fallback)
	if err != nil {
		return fmt.Errorf("write the fallback of delivery %s: %w", v.ID, err)
	}
	c["fallback"] = table.Text(string(raw))
	return nil
}

// addFrom adds where a delivery's events came from to its row.
func addFrom(row table.Item, v delivery.Delivery) error {
	if v.From == nil {
		return nil
	}
	raw, err := json.Marshal(v.From)
	if err != nil {
		return fmt.Errorf("write whose fallback delivery %s is: %w", v.ID, err)
	}
	row["came_from"] = table.Text(string(raw))
	return nil
}

// readFallback is the reverse of both.
func readFallback(row table.Item, v *delivery.Delivery) error {
	if raw := table.TextOf(row, "fallback"); raw != "" {
		if err := json.Unmarshal([]byte(raw), &v.Fallback); err != nil {
			return fmt.Errorf("the fallback of delivery %s is damaged: %w", v.ID, err)
		}
	}
	if raw := table.TextOf(row, "came_from"); raw != "" {
		if err := json.Unmarshal([]byte(raw), &v.From); err != nil {
			return fmt.Errorf("whose fallback delivery %s is is damaged: %w", v.ID, err)
		}
	}
	return nil
}
