//go:build awslocal

package aws_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"tocsin/shared/activity"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/event"
	"tocsin/shared/integration"
)

// picky refuses one event.
type picky struct {
	published
	refuse string
}

func (p *picky) Publish(ctx context.Context, events ...event.Event) error {
	for _, e := range events {
		if e.ID == p.refuse || p.refuse == "*" {
			return errors.New("refused")
		}
	}
	return p.published.Publish(ctx, events...)
}

func TestAnAnnouncementThatCanNotBePublishedKeepsNoOtherBack(t *testing.T) {
	w := open(t)
	p := &picky{refuse: "*"}
	store := w.integrations(nil)
	store.Publisher, store.Now = p, func() time.Time { return time.Now().Add(-time.Hour) }
	for _, id := range []string{"a", "b", "c"} {
		i := integration.Integration{ID: id, Tenant: "42", System: "slack", Revision: 1, CreatedAt: now(),
			UpdatedAt: now()}
		require.NoError(t, store.Create(t.Context(), i,
			activity.Record{Entry: enginetest.Entry("42"), Event: event.Event{
				ID: "note-" + id, Tenant: "42", Kind: event.CreateIntegration, Time: now(),
				Data: []byte(`{"integration":{"id":"i","name":"n"}}`)}}))
	}
	p.refuse, store.Now = "note-a", time.Now
	count, err := store.Relay(t.Context())
	require.ErrorContains(t, err, "note-a")
	require.Equal(t, 2, count)
}

func TestAnnouncementsOfManyTenantsShareNoPartition(t *testing.T) {
	w := open(t)
	p := &picky{refuse: "*"}
	store := w.integrations(nil)
	store.Publisher, store.Now = p, func() time.Time { return time.Now().Add(-time.Hour) }
	const tenants = 60
	for n := range tenants {
		tenant := fmt.Sprint("tenant-", n)
		i := integration.Integration{ID: "i", Tenant: tenant, System: "slack", Revision: 1, CreatedAt: now(),
			UpdatedAt: now()}
		require.NoError(t, store.Create(t.Context(), i, activity.Record{Entry: enginetest.Entry(tenant),
			Event: event.Event{
				ID: "note-" + tenant, Tenant: tenant, Kind: event.CreateIntegration, Time: now(),
				Data: []byte(`{"integration":{"id":"i","name":"n"}}`),
			}}))
	}
	rows := map[string][]map[string]types.AttributeValue{}
	out, err := w.db.Scan(t.Context(), &dynamodb.ScanInput{TableName: awssdk.String(w.prefix + "IntegrationsTable"),
		FilterExpression: awssdk.String("begins_with(tenant, :a)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":a": &types.AttributeValueMemberS{Value: " announcements"}}})
	require.NoError(t, err)
	for _, row := range out.Items {
		name := row["tenant"].(*types.AttributeValueMemberS).Value
		rows[name] = append(rows[name], row)
	}
	require.GreaterOrEqual(t, len(rows), 12, "of 16")
	for name, of := range rows {
		require.LessOrEqual(t, len(of), tenants/4, name)
	}

	// One from before the shards: it is in the partition that was everybody's.
	for _, of := range rows {
		old := of[0]
		key := map[string]types.AttributeValue{"tenant": old["tenant"], "id": old["id"]}
		_, err := w.db.DeleteItem(t.Context(),
			&dynamodb.DeleteItemInput{TableName: awssdk.String(w.prefix + "IntegrationsTable"), Key: key})
		require.NoError(t, err)
		old["tenant"] = &types.AttributeValueMemberS{Value: " announcements"}
		_, err = w.db.PutItem(t.Context(),
			&dynamodb.PutItemInput{TableName: awssdk.String(w.prefix + "IntegrationsTable"), Item: old})
		require.NoError(t, err)
		break
	}
	p.refuse, store.Now = "", time.Now
	count, err := store.Relay(t.Context())
	require.NoError(t, err)
	require.Equal(t, tenants, count)
	count, err = store.Relay(t.Context())
	require.NoError(t, err)
	require.Zero(t, count, "they are gone")
}
