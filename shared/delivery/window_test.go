package delivery_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
)

func TestJoin(t *testing.T) {
	noon := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
	later := noon.Add(10 * time.Minute)
	one := func(id string, due time.Time, count, size int) delivery.Windowed {
		return delivery.Windowed{ID: id, Due: due, Count: count, Size: size}
	}
	digest := func(why string, w delivery.Windowed) delivery.Windowed {
		w.Digest = why
		return w
	}
	full, large := destination.File.Count, destination.File.Bytes
	for name, c := range map[string]struct {
		in   []delivery.Windowed
		want [][]string
	}{
		"none": {nil, nil},
		"one span is one delivery": {[]delivery.Windowed{one("a", noon, 1, 9), one("b", noon, 2, 9),
			one("c", noon, 3, 9)}, [][]string{{"a", "b", "c"}}},
		"two spans are two": {[]delivery.Windowed{one("a", noon, 1, 9), one("b", later, 2, 9),
			one("c", later, 3, 9)}, [][]string{{"a"}, {"b", "c"}}},
		"a full one goes alone": {[]delivery.Windowed{one("a", noon, full, 9), one("b", noon, 1, 9)},
			[][]string{{"a"}, {"b"}}},
		"the bound by count is exact": {[]delivery.Windowed{one("a", noon, full-1, 9), one("b", noon, 1, 9),
			one("c", noon, 1, 9)}, [][]string{{"a", "b"}, {"c"}}},
		"the bound by bytes is exact": {[]delivery.Windowed{one("a", noon, 1, large-9), one("b", noon, 1, 9),
			one("c", noon, 1, 1)}, [][]string{{"a", "b"}, {"c"}}},
		"digests of different reasons stay apart, whichever comes between": {[]delivery.Windowed{
			digest("quiet", one("a", noon, 1, 9)), digest("mute", one("b", noon, 1, 9)),
			digest("quiet", one("c", noon, 1, 9)), one("d", noon, 1, 9)}, [][]string{{"a", "c"}, {"b"}, {"d"}}},
		"a message of a group has so many events": {[]delivery.Windowed{digest("group/3", one("a", noon, 2, 9)),
			digest("group/3", one("b", noon, 1, 9)), digest("group/3", one("c", noon, 1, 9))},
			[][]string{{"a", "b"}, {"c"}}},
		"one that is too large goes, too": {[]delivery.Windowed{one("a", noon, 1, 2*large)}, [][]string{{"a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var got [][]string
			for _, group := range delivery.Coalesce(c.in) {
				var ids []string
				for _, g := range group {
					ids = append(ids, g.ID)
				}
				got = append(got, ids)
			}
			require.Equal(t, c.want, got)
		})
	}
}
