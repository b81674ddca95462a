package brief_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event/brief"
)

func TestWhatIsLeftOutOfALargeEventIsSaid(t *testing.T) {
	long := strings.Repeat("x", 60)
	data := map[string]json.RawMessage{}
	require.NoError(t, json.Unmarshal([]byte(`{"accounts":["`+strings.Repeat(`a@example.com","`, 20)+`b"],`+
		`"parameters":[{"name":"`+long+`"}],"endpoint_path":"`+long+`","link":"https://`+long+`","by":{"name":"`+long+
		`"},"short":"x","left_out":"by somebody else"}`), &data))
	brief.Shorten(data, 50)
	raw, err := json.Marshal(data)
	require.NoError(t, err)
	require.Equal(t, []brief.Omission{{Member: "accounts", More: 18}, {Member: "by"}, {Member: "endpoint_path"},
		{Member: "link"}, {Member: "parameters", More: 1}}, brief.LeftOut(raw))
	require.JSONEq(t, `["a@example.com","a@example.com","a@example.com"]`, string(data["accounts"]))
	require.JSONEq(t, `[]`, string(data["parameters"]))
	require.JSONEq(t, `"`+strings.Repeat("x", 47)+`…"`, string(data["endpoint_path"]))
	require.NotContains(t, data, "link")
	require.NotContains(t, data, "by")
	require.Empty(t, brief.LeftOut([]byte(`{"left_out":"by somebody else"}`)))
}
