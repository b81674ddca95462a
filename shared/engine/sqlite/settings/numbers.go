package settings

import (
	"context"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/integration"
	"tocsin/shared/trigger"
)

// numbers gives the rows of a table their numbers (integration.Numbers, trigger.Numbers).
type numbers struct {
	db    *db.File
	table string // integrations or triggers
	none  error  // there is no such row
}

// next counts on.
func (n numbers) next(ctx context.Context) (number int64, err error) {
	err = n.db.Write(ctx, func(w *db.Writer) error {
		return db.Each(w.Conn, "INSERT INTO numbers (kind, last) VALUES (?, 1) "+
			"ON CONFLICT (kind) DO UPDATE SET last = last + 1 RETURNING last",
			func(s *driver.Stmt) { s.BindText(1, n.table) },
			func(s *driver.Stmt) error { number = s.ColumnInt64(0); return nil })
	})
	if err != nil {
		return 0, fmt.Errorf("draw a number for one of the %s: %w", n.table, err)
	}
	return number, nil
}

// give leaves a number that is there as it is.
func (n numbers) give(ctx context.Context, tenant, id string, number int64) (given int64, err error) {
	err = n.db.Write(ctx, func(w *db.Writer) error {
		return db.Each(w.Conn, "UPDATE "+n.table+" SET number = COALESCE(number, ?3) WHERE tenant = ?1 AND id = ?2 "+
			"RETURNING number", func(s *driver.Stmt) {
			s.BindText(1, tenant)
			s.BindText(2, id)
			s.BindInt64(3, number)
		}, func(s *driver.Stmt) error { given = s.ColumnInt64(0); return nil })
	})
	if err == nil && given == 0 {
		err = n.none
	}
	if err != nil {
		return 0, fmt.Errorf("give %s of the %s a number: %w", id, n.table, err)
	}
	return given, nil
}

func (n numbers) find(ctx context.Context, number int64) (tenant, id string, err error) {
	err = n.db.Query(ctx, "SELECT tenant, id FROM "+n.table+" WHERE number = ?",
		func(q *driver.Stmt) { q.BindInt64(1, number) },
		func(q *driver.Stmt) error { tenant, id = q.ColumnText(0), q.ColumnText(1); return nil })
	if err == nil && id == "" {
		err = n.none
	}
	if err != nil {
		return "", "", fmt.Errorf("find number %d of the %s: %w", number, n.table, err)
	}
	return tenant, id, nil
}

func (s *Integrations) numbers() numbers {
	return numbers{s.db, "integrations", integration.ErrNotFound}
}

// NextNumber draws a number.
func (s *Integrations) NextNumber(ctx context.Context) (int64, error) { return s.numbers().next(ctx) }

// GiveNumber gives an integration a number unless it has one.
func (s *Integrations) GiveNumber(ctx context.Context, tenant, id string, number int64) (int64, error) {
	defer s.Forget(tenant)
	return s.numbers().give(ctx, tenant, id, number)
}

// ByNumber finds an integration.
func (s *Integrations) ByNumber(ctx context.Context, number int64) (k integration.Key, err error) {
	k.Tenant, k.ID, err = s.numbers().find(ctx, number)
	return k, err
}

func (s *Triggers) numbers() numbers { return numbers{s.db, "triggers", trigger.ErrNotFound} }

// NextNumber draws a number.
func (s *Triggers) NextNumber(ctx context.Context) (int64, error) { return s.numbers().next(ctx) }

// GiveNumber gives a trigger a number unless it has one.
func (s *Triggers) GiveNumber(ctx context.Context, tenant, id string, number int64) (int64, error) {
	return s.numbers().give(ctx, tenant, id, number)
}

// ByNumber finds a trigger.
func (s *Triggers) ByNumber(ctx context.Context, number int64) (tenant, id string, err error) {
	return s.numbers().find(ctx, number)
}
