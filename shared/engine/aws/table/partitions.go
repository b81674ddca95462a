package table

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"
)

// Partitions reads rows of many partitions. A query reads one of them; a statement of PartiQL reads fifty in a call.
// How much a page of its answer holds is not promised ("pages of up to 10 items"), and the pages come one after the
// other: so a statement that takes more of them than it is worth is given up, and its partitions are left to queries.
type Partitions struct {
	Table, Index string               // Index is "" for the table itself
	Key          string               // the name of the partitions' key
	Sort         string               // the name of the sort key, where From is set
	From         types.AttributeValue // the least sort key; nil = all rows
	Fields       []string             // nil = all attributes
	Consistent   bool
	Most         int // rows that one statement may bring
	AtOnce       int // statements that are carried out at the same time
}

const (
	// statementKeys is how many keys of partitions a statement takes. DynamoDB, "PartiQL operators", IN.
	statementKeys = 50
	// fewestKeys is from how many partitions on statements are tried: queries read fewer in some rounds.
	fewestKeys = 128
	// pageWorth is how many queries a page must spare.
	pageWorth = 5
)

// Read visits all rows of each partition that has any, one partition at a time, in no order. rest are the keys of the
// partitions that were not read.
func (p *Partitions) Read(ctx context.Context, db *dynamodb.Client, keys []string,
	visit func(key string, rows []Item) error) (rest []string, err error) {
	if len(keys) < fewestKeys {
		return keys, nil
	}
	var mu sync.Mutex
	read := func(ctx context.Context, some []string) error {
		by, whole, err := p.statement(ctx, db, some)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if !whole {
			rest = append(rest, some...)
			return nil
		}
		for key, rows := range by {
			if err := visit(key, rows); err != nil {
				return err
			}
		}
		return nil
	}
	// The first statement tells whether the others are worth it.
	if err := read(ctx, keys[:statementKeys]); err != nil || len(rest) > 0 {
		return keys, err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(p.AtOnce)
	for some := range slices.Chunk(keys[statementKeys:], statementKeys) {
		work.Go(func() error { return read(ctx, some) })
	}
	return rest, work.Wait()
}

// statement reads the partitions of some keys. whole is false where that takes too much.
func (p *Partitions) statement(ctx context.Context, db *dynamodb.Client, keys []string) (by map[string][]Item,
	whole bool, err error) {
	text, parameters := p.text(keys)
	in := &dynamodb.ExecuteStatementInput{Statement: &text, Parameters: parameters, ConsistentRead: &p.Consistent}
	by = map[string][]Item{}
	count := 0
	for range max(1, len(keys)/pageWorth) {
		page, err := db.ExecuteStatement(ctx, in)
		if err != nil {
			return nil, false, err
		}
		for _, row := range page.Items {
			key := TextOf(row, p.Key)
			by[key] = append(by[key], row)
		}
		if page.NextToken == nil {
			return by, true, nil
		}
		if count += len(page.Items); count > p.Most {
			break
		}
		in.NextToken = page.NextToken
	}
	return nil, false, nil
}

func (p *Partitions) text(keys []string) (text string, parameters []types.AttributeValue) {
	var b strings.Builder
	b.WriteString("SELECT ")
	if len(p.Fields) == 0 {
		b.WriteString("*")
	} else {
		b.WriteString(`"` + strings.Join(p.Fields, `", "`) + `"`)
	}
	b.WriteString(` FROM "` + p.Table + `"`)
	if p.Index != "" {
		b.WriteString(`."` + p.Index + `"`)
	}
	b.WriteString(` WHERE "` + p.Key + `" IN [?` + strings.Repeat(", ?", len(keys)-1) + "]")
	for _, key := range keys {
		parameters = append(parameters, Text(key))
	}
	if p.From != nil {
		b.WriteString(` AND "` + p.Sort + `" >= ?`)
		parameters = append(parameters, p.From)
	}
	return b.String(), parameters
}
