package browser

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// slack adds an integration of Slack that posts to the receiver.
func slack(t *testing.T, p *embedded.Process, at *receiver, name string) string {
	t.Helper()
	return add(t, p, map[string]any{
		"system": "slack", "name": name, "events": events("vuln_high", "system"),
		"parameters": map[string]any{"webhook_url": at.URL + "/services/T0/B0/x"},
	})
}

func webhook(t *testing.T, p *embedded.Process, url, name string) string {
	t.Helper()
	return add(t, p, map[string]any{"system": "web_hooks", "name": name,
		"events":     events("vuln_high", "vuln_medium", "vuln_low"),
		"parameters": map[string]any{"url": url, "max_events": 1}})
}

func events(names ...string) (out []map[string]any) {
	for _, n := range names {
		out = append(out, map[string]any{"event": n})
	}
	return out
}

func add(t *testing.T, p *embedded.Process, integration map[string]any) string {
	t.Helper()
	var made struct{ ID string }
	require.NoError(t, p.Call("POST", "/v1/integrations", integration, &made))
	return made.ID
}

var eventID = regexp.MustCompile(`"id":"evt-[^"]*"`)

// vulnerabilities publishes some, with ids of their own.
func vulnerabilities(t *testing.T, p *embedded.Process, name string, n int) {
	t.Helper()
	made, err := embedded.EventFile("../../events/vulnerability.json")
	require.NoError(t, err)
	var entries []embedded.Entry
	for i := range n {
		e := made[0]
		before := e.Detail
		e.Detail = eventID.ReplaceAllString(before, fmt.Sprintf(`"id":"%s-%d"`, name, i))
		require.NotEqual(t, before, e.Detail)
		entries = append(entries, e)
	}
	require.NoError(t, p.Publish(entries...))
}

func TestAFailingIntegrationIsSwitchedOffMendedAndReplayed(t *testing.T) {
	t.Parallel()
	at := receive(t)
	at.answers(http.StatusInternalServerError, "out of order")
	p := program(t, "-allow", at.Host, "-faster", "100000", "-disable-minimum", "5", "-disable-spread", "1",
		"-disable-after", "0s")
	hook := webhook(t, p, at.URL+"/hook", "SOC webhook")
	b := open(t, p, desk, "/")
	b.sees("SOC webhook")
	b.sees("Nothing sent in 24 hours")
	vulnerabilities(t, p, "burst", 3)
	b.sees("Disabled: failing")
	b.sees("Enabled 0")
	b.sees("not sent in 24 hours")
	b.click("Deliveries of SOC webhook")
	b.act("at", "/integrations/"+hook+"/deliveries")
	b.sees("Disabled automatically")
	b.sees("Mend the cause, test, then enable it.")
	b.sees("Enable the integration to replay deliveries.")
	eventually(t, "all deliveries ended", func() (bool, error) {
		var page struct{ Items []struct{ State string } }
		err := p.Call("GET", "/v1/integrations/"+hook+"/deliveries?state=dead", nil, &page)
		return len(page.Items) == 3, err
	})
	b.click("Dead")
	b.act("at", "/integrations/"+hook+"/deliveries?state=dead")
	b.act("rows", 3)
	b.click("Delivered")
	b.sees("No delivery matches.")
	b.click("Show all")
	b.act("rows", 3)
	b.act("firstRow")
	b.sees("It is not sent any more:")
	b.sees("out of order")
	b.sees("answered 500")
	b.sees("What is sent")
	b.click("Deliveries")

	at.answers(http.StatusOK, "thanks")
	b.click("Enable")
	b.seesNot("Disabled automatically")
	b.act("firstReplay")
	b.sees("Delivered")
	b.click("Replay a range")
	b.sees("Dead deliveries of this range are sent again")
	b.act("clickIn", "dialog", "Replay")
	b.sees("2 deliveries are sent again. Watch them in the log.")
	b.click("Close")
	b.click("Delivered")
	b.act("rows", 3)
	require.Contains(t, strings.Join(at.got(), ""), "vuln")
}

