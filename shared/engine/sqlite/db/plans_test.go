package db

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
)

// A statement that was prepared once is never compiled again for what is bound to it: SQLite asks the authorizer of a
// connection whenever it compiles.
func TestWhatIsBoundDoesNotHaveAStatementCompiledAgain(t *testing.T) {
	file, err := Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), Options{})
	require.NoError(t, err)
	require.NoError(t, file.Begin(func(*Writer) error { return nil }, func(*Writer) error { return nil }))
	defer file.Close()
	const limited = "SELECT id FROM pending WHERE ref = ? AND id > ? ORDER BY id LIMIT ?"
	const partial = "SELECT count(*) FROM (SELECT 1 FROM finished WHERE ref = ? AND id >= ? AND dead = 1 LIMIT ?)"
	for _, sql := range []string{limited, partial} {
		require.NoError(t, file.Reading(t.Context(), func(conn *driver.Conn) error {
			asked := 0
			require.NoError(t, conn.SetAuthorizer(driver.AuthorizeFunc(func(driver.Action) driver.AuthResult {
				asked++
				return driver.AuthResultOK
			})))
			defer func() { require.NoError(t, conn.SetAuthorizer(nil)) }()
			once := 0
			for n := range 5 {
				if err := Each(conn, sql, func(s *driver.Stmt) {
					s.BindInt64(1, int64(n))
					s.BindText(2, string(rune('a'+n)))
					s.BindInt64(3, int64(10+n))
				}, nil); err != nil {
					return err
				}
				if n == 0 {
					once = asked
				}
			}
			require.NotZero(t, once)
			require.Equal(t, once, asked, sql)
			return nil
		}))
	}
}
