package pdf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image/color"
	"strings"
	"time"

	"tocsin/shared/wording"
)

// A4, in mm.
const (
	pageWidth  = 210.0
	pageHeight = 297.0
	margin     = 18.0
	bottom     = pageHeight - 20 // of what is written above the footer
	inner      = pageWidth - 2*margin
)

const mmPerPoint = 25.4 / 72

// Colours: dark text on white, one accent; those of charts differ in lightness too, for who sees no colours.
var (
	ink     = color.RGBA{15, 23, 42, 255}
	soft    = color.RGBA{71, 85, 105, 255}
	rule    = color.RGBA{226, 232, 240, 255}
	shade   = color.RGBA{248, 250, 252, 255}
	white   = color.RGBA{255, 255, 255, 255}
	accent  = color.RGBA{29, 78, 216, 255}
	pale    = color.RGBA{147, 180, 246, 255}
	bad     = color.RGBA{185, 28, 28, 255}
	good    = color.RGBA{21, 128, 61, 255}
	onCover = color.RGBA{203, 213, 225, 255}
)

// threatColors are dark enough for white text (WCAG AA).
var threatColors = map[string]color.RGBA{
	"Critical": {
		127,
		29,
		29,
		255,
	}, "High": {185, 28, 28, 255}, "Medium": {161, 98, 7, 255}, "Low": {29, 78, 216, 255}, "Info": {71, 85, 105, 255},
}

// page is one page.
type page struct {
	number  int // from 0
	content strings.Builder
	links   []link
	marked  []*element // by the number of their marked content (MCID)
}

// link is a place of a page that leads somewhere: a rectangle from its lower left corner, in points.
type link struct {
	address        string
	x0, y0, x1, y1 float64
	of             *element
}

// document collects pages: the footer says how many there are. Lengths are in mm; y grows downwards from the upper
// edge.
type document struct {
	language wording.Language
	fonts    *fonts
	pages    []*page
	*page            // the one that is written on
	y        float64 // where the next thing goes
	root     *element
	open     *element // what is written now; nil for what is no content, such as lines and footers
}

func newDocument(l wording.Language) *document {
	d := &document{language: l, fonts: newFonts(), root: &element{kind: "Document"}}
	d.open = d.root
	d.next()
	return d
}

func (d *document) next() {
	d.page = &page{number: len(d.pages)}
	d.pages = append(d.pages, d.page)
	d.y = margin
}

// room begins a new page unless so much is left.
func (d *document) room(height float64) bool {
	if d.y+height <= bottom {
		return false
	}
	d.next()
	return true
}

// points of a length, and of a place above the lower edge.
func points(mm float64) string { return number(mm / mmPerPoint) }
func above(y float64) string   { return points(pageHeight - y) }

// paint is the operator of a colour.
func paint(c color.RGBA) string {
	return fmt.Sprintf("%s %s %s rg", number(float64(c.R)/255), number(float64(c.G)/255), number(float64(c.B)/255))
}

// decorate writes what says nothing to who listens to the page.
func (d *document) decorate(format string, args ...any) {
	d.content.WriteString("/Artifact BMC\n" + fmt.Sprintf(format, args...) + "\nEMC\n")
}

func (d *document) box(x, y, w, h float64, fill color.RGBA) {
	d.decorate("%s %s %s %s %s re f", paint(fill), points(x), above(y+h), points(w), points(h))
}

// arc is how far the control points of a quarter of a circle lie from its ends, of a radius of 1.
const arc = 0.5523

func (d *document) rounded(x, y, w, h, r float64, fill color.RGBA) {
	r = min(r, w/2, h/2)
	k := r * (1 - arc)
	at := func(dx, dy float64) string { return points(x+dx) + " " + above(y+dy) }
	d.decorate("%s %s m %s l %s %s %s c %s l %s %s %s c %s l %s %s %s c %s l %s %s %s c f", paint(fill),
		at(r, 0), at(w-r, 0), at(w-k, 0), at(w, k), at(w, r), at(w, h-r), at(w, h-k), at(w-k, h), at(w-r, h),
		at(r, h), at(k, h), at(0, h-k), at(0, h-r), at(0, r), at(0, k), at(k, 0), at(r, 0))
}

// text writes a line with its baseline at y and returns its width.
func (d *document) text(x, y float64, s string, st style) float64 {
	w := 0.0
	for _, part := range d.fonts.line(s, st) {
		if len(part.glyphs) > 0 {
			d.content.WriteString(d.mark(part) + " BDC\n")
			d.span(x+w, y, part, st)
			d.content.WriteString("EMC\n")
		}
		w += part.width * st.size * mmPerPoint
	}
	return w
}

