package pdf

import (
	"embed"
	"fmt"
	"image/color"
	"strings"
	"unicode"

	"github.com/klauspost/compress/zstd"

	"tocsin/shared/cut"
	"tocsin/shared/plaintext"
)

//go:embed fonts/*.ttf.zst
var files embed.FS

// After has the fonts that are compressed with another before them, whose outlines they share (scripts/fonts).
var After = map[string]string{
	"noto-sans-kr-korean-400-normal":             "noto-sans-jp-japanese-400-normal",
	"noto-sans-sc-chinese-simplified-400-normal": "noto-sans-jp-japanese-400-normal",
}

// unpacked is a font as its packers had it (sfnt).
func unpacked(name string) ([]byte, error) {
	data, err := files.ReadFile("fonts/" + name + ".ttf.zst")
	if err != nil {
		return nil, err
	}
	options := []zstd.DOption{zstd.WithDecoderConcurrency(1)}
	if first, ok := After[name]; ok {
		before, err := unpacked(first)
		if err != nil {
			return nil, err
		}
		options = append(options, zstd.WithDecoderDictRaw(0, before))
	}
	z, err := zstd.NewReader(nil, options...)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(data, nil)
}

// cuts are the fonts in the order in which a character is looked for: the large ones last, because they are read only
// when a text needs them (50 ms each).
var cuts = []string{
	"noto-sans-latin", "noto-sans-latin-ext", "noto-sans-greek", "noto-sans-cyrillic", "noto-sans-greek-ext",
	"noto-sans-cyrillic-ext", "noto-sans-vietnamese",
	"noto-sans-arabic-arabic", "noto-sans-hebrew-hebrew", "noto-sans-thai-thai", "noto-sans-devanagari-devanagari",
	"noto-emoji-emoji", "noto-sans-jp-japanese", "noto-sans-kr-korean", "noto-sans-sc-chinese-simplified",
}

// boldCuts is how many of them, from the first, have a bold of their own.
const boldCuts = 7

// rightToLeft are the cuts whose spaces belong to them: a phrase stays one run.
var rightToLeft = map[string]bool{"noto-sans-arabic-arabic": true, "noto-sans-hebrew-hebrew": true}

// fonts reads fonts when they are needed and finds the one for a character. It serves one document.
type fonts struct {
	regular, bold []*face      // by cut; nil = not read yet
	found         map[rune]int // cut of a character; -1 = none has it
	read          []*face      // in the order of their first use
}

func newFonts() *fonts {
	return &fonts{regular: make([]*face, len(cuts)), bold: make([]*face, boldCuts), found: map[rune]int{}}
}

func (f *fonts) face(cut int, bold bool) *face {
	set, weight := f.regular, "400"
	if bold && cut < boldCuts {
		set, weight = f.bold, "700"
	}
	if set[cut] == nil {
		name := fmt.Sprintf("%s-%s-normal", cuts[cut], weight)
		data, err := unpacked(name)
		if err == nil {
			set[cut], err = openFace(name, data, cut < boldCuts)
		}
		if err != nil {
			panic(fmt.Sprintf("font %s: %v", name, err)) // it is part of the program, and a test reads each
		}
		f.read = append(f.read, set[cut])
	}
	return set[cut]
}

// none is the cut of a character that no font draws.
const none = -1

// cut finds the font for a character that follows one of the font last.
func (f *fonts) cut(r rune, last int) int {
	switch {
	case r > ' ' && r < 0x7f:
		return 0
	case r == 0x200c, r == 0x200d: // they are not drawn
		return last
	case joins(r) && last >= 0 && f.face(last, false).draws(r):
		return last
	case r == ' ' && last >= 0 && rightToLeft[cuts[last]]:
		return last
	case r == ' ':
		return 0
	}
	if c, ok := f.found[r]; ok {
		return c
	}
	f.found[r] = none
	for c := range cuts {
		if f.face(c, false).draws(r) {
			f.found[r] = c
			break
		}
	}
	return f.found[r]
}

// shown is a text as it is drawn: on one line, and in the place of what no font draws a mark that says what it was,
// which can be read, copied and looked up.
func (f *fonts) shown(s string) string {
	s = plain(s)
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < 0x7f
	}
	if ascii {
		return s
	}
	var out strings.Builder
	var missing []rune
	last := 0
	for _, r := range s {
		c := f.cut(r, last)
		if c == none || len(missing) > 0 && (r == 0x200c || r == 0x200d) {
			missing, last = append(missing, r), none
			continue
		}
		out.WriteString(mark(missing))
		missing, last = nil, c
		out.WriteRune(r)
	}
	out.WriteString(mark(missing))
	return out.String()
}

// markRunes is how many characters of a run a mark tells: enough to tell one path from another.
const markRunes = 8

