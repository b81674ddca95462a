package pdf_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/filter"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/report/pdf"
	"tocsin/shared/wording"
)

var made = time.Date(2023, 3, 6, 6, 0, 0, 0, time.UTC)

// busy is a week with something of everything.
func busy() *report.Summary {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	s := &report.Summary{
		Client: "Acme Aktiengesellschaft", Period: calendar.Containing(calendar.Weekly, "2023-03-01", "Europe/Berlin"),
		Made: made.In(zone),
		Comparison: report.Comparison{
			Now:    report.Headline{Hits: 1048576, Blocked: 901000, Attacks: 1234, Incidents: 2, Vulnerabilities: 5},
			Before: report.Headline{Hits: 917000, Blocked: 801000, Attacks: 1400, Incidents: 0, Vulnerabilities: 5},
		},
		Types: []report.Ranked{
			{Value: "sqli", N: 500000},
			{Value: "xss", N: 300000},
			{Value: "rce", N: 120000},
			{Value: "unheard_of", N: 100000},
			{Value: daily.Other, N: 28576},
		},
		Hosts: []report.Ranked{
			{Value: "shop.example.com", N: 700000},
			{Value: "店舗.example.jp", N: 200000},
			{Value: "متجر.example", N: 100000},
			{Value: "very-long-name-of-a-host.of-some-department.of-a-large-company.example.com", N: 48576},
		},
		Sources: []report.Ranked{
			{Value: "203.0.113.7", N: 400000},
			{Value: "2001:db8:1234:5678:9abc:def0:1234:5678", N: 100000},
		},
		Countries: []report.Ranked{{Value: "NL", N: 500000}, {Value: "PL", N: 200000}, {Value: "ZZ", N: 5}},
		Applications: []report.Ranked{
			{Value: "注文サービス（本番）", N: 600000},
			{Value: "🚀 checkout 🔒", N: 300000},
			{Value: "متجر الإنترنت", N: 100000},
		},
		Statuses: []report.Ranked{{Value: "403", N: 900000}, {Value: "404", N: 100000}, {Value: "200", N: 48576}},
		Blocks:   []report.Ranked{{Value: "blocked", N: 901000}, {Value: "monitored", N: 147576}},
		Threats:  []report.Ranked{{Value: "Critical", N: 1}, {Value: "High", N: 2}}, SourcesSeen: 812,
		MoreAttacks: 1184,
	}
	for i, d := range s.Period.Each() {
		n := int64(90000 + 20000*i)
		s.Over = append(s.Over, report.DayCount{Label: d.Short(), Hits: n, Blocked: n * 86 / 100})
	}
	busyAttacks(s)
	busyFindings(s)
	return s
}

// busyAttacks has fifty attacks, some with values of other scripts.
func busyAttacks(s *report.Summary) {
	for i := range 50 {
		s.Attacks = append(s.Attacks, daily.Attack{
			Type: []string{"sqli", "xss", "ptrav"}[i%3], Host: "shop.example.com",
			Path: fmt.Sprintf("/orders/%d/items", i), Method: "POST", Parameter: "POST_comment_value",
			Seen: int64(50000 - 900*i), Blocked: int64(40000 - 700*i), First: made.Add(-time.Hour),
			Last: made.Add(-time.Duration(i) * time.Hour), Sources: []string{"203.0.113.7", "203.0.113.8"},
		})
	}
	s.Attacks[1].Path, s.Attacks[2].Host = "/検索/商品?名前=ｔｅｓｔ", "متجر.example"
	s.Attacks[3].Path = "/" + strings.Repeat("very/long/", 40)
}

// busyFindings has two incidents and five vulnerabilities.
func busyFindings(s *report.Summary) {
	for i := range 2 {
		s.Incidents = append(s.Incidents, daily.Incident{
			Attack: daily.Attack{
				ID: fmt.Sprintf("INC-%d", i+1), ObjectID: int64(700 + i), Type: "sqli", Host: "shop.example.com",
				Path: "/search", Method: "GET", Parameter: "q", Seen: 12, Last: made, Sources: []string{"203.0.113.7"},
			},
			Vulnerability: "PLT-42-I0001", Threat: "High",
		})
	}
	for i, t := range []string{"Critical", "High", "High", "Medium", "Low"} {
		s.Vulnerabilities = append(s.Vulnerabilities, daily.Vulnerability{
			ID: fmt.Sprintf("PLT-42-I%04d", i+1), ObjectID: int64(500 + i),
			At: made.Add(-time.Duration(i) * 5 * time.Hour), Title: "Reflected XSS 反射型 ثغرة 🚨", Threat: t, Type: "XSS",
			Host: "shop.example.com", Path: "/search", Method: "GET", Parameter: "q", DiscoveredBy: "scanner",
		})
	}
}

