package settings

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/integration"
)

// countsRow has how many integrations a tenant has. Each change of one changes it in its transaction, so a list reads
// one row for its counts. A tenant that nobody counted yet has a row without them: see Count.
//
//tocsin:table IntegrationsTable
type countsRow struct {
	table.First
	Tenant  string `dynamodbav:"tenant"`            // see countsOf
	ID      string `dynamodbav:"id"`                // the same
	Owner   string `dynamodbav:"owner"`             // the tenant
	Changes int64  `dynamodbav:"changes"`           // of what is counted, and of counting
	Counted int64  `dynamodbav:"counted,omitempty"` // epoch seconds: when all were counted; the row holds from then on
	Failing int64  `dynamodbav:"failing,omitempty"`
	// Beside these an attribute for each system, such as `enabled slack` and `disabled slack`.
}

// countsOf is the partition of a tenant's counts. Like the outbox it can be no tenant's.
func countsOf(tenant string) string { return " counts " + tenant }

const (
	enabledPrefix, disabledPrefix = "enabled ", "disabled "
	// countsHold is how long counts are kept up before all are counted again: while a stack is brought to this release,
	// functions of an earlier one change integrations and count nothing.
	countsHold = time.Hour
)

// counted is the write that takes integrations into the counts: the one that was, and the one that will be. It is none
// where that changes nothing.
func (s *Integrations) counted(tenant string, was, will *integration.Outline) []types.TransactWriteItem {
	var system, before, after string
	var failing int64
	if was != nil {
		system, before = was.System, enabledPrefix
		if was.State == integration.StateDisabled {
			before = disabledPrefix
		}
		if was.State == integration.StateFailing {
			failing--
		}
	}
	if will != nil {
		system, after = will.System, enabledPrefix
		if will.State == integration.StateDisabled {
			after = disabledPrefix
		}
		if will.State == integration.StateFailing {
			failing++
		}
	}
	if before == after && failing == 0 {
		return nil
	}
	add := []string{"changes :one", "failing :failing"}
	names := map[string]string{"#owner": "owner"}
	values := table.Item{":one": table.Number(1), ":failing": table.Number(failing), ":owner": table.Text(tenant)}
	if before != after {
		if before != "" {
			add, names["#before"], values[":less"] = append(add, "#before :less"), before+system, table.Number(-1)
		}
		if after != "" {
			add, names["#after"] = append(add, "#after :one"), after+system
		}
	}
	return []types.TransactWriteItem{{Update: &types.Update{TableName: &s.Table,
		Key:                       table.TenantKey(countsOf(tenant), countsOf(tenant)),
		UpdateExpression:          awssdk.String("SET #owner = :owner ADD " + strings.Join(add, ", ")),
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: values,
	}}}
}

// Count reads the counts. Where there are none, or old ones, it counts, and keeps what it counted unless an integration
// was changed meanwhile.
func (s *Integrations) Count(ctx context.Context, tenant string) (integration.Counts, error) {
	out, err := s.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.Table, ConsistentRead: awssdk.Bool(true),
		Key: table.TenantKey(countsOf(tenant), countsOf(tenant))})
	if err != nil {
		return integration.Counts{}, fmt.Errorf("read the counts of integrations of tenant %s: %w", tenant, err)
	}
	row, err := table.Unmarshal[countsRow](out.Item)
	if err != nil {
		return integration.Counts{}, fmt.Errorf("read the counts of integrations of tenant %s: %w", tenant, err)
	}
	if s.Now().Sub(time.Unix(row.Counted, 0)) < countsHold {
		return readCounts(out.Item), nil
	}
	var c integration.Counts
	err = s.outlined(ctx, &dynamodb.QueryInput{
		ProjectionExpression:     awssdk.String("tenant, id, #system, #off, failing"),
		ExpressionAttributeNames: map[string]string{"#system": "system", "#off": "off"},
	}, tenant, "", func(o integration.Outline, _ table.Item) (bool, error) {
		c.Add(o.System, o.State, 1)
		return true, nil
	})
	if err != nil {
		return c, fmt.Errorf("count the integrations of tenant %s: %w", tenant, err)
	}
	return c, s.keepCounts(ctx, tenant, row, c)
}

