package browser

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/report"
)

// letter is a mail as a mail program reads it.
type letter struct {
	to         string
	header     mail.Header
	text, html string
}

// read takes a mail apart with the parsers of Go's own library.
func read(t *testing.T, raw []byte) (out letter) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	require.NoError(t, err)
	out.header = m.Header
	to, err := m.Header.AddressList("To")
	require.NoError(t, err)
	require.Len(t, to, 1, "nobody learns who else receives it")
	out.to = to[0].Address
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind, "a digest has no files")
	for parts := multipart.NewReader(m.Body, parameters["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		require.Equal(t, "quoted-printable", strings.ToLower(part.Header.Get("Content-Transfer-Encoding")))
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		require.NoError(t, err)
		kind, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		require.NoError(t, err)
		require.Equal(t, "utf-8", strings.ToLower(parameters["charset"]))
		switch kind {
		case "text/plain":
			out.text = strings.ReplaceAll(string(body), "\r\n", "\n")
		case "text/html":
			out.html = string(body)
		}
	}
}

// letters are those that came for an address with one of the titles in their subject, by title.
func (m *mailServer) letters(t *testing.T, to string, titles []string) map[string]letter {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]letter{}
	for n, raw := range m.raw {
		if m.got[n] != to {
			continue
		}
		head, err := mail.ReadMessage(bytes.NewReader(raw))
		require.NoError(t, err)
		subject, err := (&mime.WordDecoder{}).DecodeHeader(head.Header.Get("Subject"))
		require.NoError(t, err)
		for _, title := range titles {
			if !strings.HasPrefix(subject, "[Tocsin] "+title) {
				continue
			}
			require.NotContains(t, out, title, "it came once")
			out[title] = read(t, raw)
			require.Equal(t, to, out[title].to)
		}
	}
	return out
}

// farZone is a zone in which it is another day than in UTC now, and no midnight.
func farZone(t *testing.T, now time.Time) *time.Location {
	t.Helper()
	name := "Pacific/Kiritimati" // 14 hours ahead
	if now.UTC().Hour() < 11 {
		name = "Pacific/Niue" // 11 hours behind
	}
	zone, err := time.LoadLocation(name)
	require.NoError(t, err)
	return zone
}

// subscribedLongAgo stops a program, has its state say that who subscribes to reports did so weeks ago and was given
// none yet, and starts it again: a digest of a day that was over before is not theirs else.
func subscribedLongAgo(t *testing.T, p *embedded.Process, folder string, args ...string) *embedded.Process {
	t.Helper()
	_, err := p.Stop()
	require.NoError(t, err)
	state, err := sqlite.Open(t.Context(), folder+"/tocsin.db", sqlite.Options{})
	require.NoError(t, err)
	now := time.Now()
	subs, err := state.Reports().Due(t.Context(), now.Add(366*24*time.Hour), 100)
	require.NoError(t, err)
	moves := make([]report.Move, len(subs))
	for n, s := range subs {
		moves[n] = report.Move{Subscription: s, Next: now}
		moves[n].Since, moves[n].Done = now.Add(-30*24*time.Hour), ""
	}
	require.NoError(t, state.Reports().Reschedule(t.Context(), moves))
	require.NoError(t, state.Close())
	p, err = embedded.Start(binary, folder, args...)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = p.Stop() })
	return p
}

// entry is an event of upstream that happened at a time.
func entry(kind, id string, at time.Time, data string) embedded.Entry {
	return embedded.Entry{Source: "platform", DetailType: kind, Detail: fmt.Sprintf(
		`{"version":1,"id":%q,"tenant":"42","client_name":"Acme","time":%q,"data":%s}`, id,
		at.UTC().Format(time.RFC3339), data)}
}

// edges are a moment before a span of days begins, its first and its last, and one after it: a span that was cut in
// another zone would have others.
func edges(first, last time.Time) map[string]time.Time {
	const near = 15 * time.Minute
	after := last.AddDate(0, 0, 1)
	return map[string]time.Time{"before": first.Add(-near), "first": first.Add(near), "last": after.Add(-near),
		"after": after.Add(near)}
}

// upstreams are what the digests tell of, and its neighbours, of which none is to tell: of the day and the week in the
// tenant's zone, and of hours by their names.
func upstreams(day, week map[string]time.Time, hours map[string]time.Time) (out []embedded.Entry) {
	risks := map[string]string{"before": "Critical", "first": "Critical", "last": "Low", "after": "Critical"}
	for name, at := range day {
		out = append(out, entry("security_issue", "evt-issue-"+name, at, fmt.Sprintf(`{"object_id":1,`+
			`"security_issue":{"id":%q,"title":"Issue <b>%s","host":"shop.example.com","path":"/%s","method":"GET",`+
			`"risk":%q,"type":"exposure","status":"open","discovered_by":"scanner"}}`, name, name, name, risks[name])),
			change("evt-day-"+name, at, "changed", "/"+name))
	}
	for name, at := range hours {
		out = append(out, change("evt-hour-"+name, at, "added", "/"+name))
	}
	for name, at := range week {
		out = append(out, entry("new_scope_object_domains", "evt-domain-"+name, at, fmt.Sprintf(
			`{"data":[{"action":"create","entity":{"domain":"%s.example.com"}}]}`, name)))
	}
	return out
}

