package deliveries

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/worker"
)

// mergedKeys bounds the ids of events in one row, in bytes: a row has at most 400 KB, and its attempts want room too.
const mergedKeys = 250 << 10

// coalesceTries is how often a window is looked at again because another function was merging it too.
const coalesceTries = 4

// windowedRow is the row of a delivery that waits for its window, or did.
type windowedRow struct {
	delivery.Windowed
	events  []string
	kinds   []string
	intakes []string
	pending bool
	waits   bool // pending, and not merged yet
}

// closed lists the ends of the windows that rows have waited for until now.
func (d *Store) closed(rows []table.Item) []span {
	now := d.Now().UnixNano()
	var out []span
	for _, r := range rows {
		due := table.NumberOf(r, "due")
		if table.TextOf(r, "state") == string(delivery.Pending) && due != 0 && due <= now && !isHeld(r) &&
			!slices.Contains(out, span{due: due}) {
			out = append(out, span{due: due}) // of before there were longer ones
		}
	}
	return out
}

// A window is a part of the clock in which deliveries to one integration wait for company. The fan-out that makes the
// window's row in the outbox sends its one message, delayed until the window has closed; the others only add their
// deliveries' rows. The message is a message batch with one id, the window's. When it is opened the row is marked first
// and the window read then: who adds rows and finds the mark sends another message.
//
// A row that was merged is deleted, and can be written again after that: by an INSERT whose answer was lost and that
// the SDK makes once more, or by a fan-out that a sweeper overtook. Such a copy is told by its events, which an older
// row of the window carries, and is removed. That takes a view of the window which holds all merges so far: see
// takeTurn.

// windowRow is the row of a window.
//
//tocsin:table OutboxTable
type windowRow struct {
	Shard   string `dynamodbav:"shard"`        // see windowShard: a lane has its own, which holds no markers
	ID      string `dynamodbav:"id"`           // that of a span
	By      string `dynamodbav:"by,omitempty"` // the delivery that the row was made for
	Opened  bool   `dynamodbav:"opened,omitempty"`
	Turn    int64  `dynamodbav:"turn,omitempty"` // of who merges: see takeTurn
	Version int    `dynamodbav:"v"`
	Expires int64  `dynamodbav:"expires"`
}

func windowShard(tenant, integration string) string {
	return "span " + table.LaneKey(tenant, integration)
}

const windowPrefix = "span-"

// span is a window: its end, and the time that it gathers for where that is longer than a file's. Those of files hold
// many rows, and are not to be looked for among those of an hour.
type span struct {
	due  int64
	long time.Duration
}

func spanOf(v delivery.Delivery) span { return span{v.Due.UnixNano(), delivery.DigestSpan(v.Digest)} }

func (s span) end() time.Time { return time.Unix(0, s.due).UTC() }

// id stands in a message batch for the deliveries that waited for a window. It is no delivery's: those are ULIDs.
func (s span) id() string {
	id := windowPrefix + table.Nanos(s.due)
	if s.long > 0 {
		id += "-" + strconv.Itoa(int(s.long/time.Minute))
	}
	return id
}

// readSpan is the reverse of id.
func readSpan(id string) (s span, ok bool) {
	digits, ok := strings.CutPrefix(id, windowPrefix)
	if !ok {
		return s, false
	}
	digits, long, _ := strings.Cut(digits, "-")
	due, err := strconv.ParseInt(digits, 10, 64)
	minutes, _ := strconv.Atoi(long)
	return span{due, time.Duration(minutes) * time.Minute}, err == nil
}

// windowBatches are the message batches of windows that need a message, now that deliveries were added to them. again
// is true where the message may have been lost.
func (d *Store) windowBatches(
	ctx context.Context, added []delivery.Delivery, again bool,
) (out []worker.MessageBatch, err error) {
	seen := map[string]bool{}
	for _, v := range added {
		p := worker.MessageBatch{Tenant: v.Tenant, Integration: v.Integration, IDs: []string{spanOf(v).id()},
			Due: v.Due}
		if key := table.LaneKey(v.Tenant, v.Integration) + " " + p.IDs[0]; seen[key] {
			continue
		} else {
			seen[key] = true
		}
		needed, err := d.windowNeeds(ctx, p, v.ID)
		if err != nil {
			return nil, fmt.Errorf("look at the batch window of integration %s until %s: %w", v.Integration, v.Due, err)
		}
		if needed || again {
			out = append(out, p)
		}
	}
	return out, nil
}

