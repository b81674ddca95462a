package table

import (
	"context"
	"log/slog"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tocsin/shared/retention"
)

// Names names the tables of events and deliveries.
type Names struct {
	Deliveries  string // keys: lane, id; index `trouble`
	Events      string // key: event
	Intakes     string // key: intake
	Outbox      string // keys: shard, id
	Batches     string // key: batch
	DeadLetters string // keys: tenant, id; indexes `shard`, `day`
	EventLog    string // keys: tenant, id
}

// Set is what all that keeps events and deliveries works on.
type Set struct {
	DB     *dynamodb.Client
	Tables Names
	Now    func() time.Time
	Log    *slog.Logger // nil = nothing is logged
	// Keep is how long events, deliveries and dead letters are kept; 0 = 30 days.
	Keep time.Duration
	// Retention is how long is kept what comes for a tenant; nil = Keep for all.
	Retention func(ctx context.Context, tenant string) retention.Kept
}

// Kept is how long rows are kept.
func (s *Set) Kept() time.Duration {
	if s.Keep > 0 {
		return s.Keep
	}
	return 30 * 24 * time.Hour
}

// Expires is when a row that is written now expires, in epoch seconds.
func (s *Set) Expires() int64 { return s.Now().Add(s.Kept()).Unix() }

// EventsExpire is when an event of a tenant that is written now expires, in epoch seconds.
func (s *Set) EventsExpire(ctx context.Context, tenant string) int64 {
	return s.Now().Add(s.keptOf(ctx, tenant).Events).Unix()
}

// DeliveriesExpire is when a delivery of a tenant that is written now expires, in epoch seconds.
func (s *Set) DeliveriesExpire(ctx context.Context, tenant string) int64 {
	return s.Now().Add(s.keptOf(ctx, tenant).Deliveries).Unix()
}

func (s *Set) keptOf(ctx context.Context, tenant string) retention.Kept {
	if s.Retention == nil || tenant == "" {
		return retention.Setting{}.For(s.Kept())
	}
	return s.Retention(ctx, tenant)
}

// Logger is Log, or one that logs nothing.
func (s *Set) Logger() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// Between is the key condition over ids. BETWEEN includes both ends, and `last` is to be left out: its callers skip it.
func Between(key, value, first, last string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		KeyConditionExpression:    awssdk.String("#k = :k AND #id BETWEEN :first AND :last"),
		ExpressionAttributeNames:  map[string]string{"#k": key, "#id": "id"},
		ExpressionAttributeValues: Item{":k": Text(value), ":first": Text(first), ":last": Text(last)},
	}
}

// Each calls visit for every row until it says stop, or until so many rows were reas.
func (s *Set) Each(ctx context.Context, in *dynamodb.QueryInput, most int,
	visit func(Item) (more bool, err error)) error {
	now := s.Now()
	read := 0
	pages := dynamodb.NewQueryPaginator(s.DB, in)
	for pages.HasMorePages() && read < most {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		read += int(page.ScannedCount)
		for _, row := range page.Items {
			if Expired(row, now) {
				continue
			}
			if more, err := visit(row); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// ScanLimit bounds how many rows of a lane are read for one page of pending or delivered ones. The newest are read
// first: what waits for its first request behind so many others is not listed until they are done.
const ScanLimit = 20_000
