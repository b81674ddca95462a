package cut_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tocsin/shared/cut"
)

func TestATextIsCutBetweenCharactersAndMarked(t *testing.T) {
	require.Equal(t, "hello", cut.Runes("hello", 5))
	require.Equal(t, "hell…", cut.Runes("hello!", 5))
	require.Equal(t, "…", cut.Runes("hello", 1))
	require.Equal(t, "", cut.Runes("hello", 0))
	require.Equal(t, "日本…", cut.Runes("日本語です", 3))
	require.Equal(t, "🚨…", cut.UTF16("🚨🚨", 3))
	require.Equal(t, "日…", cut.Bytes("日本語", 6))
	require.Equal(t, "日本語", cut.Keep("日本語", 9))
	require.Equal(t, "日本…", cut.Keep("日本語", 8))
	require.Equal(t, "…", cut.Keep("日本語", 2))
}

func FuzzCut(f *testing.F) {
	f.Add("日本語🚨", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit &= 0xff
		require.LessOrEqual(t, utf8.RuneCountInString(cut.Runes(s, limit)), limit)
		require.LessOrEqual(t, len(utf16.Encode([]rune(cut.UTF16(s, limit)))), limit)
		require.Equal(t, len(utf16.Encode([]rune(s))), cut.LenUTF16(s))
		s = strings.ToValidUTF8(s, "?")
		require.LessOrEqual(t, len(cut.Bytes(s, limit)), limit)
		require.True(t, utf8.ValidString(cut.Keep(s, limit)))
		require.LessOrEqual(t, len(cut.Keep(s, limit)), limit+len(cut.Mark))
	})
}

func ExampleRunes() {
	fmt.Println(cut.Runes("New vulnerability detected", 18))
	// Output: New vulnerability…
}

func ExampleUTF16() {
	fmt.Println(cut.UTF16("🚨🚨🚨", 5)) // an emoji takes two units
	// Output: 🚨🚨…
}
