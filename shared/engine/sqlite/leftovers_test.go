package sqlite_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/account"
	"tocsin/shared/activity"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/erasure"
	"tocsin/shared/integration"
	"tocsin/shared/profile"
)

const (
	moved    = "ada.moved@example.com"
	moveText = "words of a mail that moved"
)

// movingRows are rows of a tenant that SQLite moves to other pages, again and again, before they are erased: in the
// pages that they were on, gaps keep what they were.
func movingRows(t *testing.T, db *sqlite.DB, of, address, text string) {
	order := rand.New(rand.NewPCG(1, 2)).Perm(300)
	for n, k := range order {
		require.NoError(t, db.Accounts().Save(t.Context(), account.Person{Tenant: of, Revision: 1,
			Email: fmt.Sprintf("k%03d@example.com", k), Name: of + strings.Repeat("x", n%170)}))
		if n%20 == 0 {
			require.NoError(t, db.Accounts().Save(t.Context(), account.Person{Tenant: of, Revision: int64(n/20) + 1,
				Email: address, Name: strings.Repeat("y", 40*(n/20))}))
			require.NoError(t, db.MailLog().Keep(t.Context(), destination.Mail{Tenant: of, To: address,
				Text: text + strings.Repeat("z", 37*n)}, enginetest.At))
		}
		require.NoError(t, db.ActivityLog().Append(t.Context(), activity.Entry{ID: fmt.Sprintf("%s-%03d", of, k),
			At: enginetest.At, Actor: activity.Actor{Tenant: of, Email: address}, Object: activity.User,
			ObjectID: address}))
	}
}

// grownBefore has rows grow and shrink as older releases did, which overwrote nothing: the pages keep copies of them.
func grownBefore(t *testing.T, path string) {
	conn, err := driver.OpenConn(path, driver.OpenReadWrite)
	require.NoError(t, err)
	for _, table := range []string{"accounts", "mails"} {
		for _, sql := range []string{"UPDATE %s SET body = CAST(body || zeroblob(700) AS BLOB)",
			"UPDATE %s SET body = substr(body, 1, length(body) - 700)"} {
			require.NoError(t, sqlitex.ExecuteTransient(conn, fmt.Sprintf(sql, table), nil))
		}
	}
	require.NoError(t, conn.Close())
}

// inFile are those texts which the file or its log holds, in use or not.
func inFile(t *testing.T, path string, texts ...string) (found []string) {
	for _, file := range []string{path, path + "-wal"} {
		raw, err := os.ReadFile(file)
		if !os.IsNotExist(err) {
			require.NoError(t, err)
		}
		for _, text := range texts {
			if bytes.Contains(bytes.ToLower(raw), []byte(strings.ToLower(text))) {
				found = append(found, text+" in "+filepath.Base(file))
			}
		}
	}
	return found
}

func erasesPeople(db *sqlite.DB) *erasure.Service {
	s := eraser(db)
	s.Source, s.Jobs = db.Erasure(), db.Erasures()
	s.Integrations = db.Erasure().Overwriting(&integration.Service{Store: db.Integrations(), Now: s.Now, NewID: s.NewID,
		Systems: catalogue.Default(), Log: s.Logger})
	return s
}

// TestNoCopyOfWhatWasErasedIsLeftInGapsOfPagesInUse: of rows that were moved by page splits before, and removed.
func TestNoCopyOfWhatWasErasedIsLeftInGapsOfPagesInUse(t *testing.T) {
	t.Parallel()
	erase := map[string]func(*testing.T, *erasure.Service) string{
		"a person": func(t *testing.T, s *erasure.Service) string {
			j, err := s.ErasePerson(t.Context(), activity.System(leaving), leaving, profile.Names(moved))
			require.NoError(t, err)
			return j.Problem
		},
		"a tenant, by the command": func(t *testing.T, s *erasure.Service) string {
			_, err := s.Erase(t.Context(), leaving)
			require.NoError(t, err)
			return s.Clear(t.Context())
		},
		"a tenant, as the API does": func(t *testing.T, s *erasure.Service) string {
			_, err := s.Begin(t.Context(), leaving)
			require.NoError(t, err)
			for range 2 { // the second look is due at once
				_, err = s.Work(t.Context(), s.Now().Add(1))
				require.NoError(t, err)
			}
			j, err := s.Job(t.Context(), leaving)
			require.NoError(t, err)
			require.Equal(t, erasure.Done, j.State)
			return j.Problem
		},
	}
	for name, erase := range erase {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(quickDir(t), "state.db")
			db := reopen(t, path)
			movingRows(t, db, leaving, moved, moveText)
			movingRows(t, db, "stays", "grace@example.com", "other words")
			require.NoError(t, db.Close())
			grownBefore(t, path)
			db = reopen(t, path)
			require.NotEmpty(t, inFile(t, path, moved, moveText), "nothing is tried")
			require.Empty(t, erase(t, erasesPeople(db)))
			require.Empty(t, inFile(t, path, moved, moveText), "while it runs")
			require.NoError(t, db.Close())
			require.Empty(t, inFile(t, path, moved, moveText), "after it ended")
		})
	}
}

// TestAnErasureInALargeFileSaysThatCompactIsNeeded: the file is not rewritten then, and compact makes it true.
func TestAnErasureInALargeFileSaysThatCompactIsNeeded(t *testing.T) {
	path := filepath.Join(quickDir(t), "state.db")
	db := reopenWith(t, path, sqlite.Options{ClearLimit: 1 << 14})
	movingRows(t, db, leaving, moved, moveText)
	j, err := erasesPeople(db).ErasePerson(t.Context(), activity.System(leaving), leaving, profile.Names(moved))
	require.NoError(t, err)
	require.Equal(t, erasure.Done, j.State)
	require.Contains(t, j.Problem, "stop Tocsin and run `tocsin compact` once")
	require.NoError(t, db.Compact(t.Context()))
	require.Empty(t, inFile(t, path, moved, moveText))
}