func render(t *testing.T, s *report.Summary) []byte {
	t.Helper()
	raw, err := pdf.Renderer{}.Render(s, "Tocsin", "https://console.example.com")
	require.NoError(t, err)
	if folder := os.Getenv("TOCSIN_KEEP_PDF"); folder != "" { // to look at
		name := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()) + ".pdf"
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), raw, 0o600))
	}
	return raw
}

// poppler reads a PDF with a program that did not write it. Debian: poppler-utils. scripts/poppler installs it.
func poppler(t *testing.T, raw []byte, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("TOCSIN_NEED_POPPLER") == "" {
		t.Skipf("%s is not installed: make test-reports installs it", program)
	}
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = bytes.NewReader(raw)
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	require.NoError(t, cmd.Run(), fault.String())
	require.Empty(t, fault.String(), "the reader complains about nothing")
	return out.String()
}

// sound has the file's structure checked.
func sound(t *testing.T, raw []byte) { qpdf(t, raw, "--check") }

func qpdf(t *testing.T, raw []byte, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("qpdf")
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("TOCSIN_NEED_POPPLER") == "" {
		t.Skip("qpdf is not installed: make test-reports installs it")
	}
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "report.pdf")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	out, err := exec.CommandContext(t.Context(), path, append(args, file)...).CombinedOutput() // 3 for a warning
	require.NoError(t, err, string(out))
	return string(out)
}

func text(t *testing.T, raw []byte) string { return poppler(t, raw, "pdftotext", "-layout", "-", "-") }

func TestAReaderFindsWhatTheReportSays(t *testing.T) {
	raw := render(t, busy())
	got := text(t, raw)
	for _, want := range []string{
		"Weekly security report", "Acme Aktiengesellschaft", "Week 9, 27 February – 5 March 2023", "Europe/Berlin",
		"1,048,576", "+14 %", "1,234", "−11 %", "none before", "no change",
		"85% of 1,048,576 malicious requests were blocked.", "SQL injection",
		"812 addresses", "Netherlands", "unheard_of", "New vulnerabilities (5)", "PLT-42-I0001", "Critical",
		"Incidents (2)", "INC-1", "Largest attacks (1,234)",
		"And 1,184 more attacks", "注文サービス", "店舗.example.jp", "/検索/商品", "Reflected XSS 反射型", "Page 1 of",
		"Vulnerabilities by risk",
	} {
		require.Contains(t, got, want)
	}
	require.Regexp(t, `Pages:\s+[4-7]\n`, poppler(t, raw, "pdfinfo", "-"))
	require.Contains(t, poppler(t, raw, "pdfinfo", "-"), "Weekly security report – Acme Aktiengesellschaft")
	require.Less(t, len(raw), 400<<10, "small enough for a DynamoDB item and for any mailbox")
}

func TestAJapaneseReportHasNoEnglishWordsOfOurs(t *testing.T) {
	s := busy()
	s.Language = wording.Japanese
	raw := render(t, s)
	got := text(t, raw)
	for _, want := range []string{"週次セキュリティレポート", "2023年第9週（2023年2月27日～3月5日）", "SQL インジェクション", "オランダ", "高",
		"脆弱性（5 件）", "2023年3月6日 7:00 CET", "ページ"} {
		require.Contains(t, got, want)
	}
	require.Contains(t, flat(got), "悪意あるリクエスト 1,048,576 件のうち、85% をブロックしました。")
	file, err := os.ReadFile("../../wording/texts/en/pdf.json")
	require.NoError(t, err)
	english := map[string]string{}
	require.NoError(t, json.Unmarshal(file, &english))
	for code, words := range english {
		for part := range strings.SplitSeq(words, "{") { // what stands before a place, and after
			if _, after, place := strings.Cut(part, "}"); place {
				part = after
			}
			if part = strings.TrimSpace(part); len(part) > 3 {
				require.NotContains(t, got, part, code)
			}
		}
	}
	require.Contains(t, qpdf(t, raw, "--json"), `"/Lang": "u:ja"`)
}

