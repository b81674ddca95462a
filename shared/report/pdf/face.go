package pdf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/harfbuzz"
)

// face is a font that a document uses.
type face struct {
	name     string
	loader   *opentype.Loader
	face     *font.Face
	shaper   *harfbuzz.Font
	buffer   *harfbuzz.Buffer // it remembers how the font's scripts are shaped
	features []harfbuzz.Feature
	em       float64 // font units

	// drawn are the glyphs of the document, by their number there (CID). The first is that of what is missing.
	drawn  []meaning
	number map[meaning]int
}

// meaning is a glyph with the characters that it stands for. Fonts compose letters: one glyph can stand for several.
type meaning struct {
	glyph opentype.GID
	text  string
}

// apart keeps letters apart: ligatures would leave a reader's search and copy without them.
var apart = []harfbuzz.Feature{
	{
		Tag: opentype.MustNewTag("liga"),
		End: harfbuzz.FeatureGlobalEnd,
	}, {Tag: opentype.MustNewTag("clig"), End: harfbuzz.FeatureGlobalEnd},
}

func openFace(name string, raw []byte, simple bool) (*face, error) {
	loader, err := opentype.NewLoader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	parsed, err := font.NewFont(loader)
	if err != nil {
		return nil, err
	}
	f := &face{
		name: name, loader: loader, face: font.NewFace(parsed), em: float64(parsed.Upem()),
		drawn: []meaning{{}}, number: map[meaning]int{{}: 0},
	}
	f.shaper, f.buffer = harfbuzz.NewFont(f.face), harfbuzz.NewBuffer()
	if simple {
		f.features = apart
	}
	return f, nil
}

func (f *face) draws(r rune) bool {
	_, ok := f.face.NominalGlyph(r)
	return ok
}

// span is a text in one font and one direction, with its glyphs from left to right. Lengths are in sizes of the font.
type span struct {
	*face
	text      string // in the order of reading
	backwards bool   // from the right to the left
	glyphs    []placed
	width     float64
}

// placed is a glyph and where it stands. Of the glyphs that a letter is composed of, the widest stands for it.
type placed struct {
	glyph   opentype.GID
	text    string // the characters that it stands for, if any
	advance float64
	x, y    float64 // how far it is moved from its place
}

// shape finds the glyphs of a text.
func (f *face) shape(s string, backwards bool) span {
	out := span{face: f, text: s, backwards: backwards}
	runes := []rune(s)
	if len(runes) == 0 {
		return out
	}
	b := f.buffer
	b.Clear()
	b.Props = harfbuzz.SegmentProperties{}
	b.AddRunes(runes, 0, len(runes))
	b.GuessSegmentProperties()
	b.Props.Direction = harfbuzz.LeftToRight
	if backwards {
		b.Props.Direction = harfbuzz.RightToLeft
	}
	b.Shape(f.shaper, f.features)
	for i, g := range b.Info {
		p := b.Pos[i]
		n := placed{
			glyph:   g.Glyph,
			advance: float64(p.XAdvance) / f.em,
			x:       float64(p.XOffset) / f.em,
			y:       float64(p.YOffset) / f.em,
		}
		out.glyphs = append(out.glyphs, n)
		out.width += n.advance
	}
	before := len(runes) // where the cluster on the left begins: clusters come in the order of the eye
	for first := 0; first < len(b.Info); {
		last, widest := first, first
		begins := b.Info[first].Cluster
		for ; last < len(b.Info) && b.Info[last].Cluster == begins; last++ {
			if b.Pos[last].XAdvance > b.Pos[widest].XAdvance {
				widest = last
			}
		}
		ends := before
		if !backwards {
			ends = len(runes)
			if last < len(b.Info) {
				ends = b.Info[last].Cluster
			}
		}
		out.glyphs[widest].text = string(runes[begins:ends])
		first, before = last, begins
	}
	return out
}

// cid is a glyph's number in the document.
func (f *face) cid(g placed) int {
	m := meaning{g.glyph, g.text}
	n, ok := f.number[m]
	if !ok {
		n = len(f.drawn)
		f.number[m] = n
		f.drawn = append(f.drawn, m)
	}
	return n
}

