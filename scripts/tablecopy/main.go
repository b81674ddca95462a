// Command tablecopy compares two tables of DynamoDB with the same key and copies rows from one to the other: from a
// table that was restored to a point in time to the table that works (docs/restore.md).
//
//	go run ./scripts/tablecopy -from restored -to live            # compares; changes nothing
//	go run ./scripts/tablecopy -from restored -to live -write     # rows that are missing or differ
//	go run ./scripts/tablecopy -from restored -to live -delete    # rows that the first table has not
//
// It reads both tables whole, or one partition of them, and keeps a digest of each row in memory (some 200 bytes a
// row).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/scripts/tool"
)

func main() { tool.Main("tablecopy", run) }

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("tablecopy", flag.ContinueOnError)
	from := flags.String("from", "", "table that rows are read from")
	to := flags.String("to", "", "table that rows are written to")
	key := flags.String("key", "", "one value of the partition key, such as a tenant; empty for all")
	write := flags.Bool("write", false, "write rows that are missing or differ")
	remove := flags.Bool("delete", false, "delete rows that the first table has not")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *from == "" || *to == "" || *from == *to {
		return errors.New("name two tables with -from and -to")
	}
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return fmt.Errorf("read the AWS configuration: %w", err)
	}
	t := &tables{DB: dynamodb.NewFromConfig(c), From: *from, To: *to, Key: *key}
	d, err := t.compare(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d rows. In %s %d are the same, %d differ, %d are missing, %d are there only.\n",
		*from, d.rows, *to, d.same, len(d.differ), len(d.missing), len(d.only))
	if *write {
		if err := t.write(ctx, append(d.missing, d.differ...)); err != nil {
			return err
		}
		fmt.Printf("%d rows written.\n", len(d.missing)+len(d.differ))
	}
	if *remove {
		if err := t.remove(ctx, d.only); err != nil {
			return err
		}
		fmt.Printf("%d rows deleted.\n", len(d.only))
	}
	if !*write && !*remove {
		fmt.Println("Nothing was changed. -write and -delete change it.")
	}
	return nil
}
