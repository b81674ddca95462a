package browser

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// choose sets a field of a page as a person does who leaves it.
func (b *tab) choose(field, value string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(`(() => {
		const field = document.querySelector(`+"`"+field+"`"+`);
		field.value = "`+value+`";
		field.dispatchEvent(new Event("change", { bubbles: true }));
	})()`, nil))
}

func TestTheActivityLogIsFilteredByObjectAndTimeAndItsFileSaysWhenItIsNotAll(t *testing.T) {
	t.Parallel()
	p := program(t)
	id := webhook(t, p, "https://hooks.example.com/a", "SOC webhook")
	require.NoError(t, p.Call("PATCH", "/v1/integrations/"+id, map[string]any{"name": "SOC hook"}, nil))
	for _, l := range []look{desk, {language: "ja", theme: "dark", width: 390, height: 844, mobile: true}} {
		b := open(t, p, l, "/activity?object=Integration&from=2023-01-01T00:00:00Z")
		b.act("settled")
		b.sees("SOC hook")
		b.axe()
		b.judge("activity-" + l.language)
		b.picture("activity-" + l.language)
		b.follow("/integrations/" + id)
		b.sees(map[string]string{"en": "changed by admin@example.com", "ja": "admin@example.com が変更"}[l.language])
		b.axe()
		b.judge("changed-" + l.language)
		b.picture("changed-" + l.language)
	}
	b := open(t, p, desk, "/activity")
	b.sees("SOC hook")
	b.choose("input[name=from]", "2099-01-01T00:00")
	b.sees("No entry matches.")
	require.Contains(t, b.address(), "from=2099-01-01T00%3A00%3A00")
	b.choose("input[name=from]", "")
	b.choose("input[name=to]", "2099-01-01T00:00")
	b.sees("SOC hook")
	b.expect("422")
	b.follow("/activity?from=nonsense")
	b.sees("This did not work.")

	b.follow("/activity")
	b.sees("SOC hook")
	b.do(chromedp.Evaluate(`(() => {
		const real = window.fetch;
		let parts = 0;
		window.fetch = (...q) => String(q[0].url || q[0]).includes("/activity/export")
			? Promise.resolve(new Response("line " + parts++ + "\n", { headers: { "X-Next-Cursor": "more" } }))
			: real(...q);
	})()`, nil))
	b.click("Save as CSV")
	b.sees("The file holds the newest part of the log.")
	b.axe()
	b.picture("activity-file")
}