// windowNeeds tells whether a window needs a message: nobody has made its row before, or it was opened already.
func (d *Store) windowNeeds(ctx context.Context, p worker.MessageBatch, by string) (bool, error) {
	key := table.Item{"shard": table.Text(windowShard(p.Tenant, p.Integration)), "id": table.Text(p.IDs[0])}
	found, err := d.DB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &d.Tables.Outbox, Key: key,
		ConsistentRead: awssdk.Bool(true)})
	if err != nil {
		return false, err
	}
	there := found.Item
	if there == nil {
		row, err := table.Marshal(windowRow{Shard: windowShard(p.Tenant, p.Integration), ID: p.IDs[0], By: by,
			Version: 1,
			Expires: d.Expires()})
		if err != nil {
			return false, err
		}
		if there, err = table.PutNew(ctx, d.DB, d.Tables.Outbox, "id", row); err != nil || there == nil {
			return err == nil, err
		}
	}
	row, err := table.Unmarshal[windowRow](there)
	return row.Opened || row.By == by, err // the latter: our own call, whose answer was lost
}

// openWindows puts the deliveries that waited in the place of the windows that a message batch names. A window that has
// not closed is handed out again.
func (d *Store) openWindows(ctx context.Context, p worker.MessageBatch) (worker.MessageBatch, error) {
	var ids []string
	for _, id := range p.IDs {
		if id == allHeld {
			if err := d.letGo(ctx, p.Tenant, p.Integration); err != nil {
				return p, fmt.Errorf("let go what was held for integration %s: %w", p.Integration, err)
			}
			continue
		}
		one, ok := readSpan(id)
		if !ok {
			ids = append(ids, id)
			continue
		}
		if one.end().After(d.Now()) {
			again := worker.MessageBatch{Tenant: p.Tenant, Integration: p.Integration, IDs: []string{id},
				Due: one.end()}
			if err := d.Enqueue(ctx, []worker.MessageBatch{again}, 0); err != nil {
				return p, err
			}
			continue
		}
		files, err := d.openWindow(ctx, p.Tenant, p.Integration, one)
		if err != nil {
			return p, fmt.Errorf("open the batch window of integration %s until %s: %w", p.Integration, one.end(), err)
		}
		ids = append(ids, files[:min(1, len(files))]...)
		// A file can be large, so that each of the others gets a message of its own.
		for _, file := range files[min(1, len(files)):] {
			alone := worker.MessageBatch{Tenant: p.Tenant, Integration: p.Integration, IDs: []string{file}}
			if err := d.Enqueue(ctx, []worker.MessageBatch{alone}, 0); err != nil {
				return p, err
			}
		}
	}
	p.IDs = ids
	return p, nil
}

// openWindow merges what waited and returns the ids of all deliveries of the window that are to be sent.
func (d *Store) openWindow(ctx context.Context, tenant, integration string, s span) ([]string, error) {
	if err := d.coalesce(ctx, tenant, integration, []span{s}); err != nil {
		return nil, err
	}
	rows, err := d.window(ctx, tenant, integration, s)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range rows {
		if r.pending && !r.waits {
			out = append(out, r.ID)
		}
	}
	return out, nil
}

// takeTurn marks a window as opened and takes the turn at merging it. The condition that it returns belongs in each
// transaction that merges: it holds until the next turn is taken. So what is read after takeTurn shows all merges of
// those who had the turn before, and none comes between such a read and the transaction.
func (d *Store) takeTurn(ctx context.Context, tenant, integration string, s span) (mine types.TransactWriteItem,
	err error) {
	key := table.Item{"shard": table.Text(windowShard(tenant, integration)),
		"id": table.Text(s.id())}
	out, err := d.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &d.Tables.Outbox, Key: key, ReturnValues: types.ReturnValueUpdatedNew,
		UpdateExpression: awssdk.String("SET opened = :yes, expires = :expires, v = :v ADD turn :one"),
		ExpressionAttributeValues: table.Item{":yes": &types.AttributeValueMemberBOOL{Value: true},
			":expires": table.Number(d.Expires()), ":v": table.Number(1), ":one": table.Number(1)},
	})
	if err != nil {
		return mine, err
	}
	mine.ConditionCheck = &types.ConditionCheck{TableName: &d.Tables.Outbox, Key: key,
		ConditionExpression:       awssdk.String("turn = :turn"),
		ExpressionAttributeValues: table.Item{":turn": out.Attributes["turn"]}}
	return mine, nil
}

