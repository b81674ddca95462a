package commandline

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAStepThatTakesLongSaysThatItGoesOnAndHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		var rows atomic.Int64
		far := func() string { return strconv.FormatInt(rows.Load(), 10) + " rows" }
		failed := errors.New("the disk is full")
		require.ErrorIs(t, long(t.Context(), &said, "removing rows", far, func() error {
			time.Sleep(time.Millisecond)
			for range 25 {
				rows.Add(2)
				time.Sleep(time.Second)
			}
			return failed
		}), failed)
		require.Equal(t, "still removing rows (3s, 6 rows)\nstill removing rows (13s, 26 rows)\n"+
			"still removing rows (23s, 46 rows)\n",
			said.String())
	})
}

func TestAShortStepSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		require.NoError(t, long(t.Context(), &said, "removing rows", nil, func() error {
			time.Sleep(quiet - time.Nanosecond)
			return nil
		}))
		require.Empty(t, said.String())
	})
}

// Not every step ends with its context: who pressed Ctrl-C saw nothing happen.
func TestAStepThatGoesOnAfterAnInterruptionSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for took, words := range map[time.Duration]string{
			2 * time.Second: "interrupted: it ends after removing rows; once more ends it at once\n",
			time.Nanosecond: "",
		} {
			var said strings.Builder
			ctx, interrupt := context.WithCancel(t.Context())
			require.NoError(t, long(ctx, &said, "removing rows", nil, func() error {
				time.Sleep(quiet / 2)
				interrupt()
				time.Sleep(took)
				return nil
			}))
			require.Equal(t, words, said.String())
		}
	})
}
