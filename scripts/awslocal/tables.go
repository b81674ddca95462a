package awslocal

import (
	"context"
	"fmt"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Config is an SDK configuration whose every service answers at one address.
func Config(ctx context.Context, address string) (awssdk.Config, error) {
	return config.LoadDefaultConfig(ctx, config.WithRegion(region), config.WithBaseEndpoint(address),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("local", "local", "")))
}

const region = "eu-west-1"

// CreateTables makes the template's tables, each under its logical id after a prefix.
func (t *Template) CreateTables(ctx context.Context, db *dynamodb.Client, prefix string) error {
	for id, r := range t.Resources {
		if r.Type != "AWS::DynamoDB::Table" {
			continue
		}
		in := &dynamodb.CreateTableInput{
			TableName: awssdk.String(prefix + id), BillingMode: types.BillingModePayPerRequest,
			KeySchema: keySchema(At(r.Properties, "KeySchema")),
		}
		attributes, _ := At(r.Properties, "AttributeDefinitions").([]any)
		for _, a := range attributes {
			in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{
				AttributeName: awssdk.String(Text(At(a, "AttributeName"))),
				AttributeType: types.ScalarAttributeType(Text(At(a, "AttributeType"))),
			})
		}
		indexes, _ := At(r.Properties, "GlobalSecondaryIndexes").([]any)
		for _, x := range indexes {
			in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
				IndexName: awssdk.String(Text(At(x, "IndexName"))), KeySchema: keySchema(At(x, "KeySchema")),
				Projection: &types.Projection{ProjectionType: types.ProjectionType(
					Text(At(x, "Projection", "ProjectionType")))},
			})
		}
		if _, err := db.CreateTable(ctx, in); err != nil {
			return fmt.Errorf("create the table %s: %w", id, err)
		}
	}
	return nil
}

// DeleteTables removes what CreateTables made.
func (t *Template) DeleteTables(ctx context.Context, db *dynamodb.Client, prefix string) error {
	for id, r := range t.Resources {
		if r.Type != "AWS::DynamoDB::Table" {
			continue
		}
		if _, err := db.DeleteTable(ctx,
			&dynamodb.DeleteTableInput{TableName: awssdk.String(prefix + id)}); err != nil {
			return fmt.Errorf("delete the table %s: %w", id, err)
		}
	}
	return nil
}

// EmptyTables removes every item of what CreateTables made, past every gate, for the next test: DynamoDB Local makes a
// table the slower the more it has.
func (t *Template) EmptyTables(ctx context.Context, servers *Servers, prefix string) error {
	direct, err := Config(ctx, servers.Dynamo)
	if err != nil {
		return err
	}
	db := dynamodb.NewFromConfig(direct)
	for id, r := range t.Resources {
		if r.Type != "AWS::DynamoDB::Table" {
			continue
		}
		if err := emptied(ctx, db, prefix+id, keySchema(At(r.Properties, "KeySchema"))); err != nil {
			return fmt.Errorf("empty the table %s: %w", id, err)
		}
	}
	return nil
}

func emptied(ctx context.Context, db *dynamodb.Client, table string, schema []types.KeySchemaElement) error {
	pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: &table, ConsistentRead: awssdk.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(page.Items, mostWrites) {
			writes := make([]types.WriteRequest, len(some))
			for k, item := range some {
				key := map[string]types.AttributeValue{}
				for _, e := range schema {
					key[*e.AttributeName] = item[*e.AttributeName]
				}
				writes[k].DeleteRequest = &types.DeleteRequest{Key: key}
			}
			done, err := db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
				RequestItems: map[string][]types.WriteRequest{table: writes}})
			if err != nil {
				return err
			}
			if left := len(done.UnprocessedItems[table]); left > 0 {
				return fmt.Errorf("%d items are left", left)
			}
		}
	}
	return nil
}

// mostWrites is how many items BatchWriteItem takes.
const mostWrites = 25

func keySchema(v any) (out []types.KeySchemaElement) {
	list, _ := v.([]any)
	for _, k := range list {
		out = append(out, types.KeySchemaElement{AttributeName: awssdk.String(Text(At(k, "AttributeName"))),
			KeyType: types.KeyType(Text(At(k, "KeyType")))})
	}
	return out
}
