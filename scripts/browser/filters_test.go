package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// threats publishes a vulnerability of each threat, under the ids name-0, name-1 and so on.
func threats(t *testing.T, p *embedded.Process, name string, threats ...string) {
	t.Helper()
	made, err := embedded.EventFile("../../events/vulnerability.json")
	require.NoError(t, err)
	var entries []embedded.Entry
	for n, threat := range threats {
		e := made[0]
		e.Detail = eventID.ReplaceAllString(e.Detail, fmt.Sprintf(`"id":"%s-%d"`, name, n))
		e.Detail = strings.Replace(e.Detail, `"threat":"High"`, fmt.Sprintf(`"threat":%q`, threat), 1)
		entries = append(entries, e)
	}
	require.NoError(t, p.Publish(entries...))
}

// TestAnIntegrationIsNarrowedByFilters adds an integration with a filter, tries it on the last events, and finds what
// it left out.
func TestAnIntegrationIsNarrowedByFilters(t *testing.T) {
	t.Parallel()
	at := receive(t)
	for name, l := range everyLook() {
		p := program(t, "-allow", at.Host)
		threats(t, p, "before", "High", "Low", "Medium")
		press := pressing(t, l)
		b := open(t, p, l, "/add/web_hooks")
		b.fill("Webhook URL", at.URL+"/hook")
		press(b, word(l, "Add filter", "フィルターを追加"))
		b.fill(word(l, "Filter 1", "フィルター 1"), "severity")
		b.sees(word(l, "Asked only of: Vulnerabilities detected: High", "調べる対象："))
		try := word(l, "Try on the last events", "最近のイベントで試す")
		press(b, try)
		b.sees(word(l, "Choose or enter a value", "値を選ぶか入力してください"))
		b.act("tickIn", ".filter-row", word(l, "High", "高"))
		press(b, try)
		b.sees(word(l, "1 of 3 events of the chosen types would have been sent",
			"選択した種類のイベント 3 件のうち 1 件が送信対象でした"))
		b.sees(word(l, "Left out by Severity: 2.", "「重大度」による除外：2 件。"))
		b.judgeWhole("filters-tried-"+name, l)
		b.act("tickIn", ".filter-row", word(l, "Critical", "緊急"))
		b.seesNot(word(l, "Left out by Severity", "「重大度」による除外"))
		b.act("clickIn", "form", word(l, "Add integration", "連携を追加"))
		b.sees(word(l, "Added.", "追加しました"))
		threats(t, p, "after", "Low", "High")
		eventually(t, "the one that passes is delivered", func() (bool, error) {
			return len(found(t, p, "state=delivered").Items) == 1, nil
		})
		b.do(chromedp.Navigate(p.URL + "/events/after-0"))
		b.sees(word(l, "a filter stops it: Severity.", "フィルター「重大度」により送信されません。"))
		b.judgeWhole("filters-event-"+name, l)
		b.do(chromedp.Navigate(p.URL + "/"))
		b.sees(word(l, "; left out 1 event", "、除外 1 件"))
		press(b, "Webhook")
		b.sees(word(l, "Left out in 24 hours", "除外したイベント（24 時間）"))
		b.sees(word(l,
			"Severity is Critical, High (1 event)", "重大度：緊急、高（1 件）"))
		b.judgeWhole("filters-page-"+name, l)
	}
}

// TestAFilterThatCanNeverApplyIsToldAtItsRow has a filter that none of the chosen types can pass refused, and saves it
// with another type.
func TestAFilterThatCanNeverApplyIsToldAtItsRow(t *testing.T) {
	t.Parallel()
	at := receive(t)
	for name, l := range everyLook() {
		p := program(t, "-allow", at.Host)
		press := pressing(t, l)
		b := open(t, p, l, "/add/web_hooks")
		b.fill("Webhook URL", at.URL+"/hook")
		press(b, word(l, "Add filter", "フィルターを追加"))
		b.fill(word(l, "Filter 1", "フィルター 1"), "country")
		b.fill(word(l, "Values of Source country", "送信元の国 の値"), "NL")
		b.sees(word(l, "Asked only of: Hits detected", "調べる対象：ヒットの検出"))
		hits := word(l, "Hits detected", "ヒットの検出")
		b.act("tick", hits, false)
		b.sees(word(l, "It can never apply: none of the chosen types has what it looks at",
			"選択した種類のイベントは、どれも対象の項目を持ちません"))
		b.expect("422")
		b.act("clickIn", "form", word(l, "Add integration", "連携を追加"))
		b.sees(word(l, "only events of siem have what it looks at", "siem のイベントだけで"))
		b.judgeWhole("filters-never-"+name, l)
		b.act("tick", hits, true)
		b.seesNot(word(l, "only events of siem", "siem のイベントだけで"))
		b.act("clickIn", "form", word(l, "Add integration", "連携を追加"))
		b.sees(word(l, "Added.", "追加しました"))
	}
}
