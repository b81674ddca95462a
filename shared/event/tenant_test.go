package event_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
)

func TestTheTenantOfADetailIsThatWhichTheEventIsFiledUnder(t *testing.T) {
	for detail, want := range map[string]string{
		`{"version":1,"id":"1","tenant":"42","data":{"tenant":"43"}}`: "42",
		`{"tenant":"4\u0032"}`:                           "42",
		` {"TENANT":"42"} `:                              "42",
		`{"tenant":"41","tenant":"42"}`:                  "42",
		`{"tenant":"41","Tenant":"42"}`:                  "42",
		`{"data":{"a":[1,2,{"b":null}]}}`:                "",
		`{"tenant":42}`:                                  "",
		`{"tenant":null}`:                                "",
		`{"tenant":"` + strings.Repeat("x", 2000) + `"}`: "",
		`{"tenant":"\u0007"}`:                            "",
		`{}`:                                             "",
	} {
		got, ok := event.TenantOf(detail)
		require.True(t, ok, detail)
		require.Equal(t, want, got, detail)
	}
	for _, detail := range []string{"", " ", "null", "[]", `"{}"`, "{", `{"tenant":"42"`, `{"tenant":"42"}x`, "{]}"} {
		_, ok := event.TenantOf(detail)
		require.False(t, ok, detail)
	}
}

// FuzzTenantOf holds the look at a detail to what encoding/json and the reader of events say of it.
func FuzzTenantOf(f *testing.F) {
	for _, seed := range []string{`{"version":1,"tenant":"42"}`, `{"Tenant":"a","tenant":"b"}`, `{"tenant":null}`, `[]`,
		"{\"tenant\":\"\xff\"}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, detail string) {
		tenant, ok := event.TenantOf(detail)
		trimmed := strings.TrimLeft(detail, " \t\r\n")
		require.Equal(t, strings.HasPrefix(trimmed, "{") && json.Valid([]byte(detail)), ok)
		if e, err := event.Parse("create_user", []byte(detail)); err == nil {
			require.Equal(t, e.Tenant, tenant)
		}
	})
}
