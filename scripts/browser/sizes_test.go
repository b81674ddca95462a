package browser

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// key presses and lets go of one.
func (b *tab) key(k string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(k))
}

// touch puts a finger on the middle of the first visible element that a selector names.
func (b *tab) touch(selector string) {
	b.t.Helper()
	var at []float64
	require.NoError(b.t, b.eval("middle", &at, selector))
	b.do(emulation.SetTouchEmulationEnabled(true),
		input.DispatchTouchEvent(input.TouchStart, []*input.TouchPoint{{X: at[0], Y: at[1]}}),
		input.DispatchTouchEvent(input.TouchEnd, []*input.TouchPoint{}))
}

// Every section can be reached on a phone, and on a screen of 1280 pixels at 200 % (WCAG 2.2, 1.4.4 and 1.4.10).
func TestTheMenuHoldsEverySectionInEverySize(t *testing.T) {
	t.Parallel()
	p := program(t)
	for name, l := range map[string]look{
		"phone": {language: "en", theme: "light", width: 390, height: 844, mobile: true},
		"small": {language: "ja", theme: "dark", width: 320, height: 568, mobile: true},
		"zoom":  {language: "en", theme: "light", width: 640, height: 450},
		"tight": {language: "en", theme: "light", width: 960, height: 700},
		"wide":  {language: "en", theme: "light", width: 1024, height: 700},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, p, l, "/")
			b.act("settled")
			if name != "wide" {
				b.act("there", ".sections[aria-expanded=false]")
				b.touch(".sections")
				b.act("there", ".sections[aria-expanded=true]")
			}
			b.act("inside", ".bar nav a") // each within the window
			b.picture("menu-" + name)
			if name == "wide" {
				return
			}
			b.key(kb.Escape)
			b.act("there", ".sections[aria-expanded=false]")
			b.act("hasFocus", ".sections")
			b.key(kb.Enter)
			b.key(kb.Tab)
			b.key(kb.Tab)
			b.act("hasFocus", "nav a[href='/log']")
			b.key(kb.Tab)
			b.act("hasFocus", "nav a[href='/triggers']")
			b.key(kb.Enter)
			b.act("at", "/triggers")
			b.act("there", ".sections[aria-expanded=false]")
			b.act("there", "nav a[href='/triggers'][aria-current=page]")
			b.touch(".sections")
			b.act("there", ".sections[aria-expanded=true]")
			b.touch("nav a[href='/reports']")
			b.act("at", "/reports")
		})
	}
}

// A list of reports goes on paper without what can only be pressed.
func TestAListOfReportsIsPrintedWithoutTheMenu(t *testing.T) {
	t.Parallel()
	p, views := furnished(t)
	b := open(t, p, desk, views["reports"])
	b.act("settled")
	b.sees("Monthly")
	b.do(emulation.SetEmulatedMedia().WithMedia("print"))
	b.picture("print-reports")
	b.act("hidden", ".bar, footer, button")
	b.seesNot("Make a report now")
	b.sees("Monthly")
}

// The pages beside the Console: they are served without its code, and read by who writes programs.
func TestThePagesOfTheAPIAreForEverybody(t *testing.T) {
	t.Parallel()
	p := program(t)
	for name, l := range map[string]look{
		"wide":  desk,
		"zoom":  {language: "en", theme: "dark", width: 640, height: 450},
		"phone": phone("en"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, p, l, "/docs")
			for page, path := range map[string]string{"api": "/docs", "kinds": "/docs/events",
				"kind": "/docs/events/new_hits"} {
				b.do(chromedp.Navigate(p.URL + path))
				b.act("settled")
				b.axe()
				b.judge("docs-" + page + "-" + name)
				b.picture("docs-" + page + "-" + name)
			}
		})
	}
}
