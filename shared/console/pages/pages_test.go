package pages_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/console/pages"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/s3"
	"tocsin/shared/event"
	"tocsin/shared/report"
	"tocsin/shared/report/daily"
	"tocsin/shared/trigger"
	"tocsin/shared/wording"
)

// firstView is the most that the first view may weigh, compressed, in bytes.
const firstView = 150 << 10

func handler() http.Handler {
	mux := http.NewServeMux()
	pages.New("Tocsin", systems()).Mount(mux)
	return mux
}

func get(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	q := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	return w
}

var base = regexp.MustCompile(`name="base" content="([^"]+)"`)

func root(t *testing.T, h http.Handler) string {
	t.Helper()
	return base.FindStringSubmatch(get(t, h, "/").Body.String())[1]
}

func TestEveryFileIsServedForGoodAndCompressed(t *testing.T) {
	h := handler()
	at := root(t, h)
	sum := get(t, h, "/", "Accept-Encoding", "gzip").Body.Len()
	index := get(t, h, "/").Body.String()
	for _, name := range pages.New("Tocsin", systems()).Files() {
		if name == "index.html" {
			require.Equal(t, http.StatusNotFound, get(t, h, at+name).Code,
				"the page is a template: it is served at / only")
			continue
		}
		plain := get(t, h, at+name, "Accept-Encoding", "br, gzip;q=0")
		require.Equal(t, http.StatusOK, plain.Code, name)
		require.Empty(t, plain.Header().Get("Content-Encoding"))
		require.Contains(t, plain.Header().Get("Cache-Control"), "immutable")
		packed := get(t, h, at+name, "Accept-Encoding", "gzip, deflate, br")
		require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
		require.Equal(t, fmt.Sprint(packed.Body.Len()), packed.Header().Get("Content-Length"))
		if !strings.HasSuffix(name, ".js") || strings.Contains(index, at+name+`"`) {
			sum += packed.Body.Len()
		}
		z, err := gzip.NewReader(packed.Body)
		require.NoError(t, err)
		unpacked, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Equal(t, plain.Body.String(), string(unpacked), name)
	}
	require.Less(t, sum, firstView, "all files but the views that are read later, in every language")
	t.Logf("the first view weighs at most %d bytes", sum)
	require.Contains(t, index, at+"views/integrations.js", "it is asked for at once")
	require.Contains(t, index, at+"lib/preact.js", "what that needs, too")
	require.NotContains(t, index, at+"views/trigger-form.js", "it is read when it is shown")
	require.Equal(t, http.StatusNotFound, get(t, h, pages.Root+"0123456789abcdef/app.js").Code,
		"a file of another release")
	require.Equal(t, http.StatusNotFound, get(t, h, at+"lib/README.md").Code)
	require.Equal(t, http.StatusNotFound, get(t, h, at+"no.js").Code)
}

func TestOnlyTheFirstViewIsLoadedAhead(t *testing.T) {
	page := get(t, handler(), "/").Body.String()
	for name, ahead := range map[string]bool{"ui.js": true, "lib/preact.js": true, "views/integrations.js": true,
		"signin.js": true, "views/form.js": false, "views/bulk.js": false, "views/triggers.js": false,
		"letter.js": false} {
		require.Equal(t, ahead, strings.Contains(page, `<link rel="modulepreload" href="`+root(t, handler())+name+`">`),
			name)
	}
}

func TestThePolicyIsStrict(t *testing.T) {
	h := handler()
	page := get(t, h, "/integrations/01X/deliveries/01Y")
	policy := page.Header().Get("Content-Security-Policy")
	require.Contains(t, policy, "default-src 'none'")
	require.Contains(t, policy, "frame-ancestors 'none'")
	require.NotContains(t, policy, "unsafe")
	require.NotContains(t, policy, "http")
	require.Equal(t, "no-cache", page.Header().Get("Cache-Control"), "a new release shows at once")
	require.NotRegexp(t, `<script>|style="|\son\w+=`, page.Body.String(), "nothing inline")
	letter := get(t, h, root(t, h)+"letter.html").Header().Get("Content-Security-Policy")
	require.Contains(t, letter, "sandbox allow-scripts")
	require.Contains(t, letter, "default-src 'none'")
}

