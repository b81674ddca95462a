package pseudonym_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/erasure/pseudonym"
)

var ada = pseudonym.Writer{Names: pseudonym.NamesOf([]string{" Ada@Example.com", "person.1", ""}), Pseudonym: "P",
	Called: []string{"Ada Lovelace", "ada", "idp|7"}}

func TestOnlyTheWholeAddressIsReplaced(t *testing.T) {
	for text, want := range map[string]string{
		"ada@example.com": "P", "Ada <ADA@example.com>, ada@example.com.": "Ada <P>, P.",
		"dada@example.com": "dada@example.com", "ada@example.com.au": "ada@example.com.au",
		"İİ ada@example.com İ": "İİ P İ", "\xff ada@example.com \xff": "\xff P \xff", "42 person.1": "42 P",
		"Ada Lovelace's": "P's", "Ada Lovelaces": "Ada Lovelaces", "_Ada Lovelace": "_Ada Lovelace",
		"ada": "ada", "": "", "ada@example.com Ada Lovelace": "P P",
		`{"to": "ada@example.com", "name": "ada", "n": 9007199254740993}`: `{"to":"P","name":"P","n":9007199254740993}`,
		`{broken ada@example.com`: `{broken P`,
	} {
		require.Equal(t, want, ada.Text(text), text)
	}
}

// Where no space stands beside it, as in Japanese, in a URL, in emphasis and in JSON that was cut off.
func TestAnAddressIsFoundByWhateverItStands(t *testing.T) {
	for text, want := range map[string]string{
		"担当者はada@example.comです": "担当者はPです", "連絡先：ada@example.com": "連絡先：P", "「ada@example.com」": "「P」",
		"ada@example.com、確認": "P、確認", "（ADA@Example.com）。": "（P）。", "연락처는ada@example.com로": "연락처는P로",
		"_ada@example.com_ *ada@example.com*": "_P_ *P*", "- ada@example.com\n-ada@example.com": "- P\n-P",
		"...ada@example.com... ada@example.com--":                           "...P... P--",
		"mailto:ada%40example.com?cc=%22ada%40Example.com%22":               "mailto:P?cc=%22P%22",
		`{"to":"\u003cada@example.com\u003e","text":"to\nada@example.com\n`: `{"to":"\u003cP\u003e","text":"to\nP\n`,
		"q=%E5%BC%B5ada@example.com":                                        "q=%E5%BC%B5P",
		"担当-ada@example.com-担当":                                             "担当-P-担当",
		"１ada@example.com":                                                  "１P",
		"письмоada@example.comписьмо":                                       "письмоPписьмо",
		// Others'.
		"éada@example.com": "éada@example.com", "e\u0301ada@example.com": "e\u0301ada@example.com",
		"ada@example.comé.fr": "ada@example.comé.fr", "x_ada@example.com": "x_ada@example.com",
		"x-ada@example.com": "x-ada@example.com", "%61ada@example.com": "%61ada@example.com",
		"x%2Bada@example.com": "x%2Bada@example.com", "ada@example.com-x.org": "ada@example.com-x.org",
		`\u0061ada@example.com`: `\u0061ada@example.com`, "1ada@example.com": "1ada@example.com",
	} {
		require.Equal(t, want, ada.Text(text), text)
	}
	japanese := pseudonym.Writer{Names: pseudonym.NamesOf([]string{"山田@例え.テスト"}), Pseudonym: "P"}
	require.Equal(t, "P、小山田@例え.テスト", japanese.Text("山田@例え.テスト、小山田@例え.テスト"))
}

