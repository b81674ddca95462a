package browser

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// archive reads the file that the page saved last with a reader that is not ours.
func (b *tab) archive() map[string][]string {
	b.t.Helper()
	var text string
	require.NoError(b.t, b.eval("savedBytes", &text))
	raw, err := base64.StdEncoding.DecodeString(text)
	require.NoError(b.t, err)
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	require.NoError(b.t, err)
	out := map[string][]string{}
	for _, f := range z.File {
		in, err := f.Open()
		require.NoError(b.t, err)
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, len(raw)*100)
		for lines.Scan() {
			out[f.Name] = append(out[f.Name], lines.Text())
		}
		require.NoError(b.t, lines.Err(), "%s: its CRC too", f.Name)
	}
	return out
}

// call makes a request as who is signed in in the tab.
func (b *tab) call(method, path string, body any) string {
	b.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(b.t, err)
	said, err := json.Marshal(string(raw))
	require.NoError(b.t, err)
	out := ""
	b.do(chromedp.Evaluate(`fetch("`+path+`", {method: "`+method+`", headers: {"Content-Type": "application/json"},
		body: "`+method+`" === "GET" ? undefined : `+string(said)+`}).then((r) => r.text())`, &out,
		func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
	return out
}

const leaver = "grace@example.com"

// operated is a program with an operator's tab, and an integration of their tenant that sends to one person alone.
func operated(t *testing.T) (b *tab, id string) {
	t.Helper()
	p, issuer := provided(t)
	with := "Sign in with " + strings.TrimPrefix(issuer, "http://")
	b = stranger(t, p, p.URL+"/leaving", issuer)
	b.expect("422")
	b.click(with)
	b.logIn("joan")
	b.sees("Address of a person")
	var made struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(b.call("POST", "/v1/integrations", map[string]any{"system": "email",
		"name": "Weekly \"mail\" {1}", "events": events("system"),
		"parameters": map[string]any{"addresses": []string{leaver}}})), &made))
	return b, made.ID
}

func TestAnOperatorExportsAndErasesAPersonInTheConsole(t *testing.T) {
	t.Parallel()
	b, id := operated(t)
	b.axe()
	b.judge("leaving")
	b.fill("Tenant", "1")
	b.fill("Address of a person", leaver)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.sees("What is kept of " + leaver)
	require.Equal(t, "/leaving?tenant=1&person="+url.QueryEscape(leaver), b.address())
	b.press("Read what is kept")
	b.sees("this is all.")
	b.sees("integrations")
	b.press("Show the first rows of integrations")
	b.sees(`Weekly \"mail\" {1}`)
	b.picture("leaving-kept")
	b.press("Save as ZIP")
	found := b.archive()
	require.Len(t, found["integrations.jsonl"], 1)
	require.Contains(t, found["integrations.jsonl"][0], id)
	require.Contains(t, strings.Join(found["README.txt"], "\n"), "integrations.jsonl: 1")
	var export struct {
		Items []struct {
			Table string
			Row   json.RawMessage
		}
	}
	require.NoError(t, json.Unmarshal([]byte(b.call("GET", "/v1/tenants/1/export?person="+leaver, nil)), &export))
	of := map[string][]string{}
	for _, one := range export.Items {
		of[one.Table+".jsonl"] = append(of[one.Table+".jsonl"], string(one.Row))
	}
	require.Equal(t, of["integrations.jsonl"], found["integrations.jsonl"], "to the last digit")
	require.Contains(t, b.call("GET", "/v1/activity?action=export", nil), "joan@example.com")

	b.press("Erase…")
	b.sees("The address is taken out of 1 integration:")
	b.sees("it is disabled: it can not work without")
	b.axe()
	b.judge("leaving-erase")
	b.picture("leaving-erase")
	b.fill("Type "+leaver+" to confirm", "grace@example")
	b.act("there", "dialog button.danger:disabled")
	b.fill("Type "+leaver+" to confirm", leaver)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.sees("Waits to look again")
	b.sees("rows were erased or changed.")
	b.sees("erased person ")
	b.sees("disabled: say where it sends to, and enable it")
	b.act("there", "section button.danger:disabled")
	b.judge("leaving-settling")
	b.picture("leaving-settling")
	b.click("Show the entries")
	b.sees("Joan")
	b.follow("/integrations/" + id)
	b.sees("a person was erased, who was all that it had as")
	b.follow("/leaving?tenant=1&person=" + leaver)
	b.click("Read what is kept")
	b.sees("this is all.")
}

func TestThePageOfExportsIsForOperatorsAloneAndSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := program(t)
	b := open(t, p, desk, "/leaving?tenant=42")
	b.sees("Not for your role")
	b.seesNot("Read what is kept")
	b.seesNot("Export and erase")

	b, _ = operated(t)
	b.follow("/leaving?tenant=no-such")
	b.click("Read what is kept")
	b.sees("this is all.")
	b.fill("Tenant", "ümlaut")
	b.click("Look up")
	b.click("Read what is kept")
	b.sees("this is no id of a tenant")
	b.follow("/leaving?tenant=1&person=example.com")
	b.sees("name the person by the address")
}

// TestTheErasureOfATenantIsToldToItsEnd in every look: what takes minutes is answered by the test.
func TestTheErasureOfATenantIsToldToItsEnd(t *testing.T) {
	t.Parallel()
	b, _ := operated(t)
	for name, l := range everyLook() {
		b.set(l)
		b.do(chromedp.Evaluate(`localStorage.setItem("language", "`+l.language+`")`, nil))
		b.do(chromedp.Navigate(b.p.URL + "/leaving?tenant=1"))
		b.sees(word(l, "Every row of the tenant is removed", "すべての行が削除されます"))
		b.axe()
		b.judge("leaving-tenant-" + name)
		b.click(word(l, "Erase…", "消去…"))
		b.sees(word(l, "This is your own tenant", "これは自分のテナントです"))
		b.judge("leaving-tenant-erase-" + name)
		b.picture("leaving-tenant-erase-" + name)
		b.do(chromedp.Evaluate(`(() => {
			const real = window.fetch;
			const job = {tenant: "1", rows: {}, total: 0, began: "2026-01-01T10:00:00Z",
				changed: "2026-01-01T10:00:00Z"};
			const answers = [{...job, state: "running"},
				{...job, state: "running", rows: {deliveries: 1200}, total: 1200,
					problem: "a part failed and is tried again: x"},
				{...job, state: "settling", rows: {deliveries: 1234}, total: 1234, next: "2026-01-01T10:05:00Z"},
				{...job, state: "done", rows: {deliveries: 1234, events: 6}, total: 1240,
					ended: "2026-01-01T10:05:01Z"}];
			window.fetch = (...q) => String(q[0]).includes("/erasure")
				? Promise.resolve(Response.json(answers.length > 1 ? answers.shift() : answers[0], {status: 202}))
				: real(...q);
		})()`, nil))
		b.act("fill", word(l, "Type 1 to confirm", "確認のため 1 と入力してください"), "1")
		b.do(chromedp.KeyEvent(kb.Enter))
		b.sees("a part failed and is tried again")
		b.judge("leaving-running-" + name)
		b.sees(word(l, "Waits to look again", "再確認を待っています"))
		b.sees(word(l, "1,240 rows were erased or changed. Nothing was found after that.",
			"1,240 行を消去または変更しました。"))
		b.judgeWhole("leaving-done-"+name, l)
	}
}
