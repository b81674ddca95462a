package wording_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/patience"
	"tocsin/shared/wording"
)

// catalogue reads the files of a language, by code.
func catalogue(t *testing.T, language string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("texts", language, "*.json"))
	require.NoError(t, err)
	out := map[string]string{}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		messages := map[string]string{}
		require.NoError(t, json.Unmarshal(raw, &messages), name)
		for key, text := range messages {
			out[strings.TrimSuffix(filepath.Base(name), ".json")+"."+key] = text
		}
	}
	return out
}

var places = regexp.MustCompile(`\{(\w+)(:\w+)?\}`)

func names(text string) (out []string) {
	for _, m := range places.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return out
}

var japanese = regexp.MustCompile(`[\p{Hiragana}\p{Katakana}\p{Han}]`)

// international are texts that read the same in Japanese: names and abbreviations.
var international = map[string]bool{"BOLA": true, "URI": true, "IP": true, "ID": true, "URL": true, "SQLi": true,
	"id": true, "XSS": true, "RCE": true, "XXE": true, "SSTI": true, "SSI": true, "SSRF": true, "CSRF": true,
	"[{platform}] {what:text}": true, "{what:sure}: {hint:sure}": true,
	"{first:sure}; {rest:text}": true}

func TestEveryMessageIsWordedInEveryLanguage(t *testing.T) {
	en, ja := catalogue(t, "en"), catalogue(t, "ja")
	require.Greater(t, len(en), 800)
	for code, text := range en {
		require.Contains(t, ja, code)
		require.Equal(t, names(text), names(ja[code]), "%s: both have the same places", code)
		if !international[text] {
			require.Regexp(t, japanese, ja[code], code)
		}
		require.NotRegexp(t, `[、。] |[ぁ-んァ-ヶ一-龠]:|[ぁ-んァ-ヶ一-龠]\(`, ja[code],
			"%s: Japanese has its own punctuation", code)
	}
	for code := range ja {
		require.Contains(t, en, code)
	}
}

// samples are values of the kinds of places.
var samples = map[string]string{"text": "the receiver asks to slow down", "clause": "the receiver asks to slow down",
	"sure": "the receiver asks to slow down", "number": "1,024", "duration": "1m30s", "time": "2026-11-27T09:05:00Z",
	"list": "a, b", "dates": "3 March 2023, 4 March 2023", "word": "hooks.example.com",
	"status": "429 Too Many Requests", "": "what they call “it”"}

// TestEveryMessageIsReadAgain fills each English wording and reads it back: code and values come out as they went in.
func TestEveryMessageIsReadAgain(t *testing.T) {
	for code, text := range catalogue(t, "en") {
		if strings.HasPrefix(code, "heading.") {
			continue // asked for by code alone
		}
		want := map[string]string{}
		filled := places.ReplaceAllStringFunc(text, func(p string) string {
			m := places.FindStringSubmatch(p)
			want[m[1]] = samples[strings.TrimPrefix(m[2], ":")]
			return want[m[1]]
		})
		got, ok := wording.Read(filled)
		require.True(t, ok, "%s: %s", code, filled)
		require.Equal(t, filled, got.In(wording.English), code)
		if got.Code != code { // two messages can read alike
			require.Equal(t, places.ReplaceAllString(catalogue(t, "en")[got.Code], "{}"),
				places.ReplaceAllString(text, "{}"), "%s was read as %s", code, got.Code)
		} else if len(want) > 0 {
			require.Equal(t, want, got.Params, code)
		}
	}
}

// fills are what may stand in a text for a part that is not known before.
var fills = []string{"7", "Daily", "hooks.example.com", "429 Too Many Requests", "the receiver asks to slow down",
	"1m30s",
	"2026-11-27T09:05:00Z", "some words", "answered 429 Too Many Requests", "a UUID", ", which takes none",
	": it takes a, b", "Your API token", "period not valid", "must be a time zone such as Europe/Berlin"}

// worded reports whether a text of the code is in the catalogue, whatever stands in its places.
func worded(text string) bool {
	before, after, open := strings.Cut(text, "{}")
	if !open {
		_, ok := wording.Read(text)
		return ok
	}
	return slices.ContainsFunc(fills, func(f string) bool { return worded(before + f + after) })
}

// TestEveryTextOfTheCodeIsInTheCatalogue finds each text that reaches a person where it is written.
func TestEveryTextOfTheCodeIsInTheCatalogue(t *testing.T) {
	found := sources(t, "..")
	require.Greater(t, len(found), 450)
	for _, s := range found {
		text := strings.ReplaceAll(s.text, "\x00", "%")
		if !elsewhere(s) && !worded(text) {
			t.Errorf("%s: in no file of texts/en: %s", s.where, text)
		}
	}
}

// unspoken are places whose texts no person is told: wire formats, logs, errors that are wrapped, names.
var unspoken = regexp.MustCompile(`console/(page|pages/pages|docs/docs|examples|answers)\.go|configuration/|health/health\.go|` +
	`rest/language\.go|egress/proxy\.go:2|mail/address/address\.go:4|trace/config\.go|` +
	`telegram/document\.go:43|report/period\.go:\d+`)

// elsewhere reports whether a text is none for a person, though it stands where such texts stand.
func elsewhere(s said) bool { return unspoken.MatchString(s.where) }

// TestATextFromOutsideIsReadWithinItsBudget: words that might be a message in each of their parts end soon, and stay as
// they are.
func TestATextFromOutsideIsReadWithinItsBudget(t *testing.T) {
	for _, part := range []string{"; ", ": ", "answered ", ", ", "its last answer: ", "must be ", " (", " is "} {
		long := strings.Repeat("x"+part, 2000)
		began := time.Now()
		require.Equal(t, long, wording.In(wording.Japanese, long))
		_, _ = wording.Read(long)
		require.Less(t, time.Since(began), patience.Long, "%q", part) // without a bound it takes hours
	}
	tail := "the receiver asks to slow down"
	require.NotEqual(t, tail, wording.In(wording.Japanese, tail))
}

// others are further Japanese words for what docs/translating.md has one word for, and signs of another set.
var others = map[string]string{"秘密の値": "秘密情報", "機密情報": "秘密情報", "運用担当者": "運用者", "オペレータが": "運用者が",
	"を回復": "を回収", "で回復": "で回収", "再取得": "回収", "〜": "～", "閾値": "しきい値",
	"サーバが": "サーバーが", "ユーザが": "ユーザーが", "下さい": "ください"}

var halfColon = regexp.MustCompile(`[ぁ-んァ-ヶ一-龠）」}]:( |$)`)

func TestJapaneseHasOneWordForOneThing(t *testing.T) {
	var files []string
	for _, pattern := range []string{"texts/ja/*.json", "../destination/*/ja.json", "../destination/*/*.ja.md",
		"../console/pages/web/messages/ja.json"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, names, pattern)
		files = append(files, names...)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		for other, word := range others {
			require.NotContains(t, string(raw), other, "%s: the word is %s", name, word)
		}
		texts := map[string]any{}
		if filepath.Ext(name) == ".json" {
			require.NoError(t, json.Unmarshal(raw, &texts), name)
		}
		for key, text := range texts {
			if text, ok := text.(string); ok {
				require.NotRegexp(t, halfColon, text, "%s: %s: the colon is ：", name, key)
			}
		}
	}
}
