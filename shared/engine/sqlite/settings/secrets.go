package settings

import (
	"context"
	"encoding/json"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/integration"
)

// eachPage is how many integrations Each reads at once.
const eachPage = 200

// Each visits the integrations of all tenants, in the order of tenants and ids, until visit returns an error.
func (s *Integrations) Each(ctx context.Context, visit func(integration.Integration) error) error {
	tenant, id := "", ""
	for {
		var page []integration.Integration
		err := s.db.Query(ctx, "SELECT body FROM integrations WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?",
			func(q *driver.Stmt) {
				q.BindText(1, tenant)
				q.BindText(2, id)
				q.BindInt64(3, eachPage)
			}, func(q *driver.Stmt) error {
				var i integration.Integration
				err := json.Unmarshal(db.Blob(q, 0), &i)
				page = append(page, i)
				return err
			})
		if err != nil {
			return fmt.Errorf("read the integrations behind %s of tenant %s: %w", id, tenant, err)
		}
		for _, i := range page {
			tenant, id = i.Tenant, i.ID
			if err := visit(i); err != nil {
				return err
			}
		}
		if len(page) < eachPage {
			return nil
		}
	}
}

// Reseal replaces the sealed secrets of an integration that nobody changed meanwhile. To everybody else it is
// unchanged: its revision stays.
func (s *Integrations) Reseal(ctx context.Context, i integration.Integration, sealed []byte) error {
	i.Sealed = sealed
	body, err := json.Marshal(i)
	if err != nil {
		return err
	}
	err = s.db.Write(ctx, func(w *db.Writer) error {
		if err := w.Do("UPDATE integrations SET body = ?4 WHERE tenant = ?1 AND id = ?2 AND revision = ?3",
			func(q *driver.Stmt) {
				q.BindText(1, i.Tenant)
				q.BindText(2, i.ID)
				q.BindInt64(3, i.Revision)
				q.BindBytes(4, body)
			}); err != nil {
			return err
		}
		return changedOne(w, i.Tenant, i.ID)
	})
	if err != nil {
		return fmt.Errorf("write the secrets of integration %s: %w", i.ID, err)
	}
	s.Forget(i.Tenant)
	return nil
}