// flat is a text with its lines joined: a sentence may go on in the next line.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestP9ThePDFSaysWhatItLacksOnItsFirstPageAndBelowEachTable(t *testing.T) {
	s := busy()
	day := calendar.Day("2023-03-03")
	s.Gone = map[string]report.Gone{
		daily.DroppedAttacks:   {N: 1000, Days: []calendar.Day{day}},
		daily.DroppedIncidents: {N: 7, Days: []calendar.Day{day, day.Add(1)}},
		daily.DroppedVulns:     {N: 3, Days: []calendar.Day{day}},
	}
	s.MoreIncidents, s.MoreVulnerabilities = 7, 3
	s.Now.Incidents, s.Now.Vulnerabilities = 9, 8
	raw := render(t, s)
	first := flat(poppler(t, raw, "pdftotext", "-layout", "-l", "1", "-", "-"))
	for _, want := range []string{
		"Attacks: 50 of 1,234 are listed. A CSV report lists 234 of them. 1,000 are in no report: the record of a " +
			"day keeps at least 2,000, and lets go of the smallest so far (3 March 2023).",
		"Incidents: 2 of 9 are listed. 7 are in no report: the record of a day keeps the first 1,000 (3 March 2023, " +
			"4 March 2023).",
		"Vulnerabilities: 5 of 8 are listed. 3 are in no report: the record of a day keeps the first 1,000 (3 March " +
			"2023).",
		"What was let go and came again is counted again", "Page 1 of", "27 Feb",
	} {
		require.Contains(t, first, want)
	}
	rest := flat(poppler(t, raw, "pdftotext", "-layout", "-f", "2", "-", "-"))
	for _, want := range []string{
		"And 1,184 more attacks. A CSV report lists 234 of them. 1,000 are in no report: ",
		"And 7 more incidents. 7 are in no report: ", "And 3 more vulnerabilities. 3 are in no report: ",
	} {
		require.Contains(t, rest, want)
	}
	require.NotContains(t, rest, "lists all of them")
}

func TestP9APDFThatListsEverythingSaysNothing(t *testing.T) {
	plain := busy()
	require.Contains(t, flat(text(t, render(t, plain))), "And 1,184 more attacks. A CSV report lists all of them.")
	plain.MoreAttacks, plain.Now.Attacks = 0, 50
	got := text(t, render(t, plain))
	for _, not := range []string{"are listed", "in no report", "more attacks"} {
		require.NotContains(t, got, not, "where nothing is missing nothing is said")
	}
}

func TestEveryFontIsEmbeddedAndOnlyItsGlyphs(t *testing.T) {
	list := poppler(t, render(t, busy()), "pdffonts", "-")
	lines := strings.Split(strings.TrimSpace(list), "\n")[2:]
	require.NotEmpty(t, lines)
	for _, l := range lines {
		require.Regexp(t, `\s+yes\s+(yes|no)\s+yes\s`, l, "embedded, and with its Unicode map")
	}
}

func TestThePDFIsSoundAndTaggedForWhoListensToIt(t *testing.T) {
	s := busy()
	s.Vulnerabilities[0].Title = "ثغرة <&> \"(x)\" \\"
	raw := render(t, s)
	sound(t, raw)
	about := poppler(t, raw, "pdfinfo", "-")
	require.Regexp(t, `Tagged:\s+yes`, about)
	require.Regexp(t, `Suspects:\s+no`, about)
	tree := poppler(t, raw, "pdfinfo", "-struct-text", "-")
	for _, want := range []string{
		"H1 (block)\n    \"Weekly security report\"", "H2 (block)\n    \"At a glance\"", "Table (block)",
		"TH:\n         /Scope /Column\n        \"Risk\"", "TD\n        \"High\"",
		"Link (inline)\n          \"PLT-42-I0002  Reflected XSS \"\n          \"反射型\"", "\"New vulnerabilities (5)\"",
		"H3 (block)",
	} {
		require.Contains(t, tree, want)
	}
	require.Contains(
		t,
		qpdf(t, raw, "--json"),
		`Bar chart: Malicious requests by day. 1,048,576 in all, most at 5 Mar with 210,000.`,
	)
	require.NotContains(t, tree, "Page 1 of", "a footer is no content")
}