var address = regexp.MustCompile(`https?://[a-zA-Z0-9.-]+`)

func TestNoFileNamesAnotherHostToLoadFrom(t *testing.T) {
	known := []string{
		// names of XML spaces, which nobody loads
		"http://www.w3.org",
		// examples and links in texts
		"https://example.com", "https://hooks.slack.com", "https://www.standardwebhooks.com", "https://hec.splunk.com",
		"https://endpoint", "https://", "https://api.opsgenie.com", "https://minio.example.com",
		"https://my-rule-a1b2.westeurope-1.ingest.monitor.azure.com", "https://company.atlassian.net",
		"https://acme.service-now.com",
		"https://my-rule-a1b2.westeurope-1.ingest.monitor.azure.com.",
	}
	h := handler()
	at := root(t, h)
	for _, name := range pages.New("Tocsin", systems()).Files() {
		text := get(t, h, at+name).Body.String()
		if name == "index.html" {
			text = get(t, h, "/").Body.String()
		}
		for _, found := range address.FindAllString(text, -1) {
			require.Contains(t, known, found, name)
		}
	}
}

func TestTheLibrariesAreThoseOfTheirAuthors(t *testing.T) {
	readme, err := os.ReadFile("web/lib/README.md")
	require.NoError(t, err)
	rows := regexp.MustCompile(`(?m)^\| ([\w-]+\.js) \| .*? \| [\w/]*?(\w+\.m?js) \| ([0-9a-f]{64}) \|`).
		FindAllStringSubmatch(string(readme), -1)
	require.Len(t, rows, 4)
	for _, row := range rows {
		raw, err := os.ReadFile("web/lib/" + row[1])
		require.NoError(t, err)
		raw = bytes.ReplaceAll(raw, []byte(`from"./preact.js"`), []byte(`from"preact"`))
		if row[1] == "preact.js" || row[1] == "hooks.js" {
			raw = append(raw, "//# sourceMappingURL="+row[2]+".map\n"...)
		}
		sum := sha256.Sum256(raw)
		require.Equal(t, row[3], hex.EncodeToString(sum[:]), row[1])
	}
}

// messages reads a message file; a message with forms has several texts.
func messages(t *testing.T, name string) map[string][]string {
	t.Helper()
	raw, err := os.ReadFile("web/messages/" + name + ".json")
	require.NoError(t, err)
	var read map[string]any
	require.NoError(t, json.Unmarshal(raw, &read))
	out := map[string][]string{}
	for key, v := range read {
		switch v := v.(type) {
		case string:
			out[key] = []string{v}
		case map[string]any:
			require.Contains(t, v, "other", key)
			for _, form := range v {
				out[key] = append(out[key], form.(string))
			}
		}
	}
	return out
}

var place = regexp.MustCompile(`\{\w+\}`)

func TestBothLanguagesSayTheSame(t *testing.T) {
	en, ja := messages(t, "en"), messages(t, "ja")
	for key, texts := range en {
		require.Contains(t, ja, key, "messages/ja.json lacks a message")
		want := place.FindAllString(texts[0], -1)
		slices.Sort(want)
		for _, text := range append(slices.Clone(texts), ja[key]...) {
			got := place.FindAllString(text, -1)
			slices.Sort(got)
			require.Equal(t, want, got, "the places of %s", key)
			require.NotEmpty(t, strings.TrimSpace(text), key)
		}
	}
	for key := range ja {
		require.Contains(t, en, key, "messages/en.json lacks a message")
	}
}

func TestP9TheConsoleNamesTheLimitsOfTheRecord(t *testing.T) {
	for _, name := range []string{"en", "ja"} {
		texts := messages(t, name)
		for key, limit := range map[string]int64{"report.missing.gone.attacks": daily.MaxAttacks,
			"report.missing.gone.findings": daily.MaxFindings} {
			require.NotEmpty(t, texts[key])
			for _, text := range texts[key] {
				require.Contains(t, text, report.Thousands(limit), "%s in %s", key, name)
			}
		}
	}
	found := regexp.MustCompile(`const rowsCSV = ([\d_]+);`).FindStringSubmatch(source(t))
	require.Len(t, found, 2)
	require.Equal(t, strconv.Itoa(report.RowsCSV), strings.ReplaceAll(found[1], "_", ""))
}

