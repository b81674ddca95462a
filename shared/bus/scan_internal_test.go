package bus

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What is read at once is read as value by value.
func FuzzScan(f *testing.F) {
	for _, raw := range []string{
		`{"Entries":[{"Source":"a","DetailType":"b","Detail":"{\"version\":1,\"a\":\"\\u003c\"}"}]}`,
		`{"Entries":[{"Source":"a","EventBusName":"c","Time":1677628700.5},{"Time":null}, { } ]}`,
		`{"Entries":null}`, `{"Entries":[null]}`, `{"entries":[]}`, `{"Entries":[{"source":"a"}]}`, `{}`, `null}`, `[]`,
		`{"Entries":[{"Source":"a","Source":"b"}]}`, `{"Entries":[],"Entries":[]}`, `{"Entries":[{"Time":"soon"}]}`,
		`{"Entries":[{"Resources":["a"]}]}`, `{"Entries":[{}]}x`,
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := scan(raw)
		if !ok {
			return
		}
		var want request
		assert.NoError(t, json.Unmarshal([]byte(raw), &want))
		if len(want.Entries)+len(got.Entries) > 0 {
			assert.Equal(t, want, got)
		}
	})
}

func TestAnAnswerIsThatOfItsStruct(t *testing.T) {
	for _, r := range []response{
		{Entries: []responseEntry{{EventID: "1"}, {EventID: "2"}}},
		{FailedEntryCount: 1, Entries: []responseEntry{{EventID: "1"}, {ErrorCode: "a", ErrorMessage: "<b>"}}},
	} {
		want, err := json.Marshal(r)
		assert.NoError(t, err)
		assert.Equal(t, string(want), string(r.encode()))
	}
}
