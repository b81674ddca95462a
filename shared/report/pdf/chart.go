package pdf

import (
	"image"
	"image/color"
	"math"

	"github.com/tdewolff/canvas"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"tocsin/shared/report"
)

const mmPerPoint = 25.4 / 72

// stacks are the parts of the bars over time, from below.
type stack struct {
	label string
	color color.RGBA
	value func(report.DayCount) int64
}

var stacks = []stack{
	{"Blocked", accent, func(c report.DayCount) int64 { return c.Blocked }},
	{"Passed on", pale, func(c report.DayCount) int64 { return c.Hits - c.Blocked }},
}

// hourly has no parts: hours are counted as a whole.
var hourly = []stack{{"Malicious requests", accent, func(c report.DayCount) int64 { return c.Hits }}}

// overTime draws bars over time into a box of the page.
func (d *document) overTime(counts []report.DayCount, parts []stack, x, y, w, h float64) error {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	handler := textHandler{d.fonts}
	p.TextHandler = handler
	p.Legend.TextStyle.Handler = handler
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font.Size, axis.Tick.Label.Color, axis.Tick.Label.Handler = 7.5, soft, handler
		axis.Label.TextStyle.Handler = handler
		axis.LineStyle.Width = 0
		axis.Tick.Length = 0
		axis.Padding = vg.Points(4)
	}
	p.X.Padding = vg.Points(9)
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = text.XCenter, text.YTop
	p.Title.TextStyle.Handler = handler
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal = draw.LineStyle{Color: rule, Width: vg.Points(0.5)}
	p.Add(grid)
	width := vg.Length((w - 14) / mmPerPoint / float64(len(counts)) * 0.72)
	top := 0.0
	var below *plotter.BarChart
	for _, part := range parts {
		values := make(plotter.Values, len(counts))
		for i, c := range counts {
			values[i] = float64(part.value(c))
			top = math.Max(top, float64(c.Hits))
		}
		bars, err := plotter.NewBarChart(values, min(width, vg.Points(34)))
		if err != nil {
			return err
		}
		bars.Color, bars.LineStyle.Width = part.color, 0
		if below != nil {
			bars.StackOn(below)
		}
		below = bars
		p.Add(bars)
	}
	p.X.Min, p.X.Max = -0.6, float64(len(counts))-0.4
	p.Y.Min, p.Y.Max = 0, top
	p.X.Tick.Marker, p.Y.Tick.Marker = dates(counts), plot.TickerFunc(heights)
	if step := niceStep(top); step > 0 {
		p.Y.Max = math.Ceil(top/step) * step
	}
	c := &vector{d: d, x: x, y: y + h}
	p.Draw(draw.NewCanvas(c, vg.Length(w/mmPerPoint), vg.Length(h/mmPerPoint)))
	return nil
}

// legend names the parts, in a line that ends at x.
func (d *document) legend(parts []stack, x, y float64) {
	st := style{8, false, soft}
	for i := len(parts) - 1; i >= 0; i-- {
		x -= d.fonts.width(parts[i].label, st)
		d.text(x, y, parts[i].label, st)
		x -= 4.5
		d.box(x, y-2.4, 3, 3, parts[i].color)
		x -= 6
	}
}

// maxLabels is how many labels fit under a chart.
const maxLabels = 13

// dates labels as many bars as there is room for.
func dates(counts []report.DayCount) plot.ConstantTicks {
	every := (len(counts) + maxLabels - 1) / maxLabels
	var out plot.ConstantTicks
	for i := 0; i < len(counts); i += every {
		out = append(out, plot.Tick{Value: float64(i), Label: counts[i].Label})
	}
	return out
}

// niceStep divides a height into two to five steps of 1, 2 or 5 times a power of ten, at least 1.
func niceStep(top float64) float64 {
	if top <= 0 {
		return 0
	}
	step := math.Pow(10, math.Floor(math.Log10(top)))
	for _, f := range []float64{0.2, 0.5, 1} {
		if top/(step*f) <= 5 {
			return math.Max(1, step*f)
		}
	}
	return math.Max(1, step)
}

func heights(_, top float64) []plot.Tick {
	step := niceStep(top)
	if step == 0 {
		return []plot.Tick{{Value: 0, Label: "0"}}
	}
	var out []plot.Tick
	for v := 0.0; v <= top+step/2; v += step {
		out = append(out, plot.Tick{Value: v, Label: report.Thousands(int64(v))})
	}
	return out
}

// textHandler measures and draws the plot's texts with our fonts.
type textHandler struct{ fonts *fonts }

