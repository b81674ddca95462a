package plaintext_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"tocsin/shared/plaintext"
)

func TestH15LineShowsWhatIsThere(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"an override of direction": {"abc\u202etxt.exe", "abctxt.exe"},
		"embeddings, isolates and marks": {
			"\u202a\u202b\u202c\u202d\u2066\u2067\u2068\u2069\u200e\u200f\u061ca", "a"},
		"no width":                            {"pay\u200bpal \ufeffx\u2060y\u00adz", "paypal xyz"},
		"a joiner in a Latin word":            {"pay\u200cpal\u200d!", "paypal!"},
		"a joiner in a Persian word":          {"می\u200cخواهم", "می\u200cخواهم"},
		"a family":                            {"👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"},
		"a red heart and a keycap":            {"❤\ufe0f 1\ufe0f\u20e3", "❤\ufe0f 1\ufe0f\u20e3"},
		"bytes hidden in variation selectors": {"a\ufe01\ufe02\U000e0101", "a"},
		"bytes hidden behind an emoji":        {"🙂\ufe0f\ufe01\ufe02", "🙂\ufe0f"},
		"a text hidden in tags":               {"ok\U000e0068\U000e0069\U000e007f", "ok"},
		"interlinear annotation":              {"\ufff9a\ufffab\ufffb", "ab"},
		"Hangul fillers":                      {"a\u3164b\uffa0c\u115f", "abc"},
		"control characters":                  {"\x00\x01\x1b[31mred\x7f\u0080\u009b", "[31mred"},
		"breaks of every kind": {"a\nb\r\nc\rd\u2028e\u2029f\u0085g\vh\fi",
			"a ⏎ b ⏎ c ⏎ d ⏎ e ⏎ f ⏎ g ⏎ h ⏎ i"},
		"several breaks are one, none at the ends": {"\r\n\n a \n\n\n b\n", "a ⏎ b"},
		"a tab":                      {"a\tb", "a b"},
		"not UTF-8":                  {"a\xffb\xc0\xaf", "a\ufffdb\ufffd\ufffd"},
		"noncharacters":              {"a\ufffe\uffff\ufdd0\U0001ffff", "a\ufffd\ufffd\ufffd\ufffd"},
		"a mark without a character": {"\u0301x", "◌\u0301x"},
		"an accent":                  {"e\u0301", "e\u0301"},
		"a tower of marks": {"e" + strings.Repeat("\u0301", 50) + "x", "e" + strings.Repeat("\u0301", 6) +
			"x"},
		"right to left scripts":    {"שלום مرحبا", "שלום مرحبا"},
		"an Arabic number sign":    {"\u0600\u0661", "\u0600\u0661"},
		"spaces around":            {"  a b  ", "a b"},
		"nothing that can be seen": {"\u200b\n\u202e \t", ""},
		"plain":                    {"1*2*3 `x` http://evil.test", "1*2*3 `x` http://evil.test"},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, plaintext.Line(c.in)) })
	}
	require.Equal(t, "a\nb\n\nc", plaintext.Lines("a\r\nb\u202e\u2028\nc"))
}

func FuzzLine(f *testing.F) {
	for _, s := range []string{"", "a\u202eb", "\ufe0f", "\u200d\u200d", "\u0301", "\r\n\r", "\xff", "👩\u200d👩",
		"#\ufe0f\u20e3", "⏎\n⏎"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{plaintext.Line(s), plaintext.Lines(s)} {
			require.True(t, utf8.ValidString(got))
			for _, r := range got {
				require.False(t, unicode.Is(unicode.Bidi_Control, r), "%q", got)
				require.False(t, unicode.IsControl(r) && r != '\n' && r != '\t', "%q", got)
				require.NotContains(t, "\u200b\u2028\u2029\ufeff\u00ad\u2060", string(r))
			}
		}
		got := plaintext.Line(s)
		require.NotContains(t, got, "\n")
		require.NotContains(t, got, "\t")
		require.Equal(t, got, strings.TrimSpace(got))
		require.Equal(t, got, plaintext.Line(got), "what is clean stays as it is")
	})
}

func TestH13OnlyAbsoluteWebAddressesAreLinks(t *testing.T) {
	for _, s := range []string{
		"https://console.example.com/object/555", "http://localhost:8080/x?a=b#c", "https://a.example",
		"https://[2001:db8::1]:8443/x", "http://192.0.2.1/",
		"https://a.example/?q=a%20b&c=(d)~*_-", "https://a_b.example/",
	} {
		require.Equal(t, s, plaintext.Link(s))
	}
	for s, want := range map[string]string{
		"HTTPS://A.example/X": "https://a.example/X", "https://bücher.example/": "https://xn--bcher-kva.example/",
		"https://a.example/日?q=日#日": "https://a.example/%E6%97%A5?q=%E6%97%A5#%E6%97%A5",
		"https://a.example/o'neil":  "https://a.example/o%27neil",
	} {
		require.Equal(t, want, plaintext.Link(s))
		require.Equal(t, want, plaintext.Link(want))
	}
	for _, s := range []string{
		"", "/api/1", "//evil", "api/1", "?a", "#a", "evil.example", "javascript:alert(1)", "JAVASCRIPT:alert(1)",
		"JavaScript://a.example/%0aalert(1)", "vbscript:x",
		"data:text/html,x", "file:///etc/passwd", "ftp://a.example/", "mailto:a@b.example", "tel:1",
		"blob:https://a.example/x", "http:evil", "http:/evil", "http:///evil", "https://",
		"https://:443/", "https://a.example:/", "https://a.example:99999/", "https://a.example:0/",
		"https://a.example:x/", "https://user@a.example/", "https://user:pw@a.example/", "https://@a.example/",
		" https://a.example", "https://a.example ", "\thttps://a.example", "https://a.example/\n",
		"java\nscript:alert(1)", "https://a.example/\x00", "\x00https://a.example", "https://a.example/with space",
		"https://a.example/\"onclick=x", "https://a.example/<b>", "https://a.example\\@evil", "https:\\\\evil",
		"https://a.example/`", "https://a.example/|x", "https://a.example/%zz", "https://a%2fb/",
		"https://a.example/\u202egpj", "https://a.example/\u200b", "https://a.example/\xff", "https://./",
		"https://a b/", "https://[::1", "https://[fe80::1%25eth0]/",
		"https://a.example/" + strings.Repeat("x", plaintext.LinkLimit), "https://a.example/" +
			strings.Repeat("日", 500),
	} {
		require.Empty(t, plaintext.Link(s), "%q", s)
	}
}

func FuzzLink(f *testing.F) {
	for _, s := range []string{"https://a.example/x", "javascript:x", "https://é.example/é?é#é", "//x",
		"http://[::1]/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := plaintext.Link(s)
		if got == "" {
			return
		}
		require.Regexp(t, `^https?://[A-Za-z0-9\[._~!$&()*+,;=%-][!#-&(-;=?-\[\]_a-z~]*$`, got)
		require.LessOrEqual(t, len(got), plaintext.LinkLimit)
		require.Equal(t, got, plaintext.Link(got))
	})
}
