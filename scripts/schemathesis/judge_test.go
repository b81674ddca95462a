package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARunThatSaysNothingFails(t *testing.T) {
	t.Parallel()
	times := func(n int, calls ...string) string { return strings.Repeat(strings.Join(calls, "\n")+"\n", n) }
	for name, c := range map[string]struct{ calls, fault string }{
		"each operation is seen at work": {times(900, "200 GET /v1/a", "204 DELETE /v1/a"), ""},
		"most calls are refused":         {times(900, "401 GET /v1/a", "200 GET /v1/a"), "not looked at"},
		"a minute's calls are used up":   {times(900, "429 GET /v1/a", "200 GET /v1/a"), "not looked at"},
		"one operation of many is never at work": {times(900, "422 POST /v1/a", "200 GET /v1/a", "200 GET /v1/b"),
			"1 of 3 operations never answered a 2xx"},
		"most operations refuse all bodies": {times(900, "422 POST /v1/a", "200 GET /v1/a"), "not seen at work"},
		"hardly anything is called":         {times(9, "200 GET /v1/a"), "say nothing"},
		"nothing is called":                 {"", "say nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said, err := judge(c.calls)
			if c.fault == "" {
				require.NoError(t, err)
				require.Contains(t, said, "1800 calls, 0 of them refused; 2 operations")
				return
			}
			require.ErrorContains(t, err, c.fault)
		})
	}
}