func TestTabsGroupsAndSearchAreInTheAddress(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	slack(t, p, at, "Ops channel")
	off := slack(t, p, at, "Night channel")
	webhook(t, p, at.URL, "SOC webhook")
	require.NoError(t, p.Call("POST", "/v1/integrations/"+off+"/disable", nil, nil))
	b := open(t, p, desk, "/")
	b.sees("All 3")
	b.sees("Enabled 2")
	b.sees("Disabled 1")
	b.sees("Email and messengers 1 active, 1 disabled")
	b.sees("Add Telegram integration")
	b.click("Disabled")
	b.act("at", "/?tab=disabled")
	b.sees("Night channel")
	b.seesNot("Ops channel")
	b.seesNot("Add Telegram integration")
	b.act("back")
	b.sees("Ops channel")
	b.click("Universal systems")
	b.act("at", "/?group=Universal")
	b.sees("SOC webhook")
	b.seesNot("Ops channel")
	b.click("All groups")
	b.fill("Search by system or name", "night")
	b.act("at", "/?q=night")
	b.seesNot("SOC webhook")
	b.sees("Night channel")
	b.fill("Search by system or name", "pager")
	b.sees("Add PagerDuty integration")
	b.seesNot("Night channel")
	b.fill("Search by system or name", "nothing like it")
	b.sees("Nothing matches.")
	b.click("Show all")
	b.sees("All 3")
	// The address alone brings the same view.
	again := open(t, p, desk, "/?tab=disabled&q=night")
	again.sees("Night channel")
	again.seesNot("SOC webhook")
}

// TestAChannelIsSetUpWithTheKeyboard uses Tab, Enter and typing only.
func TestAChannelIsSetUpWithTheKeyboard(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	b := open(t, p, desk, "/")
	b.act("settled")
	to := func(want string) {
		t.Helper()
		var last string
		for range 80 {
			b.do(chromedp.KeyEvent(kb.Tab))
			require.NoError(t, b.eval("focused", &last))
			if strings.HasPrefix(last, want) {
				var visible bool
				require.NoError(t, b.eval("seesFocus", &visible))
				require.True(t, visible, "the focus is seen on %s", want)
				return
			}
		}
		b.t.Fatalf("Tab never reaches %q; last it was at %q", want, last)
	}
	b.do(chromedp.KeyEvent(kb.Tab))
	var first string
	require.NoError(t, b.eval("focused", &first))
	require.Equal(t, "a Skip to the content", first)
	to("a SlackAdd Slack integration")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.sees("Add Slack integration")
	b.act("at", "/add/slack")
	b.act("hasFocus", "h1, main")
	to("input Webhook URL")
	b.do(chromedp.KeyEvent(at.URL + "/services/T0/B0/x"))
	to("button Test integration")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.sees("test messages arrived.")
	to("button Add integration")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.sees("Added.")
	to("button Delete")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.sees("This can not be undone.")
	b.do(chromedp.KeyEvent(kb.Escape))
	b.seesNot("This can not be undone.")
	b.act("hasFocus", "button")
}

func TestMailsOfTheMailLogAreRead(t *testing.T) {
	t.Parallel()
	p := program(t)
	id := add(t, p, map[string]any{"system": "email", "name": "Weekly", "events": events("system"),
		"parameters": map[string]any{"addresses": []string{"first@example.com"}}})
	b := open(t, p, desk, "/mail-log")
	require.NoError(t, p.Call("POST", "/v1/integrations/"+id+"/test", nil, nil))
	b.sees("first@example.com")
	b.act("firstMail")
	b.act("there", "iframe")
	b.click("As text")
	b.sees("Test message")
}

