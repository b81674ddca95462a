package deliveries

import (
	"context"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/worker"
)

var _ worker.Stranded = (*Store)(nil)

// Stranded reads the whole index of deliveries that retry or are dead: about 20 read units for each thousand of them,
// which is a cent for four million. A healthy stack has next to none, and no other row says which integrations have
// some.
func (d *Store) Stranded(ctx context.Context, before time.Time, visit func([]delivery.Delivery) error) error {
	pages := dynamodb.NewScanPaginator(d.DB, &dynamodb.ScanInput{
		TableName: &d.Tables.Deliveries, IndexName: awssdk.String(troubleIndex),
		FilterExpression:          awssdk.String("contains(trouble, :retrying)"),
		ExpressionAttributeValues: table.Item{":retrying": table.Text(" " + string(delivery.Retrying))},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("read the index of retries: %w", err)
		}
		var keys []table.Item
		for _, row := range page.Items {
			keys = append(keys, table.Item{"lane": row["lane"], "id": row["id"]})
		}
		rows, err := table.GetAll(ctx, d.DB, d.Tables.Deliveries, keys, false, "lane", "id", "state", "due", "batch",
			"expires")
		if err != nil {
			return fmt.Errorf("read deliveries that retry: %w", err)
		}
		var found []delivery.Delivery
		for _, row := range rows {
			if table.Expired(row, d.Now()) {
				continue
			}
			v, err := ReadRow(row)
			if err != nil {
				return err
			}
			found = append(found, v)
		}
		if found = delivery.StrandedOf(found, before); len(found) > 0 {
			if err := visit(found); err != nil {
				return err
			}
		}
	}
	return nil
}