func TestANameOfAScriptWithoutSpacesIsReplacedInTexts(t *testing.T) {
	taro := pseudonym.Writer{Names: pseudonym.NamesOf([]string{"taro@example.jp"}), Pseudonym: "P",
		Called: []string{"山田 太郎", "山田　太郎", "山田太郎", "김철수", "Иван Иванов", "山田", "Ada Lovelace"}}
	for text, want := range map[string]string{
		"実行者：山田 太郎 <taro@example.jp>": "実行者：P <P>", "担当山田　太郎さんが": "担当Pさんが", "山田太郎です": "Pです",
		"김철수는": "P는", "Иван Иванов, Иван Ивановский": "P, Иван Ивановский", "山田さん": "山田さん",
		"_Ada Lovelace_ __Ada Lovelace__": "_P_ __P__", "担当Ada Lovelaceさん": "担当Pさん", "éAda Lovelace": "éAda Lovelace",
	} {
		require.Equal(t, want, taro.Text(text), text)
	}
}

func TestAValueOfJSONStaysAsItIsButForThePerson(t *testing.T) {
	for in, want := range map[string]string{
		`{"b":1.0,"a":1e3,"a":null,"ada@example.com":["x",{"y":"\u0061da@example.com"}]}`: `{"b":1.0,"a":1e3,"a":null,` +
			`"P":["x",{"y":"P"}]}`,
		`"<&\u003c>"`:           `"<&\u003c>"`,
		`"<& person.1 \u003c>"`: `"<& P <>"`,
		`{"name":"ada","Subject":"idp|7","role":"ada","person_name":"Ada Lovelace"}`: `{"name":"P","Subject":"P",` +
			`"role":"ada","person_name":"P"}`,
		`[{"field":"name","before":"ada"},{"field":"role","before":"ada"}]`: `[{"field":"name","before":"P"},` +
			`{"field":"role","before":"ada"}]`,
		`{"held":"{\"by\":\"ada@example.com\"}"}`: `{"held":"{\"by\":\"P\"}"}`,
		`17`: `17`, ` true `: `true`, `[ ]`: `[]`,
	} {
		require.Equal(t, want, string(ada.JSON([]byte(in))), in)
	}
	require.Equal(t, "to P", string(ada.Bytes([]byte("to ada@example.com"))))
	require.Equal(t, "\xff ada@example.com", string(ada.Bytes([]byte("\xff ada@example.com"))), "neither JSON nor text")
}

func TestWhatSomebodyIsCalledIsLearnedFromWhatNamesThem(t *testing.T) {
	for in, want := range map[string][]string{
		`{"email":"ADA@example.com","name":"Ada","subject":"s","role":"admin"}`: {"Ada", "s"},
		`{"Email":"grace@example.com","Name":"Grace"}`:                          nil,
		`{"email":"ada@example.com","name":"ada@example.com"}`:                  nil,
		`{"data":[{"user":{"email":"ada@example.com","name":"A. L."}}]}`:        {"A. L."},
		`{"object_id":"ada@example.com","changes":[{"field":"name","before":"B","after":"A"},
			{"field":"role","after":"admin"}]}`: {"B", "A"},
		`{"name":"Slack","created_by":"ada@example.com"}`:                                          nil,
		`{"email":"ada@example.com","name":"Ops channel","person_name":"A. L.","kind":"personal"}`: {"A. L."},
		`{"email":"ada@example.com","name":"Ops channel","kind":"personal","tenants":["42"]}`:      nil,
	} {
		var v any
		require.NoError(t, json.Unmarshal([]byte(in), &v))
		require.ElementsMatch(t, want, ada.Names.CalledIn(v), in)
	}
}

// FuzzNobodyIsLeft: what names the person does so no more, and what is JSON stays so.
func FuzzNobodyIsLeft(f *testing.F) {
	for _, seed := range []string{`{"a":"ada@example.com"}`, "はada%40example.comで", `\u003cada@example.com`, "İada@example.com", "ada@example.com.ada@example.com",
		`["person.1.person.1"]`, `"\ud800 ada@example.com"`, "{\"\":\"\"}ada@example.com"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		out := ada.Bytes(raw)
		valid := json.Valid(raw)
		require.Equal(t, valid, json.Valid(out))
		var v any = strings.ToValidUTF8(string(out), "")
		if valid {
			require.NoError(t, json.Unmarshal(out, &v))
		}
		if string(out) != string(raw) {
			require.False(t, ada.Names.In(v), "%q became %q", raw, out)
		}
	})
}
