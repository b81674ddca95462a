package filter

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/filter/uri"
)

func TestPatternsOfURIs(t *testing.T) {
	for _, c := range []struct {
		pattern, url string
		depth        int
	}{
		{"example.com/login", "example.com/login", 3},
		{"example.com/login", "https://EXAMPLE.com/login/?next=/", 3},
		{"example.com/login", "example.com/Login", 0},
		{"example.com/*", "example.com/login", 3},
		{"example.com/*", "example.com/a/b", 0},
		{"example.com/**", "example.com", 2},
		{"example.com/**", "example.com/a/b", 2},
		{"**/login", "example.com/a/b/login", 2},
		{"*/api/**/users/*", "example.com/api/v1/x/users/7", 5},
		{"*/api/**/users/*", "example.com/api/users/7", 5},
		{"*/api/**/users/*", "example.com/api/users", 0},
		{"~example\\.com/v[0-9]+/.*", "example.com/v12/a", 3},
		{"~example\\.com/v[0-9]+", "example.com/v12/a", 0},
		{"example.com/**", "example.com/r/http://evil.example/admin", 2},
		{"**", "example.com", 1},
		{"**", "", 0}, // what has no URI passes no eq
		{"*/**", "", 0},
		{"~.*", "", 0},
	} {
		p, err := uri.New(c.pattern)
		require.NoError(t, err)
		require.Equal(t, c.depth, (&Subject{URL: c.url}).Deepest([]uri.Pattern{p}), "%s on %s", c.pattern, c.url)
	}
	require.Equal(t, 0, (&Subject{URL: "example.com/a"}).Deepest(nil))
}

func hitOf(t *testing.T, data string) *Subject {
	t.Helper()
	s := See(event.Event{Kind: event.NewHits, Data: json.RawMessage(data)})
	return &s
}

func TestAHostIsTheSameWithAPortADotOrInAnotherSpelling(t *testing.T) {
	for _, c := range []struct {
		value, host string
		want        bool
	}{
		{"shop.example:443", "shop.example", true},
		{"shop.example.", "shop.example", true},
		{"SHOP.example.:443", "Shop.Example", true},
		{"shop.example", "shop.example.:8443", true},
		{"shop.example:8443", "shop.example:8443", true},
		{"shop.example:443", "shop.example:8443", false},
		{"shop.example:443", "api.example", false},
		{"bücher.example", "xn--bcher-kva.example", true}, // RFC 3492's algorithm
		{"XN--BCHER-KVA.example", "Bücher.example.", true},
		{"shop.example", "", false},
	} {
		for _, takes := range [][]ID{OfIntegrations, {ByDomain}} {
			require.Empty(t, Check([]Filter{{ByDomain, Equal, []Value{Value(c.value)}}}, takes, "this"), c.value)
		}
		for _, operator := range []string{Equal, NotEqual} {
			for _, more := range []int{0, fewValues} { // by comparison and by digest
				values := []Value{Value(c.value)}
				for range more {
					values = append(values, "other.example")
				}
				m, err := Compile([]Filter{{ByDomain, operator, values}})
				require.NoError(t, err)
				require.Equal(t, c.want == (operator == Equal), m.Match(&Subject{Domain: c.host}), "%v %s", c, operator)
				s := &Subject{Kind: event.NewScopeDomains, Domains: []string{c.host}}
				require.Equal(t, c.want == (operator == Equal), m.Stopped(s) == "", "%v %s", c, operator)
			}
		}
	}
	for _, bad := range []Value{"shop.example..", "https://shop.example", "shop.example:port", ".", ":443", "a b.example"} {
		require.Len(t, Check([]Filter{{ByDomain, Equal, []Value{bad}}}, []ID{ByDomain}, "this"), 1, bad)
	}
}

func TestFilters(t *testing.T) {
	s := hitOf(t,
		`{"hit":{"type":"sqli","domain":"Shop.example.com","path":"/a","remote_addr4":"203.0.113.7","response_status":404,"applications":["default"],"payloads":["x"]}}`)
	for _, c := range []struct {
		name     string
		id       ID
		operator string
		values   []Value
		want     bool
	}{
		{"one of several values", ByType, Equal, []Value{"xss", "sqli"}, true},
		{"none of several values", ByType, NotEqual, []Value{"xss", "sqli"}, false},
		{"another value", ByType, NotEqual, []Value{"xss"}, true},
		{"the default application", ByApplication, Equal, []Value{"-1"}, true},
		{"another application", ByApplication, Equal, []Value{"7"}, false},
		{"an address", ByIP, Equal, []Value{"203.0.113.7"}, true},
		{"the same address in another form", ByIP, Equal, []Value{"::ffff:203.0.113.7"}, true},
		{"another address", ByIP, Equal, []Value{"203.0.113.70"}, false},
		{"a host in any case", ByDomain, Equal, []Value{"shop.EXAMPLE.com"}, true},
		{"a class of status", ByStatus, Equal, []Value{"4xx"}, true},
		{"another class", ByStatus, Equal, []Value{"5xx", "403"}, false},
		{"an exact status", ByStatus, Equal, []Value{"404"}, true},
		{"a target that is not known", ByTarget, Equal, []Value{"server"}, false},
		{"not a target that is not known", ByTarget, NotEqual, []Value{"server"}, true},
	} {
		m, err := Compile([]Filter{{c.id, c.operator, c.values}})
		require.NoError(t, err)
		require.Equal(t, c.want, m.Match(s), c.name)
	}
	two, err := Compile([]Filter{{ByType, Equal, []Value{"sqli"}}, {ByStatus, Equal, []Value{"5xx"}}})
	require.NoError(t, err)
	require.False(t, two.Match(s), "all filters must match")
}