func TestAReportIsMadeAndRead(t *testing.T) {
	t.Parallel()
	p := program(t)
	vulnerabilities(t, p, "reported", 2)
	b := open(t, p, desk, "/reports")
	b.sees("No report yet.")
	b.fill("Mail it to", "not-an-address")
	b.click("Make report")
	b.sees("not-an-address is not an e-mail address.")
	b.fill("Mail it to", "ada@example.com")
	today := time.Now().UTC()
	first := time.Date(today.Year(), today.Month()-1, 1, 0, 0, 0, 0, time.UTC)
	day := func(n int) string { return first.AddDate(0, 0, n-1).Format(time.DateOnly) }
	b.fill("Period", "monthly")
	b.fill("Day", "2023-03-05")
	b.expect("422")
	b.click("Make report")
	b.sees("or later: daily totals are kept for 13 months")
	b.fill("Day", day(5))
	b.click("Make report")
	b.sees("Monthly report: " + first.Format("Jan 2 – ") + first.AddDate(0, 1, -1).Format("2, 2006"))
	b.sees("Ready")
	b.sees("Mailed to")
	b.sees("Not sent") // there is no mail server
	b.fill("Period", "")
	b.fill("From", day(5))
	b.fill("To", day(1))
	b.click("Make report")
	b.sees("The end must be after the beginning.")
	b.fill("Format", "csv")
	b.fill("To", day(9))
	b.click("Make report")
	b.sees("Report: " + first.Format("Jan") + " 5 – 9, " + first.Format("2006"))

	folder := t.TempDir()
	require.NoError(t,
		cdpbrowser.SetDownloadBehavior(cdpbrowser.SetDownloadBehaviorBehaviorAllow).WithBrowserContextID(b.own).
			WithDownloadPath(folder).Do(wholly(b.ctx)))
	name := "tocsin-monthly-report-" + first.Format("2006-01") + ".pdf"
	b.click("Download " + name)
	eventually(t, "the file was downloaded", func() (bool, error) {
		raw, err := os.ReadFile(filepath.Join(folder, name))
		return strings.HasPrefix(string(raw), "%PDF-") && strings.Contains(string(raw), "%%EOF"), err
	})

	b.fill("Time zone", "Mars/Olympus")
	b.expect("422")
	b.act("clickIn", ".page", "Save")
	b.sees("must be a time zone such as Europe/Berlin")
	b.fill("Time zone", "Europe/Berlin")
	b.act("clickIn", ".page", "Save")
	b.sees("Saved.")
	var settings struct {
		TimeZone string `json:"time_zone"`
	}
	require.NoError(t, p.Call("GET", "/v1/report-settings", nil, &settings))
	require.Equal(t, "Europe/Berlin", settings.TimeZone)
}

func TestP9TheConsoleSaysWhatAReportLacks(t *testing.T) {
	t.Parallel()
	p := program(t)
	made, err := embedded.EventFile("../../events/vulnerability.json")
	require.NoError(t, err)
	const all = 1005 // five more than the record of a day keeps
	// Of today: the program removes days that no report is made of any more as soon as it has started.
	today := time.Now().UTC().Format(time.DateOnly)
	var entries []embedded.Entry
	for i := range all {
		e := made[0]
		e.Detail = eventID.ReplaceAllString(e.Detail, fmt.Sprintf(`"id":"lacking-%d"`, i))
		e.Detail = strings.Replace(e.Detail, `"PLT-`, fmt.Sprintf(`"PLT-%d-`, i), 1)
		e.Detail = strings.Replace(e.Detail, `"time":"2023-03-01T`, `"time":"`+today+`T`, 1)
		entries = append(entries, e)
	}
	for batch := range slices.Chunk(entries, 10) {
		require.NoError(t, p.Publish(batch...))
	}
	// An answer of PutEvents means that the events are kept, not that they are recorded: a report may come before.
	// Reports are work too, so that one is asked for each second only.
	recorded := 0
	for end := time.Now().Add(90 * time.Second); recorded < all; time.Sleep(time.Second) {
		require.True(t, time.Now().Before(end), "%d of %d findings are recorded", recorded, all)
		var order struct{ ID string }
		require.NoError(t, p.Call("POST", "/v1/reports", map[string]any{
			"period": map[string]string{"frequency": "monthly", "from": today}, "format": "csv",
			"recipients": []string{},
		}, &order))
		for state := "waiting"; state == "waiting"; time.Sleep(50 * time.Millisecond) {
			var r struct {
				State    string
				Headline *struct{ Now struct{ Vulnerabilities int } }
			}
			require.NoError(t, p.Call("GET", "/v1/reports/"+order.ID, nil, &r))
			require.True(t, time.Now().Before(end), "report %s is %s", order.ID, r.State)
			if state = r.State; r.Headline != nil {
				recorded = r.Headline.Now.Vulnerabilities
			}
		}
	}
	b := open(t, p, desk, "/reports")
	b.fill("Period", "monthly")
	b.fill("Day", today)
	b.fill("Format", "csv")
	b.click("Make report")
	b.sees("Vulnerabilities: 1,000 of 1,005 are listed. " +
		"5 are in no report: the record of a day keeps the first 1,000 (")
	b.sees("An attack that was dropped and came again is counted again")
	b.sees("rows-missing-" + today[:len("2023-03")] + ".txt")
	b.fill("Format", "pdf")
	b.click("Make report")
	b.sees("Vulnerabilities: 200 of 1,005 are listed. A CSV report lists 1,000 of them. 5 are in no report: ")
	b.axe()
	b.judge("reports-missing")
	b.picture("reports-missing")
}

