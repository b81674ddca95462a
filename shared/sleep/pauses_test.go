package sleep_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/sleep"
)

func TestPausesGrowToTheMost(t *testing.T) {
	b := sleep.Growing(time.Second, 30*time.Second)
	for n, want := range []int{1, 2, 4, 8, 16, 30, 30, 30} {
		require.Equal(t, time.Duration(want)*time.Second, b.NextBackOff(), n)
	}
}

func TestRandomPausesLieBetweenNothingAndTwiceTheGrowing(t *testing.T) {
	different := map[time.Duration]bool{}
	for range 100 {
		b := sleep.Random(10*time.Millisecond, 120*time.Millisecond)
		for n, most := range []int{20, 40, 80, 160, 240, 240} {
			got := b.NextBackOff()
			require.LessOrEqual(t, got, time.Duration(most)*time.Millisecond+1, n)
			require.GreaterOrEqual(t, got, time.Duration(0), n)
			different[got] = true
		}
	}
	require.Greater(t, len(different), 100)
}