func (textHandler) Cache() *font.Cache        { return font.DefaultCache }
func (textHandler) Lines(s string) []string   { return []string{s} }
func (t textHandler) style(f font.Font) style { return style{size: float64(f.Size), color: soft} }
func (textHandler) Extents(f font.Font) font.Extents {
	return font.Extents{Ascent: f.Size * 0.75, Descent: f.Size * 0.25, Height: f.Size * 1.2}
}

func (t textHandler) Box(s string, f font.Font) (width, height, depth vg.Length) {
	return vg.Length(t.fonts.width(s, t.style(f)) / mmPerPoint), f.Size * 0.75, f.Size * 0.25
}

func (t textHandler) Draw(c vg.Canvas, s string, st text.Style, at vg.Point) {
	if s == "" {
		return
	}
	w, h, _ := t.Box(s, st.Font)
	at.X += w * vg.Length(st.XAlign)
	at.Y += h * vg.Length(st.YAlign)
	c.SetColor(st.Color)
	c.FillString(font.Face{Font: st.Font}, at, s)
}

// vector draws a plot's vectors onto a page: its origin is the lower left corner of a box.
type vector struct {
	d     *document
	x, y  float64 // of the origin, in mm from the page's upper left corner
	state vectorState
	saved []vectorState
}

type vectorState struct {
	color          color.Color
	width          float64 // mm
	dash           []float64
	moveX, moveY   float64 // mm
	scaleX, scaleY float64 // 0 = 1
}

func (v *vector) SetLineWidth(w vg.Length) { v.state.width = float64(w) * mmPerPoint }
func (v *vector) SetColor(c color.Color)   { v.state.color = c }
func (v *vector) Rotate(float64)           {} // none of our plots turns a text
func (v *vector) Push()                    { v.saved = append(v.saved, v.state) }

func (v *vector) Pop() {
	v.state = v.saved[len(v.saved)-1]
	v.saved = v.saved[:len(v.saved)-1]
}

func (v *vector) SetLineDash(pattern []vg.Length, _ vg.Length) {
	v.state.dash = v.state.dash[:0:0]
	for _, l := range pattern {
		v.state.dash = append(v.state.dash, float64(l)*mmPerPoint)
	}
}

func (v *vector) Translate(p vg.Point) {
	v.state.moveX += float64(p.X) * mmPerPoint
	v.state.moveY += float64(p.Y) * mmPerPoint
}

func (v *vector) Scale(x, y float64) {
	v.state.scaleX, v.state.scaleY = x, y
}

func (v *vector) at(p vg.Point) (x, y float64) {
	return v.state.moveX + float64(p.X)*mmPerPoint, v.state.moveY + float64(p.Y)*mmPerPoint
}

func (v *vector) path(p vg.Path) *canvas.Path {
	out := &canvas.Path{}
	for _, c := range p {
		x, y := v.at(c.Pos)
		switch c.Type {
		case vg.MoveComp:
			out.MoveTo(x, y)
		case vg.LineComp:
			out.LineTo(x, y)
		case vg.CloseComp:
			out.Close()
		case vg.CurveComp:
			x1, y1 := v.at(c.Control[0])
			if len(c.Control) == 1 {
				out.QuadTo(x1, y1, x, y)
				continue
			}
			x2, y2 := v.at(c.Control[1])
			out.CubeTo(x1, y1, x2, y2, x, y)
		}
	}
	return out
}

func (v *vector) Stroke(p vg.Path) {
	if v.state.width <= 0 || len(p) == 0 {
		return
	}
	ctx := v.d.ctx
	ctx.SetFillColor(canvas.Transparent)
	ctx.SetStrokeColor(v.state.color)
	ctx.SetStrokeWidth(v.state.width)
	ctx.SetDashes(0, v.state.dash...)
	ctx.DrawPath(v.x, pageHeight-v.y, v.path(p))
	ctx.SetDashes(0)
}

func (v *vector) Fill(p vg.Path) {
	if len(p) == 0 {
		return
	}
	ctx := v.d.ctx
	ctx.SetFillColor(v.state.color)
	ctx.SetStrokeColor(canvas.Transparent)
	ctx.DrawPath(v.x, pageHeight-v.y, v.path(p))
}

func (v *vector) FillString(f font.Face, at vg.Point, s string) {
	x, y := v.at(at)
	r, g, b, a := v.state.color.RGBA()
	v.d.text(v.x+x, v.y-y, s, style{size: float64(f.Font.Size), color: color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), uint8(a >> 8)}})
}

func (v *vector) DrawImage(vg.Rectangle, image.Image) {} // none of our plots has one
