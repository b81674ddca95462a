package pdf

import (
	"image/color"
	"math"
	"slices"

	"tocsin/shared/report"
	"tocsin/shared/wording"
)

// stacks are the parts of the bars over time, from below.
type stack struct {
	label string
	color color.RGBA
	value func(report.DayCount) int64
}

func (d *sheet) stacks() []stack {
	return []stack{
		{d.say("Blocked"), accent, func(c report.DayCount) int64 { return c.Blocked }},
		{d.say("Passed on"), pale, func(c report.DayCount) int64 { return c.Hits - c.Blocked }},
	}
}

// hourly has no parts: hours are counted as a whole.
func (d *sheet) hourly() []stack {
	return []stack{{d.say("Malicious requests"), accent, func(c report.DayCount) int64 { return c.Hits }}}
}

// labelled are the counts over time with labels in the report's language.
func (d *sheet) labelled() []report.DayCount {
	if d.language != wording.Japanese || d.Period.Days() == 1 {
		return d.Over
	}
	out := slices.Clone(d.Over)
	for i, day := range d.Period.Each() {
		out[i].Label = day.ShortIn(d.language)
	}
	return out
}

// Room of a chart for its labels, in mm, and how wide a bar is of its share, and at most.
const (
	labelsBelow = 6.0
	barShare    = 0.72
	barWidest   = 12.0
	// maxLabels is how many labels fit under a chart.
	maxLabels = 13
)

var chartLabel = style{7.5, false, soft}

// overTime draws bars over time into a box of the page.
func (d *document) overTime(counts []report.DayCount, parts []stack, x, y, w, h float64) {
	top := int64(0)
	for _, c := range counts {
		top = max(top, c.Hits)
	}
	step := niceStep(top)
	highest := (top + step - 1) / step * step
	left := x + d.fonts.width(report.Thousands(highest), chartLabel) + 2.5
	high := h - labelsBelow
	at := func(v int64) float64 { return y + high - high*float64(v)/float64(highest) }
	for v := int64(0); v <= highest; v += step {
		d.box(left, at(v)-0.09, x+w-left, 0.18, rule)
		d.right(left-1.5, at(v)+0.9, report.Thousands(v), chartLabel)
	}
	room := (x + w - left) / float64(len(counts))
	bar := min(room*barShare, barWidest)
	every := (len(counts) + maxLabels - 1) / maxLabels
	for i, c := range counts {
		middle := left + room*(float64(i)+0.5)
		below := int64(0)
		for _, part := range parts {
			if v := part.value(c); v > 0 {
				d.box(middle-bar/2, at(below+v), bar, at(below)-at(below+v), part.color)
				below += v
			}
		}
		if i%every == 0 {
			d.text(middle-d.fonts.width(c.Label, chartLabel)/2, y+h-1, c.Label, chartLabel)
		}
	}
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

// niceStep divides a height into two to five steps of 1, 2 or 5 times a power of ten, at least 1.
func niceStep(top int64) int64 {
	if top <= 0 {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(float64(top))))
	for _, f := range []float64{0.2, 0.5, 1} {
		if float64(top)/(step*f) <= 5 {
			return max(1, int64(step*f))
		}
	}
	return max(1, int64(step))
}