// source is the text of all our modules.
func source(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, name := range pages.New("Tocsin", systems()).Files() {
		if strings.HasSuffix(name, ".js") && !strings.HasPrefix(name, "lib/") {
			raw, err := os.ReadFile(filepath.Join("web", name))
			require.NoError(t, err)
			all.Write(raw)
		}
	}
	return all.String()
}

var (
	asked = regexp.MustCompile("\\bt\\(\"([^\"]+)\"")
	made  = regexp.MustCompile("\\bt\\(`([^`$]*)\\$\\{")
)

func TestEveryMessageIsUsedAndEveryUsedOneIsThere(t *testing.T) {
	en, code := messages(t, "en"), source(t)
	for _, m := range asked.FindAllStringSubmatch(code, -1) {
		require.Contains(t, en, m[1], "a view asks for a message that is not there")
	}
	// `${node.key}.all`, and keys that are made of an event
	prefixes := []string{"events.vuln.", "events.issue.", "events.report.", "event."}
	for _, m := range made.FindAllStringSubmatch(code, -1) {
		if m[1] != "" {
			prefixes = append(prefixes, m[1])
		}
	}
	for key := range en {
		used := strings.Contains(code, `"`+key+`"`) ||
			slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
		require.True(t, used, "no view uses the message %s", key)
	}
}

// TestNoMessageIsThereTwice: JSON takes the last of two without a word, and a page says what was meant for another.
func TestNoMessageIsThereTwice(t *testing.T) {
	for _, language := range []string{"en", "ja"} {
		raw, err := os.ReadFile(filepath.Join("web", "messages", language+".json"))
		require.NoError(t, err)
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(`(?m)^ "([^"]+)":`).FindAllStringSubmatch(string(raw), -1) {
			require.False(t, seen[m[1]], "%s: %s is there twice", language, m[1])
			seen[m[1]] = true
		}
		require.Greater(t, len(seen), 400)
	}
}

func TestEveryEventIsNamed(t *testing.T) {
	en := messages(t, "en")
	for _, k := range event.Kinds() {
		require.Contains(t, en, "kind."+string(k))
	}
	for _, entry := range catalogue.Default().All() {
		for _, e := range entry.System.Events {
			key := "event." + string(e)
			for _, prefix := range []string{"vuln_", "security_issue_", "report_"} {
				if level, ok := strings.CutPrefix(string(e), prefix); ok {
					key = "level." + level
				}
			}
			require.Contains(t, en, key)
		}
	}
}

func systems() (out []destination.System) {
	for _, e := range catalogue.Default().All() {
		out = append(out, e.System)
	}
	return out
}

func TestEverySystemHasAnIconOfItsOwn(t *testing.T) {
	h := handler()
	var icons map[string]string
	require.NoError(t, json.Unmarshal(get(t, h, root(t, h)+"systems.json").Body.Bytes(), &icons))
	seen := map[string]string{}
	for _, s := range systems() {
		require.NotEmpty(t, icons[s.Name], s.Name)
		if s.Personal {
			continue // mail again
		}
		require.Empty(t, seen[icons[s.Name]], "%s has the icon of another system", s.Name)
		seen[icons[s.Name]] = s.Name
	}
}

// A text that two systems share is translated once, in the same words.
func TestTheFoldersOfSystemsAgree(t *testing.T) {
	common := wording.Terms(wording.Japanese)
	said := map[string]string{}
	for _, s := range systems() {
		for text, ja := range s.Texts["ja"] {
			require.NotContains(t, common, text, "%s: the common texts have it already", s.Name)
			require.Contains(t, []string{"", ja}, said[text], "%s: %s", s.Name, text)
			said[text] = ja
		}
	}
}

