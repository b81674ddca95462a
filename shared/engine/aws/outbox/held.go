package outbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/engine/aws/table"
)

// Deliveries to an integration that are held have one marker, whatever holds them. It is due when the first of them is
// to be looked at. Who adds rows looks at the marker after that: where there is none it makes one, and where somebody
// is at letting go, who may have read the rows before, it notes that there are more. Who lets go notes that first,
// reads the rows then, and removes the marker last, unless there are more. So no row is without a marker.

// heldID is no intakeID, which has one space, and no batchID, which begins otherwise.
func heldID(tenant, integration string) string {
	return heldPrefix + table.LaneKey(tenant, integration)
}

const heldPrefix = "held "

// IsHeld reports whether the marker is of what is held.
func (m Marker) IsHeld() bool { return strings.HasPrefix(m.ID, heldPrefix) }

// heldTries is how often a marker is looked at again that others change at the same time.
const heldTries = 12

// errHeld: the entries come again, or the sweeper looks after the rows.
var errHeld = errors.New("others are changing it all the time")

// HeldMarker is that of an integration.
func (o *Store) HeldMarker(ctx context.Context, tenant, integration string) (m Marker, found bool, err error) {
	m, found, err = table.Get[Marker](ctx, o.DB, o.Tables.Outbox, markerKey(heldID(tenant, integration)))
	if err != nil {
		return m, false, fmt.Errorf("read the marker of what is held for integration %s: %w", integration, err)
	}
	return m, found, nil
}

// HeldMarkers are those of integrations that have one, by integration. Who asks for one alone, as the functions do that
// disable one, reads as HeldMarker does.
func (o *Store) HeldMarkers(ctx context.Context, tenant string, integrations []string) (map[string]Marker, error) {
	if len(integrations) == 1 {
		m, found, err := o.HeldMarker(ctx, tenant, integrations[0])
		if err != nil || !found {
			return nil, err
		}
		return map[string]Marker{integrations[0]: m}, nil
	}
	keys := make([]table.Item, len(integrations))
	for n, id := range integrations {
		keys[n] = markerKey(heldID(tenant, id))
	}
	rows, err := table.GetAll(ctx, o.DB, o.Tables.Outbox, keys, true)
	if err != nil {
		return nil, fmt.Errorf("read the markers of what is held for %d integrations: %w", len(integrations), err)
	}
	out := make(map[string]Marker, len(rows))
	for _, row := range rows {
		m, err := table.Unmarshal[Marker](row)
		if err != nil {
			return nil, fmt.Errorf("read the markers of what is held: %w", err)
		}
		out[m.Integration] = m
	}
	return out, nil
}

// MarkHeld has somebody look at a time at what is held for an integration. Its rows are written, and none of their ids
// is less than since. fresh reports whether nobody would have looked so early.
func (o *Store) MarkHeld(ctx context.Context, tenant, integration, since string, at time.Time) (fresh bool, err error) {
	for range heldTries {
		m, found, err := o.HeldMarker(ctx, tenant, integration)
		if err != nil {
			return false, err
		}
		if !found {
			w, err := o.row(Marker{ID: heldID(tenant, integration), Tenant: tenant, Integration: integration,
				Since: since}, at)
			if err != nil {
				return false, err
			}
			there, err := table.PutNew(ctx, o.DB, o.Tables.Outbox, "id", w.Item)
			if err != nil {
				return false, fmt.Errorf("mark what is held for integration %s: %w", integration, err)
			}
			if there == nil {
				return true, nil
			}
			continue
		}
		if m.Due <= at.Unix() && m.Since <= since && (m.Opened == "" || m.More) {
			return false, nil
		}
		expression, values := "SET due = :due, since = :since",
			table.Item{":due": table.Number(min(m.Due, at.Unix())), ":since": table.Text(min(m.Since, since))}
		if m.Opened != "" {
			expression += ", more = :yes"
			values[":yes"] = &types.AttributeValueMemberBOOL{Value: true}
		}
		changed, err := o.changeHeld(ctx, m, expression, values)
		if err != nil {
			return false, err
		}
		if changed {
			return m.Opened != "" || m.Due > at.Unix(), nil
		}
	}
	return false, fmt.Errorf("mark what is held for integration %s: %w", integration, errHeld)
}