func TestEverybodyHasTheirOwnNotifications(t *testing.T) {
	t.Parallel()
	b := open(t, program(t, "-role", "analyst", "-email", "grace@example.com", "-name", "Grace Hopper"), desk, "/")
	b.act("at", "/reports")
	b.seesNot("Time zone, hour and language")
	b.follow("/integrations/01X")
	b.sees("This page is not for the role Analyst.")
	b.click("Signed in as Grace Hopper")
	b.click("Your notifications")
	b.sees("grace@example.com")
	b.act("ticked", "Weekly", "yes")
	b.act("tick", "Weekly", false)
	b.act("tick", "Vulnerabilities and security issues detected", true)
	b.click("Cancel")
	b.act("ticked", "Weekly", "yes")
	b.act("tick", "Weekly", false)
	b.act("tick", "Scope changed", true)
	b.click("Save")
	b.sees("Saved.")
	var mine struct{ Choices map[string]bool }
	require.NoError(t, b.p.Call("GET", "/v1/profile/notifications", nil, &mine))
	require.Equal(t, map[string]bool{"report_daily": false, "report_weekly": false, "report_monthly": true,
		"system": true, "vuln": false, "scope": true, "daily_security_issues": true,
		"daily_critical_security_issues": true, "aasm_report": true, "api_discovery_hourly_changes_report": false,
		"api_discovery_daily_changes_report": false}, mine.Choices)
	b.do(chromedp.Reload())
	b.act("ticked", "Weekly", "no")
	b.act("ticked", "Scope changed", "yes")
}

func TestTheBrowsersLanguageIsSpokenAndCanBeChanged(t *testing.T) {
	t.Parallel()
	l := desk
	l.language = "ja-JP,ja"
	b := open(t, program(t), l, "/")
	b.sees("Slack 連携を追加")
	b.seesNot("Add Slack integration")
	b.fill("言語", "en")
	b.sees("Add Slack integration")
	b.do(chromedp.Reload())
	b.sees("Add Slack integration")
	l.language = "fr-FR"
	open(t, b.p, l, "/").sees("Add Slack integration")
}

// TestTheStepsOfASystemAreInTheReadersLanguageAndNumberedOn: in the set-up text of MinIO a block of code stands between
// the steps 2 and 3.
func TestTheStepsOfASystemAreInTheReadersLanguageAndNumberedOn(t *testing.T) {
	t.Parallel()
	l := desk
	l.language = "ja-JP,ja"
	b := open(t, program(t), l, "/add/minio")
	b.sees("そのユーザーのアクセスキーを作成します")
	var seen struct {
		Starts []int
		Marked bool
	}
	b.do(chromedp.Evaluate(`({starts: [...document.querySelectorAll(".setup ol")].map((o) => o.start),
		marked: !!document.querySelector(".setup [lang=en]")})`, &seen))
	require.Equal(t, []int{1, 3}, seen.Starts)
	require.False(t, seen.Marked, "nothing is left in English")
	b.picture("set-up-ja")
	b.fill("言語", "en")
	b.sees("Make an access key of that user")
}

