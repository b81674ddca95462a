package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/delivery"
)

// rowOverhead is a delivery's row without its attempts, in bytes: a bound for the size of a transaction.
const rowOverhead = 2 << 10

// Settle writes outcomes, as many in a transaction as one takes: at most 100 deliveries are all written or none.
func (d *Deliveries) Settle(ctx context.Context, deliveries []delivery.Delivery) error {
	for len(deliveries) > 0 {
		writes, err := d.outcomes(deliveries, "#state IN (:pending, :retrying)", item{
			":pending": text(string(delivery.Pending)), ":retrying": text(string(delivery.Retrying)),
		}, transactLimit)
		if err != nil {
			return err
		}
		unmet, err := transact(ctx, d.DB, writes, "")
		if err != nil {
			return fmt.Errorf("settle %d deliveries: %w", len(writes), err)
		}
		if len(unmet) > 0 {
			return fmt.Errorf("settle delivery %s: %w", deliveries[unmet[0]].ID, delivery.ErrNotFound)
		}
		deliveries = deliveries[len(writes):]
	}
	return nil
}

// outcomes are the updates of as many deliveries as a transaction takes.
func (d *Deliveries) outcomes(deliveries []delivery.Delivery, condition string, values item, limit int) ([]types.TransactWriteItem, error) {
	var out []types.TransactWriteItem
	size := 0
	for _, v := range deliveries {
		changes, err := d.changes(v)
		if err != nil {
			return nil, err
		}
		for _, name := range []string{"attempts", "parts"} {
			if a, ok := changes[name].(*types.AttributeValueMemberB); ok {
				size += len(a.Value)
			}
		}
		if size += rowOverhead; len(out) == limit || len(out) > 0 && size > transactBytes {
			break
		}
		u := &types.Update{
			TableName: &d.Tables.Deliveries, Key: deliveryKey(v.Tenant, v.Integration, v.ID), ConditionExpression: &condition,
			ExpressionAttributeNames: map[string]string{"#state": "state"}, ExpressionAttributeValues: item{},
		}
		for k, value := range values {
			u.ExpressionAttributeValues[k] = value
		}
		expression := update(changes, u.ExpressionAttributeNames, u.ExpressionAttributeValues)
		u.UpdateExpression = &expression
		out = append(out, types.TransactWriteItem{Update: u})
	}
	return out, nil
}

// update is the expression that sets and removes attributes; it adds to names and values.
func update(changes item, names map[string]string, values item) string {
	var set, remove []string
	attributes := make([]string, 0, len(changes))
	for name := range changes {
		attributes = append(attributes, name)
	}
	slices.Sort(attributes)
	for _, name := range attributes {
		names["#"+name] = name
		if value := changes[name]; value != nil {
			values[":n_"+name] = value
			set = append(set, "#"+name+" = :n_"+name)
		} else {
			remove = append(remove, "#"+name)
		}
	}
	expression := "SET " + strings.Join(set, ", ")
	if len(remove) > 0 {
		expression += " REMOVE " + strings.Join(remove, ", ")
	}
	return expression
}

// Claim writes a batch's record and moves its members into it, in one transaction. Members that are pending no more
// are left out and the rest is tried again.
func (d *Deliveries) Claim(ctx context.Context, batch string, deliveries []delivery.Delivery) (claimed int, err error) {
	rest := slices.Clone(deliveries)
	for len(rest) > 0 {
		writes, err := d.outcomes(rest, "#state = :pending", item{":pending": text(string(delivery.Pending))}, delivery.ParcelLimit)
		if err != nil {
			return 0, err
		}
		if len(writes) < len(rest) {
			return 0, fmt.Errorf("claim batch %s: %d deliveries do not fit in one transaction", batch, len(rest))
		}
		members := make([]string, len(rest))
		for n, v := range rest {
			members[n] = v.ID
		}
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &d.Tables.Batches, Item: item{
			"batch": text(batch), "tenant": text(rest[0].Tenant), "integration": text(rest[0].Integration),
			"members": texts(members), "expires": number(d.expires()),
		}}})
		unmet, err := transact(ctx, d.DB, writes, "")
		if err != nil {
			return 0, fmt.Errorf("claim batch %s: %w", batch, err)
		}
		if len(unmet) == 0 {
			return len(rest), nil
		}
		for _, n := range slices.Backward(unmet) {
			rest = slices.Delete(rest, n, n+1)
		}
	}
	return 0, nil
}

// Batch reads a batch's record.
func (d *Deliveries) Batch(ctx context.Context, id string) (delivery.Parcel, error) {
	out, err := d.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &d.Tables.Batches, Key: item{"batch": text(id)}, ConsistentRead: awssdk.Bool(true)})
	if err != nil {
		return delivery.Parcel{}, fmt.Errorf("read retry batch %s: %w", id, err)
	}
	if out.Item == nil || expired(out.Item, d.Now()) {
		return delivery.Parcel{}, fmt.Errorf("retry batch %s: %w", id, delivery.ErrNotFound)
	}
	return delivery.Parcel{Tenant: textOf(out.Item, "tenant"), Integration: textOf(out.Item, "integration"), IDs: textsOf(out.Item, "members")}, nil
}