// errMerging: the message comes again.
var errMerging = errors.New("others are merging it all the time")

// coalesce makes one delivery of what waits in each window.
func (d *Store) coalesce(ctx context.Context, tenant, integration string, windows []span) error {
	for _, s := range windows {
		done, err := false, error(nil)
		for try := 0; try < coalesceTries && !done && err == nil; try++ {
			done, err = d.coalesceWindow(ctx, tenant, integration, s)
		}
		if err == nil && !done {
			err = errMerging
		}
		if err != nil {
			return fmt.Errorf("merge what integration %s has in the window until %s: %w", integration,
				s.end(), err)
		}
	}
	return nil
}

// coalesceWindow reports false when another function was at it as well: then look again.
func (d *Store) coalesceWindow(ctx context.Context, tenant, integration string, s span) (done bool, err error) {
	mine, err := d.takeTurn(ctx, tenant, integration, s)
	if err != nil {
		return false, err
	}
	rows, err := d.window(ctx, tenant, integration, s)
	if err != nil {
		return false, err
	}
	waiting, copies := apart(rows)
	m := merger{Store: d, tenant: tenant, integration: integration, mine: mine}
	if ok, err := m.remove(ctx, copies); err != nil || !ok {
		return false, err
	}
	by := make(map[string]windowedRow, len(waiting))
	order := make([]delivery.Windowed, len(waiting))
	for n, r := range waiting {
		by[r.ID], order[n] = r, r.Windowed
	}
	for _, merged := range delivery.Coalesce(order) {
		for _, group := range fitting(merged, by) {
			if ok, err := m.merge(ctx, group); err != nil || !ok {
				return false, err
			}
		}
	}
	return true, nil
}

// apart tells rows that wait from copies: rows whose events are carried already. The rows are in the order of their
// ids, and what carries others is the oldest of them.
func apart(rows []windowedRow) (waiting, copies []windowedRow) {
	carried := map[string]bool{}
	for _, r := range rows {
		if r.waits && !slices.ContainsFunc(r.events, func(id string) bool { return !carried[id] }) {
			copies = append(copies, r)
			continue
		}
		for _, id := range r.events {
			carried[id] = true
		}
		if r.waits {
			waiting = append(waiting, r)
		}
	}
	return waiting, copies
}

// window reads the rows of a window, oldest first: those that wait still, and what was made of others. A delivery's id
// begins with its time, so they are found without an index.
func (d *Store) window(ctx context.Context, tenant, integration string, s span) ([]windowedRow, error) {
	end := s.end()
	in := table.Between("lane", table.LaneKey(tenant, integration),
		delivery.FirstID(end.Add(-max(s.long, destination.File.Every))), delivery.FirstID(end.Add(time.Second)))
	in.TableName, in.ConsistentRead = &d.Tables.Deliveries, awssdk.Bool(true)
	in.FilterExpression = awssdk.String(
		"attribute_not_exists(held) AND (span = :due OR #state = :pending AND due = :due)")
	in.ExpressionAttributeNames["#state"] = "state"
	in.ExpressionAttributeValues[":pending"] = table.Text(string(delivery.Pending))
	in.ExpressionAttributeValues[":due"] = table.Number(s.due)
	var out []windowedRow
	err := d.Each(ctx, in, 1<<62, func(r table.Item) (bool, error) {
		if err := table.KnownVersion(r, "a delivery", deliveryVersion); err != nil {
			return false, err
		}
		if delivery.DigestSpan(table.TextOf(r, "digest")) != s.long {
			return true, nil // of another window that ends at the same time
		}
		pending := table.TextOf(r, "state") == string(delivery.Pending)
		out = append(out, windowedRow{
			Windowed: delivery.Windowed{ID: table.TextOf(r, "id"), Due: end, Count: int(table.NumberOf(r, "count")),
				Size: int(table.NumberOf(r, "size")), Digest: table.TextOf(r, "digest")},
			events: table.TextsOf(r, "events"), kinds: table.TextsOf(r, "kinds"), intakes: table.TextsOf(r, "intakes"),
			pending: pending, waits: pending && table.NumberOf(r, "due") != 0,
		})
		return true, nil
	})
	return out, err
}

