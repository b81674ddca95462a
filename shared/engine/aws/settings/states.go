package settings

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/klauspost/compress/zstd"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/trigger"
)

// A state has up to 40 KB, some up to 300 KB (package trigger), and a round of counting changes a part of it. A write
// costs what the whole item has, twice in a transaction: two states of 31 KB would be 124 write units a round, of one
// event as of a thousand, and a partition takes 1,000 a second. So a large state is a base, which lies in a row of its
// own, and a delta, which is in the state's row and replaced by each round: the body, compressed with the base as the
// dictionary. When the deltas since have cost as much as a new base does, there is a new base: so neither busy nor
// quiet tenants pay more than twice the least.
//
// Layouts of a state's row: 1 (without `v`) has the whole `body`; 2 has `base`, `delta` and `spent`. A base is written
// before the transaction that names it, under a digest of what it holds, and removed after the transaction that names
// it no more: a row never names a base that is not there, and one that nothing names expires.
const (
	basePrefix = "b "
	// wholeBytes is up to which size a state is whole in its row.
	wholeBytes = 3 << 10
	// stateTries is how often a state is read again because it was replaced meanwhile.
	stateTries = 12
	// maxKeptStates bounds the bases that a process remembers.
	maxKeptStates = 512
)

// stateRow is the row of a state.
//
//tocsin:table TriggersTable
type stateRow struct {
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"`      // statePrefix and the trigger's id
	Version int64  `dynamodbav:"version"` // of the state: it counts its changes
	Body    []byte `dynamodbav:"body,omitempty"`
	Base    string `dynamodbav:"base,omitempty"` // layout 2: a digest
	Delta   []byte `dynamodbav:"delta,omitempty"`
	Spent   *int   `dynamodbav:"spent,omitempty"` // write units that deltas have cost since the base
	Layout  int    `dynamodbav:"v,omitempty"`
	Expires int64  `dynamodbav:"expires"`
}

func (stateRow) Newest() int64 { return 2 }

// baseRow is the row of a base.
//
//tocsin:table TriggersTable
type baseRow struct {
	table.First
	Tenant  string `dynamodbav:"tenant"`
	ID      string `dynamodbav:"id"` // see baseID
	Body    []byte `dynamodbav:"body"`
	Expires int64  `dynamodbav:"expires"`
}

func baseID(id, base string) string { return basePrefix + id + " " + base }

func baseKey(tenant, id, base string) table.Item { return table.TenantKey(tenant, baseID(id, base)) }

// keptState is a state as it was read last.
type keptState struct {
	version int64
	base    string // digest, "" = none
	content []byte // of the base
	spent   int    // write units that deltas have cost since the base
}

// units are the write units of so many bytes. DynamoDB, "Read/write capacity mode": one for each kilobyte begun.
func units(bytes int) int { return (bytes + 1023) / 1024 }

// States reads what triggers remember.
func (s *Triggers) States(ctx context.Context, tenant string, ids []string) ([]trigger.State, error) {
	for range stateTries {
		out, err := s.states(ctx, tenant, ids)
		if !errors.Is(err, table.ErrTorn) {
			return out, err
		}
	}
	return nil, fmt.Errorf("read the states of %d triggers of tenant %s: %w", len(ids), tenant, table.ErrTorn)
}

// states is one try. Error: errTorn when a state was replaced between two calls.
func (s *Triggers) states(ctx context.Context, tenant string, ids []string) ([]trigger.State, error) {
	out, kept := make([]trigger.State, len(ids)), make([]keptState, len(ids))
	keys := make([]table.Item, len(ids))
	place := make(map[string]int, len(ids))
	for n, id := range ids {
		out[n] = trigger.State{Tenant: tenant, Trigger: id}
		keys[n], place[statePrefix+id] = triggerKey(tenant, statePrefix, id), n
	}
	found, err := table.GetAll(ctx, s.DB, s.Table, keys, true)
	var rows []stateRow
	if err == nil {
		rows, err = table.UnmarshalAll[stateRow](found)
	}
	if err != nil {
		return nil, fmt.Errorf("read the states of %d triggers of tenant %s: %w", len(ids), tenant, err)
	}
	deltas := map[int][]byte{}
	for _, row := range rows {
		n := place[row.ID]
		st := &out[n]
		st.Version, st.Body, st.Expires = row.Version, row.Body, time.Unix(row.Expires, 0).UTC()
		kept[n] = keptState{version: row.Version, base: row.Base}
		if row.Spent != nil {
			kept[n].spent = *row.Spent
		}
		if row.Base != "" {
			deltas[n] = row.Delta
		}
	}
	if err := s.bases(ctx, out, kept); err != nil {
		return nil, err
	}
	for n, delta := range deltas {
		if out[n].Body, err = undiff(kept[n].content, delta); err != nil {
			return nil, fmt.Errorf("the state of trigger %s of tenant %s is damaged: %w", ids[n], tenant, err)
		}
	}
	s.keep(out, kept)
	return out, nil
}

