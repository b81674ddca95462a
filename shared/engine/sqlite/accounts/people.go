package accounts

import (
	"context"
	"encoding/json"
	"fmt"

	driver "zombiezen.com/go/sqlite"

	"tocsin/shared/account"
	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite/activitylog"
	"tocsin/shared/engine/sqlite/db"
)

// People keeps the people of the embedded mode (account.Store).
type People struct{ db *db.File }

// NewPeople returns the people of a state file.
func NewPeople(file *db.File) *People { return &People{file} }

var _ account.Store = (*People)(nil)

// Get reads one person.
func (p *People) Get(ctx context.Context, tenant, address string) (account.Person, error) {
	all, err := p.read(ctx, "SELECT body FROM accounts WHERE tenant = ? AND address = ?", tenant, address)
	if err != nil {
		return account.Person{}, err
	}
	if len(all) == 0 {
		return account.Person{}, account.ErrUnknown
	}
	return all[0], nil
}

// Find reads the people with an address.
func (p *People) Find(ctx context.Context, address string) ([]account.Person, error) {
	return p.read(ctx, "SELECT body FROM accounts WHERE address = ? ORDER BY tenant", address)
}

// List reads all people.
func (p *People) List(ctx context.Context) ([]account.Person, error) {
	return p.read(ctx, "SELECT body FROM accounts ORDER BY tenant, address")
}

func (p *People) read(ctx context.Context, sql string, texts ...string) (out []account.Person, err error) {
	err = p.db.Query(ctx, sql, func(s *driver.Stmt) {
		for n, text := range texts {
			s.BindText(n+1, text)
		}
	}, func(s *driver.Stmt) error {
		var one account.Person
		err := json.Unmarshal(db.Blob(s, 0), &one)
		out = append(out, one)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	return out, nil
}

// Save writes one person, with the entries of it.
func (p *People) Save(ctx context.Context, one account.Person, entries ...activity.Entry) error {
	body, err := json.Marshal(one)
	if err != nil {
		return err
	}
	return p.db.Write(ctx, func(w *db.Writer) error {
		sql, taken := "UPDATE accounts SET revision = ?3, body = ?4 WHERE tenant = ?1 AND address = ?2 AND "+
			"revision = ?3 - 1", account.ErrChanged
		if one.Revision == 1 {
			sql, taken = "INSERT OR IGNORE INTO accounts (tenant, address, revision, body) VALUES (?1, ?2, ?3, ?4)",
				account.ErrExists
		}
		err := w.Do(sql, func(s *driver.Stmt) {
			s.BindText(1, one.Tenant)
			s.BindText(2, one.Address())
			s.BindInt64(3, one.Revision)
			s.BindBytes(4, body)
		})
		if err == nil && w.Conn.Changes() == 0 {
			err = taken
		}
		if err != nil {
			return err
		}
		return activitylog.PutAll(w, entries)
	})
}