// changeHeld changes a marker that is as it was read.
func (o *Store) changeHeld(ctx context.Context, was Marker, expression string, values table.Item) (bool, error) {
	condition := "due = :wasDue AND since = :wasSince AND attribute_not_exists(opened)"
	values[":wasDue"], values[":wasSince"] = table.Number(was.Due), table.Text(was.Since)
	if was.Opened != "" {
		condition = "due = :wasDue AND since = :wasSince AND opened = :wasOpened"
		values[":wasOpened"] = table.Text(was.Opened)
	}
	return o.updateHeld(ctx, was.ID, expression, condition, values)
}

func (o *Store) updateHeld(ctx context.Context, id, expression, condition string, values table.Item) (bool, error) {
	_, err := o.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: &o.Tables.Outbox, Key: markerKey(id),
		ConditionExpression: &condition, UpdateExpression: &expression, ExpressionAttributeValues: values})
	var unmet *types.ConditionalCheckFailedException
	if errors.As(err, &unmet) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("change the marker %q: %w", id, err)
	}
	return true, nil
}

// OpenHeld begins to let go what is held for an integration. found is false where nothing is. The marker says who lets
// go, in Opened: whoever began before and did not come to the end, or is at it, is taken for the same.
func (o *Store) OpenHeld(ctx context.Context, tenant, integration string) (m Marker, found bool, err error) {
	out, err := o.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: &o.Tables.Outbox,
		Key:                       markerKey(heldID(tenant, integration)),
		ConditionExpression:       awssdk.String("attribute_exists(id)"),
		UpdateExpression:          awssdk.String("SET opened = if_not_exists(opened, :new) REMOVE more"),
		ExpressionAttributeValues: table.Item{":new": table.Text(rand.Text())}, ReturnValues: types.ReturnValueAllNew})
	var unmet *types.ConditionalCheckFailedException
	if errors.As(err, &unmet) {
		return m, false, nil
	}
	if err == nil {
		m, err = table.Unmarshal[Marker](out.Attributes)
	}
	if err != nil {
		return m, false, fmt.Errorf("begin to let go what was held for integration %s: %w", integration, err)
	}
	return m, true, nil
}

// CloseHeld ends that. next is when the next of what is still held is to be looked at, zero = none is: then the marker
// goes, unless others were held since, which it stays for.
func (o *Store) CloseHeld(ctx context.Context, m Marker, next time.Time) error {
	const nobodyElse = "opened = :opened AND attribute_not_exists(more)"
	mine := func() table.Item { return table.Item{":opened": table.Text(m.Opened)} }
	closed := false
	if next.IsZero() {
		_, err := o.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &o.Tables.Outbox, Key: markerKey(m.ID),
			ConditionExpression: awssdk.String(nobodyElse), ExpressionAttributeValues: mine()})
		var unmet *types.ConditionalCheckFailedException
		if err != nil && !errors.As(err, &unmet) {
			return fmt.Errorf("remove the marker %q: %w", m.ID, err)
		}
		closed = err == nil
	} else {
		values := mine()
		values[":due"] = table.Number(next.Unix())
		var err error
		if closed, err = o.updateHeld(ctx, m.ID, "SET due = :due REMOVE opened", nobodyElse, values); err != nil {
			return err
		}
	}
	if closed {
		return nil
	}
	// Others were held since: it is due when they are, or as it was. Or it was closed already.
	_, err := o.updateHeld(ctx, m.ID, "REMOVE opened, more", "opened = :opened", mine())
	return err
}

// PostponeHeld has the sweeper look again after a while, unless somebody does before.
func (o *Store) PostponeHeld(ctx context.Context, m Marker) error {
	_, err := o.changeHeld(ctx, m, "SET due = :due",
		table.Item{":due": table.Number(o.Now().Add(heldAgain).Unix())})
	return err
}

// heldAgain is after how long the sweeper looks again at what was to be let go.
const heldAgain = 10 * time.Minute