// fitting parts a group where its ids would not fit in one row.
func fitting(group []delivery.Windowed, by map[string]windowedRow) [][]windowedRow {
	var out [][]windowedRow
	size := 0
	for _, g := range group {
		r, n := by[g.ID], 0
		for _, id := range slices.Concat(r.events, r.intakes) {
			n += len(id) + 3 // DynamoDB, "Item sizes and formats"
		}
		if len(out) == 0 || size+n > mergedKeys {
			out, size = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], r)
		size += n
	}
	return out
}

// merger merges a window while it has the turn.
type merger struct {
	*Store
	tenant, integration string
	mine                types.TransactWriteItem // see takeTurn
}

// mergeLimit is how many rows a transaction removes beside the row that carries their events, and the turn.
const mergeLimit = table.TransactLimit - 2

// merge lets the first of a group carry the events of all and removes the others, as many in each transaction as it
// takes; the last one lets it go. false: one of them has changed meanwhile, or somebody else has the turn.
func (m *merger) merge(ctx context.Context, group []windowedRow) (bool, error) {
	first, rest := group[0], group[1:]
	for {
		n := min(len(rest), mergeLimit)
		var events, intakes []string
		for _, r := range rest[:n] {
			events, intakes = append(events, r.events...), append(intakes, r.intakes...)
			first.Count, first.Size = first.Count+r.Count, first.Size+r.Size
			for _, k := range r.kinds {
				if !slices.Contains(first.kinds, k) {
					first.kinds = append(first.kinds, k)
				}
			}
		}
		key := Key(m.tenant, m.integration, first.ID)
		writes := append(m.removals(rest[:n]),
			types.TransactWriteItem{Update: m.carrying(key, first, events, intakes, n == len(rest))})
		if ok, err := m.write(ctx, writes); err != nil || !ok {
			return false, err
		}
		if rest = rest[n:]; len(rest) == 0 {
			return true, nil
		}
	}
}

// remove removes copies.
func (m *merger) remove(ctx context.Context, copies []windowedRow) (bool, error) {
	for chunk := range slices.Chunk(copies, mergeLimit) {
		if ok, err := m.write(ctx, m.removals(chunk)); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (m *merger) removals(rows []windowedRow) (writes []types.TransactWriteItem) {
	for _, r := range rows {
		writes = append(writes, types.TransactWriteItem{Delete: &types.Delete{
			TableName: &m.Tables.Deliveries, Key: Key(m.tenant, m.integration, r.ID),
			ConditionExpression:       awssdk.String(stillWaits),
			ExpressionAttributeNames:  map[string]string{"#state": "state"},
			ExpressionAttributeValues: waitsUntil(r.Due),
		}})
	}
	return writes
}

func (m *merger) write(ctx context.Context, writes []types.TransactWriteItem) (bool, error) {
	unmet, err := table.Transact(ctx, m.DB, append(writes, m.mine), "")
	return err == nil && len(unmet) == 0, err
}

const stillWaits = "#state = :pending AND due = :due"

func waitsUntil(due time.Time) table.Item {
	return table.Item{":pending": table.Text(string(delivery.Pending)), ":due": table.Number(due.UnixNano())}
}

// carrying is the update of a group's first row; done lets it go.
func (d *Store) carrying(key table.Item, first windowedRow, events, intakes []string, done bool) *types.Update {
	values := waitsUntil(first.Due)
	values[":events"], values[":intakes"], values[":none"] = table.Texts(events), table.Texts(intakes), table.Texts(nil)
	values[":count"], values[":size"], values[":kinds"] = table.Number(first.Count), table.Number(first.Size),
		table.Texts(first.kinds)
	expression := "SET #events = list_append(#events, :events), " +
		"intakes = list_append(if_not_exists(intakes, :none), :intakes), " +
		"#count = :count, #size = :size, kinds = :kinds, span = :due"
	if done {
		expression += " REMOVE due"
	}
	return &types.Update{
		TableName: &d.Tables.Deliveries, Key: key, ConditionExpression: awssdk.String(stillWaits),
		UpdateExpression: &expression,
		ExpressionAttributeNames: map[string]string{"#state": "state", "#events": "events", "#count": "count",
			"#size": "size"},
		ExpressionAttributeValues: values,
	}
}

func (windowRow) Newest() int64 { return 1 }
