package settings

import (
	"context"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/integration"
	"tocsin/shared/metrics"
)

const countStates = `SELECT json_extract(CAST(body AS TEXT), '$.System'), json_extract(CAST(body AS TEXT), '$.Off.by'),
	json_extract(CAST(body AS TEXT), '$.Off') IS NOT NULL, failing IS NOT NULL, count(*)
	FROM integrations GROUP BY 1, 2, 3, 4`

// States counts the integrations of all tenants by system and state.
func (s *Integrations) States(ctx context.Context) (out []metrics.States, err error) {
	err = s.db.Query(ctx, countStates, nil, func(q *driver.Stmt) error {
		st := metrics.States{System: q.ColumnText(0), State: metrics.StateEnabled, Count: q.ColumnInt(4)}
		switch {
		case q.ColumnBool(2) && integration.Actor(q.ColumnText(1)) == integration.ByPlatform:
			st.State = metrics.StateBroken
		case q.ColumnBool(2):
			st.State = metrics.StateDisabled
		case q.ColumnBool(3):
			st.State = metrics.StateFailing
		}
		out = append(out, st)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count the integrations by state: %w", err)
	}
	return out, nil
}