// mark names the script and the code points of a run of characters: [Tamil U+0BA4 U+0BAE].
func mark(run []rune) string {
	if len(run) == 0 {
		return ""
	}
	out := "["
	if name := script(run); name != "" {
		out += name + " "
	}
	for i, r := range run {
		if i == markRunes {
			return out + fmt.Sprintf("and %d more]", len(run)-i)
		}
		out += fmt.Sprintf("U+%04X ", r)
	}
	return strings.TrimSuffix(out, " ") + "]"
}

// script is the name of the first character's that has one.
func script(run []rune) string {
	for _, r := range run {
		for name, table := range unicode.Scripts {
			if name != "Common" && name != "Inherited" && unicode.Is(table, r) {
				return strings.ReplaceAll(name, "_", " ")
			}
		}
	}
	return ""
}

// joins reports whether a character belongs to the one before it: marks, joiners, variation selectors, skin tones.
func joins(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc) || r == 0x200c || r == 0x200d ||
		r >= 0x1f3fb && r <= 0x1f3ff
}

// run is a part of a text in one font.
type run struct {
	cut  int
	text string
}

// runs parts a text that is shown.
func (f *fonts) runs(s string) []run {
	var out []run
	last := 0
	for _, r := range s {
		c := max(f.cut(r, last), 0)
		if n := len(out); n > 0 && out[n-1].cut == c {
			out[n-1].text += string(r)
		} else {
			out = append(out, run{c, string(r)})
		}
		last = c
	}
	return out
}

// plain is a text on one line (package plaintext), without what the fonts do not have: selectors of emoji, spaces of
// other widths, the sign for a fold.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Variation_Selector, r):
			return -1
		case unicode.Is(unicode.Zs, r) && r != 0x3000:
			return ' '
		}
		return r
	}, strings.ReplaceAll(plaintext.Line(s), plaintext.Break, "¶"))
}

// style of a text.
type style struct {
	size  float64 // points
	bold  bool
	color color.RGBA
}

// line sets a text on one line.
func (f *fonts) line(s string, st style) []span {
	s = f.shown(s)
	runs := f.runs(s)
	if len(runs) == 1 && !rightToLeft[cuts[runs[0].cut]] {
		return []span{f.face(runs[0].cut, st.bold).shape(runs[0].text, false)}
	}
	var out []span
	for _, r := range inVisualOrder(s, runs) {
		out = append(out, f.face(r.cut, st.bold).shape(r.text, r.backwards))
	}
	return out
}

// width of a text on one line, in mm.
func (f *fonts) width(s string, st style) float64 {
	w := 0.0
	for _, part := range f.line(s, st) {
		w += part.width
	}
	return w * st.size * mmPerPoint
}

// fit cuts a text that is wider than w, in mm, with an ellipsis.
func (f *fonts) fit(s string, st style, w float64) string {
	s = f.shown(s)
	if f.width(s, st) <= w {
		return s
	}
	runes := []rune(s)
	low, high := 0, min(len(runes), int(w*4)) // no character is narrower than a quarter of a millimetre
	for low < high {
		middle := (low + high + 1) / 2
		if f.width(string(runes[:middle])+cut.Mark, st) <= w {
			low = middle
		} else {
			high = middle - 1
		}
	}
	for low > 0 && low < len(runes) && joins(runes[low]) {
		low-- // not between an emoji and what belongs to it
	}
	return strings.TrimRight(string(runes[:low]), " ") + cut.Mark
}

// wrap breaks a text into lines: at its spaces, and Japanese at the ends of its phrases.
func (f *fonts) wrap(s string, st style, w float64) []string {
	var lines []string
	current := ""
	for _, phrase := range phrases(strings.Join(strings.Fields(f.shown(s)), " ")) {
		if current != "" && f.width(strings.TrimSpace(current+phrase), st) > w {
			lines, current = append(lines, strings.TrimSpace(current)), ""
		}
		current += phrase
	}
	return append(lines, strings.TrimSpace(current))
}

// phrases parts a text where a line may end. A Japanese phrase ends with its particles, in Hiragana, or with a mark: a
// particle, or a word that counts, is not parted from the Latin letters and digits that it follows.
func phrases(s string) (out []string) {
	begin, last := 0, rune(0)
	for at, r := range s {
		kana := unicode.Is(unicode.Hiragana, r)
		space := last == ' ' && !japanese(r)
		mark := strings.ContainsRune("、。：", last) || strings.ContainsRune("）」", last) && !kana
		particle := unicode.Is(unicode.Hiragana, last) && !kana && r != ' '
		if (space || mark || particle) && !strings.ContainsRune("、。）」：ー", r) {
			out, begin = append(out, s[begin:at]), at
		}
		last = r
	}
	return append(out, s[begin:])
}

func japanese(r rune) bool { return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) }
