package settings

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/sqlite/db"
	"tocsin/shared/engine/sqlite/eventbus"
	"tocsin/shared/trigger"
)

// rig is a file with two triggers.
func rig(t *testing.T) *Triggers {
	file, err := db.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), db.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	bus := eventbus.New(file, 0)
	require.NoError(t, file.Begin(bus.Load, func(*db.Writer) error { return nil }))
	s := NewTriggers(file, bus)
	require.NoError(t, file.Write(t.Context(), func(w *db.Writer) error {
		for _, id := range []string{"t", "u"} {
			if err := putTrigger(w, insertTrigger, trigger.Trigger{ID: id, Tenant: "42", Revision: 1}); err != nil {
				return err
			}
		}
		return nil
	}))
	return s
}

func (s *Triggers) write(t *testing.T, end error, states ...trigger.State) error {
	return s.db.WriteRepeatable(t.Context(), func(w *db.Writer) error {
		return errors.Join(s.PutOutcome(w, trigger.Outcome{States: states}), end)
	})
}

func (s *Triggers) version(t *testing.T, id string) int64 {
	out, err := s.States(t.Context(), "42", []string{id})
	require.NoError(t, err)
	return out[0].Version
}

func TestAStateOfAWriteThatIsUndoneIsNotRemembered(t *testing.T) {
	s := rig(t)
	undone := errors.New("undone")
	require.ErrorIs(t, s.write(t, undone, trigger.State{Tenant: "42", Trigger: "t"}), undone)
	require.Zero(t, s.version(t, "t"))
	require.NoError(t, s.write(t, nil, trigger.State{Tenant: "42", Trigger: "t"}))
	require.ErrorIs(t, s.write(t, undone, trigger.State{Tenant: "42", Trigger: "t", Version: 1}), undone)
	require.EqualValues(t, 1, s.version(t, "t"))
}

// A commit whose answer got lost leaves memory behind the file: the first batch that is refused for it says so.
func TestAStateThatIsOlderThanTheFileIsReadAnew(t *testing.T) {
	s := rig(t)
	require.NoError(t, s.write(t, nil, trigger.State{Tenant: "42", Trigger: "t"}))
	older := s.last.states[stateOf{"42", "t"}]
	require.NoError(t, s.write(t, nil, older))
	s.last.states[stateOf{"42", "t"}] = older
	require.EqualValues(t, 1, s.version(t, "t"), "it is from memory")
	require.ErrorIs(t, s.write(t, nil, older), trigger.ErrStale)
	require.EqualValues(t, 2, s.version(t, "t"))
}

func TestWhatIsKeptOfStatesIsBounded(t *testing.T) {
	var l lastStates
	put := func(id string, size int) {
		l.keep([]trigger.State{{Tenant: "42", Trigger: id, Body: make([]byte, size)}}, 7, true)
	}
	put("t", mostStateBytes)
	put("t", 1)
	require.Equal(t, 1, l.size)
	put("t", mostStateBytes+1)
	_, known := l.all("42", []string{"t"}, 7)
	require.True(t, known, "the newest is kept whatever its size")
	put("u", 1)
	_, known = l.all("42", []string{"t"}, 7)
	require.False(t, known)
	require.Equal(t, 1, l.size)
	_, known = l.all("42", []string{"u"}, 8)
	require.False(t, known, "something else wrote")
	l.keep(nil, 7, false)
	_, known = l.all("42", []string{"u"}, 7)
	require.False(t, known, "something else writes")
}
