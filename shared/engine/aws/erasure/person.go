package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/erasure"
	"tocsin/shared/erasure/pseudonym"
	"tocsin/shared/session"
	"tocsin/shared/token"
)

// ErasePerson goes through some pages of one table. Messages of the queues name rows; those of what failed go with
// their age.
func (s *Store) ErasePerson(ctx context.Context, tenant string, w pseudonym.Writer,
	from string) (rows erasure.Counts, next string, err error) {
	at, err := readPlace(from)
	if err != nil {
		return nil, "", err
	}
	all := s.Tables.kinds()
	n, err := at.among(all)
	if err != nil {
		return nil, "", err
	}
	k, rows := all[n], erasure.Counts{}
	start := at.start()
	for range pagesAtOnce {
		items, last, err := s.read(ctx, k, tenant, start)
		if err == nil {
			err = s.erasePersonFrom(ctx, k, items, w, rows)
		}
		if err != nil {
			return rows, "", fmt.Errorf("erase a person from the table of %s: %w", k.name, err)
		}
		if start = last; last == nil {
			return rows, s.next(all, n), nil
		}
	}
	return rows, after(k, start).write(), nil
}

func (s *Store) erasePersonFrom(ctx context.Context, k kind, items []table.Item, w pseudonym.Writer,
	rows erasure.Counts) error {
	var mine []table.Item
	for _, item := range items {
		if k.own(w, item) {
			mine = append(mine, item)
			continue
		}
		if named, err := k.names(w, item); err != nil || !named {
			if err != nil {
				return err
			}
			continue
		}
		done, err := s.write(ctx, k, item, w)
		if err != nil {
			return err
		}
		if done {
			rows[erasure.Pseudonymous(k.name)]++
		} else {
			rows[k.name]++ // it is looked at once more
		}
	}
	return s.remove(ctx, k, mine, rows)
}

// names reports whether an export of a row names the person.
func (k kind) names(w pseudonym.Writer, item table.Item) (bool, error) {
	body, err := k.readable(item)
	if err != nil || body == nil {
		return false, err
	}
	var v any
	err = json.Unmarshal(body, &v)
	return w.Names.In(v), err
}

// own reports whether a row is the person's own: its key names them, it is of what is sent to them, or it is a session
// or a token of theirs.
func (k kind) own(w pseudonym.Writer, item table.Item) bool {
	if k.name == "accounts" {
		return ownAccount(w, item)
	}
	for _, name := range append(slices.Clip(k.key), "integration") {
		if w.Names.In(table.TextOf(item, name)) {
			return true
		}
	}
	return false
}

func ownAccount(w pseudonym.Writer, item table.Item) bool {
	raw := table.BlobOf(item, "body")
	if raw == nil {
		return w.Names.In(table.TextOf(item, "pk")) // what finds the sessions of somebody
	}
	var t token.Token
	if json.Unmarshal(raw, &t) == nil && t.Kind != "" {
		return t.Kind == token.Personal && w.Names.Is(t.Email)
	}
	var v session.Session
	return json.Unmarshal(raw, &v) == nil && v.Method != "" && w.Names.Is(v.Person())
}

// write writes the pseudonym into a row, unless it is another one by now. done is false where it still names the
// person.
func (s *Store) write(ctx context.Context, k kind, item table.Item, w pseudonym.Writer) (done bool, err error) {
	set, names, values := []string{}, map[string]string{}, table.Item{}
	var was []string
	next := table.Item{}
	for _, name := range table.SortedNames(item) {
		v, err := k.written(w, name, item[name])
		if err != nil {
			return false, err
		}
		if next[name] = item[name]; v == nil {
			continue
		}
		next[name] = v
		n := len(set)
		names[fmt.Sprintf("#a%d", n)] = name
		values[fmt.Sprintf(":is%d", n)], values[fmt.Sprintf(":was%d", n)] = v, item[name]
		set = append(set, fmt.Sprintf("#a%d = :is%d", n, n))
		was = append(was, fmt.Sprintf("#a%d = :was%d", n, n))
	}
	if len(set) == 0 {
		return false, nil
	}
	update, condition := "SET "+strings.Join(set, ", "), strings.Join(was, " AND ")
	_, err = s.DB.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: &k.at, Key: k.keyOf(item),
		UpdateExpression: &update, ConditionExpression: &condition, ExpressionAttributeNames: names,
		ExpressionAttributeValues: values})
	var unmet *types.ConditionalCheckFailedException
	if errors.As(err, &unmet) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	named, err := k.names(w, next)
	return !named, err
}

// written is an attribute with the pseudonym in it; nil where it stays as it is.
func (k kind) written(w pseudonym.Writer, name string, v types.AttributeValue) (types.AttributeValue, error) {
	if slices.Contains(k.key, name) || erasure.Secret(name) || strings.HasSuffix(name, "digest") ||
		k.name == "integrations" && name == "parameters" { // see erasure.Integrations
		return nil, nil
	}
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		if is := w.Member(name, v.Value); is != v.Value && k.name != "integrations" || w.Names.In(v.Value) {
			return table.Text(is), nil
		}
	case *types.AttributeValueMemberB:
		return writtenBytes(w, v.Value)
	case *types.AttributeValueMemberL:
		out, other := []types.AttributeValue{}, false
		for _, one := range v.Value {
			is, err := k.written(w, name, one)
			if err != nil {
				return nil, err
			}
			if is == nil {
				is = one
			} else {
				other = true
			}
			out = append(out, is)
		}
		if other {
			return &types.AttributeValueMemberL{Value: out}, nil
		}
	}
	return nil, nil
}

// writtenBytes are bytes that are text, or compressed text.
func writtenBytes(w pseudonym.Writer, raw []byte) (types.AttributeValue, error) {
	if utf8.Valid(raw) && json.Valid(raw) {
		if is := w.Bytes(raw); string(is) != string(raw) {
			return table.Blob(is), nil
		}
		return nil, nil
	}
	inflated, err := table.Inflate(raw)
	if err != nil || !utf8.Valid(inflated) {
		return nil, nil // neither: see opened
	}
	is := w.Bytes(inflated)
	if string(is) == string(inflated) {
		return nil, nil
	}
	deflated, err := table.Deflate(is)
	if err != nil {
		return nil, err
	}
	return table.Blob(deflated), nil
}
