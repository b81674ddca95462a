package pdf

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/go-text/typesetting/font/opentype"
)

// subset makes a TrueType font that holds just the given glyphs, in their order and with those that they are composed
// of after them. It has the tables that a PDF needs (ISO 32000-1, 9.9, table 126) but those for hinting, which our
// fonts do not have, and no others. Sources: OpenType 1.9, "glyf", "loca", "hmtx", "The OpenType font file".
func (t *tables) subset(glyphs []opentype.GID) ([]byte, error) {
	place := make(map[opentype.GID]int, len(glyphs))
	for n, g := range glyphs {
		place[g] = n
	}
	list := slices.Clone(glyphs)
	var outlines, offsets []byte
	for n := 0; n < len(list); n++ { // it grows by what composite glyphs name
		outline, err := t.outline(list[n])
		if err != nil {
			return nil, err
		}
		outline = slices.Clone(outline)
		err = components(outline, func(g opentype.GID) opentype.GID {
			if _, ok := place[g]; !ok {
				place[g] = len(list)
				list = append(list, g)
			}
			return opentype.GID(place[g])
		})
		if err != nil {
			return nil, fmt.Errorf("glyph %d: %w", list[n], err)
		}
		offsets = binary.BigEndian.AppendUint32(offsets, uint32(len(outlines)))
		outlines = append(outlines, outline...)
		for len(outlines)%4 != 0 {
			outlines = append(outlines, 0)
		}
	}
	offsets = binary.BigEndian.AppendUint32(offsets, uint32(len(outlines)))
	var widths []byte
	for _, g := range list {
		widths = append(widths, t.width(g)...)
	}
	head, hhea, maxp := slices.Clone(t.head), slices.Clone(t.hhea), slices.Clone(t.maxp)
	binary.BigEndian.PutUint32(head[8:], 0)  // checkSumAdjustment, which no reader of PDFs looks at
	binary.BigEndian.PutUint16(head[50:], 1) // indexToLocFormat: long
	binary.BigEndian.PutUint16(hhea[34:], uint16(len(list)))
	binary.BigEndian.PutUint16(maxp[4:], uint16(len(list)))
	return assemble(map[string][]byte{
		"glyf": outlines, "head": head, "hhea": hhea, "hmtx": widths, "loca": offsets, "maxp": maxp,
	}), nil
}

// tables of a TrueType font.
type tables struct {
	glyf, head, hhea, hmtx, loca, maxp []byte
	long                               bool // the format of loca
	measured                           int  // glyphs with a width of their own
}

func readTables(from *opentype.Loader) (*tables, error) {
	t := &tables{}
	for name, into := range map[string]*[]byte{
		"glyf": &t.glyf, "head": &t.head, "hhea": &t.hhea, "hmtx": &t.hmtx, "loca": &t.loca, "maxp": &t.maxp,
	} {
		raw, err := from.RawTable(opentype.MustNewTag(name))
		if err != nil {
			return nil, fmt.Errorf("read the table %s: %w", name, err)
		}
		*into = raw
	}
	if len(t.head) < 54 || len(t.hhea) < 36 || len(t.maxp) < 6 {
		return nil, fmt.Errorf(
			"the font's head has %d bytes, hhea %d and maxp %d: it is cut off",
			len(t.head),
			len(t.hhea),
			len(t.maxp),
		)
	}
	t.long = binary.BigEndian.Uint16(t.head[50:]) == 1
	if t.measured = int(binary.BigEndian.Uint16(t.hhea[34:])); t.measured == 0 || len(t.hmtx) < 4*t.measured {
		return nil, fmt.Errorf("the font's hmtx has %d bytes for %d glyphs: it is cut off", len(t.hmtx), t.measured)
	}
	return t, nil
}

// outline is the glyph's part of glyf; empty for a glyph that draws nothing.
func (t *tables) outline(g opentype.GID) ([]byte, error) {
	at := func(n int) int {
		if t.long && 4*n+4 <= len(t.loca) {
			return int(binary.BigEndian.Uint32(t.loca[4*n:]))
		}
		if !t.long && 2*n+2 <= len(t.loca) {
			return 2 * int(binary.BigEndian.Uint16(t.loca[2*n:]))
		}
		return -1
	}
	first, last := at(int(g)), at(int(g)+1)
	if first < 0 || last < first || last > len(t.glyf) {
		return nil, fmt.Errorf("the font has no glyph %d", g)
	}
	return t.glyf[first:last], nil
}

// width is the glyph's entry in hmtx: its advance and its left side bearing.
func (t *tables) width(g opentype.GID) []byte {
	n := int(g)
	if n < t.measured {
		return t.hmtx[4*n : 4*n+4]
	}
	out := slices.Clone(t.hmtx[4*(t.measured-1) : 4*(t.measured-1)+2]) // the last advance is that of all that follow
	if bearing := 4*t.measured + 2*(n-t.measured); bearing+2 <= len(t.hmtx) {
		return append(out, t.hmtx[bearing:bearing+2]...)
	}
	return append(out, 0, 0)
}

// Flags of a part of a composite glyph. OpenType 1.9, "glyf", "Composite glyph description".
const (
	argumentsAreWords, haveScale, moreComponents, haveTwoScales, haveMatrix = 0x0001, 0x0008, 0x0020, 0x0040, 0x0080
)

// components gives the glyphs that a composite glyph is made of their new numbers.
func components(outline []byte, renumber func(opentype.GID) opentype.GID) error {
	if len(outline) < 10 || int16(binary.BigEndian.Uint16(outline)) >= 0 {
		return nil // it is empty, or a simple one
	}
	for at := 10; ; {
		if at+4 > len(outline) {
			return fmt.Errorf("its description ends after %d bytes", len(outline))
		}
		flags := binary.BigEndian.Uint16(outline[at:])
		g := renumber(opentype.GID(binary.BigEndian.Uint16(outline[at+2:])))
		binary.BigEndian.PutUint16(outline[at+2:], uint16(g))
		at += 6
		if flags&argumentsAreWords != 0 {
			at += 2
		}
		switch {
		case flags&haveScale != 0:
			at += 2
		case flags&haveTwoScales != 0:
			at += 4
		case flags&haveMatrix != 0:
			at += 8
		}
		if flags&moreComponents == 0 {
			return nil
		}
	}
}

// assemble writes a font file of tables.
func assemble(parts map[string][]byte) []byte {
	names := slices.Sorted(maps.Keys(parts))
	n := len(names)
	power, log := 1, 0
	for 2*power <= n {
		power, log = 2*power, log+1
	}
	out := binary.BigEndian.AppendUint32(nil, 0x00010000)
	for _, v := range []int{n, 16 * power, log, 16 * (n - power)} {
		out = binary.BigEndian.AppendUint16(out, uint16(v))
	}
	offset := 12 + 16*n
	for _, name := range names {
		raw := parts[name]
		out = append(out, name...)
		for _, v := range []int{int(checksum(raw)), offset, len(raw)} {
			out = binary.BigEndian.AppendUint32(out, uint32(v))
		}
		offset += (len(raw) + 3) &^ 3
	}
	for _, name := range names {
		out = append(out, parts[name]...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out
}

func checksum(raw []byte) (sum uint32) {
	for len(raw) >= 4 {
		sum += binary.BigEndian.Uint32(raw)
		raw = raw[4:]
	}
	var rest [4]byte
	copy(rest[:], raw)
	return sum + binary.BigEndian.Uint32(rest[:])
}
