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
	full, large := destination.File.Count, destination.File.Bytes
	for name, c := range map[string]struct {
		in   []delivery.Windowed
		want [][]string
	}{
		"none": {nil, nil},
		"one span is one delivery": {[]delivery.Windowed{{"a", noon, 1, 9}, {"b", noon, 2, 9},
			{"c", noon, 3, 9}}, [][]string{{"a", "b", "c"}}},
		"two spans are two": {[]delivery.Windowed{{"a", noon, 1, 9}, {"b", later, 2, 9},
			{"c", later, 3, 9}}, [][]string{{"a"}, {"b", "c"}}},
		"a full one goes alone": {[]delivery.Windowed{{"a", noon, full, 9}, {"b", noon, 1, 9}},
			[][]string{{"a"}, {"b"}}},
		"the bound by count is exact": {[]delivery.Windowed{{"a", noon, full - 1, 9}, {"b", noon, 1, 9},
			{"c", noon, 1, 9}}, [][]string{{"a", "b"}, {"c"}}},
		"the bound by bytes is exact": {[]delivery.Windowed{{"a", noon, 1, large - 9}, {"b", noon, 1, 9},
			{"c", noon, 1, 1}}, [][]string{{"a", "b"}, {"c"}}},
		"one that is too large goes, too": {[]delivery.Windowed{{"a", noon, 1, 2 * large}}, [][]string{{"a"}}},
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
