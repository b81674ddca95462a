package paces

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/delivery"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/sending/reference"
)

// References is reference.Store on the table of paces: a row for each object beside the pace of its integration,
// replaced under its version. Nobody asks for those of an integration that was deleted; they end by themselves.
type References struct {
	DB    *dynamodb.Client
	Table string
	Now   func() time.Time
}

var _ reference.Store = (*References)(nil)

// referencePart begins the name of an object's row.
const referencePart = "object "

func referenceKey(l delivery.Lane, object string) table.Item {
	return table.Item{"lane": table.Text(table.LaneKey(l.Tenant, l.Integration)),
		"part": table.Text(referencePart + object)}
}

// referenceRow is what an integration's system calls the thing that was made of an object.
//
//tocsin:table PacesTable
type referenceRow struct {
	table.First
	Lane      string `dynamodbav:"lane"`      // see table.LaneKey
	Part      string `dynamodbav:"part"`      // referencePart and the object's key
	Reference []byte `dynamodbav:"reference"` // JSON
	Version   int64  `dynamodbav:"version"`
	Expires   int64  `dynamodbav:"expires"`
}

// Reference reads one. It is read in the hope that nothing changed: who changes it does so under its version.
func (p *References) Reference(ctx context.Context, l delivery.Lane, object string) (r reference.Reference,
	version int64, err error) {
	row, found, err := table.Get[referenceRow](ctx, p.DB, p.Table, referenceKey(l, object))
	if err != nil {
		return r, 0, fmt.Errorf("read what integration %s has of %s: %w", l.Integration, object, err)
	}
	if !found || table.Past(row.Expires, p.Now()) {
		return r, 0, nil
	}
	if err := json.Unmarshal(row.Reference, &r); err != nil {
		return r, 0, fmt.Errorf("what integration %s has of %s is damaged: %w", l.Integration, object, err)
	}
	return r, row.Version, nil
}

// Swap replaces one.
func (p *References) Swap(ctx context.Context, l delivery.Lane, object string, version int64,
	to reference.Reference) (next int64, err error) {
	raw, err := json.Marshal(to)
	if err != nil {
		return 0, fmt.Errorf("encode what integration %s has of %s: %w", l.Integration, object, err)
	}
	now := p.Now()
	next = max(now.UnixNano(), version+1) // never that of a row which was forgotten
	expires := to.Expires.Unix()
	if to.Expires.IsZero() {
		expires = now.Unix() // DynamoDB ignores times of long ago
	}
	row, err := table.Marshal(referenceRow{Lane: table.LaneKey(l.Tenant, l.Integration), Part: referencePart + object,
		Reference: raw, Version: next, Expires: expires})
	if err != nil {
		return 0, err
	}
	if replaced, err := swap(ctx, p.DB, p.Table, row, version, now); err != nil {
		return 0, fmt.Errorf("write what integration %s has of %s: %w", l.Integration, object, err)
	} else if !replaced {
		return 0, reference.ErrChanged
	}
	return next, nil
}