func change(id string, at time.Time, what, path string) embedded.Entry {
	return entry("api_structure_changed", id, at, fmt.Sprintf(
		`{"endpoint_path":%q,"http_method":"GET","domain":"api.example.com","change_type":%q}`, path, what))
}

// told is what a digest's mail says, in a language: the beginning of its subject, and lines of it.
type told struct {
	title string
	lines []string
}

// toldOf are the five digests: of a day, of a week that begins on monday, and of an hour that it does not know, which
// comes last.
func toldOf(l look, day, monday time.Time, zone string) []told {
	line := func(en, ja, value string) string { return word(l, en+": ", ja+"：") + value }
	at := func(d time.Time) string { return d.Format(time.DateOnly) }
	today := line("Period", "期間", at(day)+" ("+zone+")")
	worst := line("Critical", "緊急", "Issue <b>first · GET shop.example.com/first")
	return []told{
		{word(l, "Daily security issues", "日次のセキュリティ問題"), []string{today, line("Critical issues", "緊急の問題", "1"),
			line("Low issues", "低リスクの問題", "1"), worst,
			line("Low", "低", "Issue <b>last · GET shop.example.com/last")}},
		{word(l, "Daily critical security issues", "日次の緊急セキュリティ問題"), []string{today,
			line("Critical issues", "緊急の問題", "1"), worst}},
		{word(l, "Weekly attack-surface statistics", "週次のアタックサーフェス統計"), []string{
			line("Period", "期間", at(monday)+" – "+at(monday.AddDate(0, 0, 6))+" ("+zone+")"),
			line("New domains", "新しいドメインの数", "2"), line("New domain", "新しいドメイン", "first.example.com"),
			line("New domain", "新しいドメイン", "last.example.com")}},
		{word(l, "Daily changes of APIs", "日次の API の変更"), []string{today,
			line("Endpoints changed", "変更されたエンドポイントの数", "2"), line("Changed", "変更", "GET api.example.com/first"),
			line("Changed", "変更", "GET api.example.com/last")}},
		{word(l, "Hourly changes of APIs", "毎時の API の変更"), []string{
			line("Endpoints added", "追加されたエンドポイントの数", "1")}},
	}
}

// tells reads the mails that came for an address: each of the digests once, with its lines and no others'.
func tells(t *testing.T, m *mailServer, to string, l look, want []told, hours map[string]time.Time) map[string]letter {
	t.Helper()
	var titles []string
	for _, d := range want {
		titles = append(titles, d.title)
	}
	var got map[string]letter
	eventually(t, "the digests for "+to, func() (bool, error) {
		got = m.letters(t, to, titles)
		return len(got) == len(want), nil
	})
	for _, d := range want {
		text := got[d.title].text
		for _, one := range d.lines {
			require.Contains(t, text, "\n"+one+"\n", "%s for %s", d.title, to)
		}
		for _, neighbour := range []string{"before", "after"} {
			require.NotContains(t, text, neighbour, "%s for %s", d.title, to)
		}
		require.Contains(t, text, word(l, "Client: ", "顧客：")+"Acme\n")
		require.Equal(t, l.language, got[d.title].header.Get("Content-Language"))
		require.Contains(t, got[d.title].header.Get("List-Unsubscribe"), "/unsubscribe/")
	}
	hourly := got[titles[len(titles)-1]].text
	n := 0
	for name, hour := range hours {
		const layout = "2006-01-02 15:04 -07:00"
		span := hour.Format(layout) + " – " + hour.Add(time.Hour).Format(layout)
		is := strings.Contains(hourly, span+" ("+hour.Location().String()+")\n")
		require.Equal(t, is, strings.Contains(hourly, word(l, "Added: ", "追加：")+"GET api.example.com/"+name+"\n"))
		if is {
			n++
		}
	}
	require.Equal(t, 1, n, "it is of one of the hours: %s", hourly)
	return got
}