// advance is a glyph's own, as the document declares it: in thousandths of the font's size.
func (f *face) advance(g opentype.GID) float64 {
	return float64(f.face.HorizontalAdvance(g)) / f.em * 1000
}

// write writes the font with the glyphs that were drawn: a Type 0 font over a CIDFontType2 (ISO 32000-1, 9.7).
func (f *face) write(o *objects, own ref) error {
	glyphs := make([]opentype.GID, len(f.drawn))
	widths := make([]string, len(f.drawn))
	for n, m := range f.drawn {
		glyphs[n], widths[n] = m.glyph, number(f.advance(m.glyph))
	}
	t, err := readTables(f.loader)
	if err != nil {
		return fmt.Errorf("embed the font %s: %w", f.name, err)
	}
	program, err := t.subset(glyphs)
	if err != nil {
		return fmt.Errorf("embed the font %s: %w", f.name, err)
	}
	file, err := o.stream(fmt.Sprintf("/Length1 %d", len(program)), program)
	if err != nil {
		return err
	}
	unicode, err := o.stream("", f.toUnicode())
	if err != nil {
		return err
	}
	scaled := func(table []byte, at int) string {
		return number(float64(int16(binary.BigEndian.Uint16(table[at:]))) / f.em * 1000)
	}
	name := f.tag() + "+" + f.name
	descriptor := o.add(
		fmt.Sprintf(
			"<</Type /FontDescriptor /FontName /%s /Flags 4 /FontBBox [%s %s %s %s] /ItalicAngle 0 "+
				"/Ascent %s /Descent %s /CapHeight 714 /StemV 80 /FontFile2 %s>>",
			name,
			scaled(t.head, 36),
			scaled(t.head, 38),
			scaled(t.head, 40),
			scaled(t.head, 42),
			scaled(t.hhea, 4),
			scaled(t.hhea, 6),
			file,
		),
	)
	descendant := o.add(
		fmt.Sprintf(
			"<</Type /Font /Subtype /CIDFontType2 /BaseFont /%s "+
				"/CIDSystemInfo <</Registry (Adobe) /Ordering (Identity) /Supplement 0>> "+
				"/FontDescriptor %s /CIDToGIDMap /Identity /W [0 [%s]]>>",
			name,
			descriptor,
			strings.Join(widths, " "),
		),
	)
	o.put(
		own,
		fmt.Sprintf(
			"<</Type /Font /Subtype /Type0 /BaseFont /%s /Encoding /Identity-H /DescendantFonts [%s] /ToUnicode %s>>",
			name,
			descendant,
			unicode,
		),
	)
	return nil
}

// tag is the mark of a subset: six capital letters (ISO 32000-1, 9.6.4), made of what it holds.
func (f *face) tag() string {
	sum := uint32(2166136261) // FNV-1a
	for _, m := range f.drawn {
		sum = (sum ^ uint32(m.glyph)) * 16777619
	}
	var out [6]byte
	for i := range out {
		out[i] = 'A' + byte(sum%26)
		sum /= 26
	}
	return string(out[:])
}

// mostEntries of one block of a CMap. Adobe Technical Note 5014, "beginbfchar".
const mostEntries = 100

// toUnicode is the CMap that says which characters a glyph stands for (ISO 32000-1, 9.10.3).
func (f *face) toUnicode() []byte {
	var entries []string
	for n, m := range f.drawn {
		if m.text == "" {
			continue
		}
		entry := fmt.Sprintf("<%04X> <", n)
		for _, u := range utf16.Encode([]rune(m.text)) {
			entry += fmt.Sprintf("%04X", u)
		}
		entries = append(entries, entry+">\n")
	}
	var out bytes.Buffer
	out.WriteString("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n" +
		"/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n" +
		"/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n" +
		"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n")
	for len(entries) > 0 {
		n := min(mostEntries, len(entries))
		fmt.Fprintf(&out, "%d beginbfchar\n%sendbfchar\n", n, strings.Join(entries[:n], ""))
		entries = entries[n:]
	}
	out.WriteString("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n")
	return out.Bytes()
}