func readCounts(row table.Item) (c integration.Counts) {
	for name := range row {
		if system, ok := strings.CutPrefix(name, enabledPrefix); ok {
			c.Add(system, integration.StateOK, int(table.NumberOf(row, name)))
		} else if system, ok := strings.CutPrefix(name, disabledPrefix); ok {
			c.Add(system, integration.StateDisabled, int(table.NumberOf(row, name)))
		}
	}
	c.Failing = int(table.NumberOf(row, "failing"))
	return c
}

// keepCounts writes what was counted since a row was read, if that row is still so.
func (s *Integrations) keepCounts(ctx context.Context, tenant string, read countsRow, c integration.Counts) error {
	row, err := table.Marshal(countsRow{Tenant: countsOf(tenant), ID: countsOf(tenant), Owner: tenant,
		Changes: read.Changes + 1, Counted: s.Now().Unix(), Failing: int64(c.Failing)})
	if err != nil {
		return err
	}
	for system, n := range c.Enabled {
		row[enabledPrefix+system] = table.Number(int64(n))
	}
	for system, n := range c.Disabled {
		row[disabledPrefix+system] = table.Number(int64(n))
	}
	in := &dynamodb.PutItemInput{TableName: &s.Table, Item: row,
		ConditionExpression: awssdk.String("attribute_not_exists(changes)")}
	if read.Changes != 0 {
		in.ConditionExpression = awssdk.String("changes = :read")
		in.ExpressionAttributeValues = table.Item{":read": table.Number(read.Changes)}
	}
	_, err = s.DB.PutItem(ctx, in)
	var changed *types.ConditionalCheckFailedException
	var busy *types.TransactionConflictException
	if err != nil && !errors.As(err, &changed) && !errors.As(err, &busy) {
		return fmt.Errorf("keep the counts of integrations of tenant %s: %w", tenant, err)
	}
	return nil
}

// findRows is how many rows are read at a time where some may not match.
const findRows = 200

// Find reads a page of those whose outline matches, and no further.
func (s *Integrations) Find(ctx context.Context, tenant, after string, limit int,
	matches func(integration.Outline) bool) ([]integration.Integration, error) {
	var out []integration.Integration
	err := s.outlined(ctx, &dynamodb.QueryInput{Limit: awssdk.Int32(findRows)}, tenant, after,
		func(o integration.Outline, row table.Item) (more bool, err error) {
			if !matches(o) {
				return true, nil
			}
			i, err := readIntegration(row)
			out = append(out, i)
			return len(out) < limit, err
		})
	if err != nil {
		return nil, fmt.Errorf("look for integrations of tenant %s: %w", tenant, err)
	}
	return out, nil
}

// outlined visits the rows of a tenant's integrations after an id, until visit has enough.
func (s *Integrations) outlined(ctx context.Context, in *dynamodb.QueryInput, tenant, after string,
	visit func(integration.Outline, table.Item) (more bool, err error)) error {
	in.TableName, in.ConsistentRead = &s.Table, awssdk.Bool(true)
	in.KeyConditionExpression = awssdk.String("tenant = :t")
	in.ExpressionAttributeValues = table.Item{":t": table.Text(tenant)}
	if after != "" {
		in.KeyConditionExpression = awssdk.String("tenant = :t AND id > :after")
		in.ExpressionAttributeValues[":after"] = table.Text(after)
	}
	pages := dynamodb.NewQueryPaginator(s.DB, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, row := range page.Items {
			o := integration.Outline{ID: table.TextOf(row, "id"), System: table.TextOf(row, "system"),
				Name: table.TextOf(row, "name"), State: integration.StateOK}
			if table.TextOf(row, "off") != "" {
				o.State = integration.StateDisabled
			} else if table.TextOf(row, "failing") != "" {
				o.State = integration.StateFailing
			}
			if more, err := visit(o, row); err != nil || !more {
				return err
			}
		}
	}
	return nil
}
