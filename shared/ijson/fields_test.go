package ijson_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/ijson"
)

func TestFieldsOfAnAnswer(t *testing.T) {
	for body, want := range map[string]map[string]string{
		`{"Result":{"sys_id":"x","n":1.50},"ok":true,"none":null,"list":["a",{"b":"c"}]}`: {"result.sys_id": "x",
			"result.n": "1.50", "ok": "true", "list.0": "a", "list.1.b": "c"},
		`{"id":"1","key":"ED-`: {"id": "1"},
		`{"id":"1"`:            {"id": "1"},
		`{}`:                   {},
		`[]`:                   nil, ``: nil, `"x"`: nil, `<html>`: nil, `nul`: nil,
		`{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}},"z":2}`: {"z": "2"},
	} {
		require.Equal(t, want, ijson.Fields([]byte(body)), body)
	}
}

func FuzzFields(f *testing.F) {
	f.Add([]byte(`{"a":[{"b":1}]}`))
	f.Fuzz(func(t *testing.T, body []byte) { ijson.Fields(body) })
}