func TestWhatIsDrawnJoinedIsCopiedWhole(t *testing.T) {
	s := busy()
	s.Hosts, s.Applications = nil, nil
	words := []string{"متجر الإنترنت", "कमल हिन्दी क्षत्रिय", "ภาษาไทยน้ำ", "👍🏽"}
	for _, w := range words {
		s.Applications = append(s.Applications, report.Ranked{Value: w, N: 1})
	}
	got := text(t, render(t, s))
	for _, w := range words {
		require.Contains(t, got, w)
	}
}

func TestAnEmptyPeriodSaysSo(t *testing.T) {
	s := &report.Summary{Client: "Acme", Period: calendar.Containing(calendar.Monthly, "2023-02-01", "UTC"), Made: made}
	got := text(t, render(t, s))
	require.Contains(t, got, "Nothing was recorded in this period")
	require.Contains(t, got, "February 2023")
	require.Contains(t, got, "Page 1 of 1")
}

func TestAReportByFiltersSaysSoOnItsFirstPage(t *testing.T) {
	s := busy()
	s.Alone = true
	for n := range 6 {
		s.Filters = append(s.Filters, filter.Filter{ID: filter.OfReports[n], Operator: filter.Equal,
			Values: []filter.Value{"1", "2"}})
	}
	first := flat(poppler(t, render(t, s), "pdftotext", "-layout", "-l", "1", "-", "-"))
	require.Contains(t, first, "Only events that all filters select are in it. Filters: Application is 1, 2; "+
		"Domain is 1, 2;")
	for _, not := range []string{"+14 %", "none before", "changes above"} {
		require.NotContains(t, first, not, "it is compared with nothing")
	}
	empty := &report.Summary{Client: "Acme", Period: s.Period, Made: s.Made, Filters: s.Filters,
		Comparison: report.Comparison{Alone: true}}
	require.Contains(t, flat(text(t, render(t, empty))), "Nothing that the filters select was recorded in this period.")
}

func TestADayIsShownByTheHour(t *testing.T) {
	s := busy()
	s.Period, s.Over = calendar.Containing(calendar.Daily, "2023-03-05", "Europe/Berlin"), nil
	for h := range 24 {
		s.Over = append(s.Over, report.DayCount{Label: fmt.Sprintf("%02d", h), Hits: int64(h * 10)})
	}
	got := text(t, render(t, s))
	require.Contains(t, got, "by hour")
	require.Contains(t, got, "Sunday, 5 March 2023")
}

func TestAYearOnDemand(t *testing.T) {
	s := busy()
	var err error
	s.Period, err = calendar.NewPeriod("2022-03-01", "2023-03-01", "Europe/Berlin")
	require.NoError(t, err)
	s.Over = nil
	for i, d := range s.Period.Each() {
		s.Over = append(s.Over, report.DayCount{Label: d.Short(), Hits: int64(i), Blocked: int64(i / 2)})
	}
	require.Contains(t, text(t, render(t, s)), "1 March 2022 – 1 March 2023")
}

// hostile are texts that have broken writers of PDFs before.
var hostile = []string{
	"", " ", "\x00\x01\x1b[31m", "line\nbreak", "(parentheses) \\ and )", "\xff\xfe not UTF-8", "\u202egnp.exe",
	"👩‍👩‍👧‍👦👍🏽🇯🇵", "ﷺ ﷽", "𝕬𝖈𝖒𝖊 𠀋", "தமிழ்", "\u0301\u0301leading marks",
	strings.Repeat(
		"🚀",
		300,
	), strings.Repeat("مرحبا ", 100), strings.Repeat("W", 5000), "\U0010ffff\ue000", "%PDF-1.7 endobj",
}