// TestTheFiveDigestsComeByMailAtTheHourAndInTheZone: an administrator chooses zone, hour and the five digests, for
// others in an Email report and for themselves in their profile. What comes is read as mail programs do, and looked at.
func TestTheFiveDigestsComeByMailAtTheHourAndInTheZone(t *testing.T) {
	t.Parallel()
	m, folder := mailServes(t), t.TempDir()
	args := []string{"-smtp", "smtp://" + m.address, "-faster", "100000"}
	p, err := embedded.Start(binary, folder, args...)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = p.Stop() })
	now := time.Now()
	zone := farZone(t, now)
	here := now.In(zone)

	b := open(t, p, desk, "/reports")
	b.act("settled")
	b.fill("Time zone", zone.String())
	b.fill("Hour", fmt.Sprint(here.Hour())) // it has begun: yesterday's digests are due
	b.click("Save")
	b.sees("Saved.")
	japan, handset := desk, phone("ja")
	japan.language = "ja"
	digestsChosen(t, b, desk, "ops@example.com")
	inJapan := open(t, p, japan, "/")
	digestsChosen(t, inJapan, japan, "ja@example.com")
	b.follow("/profile")
	b.act("settled")
	b.act("tick", "Hourly changes of APIs", true)
	b.act("tick", "Daily changes of APIs", true)
	b.click("Save")
	b.sees("Saved.")

	today := time.Date(here.Year(), here.Month(), here.Day(), 0, 0, 0, 0, zone)
	day, monday := today.AddDate(0, 0, -1), today.AddDate(0, 0, -7-(int(today.Weekday())+6)%7)
	hours := map[string]time.Time{} // which is the last that is over depends on when the program looks
	for n := range 3 {
		hours[fmt.Sprint("hour-", n)] = now.Truncate(time.Hour).Add(time.Duration(-n) * time.Hour).In(zone)
	}
	all := upstreams(edges(day, day), edges(monday, monday.AddDate(0, 0, 6)), hours)
	for ten := range slices.Chunk(all, 10) {
		require.NoError(t, p.Publish(ten...))
	}
	eventually(t, "all have come in", func() (bool, error) {
		var o struct{ Events int }
		err := p.Call("GET", "/v1/overview", nil, &o)
		return o.Events >= len(all), err
	})
	b.do(chromedp.Navigate("about:blank")) // the program is away for a moment
	inJapan.do(chromedp.Navigate("about:blank"))
	p = subscribedLongAgo(t, p, folder, args...)
	for to, l := range map[string]look{"ops@example.com": desk, "ja@example.com": handset, "admin@example.com": desk} {
		want := toldOf(l, day, monday, zone.String())
		got := tells(t, m, to, l, want, hours)
		if to != "admin@example.com" { // theirs look the same
			page := blank(t, p, l)
			for n, d := range want {
				shows(t, page, got[d.title], fmt.Sprintf("digest-mail-%s-%d", l.language, n), append(d.lines, d.title))
			}
		}
	}
}

// digestsChosen adds an Email report that has the digests alone.
func digestsChosen(t *testing.T, b *tab, l look, to string) {
	t.Helper()
	b.follow("/add/email")
	b.act("settled")
	b.fill(word(l, "Email addresses", "メールアドレス"), to)
	b.fill(word(l, "Language of what is sent", "送信する内容の言語"), l.language)
	for _, off := range [][2]string{{"System related", "システム関連"}, {"Vulnerabilities detected", "脆弱性の検出"},
		{"Security issues detected", "セキュリティ問題の検出"}, {"Scope changed", "スコープの変更"}, {"Weekly", "週次"}} {
		b.act("tick", word(l, off[0], off[1]), false)
	}
	for _, on := range [][2]string{{"Hourly changes of APIs", "毎時の API の変更"},
		{"Daily changes of APIs", "日次の API の変更"}} {
		b.act("ticked", word(l, on[0], on[1]), "no")
		b.act("tick", word(l, on[0], on[1]), true)
	}
	b.judgeWhole("digests-form-"+l.language, l)
	b.act("clickIn", "form", word(l, "Add integration", "連携を追加"))
	b.sees(word(l, "Added.", "追加しました"))
}

// shows opens a mail's HTML as a mail program shows it, and looks for what its text says.
func shows(t *testing.T, b *tab, l letter, name string, lines []string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, l.html)
	}))
	t.Cleanup(s.Close)
	b.origins = append(b.origins, s.URL)
	b.expect("favicon.ico")
	b.do(chromedp.Navigate(s.URL + "/"))
	for _, line := range lines {
		if label, value, ok := strings.Cut(strings.Replace(line, "：", ": ", 1), ": "); ok {
			line = label + " " + value
		}
		b.sees(line)
	}
	b.axe()
	var wrong []string // a mail has no landmarks: the page is the mail program's
	require.NoError(t, b.eval("judged", &wrong, []string{"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"}))
	require.Empty(t, wrong, name)
	b.picture(name)
}