func TestASignInThatHasEndedIsSaid(t *testing.T) {
	t.Parallel()
	p := program(t)
	b := open(t, p, desk, "/")
	b.sees("Add Slack integration")
	require.NoError(t, p.EndSession())
	b.expect("401")
	b.click("Enabled")
	b.sees("Your session has ended. Sign in again.")
	b.fill("Sign-in link", link(t, p, ""))
	b.click("Sign in")
	b.sees("There are no integrations yet.")
}

// TestAReportIsMadeByFilters orders a report of the high vulnerabilities alone, and reads what it was made of.
func TestAReportIsMadeByFilters(t *testing.T) {
	t.Parallel()
	for name, l := range everyLook() {
		p := program(t)
		day := time.Now().UTC().Truncate(24 * time.Hour)
		dated(t, p, day, "selected", "High", "Low", "High")
		press := pressing(t, l)
		b := open(t, p, l, "/reports")
		make1 := word(l, "Make report", "レポートを作成")
		press(b, word(l, "Add filter", "フィルターを追加"))
		b.fill(word(l, "Filter 1", "フィルター 1"), "severity")
		press(b, make1)
		b.sees(word(l, "Choose or enter a value", "値を選ぶか入力してください"))
		b.act("tickIn", ".filter-row", word(l, "High", "高"))
		b.fill(word(l, "Period", "期間"), "daily")
		b.fill(word(l, "Day", "日付"), "2023-03-05")
		press(b, make1)
		b.sees(word(l, "or later for a report by filters", "以降の日付にしてください"))
		b.fill(word(l, "Day", "日付"), day.Format(time.DateOnly))
		press(b, make1)
		b.sees(word(l, "Only events that all of these filters select are in it:",
			"次のすべてのフィルターに一致するイベントだけを対象としています："))
		b.sees(word(l, "Severity is High", "重大度：高"))
		b.sees(word(l, "Ready", "完成"))
		var made struct {
			Items []struct {
				Headline struct {
					Now struct {
						Vulnerabilities int `json:"vulnerabilities"`
					} `json:"now"`
				} `json:"headline"`
			} `json:"items"`
		}
		require.NoError(t, p.Call("GET", "/v1/reports", nil, &made))
		require.Equal(t, 2, made.Items[0].Headline.Now.Vulnerabilities)
		b.judgeWhole("report-by-filters-"+name, l)
	}
}

// dated publishes vulnerabilities of threats at a time, and waits until they are accepted.
func dated(t *testing.T, p *embedded.Process, at time.Time, name string, threats ...string) {
	t.Helper()
	made, err := embedded.EventFile("../../events/vulnerability.json")
	require.NoError(t, err)
	var entries []embedded.Entry
	for n, threat := range threats {
		e := made[0]
		e.Detail = eventID.ReplaceAllString(e.Detail, fmt.Sprintf(`"id":"%s-%d"`, name, n))
		e.Detail = strings.Replace(e.Detail, `"threat":"High"`, fmt.Sprintf(`"threat":%q`, threat), 1)
		e.Detail = strings.Replace(e.Detail, `"PLT-`, fmt.Sprintf(`"PLT-%d-`, n), 1)
		e.Detail = strings.Replace(e.Detail, `"2023-03-01T00:00:00Z"`, at.Format(`"2006-01-02T15:04:05Z"`), 1)
		entries = append(entries, e)
	}
	require.NoError(t, p.Publish(entries...))
	for n := range threats {
		eventually(t, "the event is accepted", func() (bool, error) {
			err := p.Call("GET", fmt.Sprintf("/v1/events/%s-%d", name, n), nil, nil)
			return err == nil, nil
		})
	}
}