func TestNoTextBreaksThePDF(t *testing.T) {
	for _, h := range hostile {
		s := busy()
		s.Client, s.Attacks[0].Path, s.Attacks[0].Host, s.Hosts[0].Value, s.Applications[0].Value,
			s.Vulnerabilities[0].Title, s.Types[0].Value = h, h, h, h, h, h, h
		s.Attacks, s.Sources[0].Value, s.Countries[0].Value, s.Incidents[0].ID = s.Attacks[:5], h, h, h
		raw := render(t, s)
		sound(t, raw)
		require.Contains(t, text(t, raw), "Weekly security report", "%q", h)
	}
}

func TestH22NoScriptIsSilentlyBlank(t *testing.T) {
	s := busy()
	s.Attacks = nil
	drawn := []string{"Тест", "Ελληνικά", "Tiếng", "ไทย", "한국어", "中文", "日本語", "कमल", "🚀"}
	marked := map[string]string{
		"/தமிழ்/x": "/[Tamil U+0BA4 U+0BAE U+0BBF U+0BB4 U+0BCD]/x",
		"/বাংলা":   "/[Bengali U+09AC U+09BE U+0982 U+09B2 U+09BE]", "/Հայ": "/[Armenian U+0540 U+0561 U+0575]",
		"/ქა": "/[Georgian U+10E5 U+10D0]", "/ខ្មែរ": "/[Khmer U+1781", "/አማርኛ": "/[Ethiopic U+12A0",
		"/\ue000x": "/[U+E000]x", "/𝕬": "/[U+1D56C]", "/a\nb": "/a ¶ b",
		"/" + strings.Repeat("த", 20): "/[Tamil U+0BA4 U+0BA4 U+0BA4 U+0BA4 U+0BA4 U+0BA4 U+0BA4 U+0BA4 and 12 more]",
	}
	for _, d := range drawn {
		s.Attacks = append(s.Attacks, daily.Attack{Type: "sqli", Host: "h", Path: "/" + d, Last: made})
	}
	for in := range marked {
		s.Attacks = append(s.Attacks, daily.Attack{Type: "sqli", Host: "h", Path: in, Last: made})
	}
	// Words of right-to-left scripts; a reader may give their letters in the order of the eye.
	s.Attacks = append(
		s.Attacks,
		daily.Attack{Type: "sqli", Host: "h", Path: "/מרחבשלום", Last: made},
		daily.Attack{Type: "sqli", Host: "h", Path: "/مرحبا", Last: made},
	)
	got := text(t, render(t, s))
	for _, d := range drawn {
		require.Contains(t, got, d)
	}
	for in, want := range marked {
		require.Contains(t, got, want, in)
	}
	for _, letters := range []string{"םולש", "שלום"} {
		for _, r := range letters {
			require.Contains(t, got, string(r))
		}
	}
	require.Contains(t, got, "مرحبا")
}

func FuzzRender(f *testing.F) {
	for _, h := range hostile {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, h string) {
		s := busy()
		s.Client, s.Attacks[0].Path, s.Applications[0].Value = h, h, h
		s.Attacks = s.Attacks[:2]
		raw, err := pdf.Renderer{}.Render(s, "Tocsin", "")
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(raw, []byte("%PDF-")))
	})
}

func TestLinksLeadToTheConsole(t *testing.T) {
	links := poppler(t, render(t, busy()), "pdfinfo", "-url", "-")
	require.Contains(t, links, "https://console.example.com/object/500")
	require.Contains(t, links, "https://console.example.com/attacks")
	bare, err := pdf.Renderer{}.Render(busy(), "Tocsin", "")
	require.NoError(t, err)
	require.NotContains(t, poppler(t, bare, "pdfinfo", "-url", "-"), "http", "without a Console nothing is linked")
}

func BenchmarkRender(b *testing.B) {
	for b.Loop() {
		if _, err := (pdf.Renderer{}).Render(busy(), "Tocsin", ""); err != nil {
			b.Fatal(err)
		}
	}
}

// A page that is printed alone tells which zone its times are of.
func TestEveryPageNamesTheZoneOfItsTimes(t *testing.T) {
	s := busy()
	s.Period.Zone = "Asia/Tokyo"
	for _, l := range wording.Languages() {
		s.Language = l
		pages := strings.Split(strings.TrimSuffix(text(t, render(t, s)), "\f"), "\f")
		require.Greater(t, len(pages), 2)
		for n, page := range pages {
			require.Contains(t, page, "Asia/Tokyo", "page %d in %s", n+1, l)
		}
	}
}