// bases finds the bases of states: those that are not remembered are read.
func (s *Triggers) bases(ctx context.Context, states []trigger.State, kept []keptState) error {
	var keys []table.Item
	place := map[string]int{}
	for n, st := range states {
		switch known := s.keptOf(st); {
		case kept[n].base == "":
		case known.base == kept[n].base:
			kept[n].content = known.content
		default:
			key := baseKey(st.Tenant, st.Trigger, kept[n].base)
			keys, place[table.TextOf(key, "id")] = append(keys, key), n
		}
	}
	rows, err := table.GetAll(ctx, s.DB, s.Table, keys, true)
	if err != nil {
		return fmt.Errorf("read %d bases of states: %w", len(keys), err)
	}
	for _, row := range rows {
		kept[place[table.TextOf(row, "id")]].content = table.BlobOf(row, "body")
	}
	if len(rows) < len(keys) {
		return table.ErrTorn
	}
	return nil
}

func stateName(st trigger.State) string { return st.Tenant + " " + st.Trigger }

// keep remembers states for the round that replaces them, and for the next one.
func (s *Triggers) keep(states []trigger.State, kept []keptState) {
	for n, st := range states {
		s.kept.Keep(stateName(st), kept[n], maxKeptStates)
	}
}

// Replace makes the writes of states for a transaction, each on the condition that it is as it was read, and writes new
// bases before it. unnamed are the keys of bases that can be removed after it.
func (s *Triggers) Replace(ctx context.Context, states []trigger.State) (writes []types.TransactWriteItem,
	unnamed []table.Item, err error) {
	var bases []table.Write
	for _, st := range states {
		row := stateRow{Tenant: st.Tenant, ID: statePrefix + st.Trigger, Version: st.Version + 1,
			Expires: st.Expires.Unix()}
		old := s.keptOf(st)
		if old.version != st.Version {
			old = keptState{}
		}
		named := old.base
		if len(st.Body) <= wholeBytes {
			row.Body, named = st.Body, ""
		} else if delta, spent := old.delta(st.Body); delta != nil {
			row.Layout, row.Base, row.Delta, row.Spent = 2, named, delta, &spent
		} else {
			sum := sha256.Sum256(st.Body)
			named = hex.EncodeToString(sum[:16])
			row.Layout, row.Base, row.Delta, row.Spent = 2, named, diff(st.Body, st.Body), new(int)
			base, err := table.Marshal(baseRow{Tenant: st.Tenant, ID: baseID(st.Trigger, named), Body: st.Body,
				Expires: st.Expires.Add(MarkMargin).Unix()})
			if err != nil {
				return nil, nil, err
			}
			bases = append(bases, table.Write{Table: s.Table, Item: base})
		}
		if old.base != "" && old.base != named {
			unnamed = append(unnamed, baseKey(st.Tenant, st.Trigger, old.base))
		}
		item, err := table.Marshal(row)
		if err != nil {
			return nil, nil, err
		}
		put := &types.Put{TableName: &s.Table, Item: item,
			ConditionExpression: awssdk.String("attribute_not_exists(id)")}
		if st.Version > 0 {
			put.ConditionExpression = awssdk.String("version = :before")
			put.ExpressionAttributeValues = table.Item{":before": table.Number(st.Version)}
		}
		writes = append(writes, types.TransactWriteItem{Put: put})
	}
	if err := table.PutAll(ctx, s.DB, bases); err != nil {
		return nil, nil, fmt.Errorf("write %d bases of states: %w", len(bases), err)
	}
	return writes, unnamed, nil
}

// keptOf is the zero value for a state that is not remembered.
func (s *Triggers) keptOf(st trigger.State) keptState {
	kept, _ := s.kept.Get(stateName(st))
	return kept
}

// delta is a body against the base, with what deltas have cost with it; nil when a new base is due.
func (k keptState) delta(body []byte) ([]byte, int) {
	if k.base == "" {
		return nil, 0
	}
	delta := diff(k.content, body)
	spent := k.spent + 2*units(len(delta)+stateOverhead)
	if spent > units(len(body))+units(len(k.content)) { // to write the one and to remove the other
		return nil, 0
	}
	return delta, spent
}

// stateOverhead is what a state's row has beside its delta, in bytes.
const stateOverhead = 200

// diffWindow is the least window, of the dictionary and the body together.
const diffWindow = 128 << 10

// windowOf is a power of two that has room for a base and a body.
func windowOf(base, body []byte) int {
	window := diffWindow
	for window < len(base)+len(body) {
		window *= 2
	}
	return window
}

// diff compresses a body with a base as the dictionary.
func diff(base, body []byte) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderDictRaw(1, base), zstd.WithWindowSize(windowOf(base, body)),
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		panic(err) // the options are constant, and the base is larger than wholeBytes
	}
	return w.EncodeAll(body, nil)
}

func undiff(base, delta []byte) ([]byte, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderDictRaw(1, base), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxMemory(4<<20))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	body, err := r.DecodeAll(delta, nil)
	return slices.Clip(body), err
}

// MarkMargin is how much longer a mark is kept than its intake.
const MarkMargin = 7 * 24 * time.Hour
