// Package outbox keeps the markers of the transactional outbox: each names work that was begun and must be finished.
package outbox

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/engine/aws/intakes"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/worker"
)

// Marker says that something is to be looked after: an intake that began, deliveries that were made ready again, or
// those to an integration that are held (see HeldMarker). It is written before. When all that follows from it is made
// it stays until its deliveries are pending no more: a message can get lost on the way (a queue that is purged). Sweep
// looks at those that are due.
//
//tocsin:table OutboxTable
type Marker struct {
	Shard       string   `dynamodbav:"shard"`
	ID          string   `dynamodbav:"id"` // an intakeID, a batchID, or a heldID
	Tenant      string   `dynamodbav:"tenant"`
	Intake      string   `dynamodbav:"intake,omitempty"`
	Integration string   `dynamodbav:"integration,omitempty"` // of a message batch
	Deliveries  []string `dynamodbav:"deliveries,omitempty"`  // likewise
	Since       string   `dynamodbav:"since,omitempty"`       // of what is held: no id of a delivery is less
	Opened      string   `dynamodbav:"opened,omitempty"`      // likewise: by whom it is let go
	More        bool     `dynamodbav:"more,omitempty"`        // likewise: others were held since
	Due         int64    `dynamodbav:"due"`                   // epoch seconds
	Looks       int      `dynamodbav:"looks,omitempty"`       // from 1 on all messages were sent once
	Version     int      `dynamodbav:"v"`
}

// Shards spread the markers over so many partitions: each takes 1,000 of them a second.
const Shards = 16

const (
	// SweepAfter is when an intake that is not finished was left behind.
	SweepAfter = intakes.ClaimFor
	// lookAfter is when deliveries that are pending still get another message; twice as long after each time, up to
	// lookMost doublings, because a queue with a long backlog is no queue that lost something.
	lookAfter = 30 * time.Minute
	lookMost  = 4
)

// Store keeps markers.
type Store struct{ table.Set }

func markerShard(id string) string {
	sum := sha256.Sum256([]byte(id))
	return strconv.Itoa(int(sum[0]) % Shards)
}

func (o *Store) row(m Marker, due time.Time) (table.Write, error) {
	m.Shard, m.Due, m.Version = markerShard(m.ID), due.Unix(), 1
	row, err := table.Marshal(m)
	return table.Write{Table: o.Tables.Outbox, Item: row}, err
}

// IntakeMarker is the marker of an intake that begins.
func (o *Store) IntakeMarker(tenant, intake string) (table.Write, error) {
	return o.row(Marker{ID: intakes.ID(tenant, intake), Tenant: tenant, Intake: intake}, o.Now().Add(SweepAfter))
}

// batchID is no intakeID, which has one space. Its first word is that of stored rows, from when a message batch was a
// parcel. Deliveries that are replayed again have another marker.
func batchID(p worker.MessageBatch, now time.Time) string {
	return "parcel " + table.LaneKey(p.Tenant, p.Integration) + " " + p.IDs[0] + " " + table.Nanos(now.UnixNano())
}

// MarkBatches puts the markers of deliveries that are to be made ready by another way than an intake.
func (o *Store) MarkBatches(ctx context.Context, list []worker.MessageBatch) error {
	writes := make([]table.Write, len(list))
	for n, p := range list {
		var err error
		m := Marker{
			ID: batchID(p, o.Now()), Tenant: p.Tenant, Integration: p.Integration, Deliveries: p.IDs, Looks: 1,
		}
		if writes[n], err = o.row(m, o.Now().Add(lookAfter)); err != nil {
			return err
		}
	}
	return table.PutAll(ctx, o.DB, writes)
}

// Fallback is the marker of a delivery that is made with the death of another; due is until when it is held, or zero.
func (o *Store) Fallback(p worker.MessageBatch, due time.Time) (table.Write, error) {
	first := o.Now()
	if due.After(first) {
		first = due
	}
	m := Marker{ID: batchID(p, o.Now()), Tenant: p.Tenant, Integration: p.Integration, Deliveries: p.IDs, Looks: 1}
	return o.row(m, first.Add(SweepAfter))
}

func markerKey(id string) table.Item {
	return table.Item{"shard": table.Text(markerShard(id)), "id": table.Text(id)}
}

// Remove removes a marker.
func (o *Store) Remove(ctx context.Context, id string) error {
	if _, err := o.DB.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &o.Tables.Outbox,
		Key: markerKey(id)}); err != nil {
		return fmt.Errorf("remove the marker %q: %w", id, err)
	}
	return nil
}

// Postpone has the sweeper look again later, for the deliveries alone.
func (o *Store) Postpone(ctx context.Context, id string, looks int) error {
	_, err := o.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &o.Tables.Outbox, Key: markerKey(id), ConditionExpression: awssdk.String("attribute_exists(id)"),
		UpdateExpression: awssdk.String("SET due = :due, looks = :looks"),
		ExpressionAttributeValues: table.Item{":due": table.Number(
			o.Now().Add(lookAfter << min(looks, lookMost)).Unix()),
			":looks": table.Number(looks + 1)},
	})
	var gone *types.ConditionalCheckFailedException
	if err != nil && !errors.As(err, &gone) {
		return fmt.Errorf("postpone the marker %q: %w", id, err)
	}
	return nil
}

func (Marker) Newest() int64 { return 1 }
