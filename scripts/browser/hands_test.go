package browser

import (
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// phone is a telephone in the hand.
func phone(language string) look {
	return look{language: language, theme: "light", width: 390, height: 844, mobile: true}
}

// everyLook is both languages, each wide and on a phone, and both themes among them.
func everyLook() map[string]look {
	wide := desk
	dark := desk
	dark.language, dark.theme = "ja", "dark"
	return map[string]look{"en-wide": wide, "ja-wide": dark, "en-phone": phone("en"), "ja-phone": phone("ja")}
}

// word is a text in the language of a look.
func word(l look, en, ja string) string {
	if l.language == "ja" {
		return ja
	}
	return en
}

// press goes to a control and presses Enter.
func (b *tab) press(name string) {
	b.t.Helper()
	b.act("focusOn", name)
	b.do(chromedp.KeyEvent(kb.Enter))
}

// tap touches the middle of a control.
func (b *tab) tap(name string) {
	b.t.Helper()
	var at []float64
	if err := b.eval("centre", &at, name); err != nil {
		b.picture("failed-" + b.t.Name())
		b.t.Fatalf("tap %q: %v\nat %s the page says:\n%s", name, err, b.address(), b.text())
	}
	b.do(emulation.SetTouchEmulationEnabled(true),
		input.DispatchTouchEvent(input.TouchStart, []*input.TouchPoint{{X: at[0], Y: at[1]}}),
		input.DispatchTouchEvent(input.TouchEnd, nil))
}

// hasFocus names what has the focus.
func (b *tab) hasFocus() (out string) {
	_ = b.eval("focused", &out)
	return out
}

// squeezed is a text with one space where there are several.
func squeezed(text string) string { return strings.Join(strings.Fields(text), " ") }

// judgeWhole judges a page that is shown whole, so that no bar that sticks lies over half a check box, and keeps a
// picture of it.
func (b *tab) judgeWhole(name string, l look) {
	b.t.Helper()
	b.axe()
	b.do(emulation.SetDeviceMetricsOverride(l.width, 3000, 1, l.mobile))
	b.judge(name)
	b.do(emulation.SetDeviceMetricsOverride(l.width, l.height, 1, l.mobile))
	b.picture(name)
}
