package pdf

import (
	"bytes"
	"image/color"

	"github.com/tdewolff/canvas"
	writer "github.com/tdewolff/canvas/renderers/pdf"
)

// A4, in mm.
const (
	pageWidth  = 210.0
	pageHeight = 297.0
	margin     = 18.0
	bottom     = pageHeight - 20 // of what is written above the footer
	inner      = pageWidth - 2*margin
)

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
	"Critical": {127, 29, 29, 255}, "High": {185, 28, 28, 255}, "Medium": {161, 98, 7, 255}, "Low": {29, 78, 216, 255}, "Info": {71, 85, 105, 255},
}

// link is a place of a page that leads somewhere.
type link struct {
	address string
	rect    canvas.Rect
}

// page is one page; y grows downwards, in mm.
type page struct {
	*canvas.Canvas
	ctx   *canvas.Context
	links []link
}

// document collects pages: the footer says how many there are.
type document struct {
	fonts *fonts
	pages []*page
	*page         // the one that is written on
	y     float64 // where the next thing goes
}

func newDocument() *document {
	d := &document{fonts: newFonts()}
	d.next()
	return d
}

func (d *document) next() {
	c := canvas.New(pageWidth, pageHeight)
	d.page = &page{Canvas: c, ctx: canvas.NewContext(c)}
	d.pages = append(d.pages, d.page)
	d.y = margin
}

// room begins a new page unless so much is left, in mm.
func (d *document) room(height float64) bool {
	if d.y+height <= bottom {
		return false
	}
	d.next()
	return true
}

func (d *document) box(x, y, w, h float64, fill color.RGBA) {
	d.ctx.SetFillColor(fill)
	d.ctx.SetStrokeColor(canvas.Transparent)
	d.ctx.DrawPath(x, pageHeight-y-h, canvas.Rectangle(w, h))
}

func (d *document) rounded(x, y, w, h, r float64, fill color.RGBA) {
	d.ctx.SetFillColor(fill)
	d.ctx.SetStrokeColor(canvas.Transparent)
	d.ctx.DrawPath(x, pageHeight-y-h, canvas.RoundedRectangle(w, h, r))
}

// text writes a line with its baseline at y and returns its width.
func (d *document) text(x, y float64, s string, st style) float64 {
	t := d.fonts.line(s, st)
	base := 0.0
	t.WalkLines(func(at float64, _ []canvas.TextSpan) { base = at })
	d.ctx.DrawText(x, pageHeight-y-base, t)
	w, _ := t.Size()
	return w
}

// right writes a line that ends at x.
func (d *document) right(x, y float64, s string, st style) {
	d.text(x-d.fonts.width(s, st), y, s, st)
}

func (d *document) anchor(address string, x, y, w, h float64) {
	if address != "" {
		d.links = append(d.links, link{address, canvas.Rect{X0: x, Y0: pageHeight - y - h, X1: x + w, Y1: pageHeight - y}})
	}
}

// info is what a reader's "properties" show.
type info struct{ title, author string }

func (d *document) write(i info) ([]byte, error) {
	var buf bytes.Buffer
	out := writer.New(&buf, pageWidth, pageHeight, &writer.Options{Compress: true, SubsetFonts: true, ImageEncoding: canvas.Lossless})
	out.SetInfo(i.title, "", "", i.author, i.author)
	out.SetLang("en")
	for n, p := range d.pages {
		if n > 0 {
			out.NewPage(pageWidth, pageHeight)
		}
		p.RenderTo(out)
		for _, l := range p.links {
			out.AddLink(l.address, l.rect)
		}
	}
	err := out.Close()
	return buf.Bytes(), err
}