// TestTheCatalogueIsSpokenInJapanese holds every text of the catalogue against the file that translates it.
func TestTheCatalogueIsSpokenInJapanese(t *testing.T) {
	var known map[string]string
	h := handler()
	require.NoError(t, json.Unmarshal(get(t, h, root(t, h)+"messages/catalogue.ja.json").Body.Bytes(), &known))
	in := func(system, text string) {
		if text != "" {
			require.Contains(t, known, text,
				"neither wording/texts/ja/term.json nor a ja.json of a system has a text of %s", system)
		}
	}
	own := s3.Static{Of: s3.Account{ID: "123456789012"}}
	for _, entry := range append(catalogue.Default().All(),
		catalogue.Default(s3.New(s3.Platform{Identity: own})).All()...) {
		name := entry.System.Name
		in(name, entry.System.Title)
		in(name, string(entry.System.Group))
		for _, e := range entry.System.Events { // which the API words
			require.NotEqual(t, entry.System.Label(e), wording.In(wording.Japanese, entry.System.Label(e)), name)
		}
		var schema struct {
			Properties map[string]struct{ Title, Description string }
		}
		if raw := entry.System.Parameters.Schema(); raw != nil {
			require.NoError(t, json.Unmarshal(raw, &schema))
		}
		for _, p := range schema.Properties {
			in(name, p.Title)
			in(name, p.Description)
		}
	}
	for _, template := range trigger.Templates() {
		id := string(template.ID)
		in(id, template.Title)
		in(id, template.Description)
		if template.Threshold != nil {
			in(id, template.Threshold.Subject)
		}
		for _, f := range template.Filters {
			rule := f.Rule()
			in(id, rule.Title)
			in(id, rule.Help)
			for _, c := range rule.Choices {
				in(id, c.Title)
			}
		}
		for _, a := range template.Actions {
			in(id, a.Title())
		}
	}
}

// A reader who loads a view again asks API Gateway for it.
func TestTheTemplateRoutesEveryView(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../../template.yaml")
	require.NoError(t, err)
	var routes []string
	events, _ := template.Resources["ApiFunction"].Properties["Events"].(map[string]any)
	for name := range events {
		route, _ := awslocal.At(template.Resources["ApiFunction"].Properties, "Events", name, "Properties",
			"Path").(string)
		routes = append(routes, route)
	}
	require.Contains(t, routes, "/v1/{proxy+}")
	for _, view := range pages.Paths() {
		view = strings.ReplaceAll(view, "{$}", "")
		require.True(t, slices.ContainsFunc(routes, func(route string) bool {
			prefix, greedy := strings.CutSuffix(route, "{proxy+}")
			return route == view || greedy && strings.HasPrefix(view, prefix)
		}), "no route of template.yaml leads to %s", view)
	}
}

// The pages have the languages from package wording: none of them lists them itself.
func TestThePagesSpeakTheLanguagesOfTheProduct(t *testing.T) {
	h := handler()
	index := get(t, h, "/").Body.String()
	at := root(t, h)
	listed := regexp.MustCompile(`name="languages" content="([^"]+)"`).FindStringSubmatch(index)
	require.NotNil(t, listed, "early.js and i18n.js read it")
	var want []string
	for n, l := range wording.Languages() {
		want = append(want, string(l))
		require.Equal(t, http.StatusOK, get(t, h, at+"messages/"+string(l)+".json").Code, l)
		if n > 0 {
			require.Equal(t, http.StatusOK, get(t, h, at+"messages/catalogue."+string(l)+".json").Code, l)
		}
	}
	require.Equal(t, want, strings.Fields(listed[1]))
	again := regexp.MustCompile(`"en",\s*"ja"|\ben: .*\bja: `)
	require.True(t, again.MatchString(`["en", "ja"]`) && again.MatchString(`{ en: "English", ja: "x" }`))
	for _, name := range pages.New("Tocsin", systems()).Files() {
		if strings.HasSuffix(name, ".js") && !strings.HasPrefix(name, "lib/") {
			require.False(t, again.MatchString(get(t, h, at+name).Body.String()), "%s lists the languages", name)
		}
	}
}