// span writes glyphs.
func (d *document) span(x, y float64, s span, st style) {
	fmt.Fprintf(&d.content, "BT %s %s/%s %s Tf %s %s Td [<", paint(st.color), embolden(s, st), s.name, number(st.size),
		points(x), above(y))
	rise := 0.0
	for _, g := range s.glyphs {
		if g.y != rise {
			rise = g.y
			fmt.Fprintf(&d.content, ">] TJ %s Ts [<", number(rise*st.size))
		}
		d.move(-g.x)
		fmt.Fprintf(&d.content, "%04X", s.cid(g))
		d.move(g.x + s.face.advance(g.glyph)/1000 - g.advance)
	}
	d.content.WriteString(">] TJ")
	if rise != 0 {
		d.content.WriteString(" 0 Ts")
	}
	if embolden(s, st) != "" {
		d.content.WriteString(" 0 Tr")
	}
	d.content.WriteString(" ET\n")
}

// embolden draws the outlines of glyphs as well, where a bold text is of a font that has no bold: they are as much
// thicker as the bold of Latin letters is (ISO 32000-1, 9.3.6).
func embolden(s span, st style) string {
	const outline = 0.03 // of the size
	if !st.bold || !strings.HasSuffix(s.name, "-400-normal") || strings.HasPrefix(s.name, "noto-emoji") {
		return ""
	}
	return strings.ToUpper(paint(st.color)) + " " + number(outline*st.size) + " w 2 Tr "
}

// move sets the next glyph back by a part of the font's size.
func (d *document) move(by float64) {
	if v := number(by * 1000); v != "0" {
		d.content.WriteString("> " + v + " <")
	}
}

// right writes a line that ends at x.
func (d *document) right(x, y float64, s string, st style) {
	d.text(x-d.fonts.width(s, st), y, s, st)
}

// anchor makes what write writes lead to an address.
func (d *document) anchor(address string, x, y, w, h float64, write func()) {
	if address == "" {
		write()
		return
	}
	d.in("Link", "", func() {
		d.links = append(
			d.links,
			link{
				address,
				x / mmPerPoint,
				(pageHeight - y - h) / mmPerPoint,
				(x + w) / mmPerPoint,
				(pageHeight - y) / mmPerPoint,
				d.open,
			},
		)
		write()
	})
}

// info is what a reader's "properties" show.
type info struct {
	title, author string
	made          time.Time
}

func (d *document) write(i info) ([]byte, error) {
	o := newObjects()
	fonts := make(map[*face]ref, len(d.fonts.read))
	names := ""
	for _, f := range d.fonts.read {
		fonts[f] = o.next()
		names += fmt.Sprintf("/%s %s ", f.name, fonts[f])
	}
	resources := o.add("<</Font <<" + names + ">>>>")
	all, tree := o.next(), o.next()
	if err := d.writePages(o, all, tree, resources); err != nil {
		return nil, err
	}
	for _, f := range d.fonts.read {
		if err := f.write(o, fonts[f]); err != nil {
			return nil, err
		}
	}
	date := i.made.UTC().Format("D:20060102150405Z")
	about := o.add(fmt.Sprintf("<</Title %s /Author %s /Creator %s /CreationDate (%s)>>",
		words(i.title), words(i.author), words(i.author), date))
	meta := o.plain("/Type /Metadata /Subtype /XML", metadata(i))
	catalog := o.add(fmt.Sprintf("<</Type /Catalog /Pages %s /Lang (%s) /MarkInfo <</Marked true>> "+
		"/StructTreeRoot %s /ViewerPreferences <</DisplayDocTitle true>> /Metadata %s>>", all, d.language, tree, meta))
	id := sha256.Sum256([]byte(i.title + date))
	return o.end(catalog, about, strings.ToUpper(hex.EncodeToString(id[:16])))
}

// writePages writes the pages under all, and the tags of what is on them under tree.
func (d *document) writePages(o *objects, all, tree, resources ref) error {
	kids := make([]ref, len(d.pages))
	for n := range d.pages {
		kids[n] = o.next()
	}
	s := structure{objects: o, pages: d.pages, refs: kids, tree: tree}
	for n, p := range d.pages {
		content, err := o.stream("", []byte(p.content.String()))
		if err != nil {
			return fmt.Errorf("write page %d: %w", n+1, err)
		}
		annotations := s.annotations(n)
		o.put(kids[n], fmt.Sprintf("<</Type /Page /Parent %s /MediaBox [0 0 %s %s] /Resources %s /Contents %s "+
			"/StructParents %d /Tabs /S%s>>",
			all, points(pageWidth), points(pageHeight), resources, content, n, annotations))
	}
	o.put(all, fmt.Sprintf("<</Type /Pages /Count %d /Kids [%s]>>", len(kids), join(kids)))
	s.write(d.root)
	return nil
}

func join(refs []ref) string {
	list := make([]string, len(refs))
	for n, r := range refs {
		list[n] = r.String()
	}
	return strings.Join(list, " ")
}
