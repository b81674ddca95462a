package event

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var hits = []string{
	`{"hit":{"type":"sqli","domain":"shop.example.com","path":"/orders/1","remote_addr4":"203.0.113.7","seq":"1"}}`,
	`{"hit":{"type":"xss","host":"a","method":"GET","parameter":"POST_JSON_DOC_HASH_q_value","payloads":` +
		`["<a href=\"x\">","\u003cé\ud83d\ude00"],"applications":[],"remote_addr6":"::1","remote_country":null,` +
		`"response_status":403,"block_status":"blocked","target":"server","request_time":1677628800,` +
		`"headers":{"A-b":[1,-0.5e+3,true,null]}},"experimental":true,"sampled_out":false,"object_id":7}`,
	`{"hit":null}`, `{"hit":{"type":null,"payloads":[null,"a"],"applications":null}}`, ` { "hit" : { } } `,
	`{"hit":{"type":"a","Type":"b"}}`, `{"hit":{"type":"a","type":"b"}}`, `{"hit":{"type":"a"},"HIT":{"path":"b"}}`,
	`{"hit":{"request_time":"1677628800.5","response_status":4e2}}`, `{"hit":{"request_time":-0}}`,
	`{"hit":{"type":"a",}}`, `{"hit":{"type":"\ud800"}}`, `{"hit":{"type":1}}`, `null`, `[]`, `{"hit":[]}`, `{}x`,
	"{\"hit\":{\"type\":\"\xff\"}}", "{\"hit\":{\"type\":\"a\x00\"}}", `{"hit":{"tar\u0067et":"a","ſtatus":1}}`,
	`{"hit":{"response_status":9999999999999999999}}`, `{"hit":{"response_status":01}}`,
}

// What the scanner takes it reads as encoding/json does.
func FuzzScanHit(f *testing.F) {
	for _, raw := range hits {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := scanHit([]byte(raw))
		if !ok {
			return
		}
		var want HitData
		assert.NoError(t, json.Unmarshal([]byte(raw), &want))
		assert.Equal(t, want, got)
	})
}

func FuzzScanDetail(f *testing.F) {
	for _, data := range hits {
		f.Add(`{"version":1,"id":"1","tenant":"42","client_name":"A\"é","time":"2023-03-01T00:00:00.5+01:00",` +
			`"data":` + data + `}`)
	}
	for _, raw := range []string{`{"Version":1}`, `{"version":1.0}`, `{"time":null,"data":null}`, `{"time":1}`,
		`{"version":1,"extra":0}`, `{"data":{},"data":{}}`, `{}`, `null`} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := scanDetail([]byte(raw))
		if !ok {
			return
		}
		var want detail
		assert.NoError(t, json.Unmarshal([]byte(raw), &want))
		assert.Equal(t, want, got)
		name, unknown := unknownMember([]byte(raw))
		assert.False(t, unknown, name)
	})
}

func TestTheScannerTakesWhatUpstreamWrites(t *testing.T) {
	for _, raw := range hits[:2] {
		_, ok := scanHit([]byte(raw))
		assert.True(t, ok, raw)
		_, ok = scanDetail([]byte(`{"version":1,"id":"1","tenant":"42","time":"2023-03-01T00:00:00Z","data":` + raw +
			`}`))
		assert.True(t, ok, raw)
	}
}

func TestTheScannerReadsThoughNamesOfOtherCase(t *testing.T) {
	d, err := Parse("new_hits", []byte(`{"version":1,"id":"1","tenant":"42","Time":"2023-03-01T00:00:00Z","data":`+
		`{"hit":{"type":"a","Type":"b"}}}`))
	assert.NoError(t, err)
	assert.Equal(t, "b", Data[HitData](d).Hit.Type)
}

// A hit that is not to be sent is none however its flag is spelt: whoever writes JSON may escape each letter of a name,
// and what reads a hit takes names of any case.
func TestAHitThatIsNotSentIsNoneHoweverItsFlagIsSpelt(t *testing.T) {
	for data, want := range map[string]Type{
		`{"hit":{"type":"xss"}}`:                                Hits,
		`{"hit":{"type":"experimental"},"experimental":false}`:  Hits,
		`{"hit":{"type":"xss","experimental":true}}`:            Hits,
		`{"hit":{"type":"xss"},"experimental":true}`:            "",
		`{"hit":{"type":"xss"},"sampled_out":true}`:             "",
		`{"hit":{"type":"xss"},"sampled\u005fout":true}`:        "",
		`{"hit":{"type":"xss"},"Experimental":true}`:            "",
		`{"hit":{"type":"xss"},"\u0065xperimental":true}`:       "",
		`{"sampled_out":true,"hit":{"type":"xss","Type":"sq"}}`: "",
	} {
		e, err := Parse("new_hits", []byte(`{"version":1,"id":"e","tenant":"t","time":"2023-03-01T00:00:00Z","data":`+
			data+`}`))
		require.NoError(t, err, data)
		require.Equal(t, want, e.Type(), data)
		require.Equal(t, want, e.Lean().Type(), data)
		require.Equal(t, want == "", Data[HitData](e).Experimental || Data[HitData](e).SampledOut, data)
	}
}

var hitRead HitData

func BenchmarkHit(b *testing.B) {
	raw := []byte(hits[0])
	b.Run("scanner", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			hitRead, _ = scanHit(raw)
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			hitRead = HitData{}
			_ = json.Unmarshal(raw, &hitRead)
		}
	})
}

// What was read of a hit when it was accepted is what a reading of its data gives, and not that of other data.
func TestWhatWasReadOfAHitIsThatOfItsData(t *testing.T) {
	parse := func(data string) Event {
		e, err := Parse("new_hits", []byte(`{"version":1,"id":"e","tenant":"t","time":"2023-03-01T00:00:00Z","data":`+
			data+`}`))
		require.NoError(t, err)
		return e
	}
	for _, data := range []string{
		`{"hit":{"type":"xss"}}`,
		`{"hit":{"type":"xss","applications":["1","2"],"remote_country":"JP","request_time":1677628800},"experimental":true}`,
		`{"hit":{"type":"x\u0073s","payloads":["\ud83d\ude00"],"other":[{}]},"sampled_out":true,"more":null}`,
		`{"HIT":{"Type":"xss"},"hit":{"type":"sqli"}}`,
	} {
		e := parse(data)
		require.Equal(t, Data[HitData](e.Lean()), Data[HitData](e), data)
		again := e
		again.Data = slices.Clone(e.Data)
		require.Equal(t, Data[HitData](e), Data[HitData](again), data)
		again.Data = json.RawMessage(`{"hit":{"type":"rce"}}`)
		require.Equal(t, "rce", Data[HitData](again).Hit.Type, data)
		again.Data = nil
		require.Zero(t, Data[HitData](again), data)
	}
	e := parse(`{"hit":{"type":"xss","domain":"a.example","path":"/login"}}`)
	require.Zero(t, testing.AllocsPerRun(100, func() { Data[HitData](e) }), "it is read again")
}
