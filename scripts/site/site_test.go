package main

import (
	"encoding/json"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

var once = sync.OnceValues(func() (*site, error) { return build("../..") })

func made(t *testing.T) *site {
	t.Helper()
	s, err := once()
	require.NoError(t, err)
	return s
}

func TestEachDocumentHasOnePlace(t *testing.T) {
	s := made(t)
	found := map[string]int{}
	for _, part := range s.sections {
		for _, p := range part.Pages {
			found[p.URL]++
		}
	}
	names, err := s.tracked()
	require.NoError(t, err)
	require.Greater(t, len(names), 60)
	for _, name := range names {
		assert.Equal(t, 1, found[address(name)], name)
	}
	for _, part := range outline {
		for _, pattern := range part.documents {
			assert.True(t, strings.Contains(pattern, "*") || slices.Contains(names, pattern), "there is no %s", pattern)
		}
	}
}

// references are the addresses that a page names, and the ids that it has.
func references(t *testing.T, page []byte) (links []string, ids map[string]bool) {
	ids = map[string]bool{}
	tokens := html.NewTokenizer(strings.NewReader(string(page)))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			require.ErrorIs(t, tokens.Err(), io.EOF)
			return links, ids
		case html.StartTagToken, html.SelfClosingTagToken:
			for _, a := range tokens.Token().Attr {
				switch a.Key {
				case "href", "src":
					links = append(links, a.Val)
				case "id":
					assert.False(t, ids[a.Val], "two elements have the id %s", a.Val)
					ids[a.Val] = true
				}
			}
		}
	}
}

func TestEveryLinkOfTheSiteLeadsToSomething(t *testing.T) {
	s := made(t)
	ids := map[string]map[string]bool{}
	links := map[string][]string{}
	for name, raw := range s.written {
		if strings.HasSuffix(name, ".html") {
			links[name], ids[name] = references(t, raw)
		}
	}
	require.Greater(t, len(links), 100)
	checked := 0
	for name, all := range links {
		for _, to := range all {
			u, err := url.Parse(to)
			require.NoError(t, err, "%s: %s", name, to)
			if u.Scheme != "" {
				assert.Contains(t, []string{"https", "http", "mailto", "data"}, u.Scheme, "%s: %s", name, to)
				continue
			}
			target := name
			if u.Path != "" {
				target = path.Join(path.Dir(name), u.Path)
			}
			_, there := s.written[target]
			assert.True(t, there, "%s leads to %s, which is not there", name, to)
			if u.Fragment != "" {
				assert.True(t, ids[target][u.Fragment], "%s leads to %s, which has no such place", name, to)
			}
			checked++
		}
	}
	require.Greater(t, checked, 5000)
}

func TestNothingOfTheSiteComesFromAnotherHost(t *testing.T) {
	loads := regexp.MustCompile(`(?i)(<(?:script|img|link|iframe)[^>]*(?:src|href)="(?:https?:)?//)|url\(|@import|fetch\(`)
	for name, raw := range made(t).written {
		if name != "index.js" && slices.Contains([]string{".html", ".css", ".js"}, path.Ext(name)) {
			assert.NotRegexp(t, loads, string(raw), name)
		}
	}
}

// index is that of the search, as a browser reads it.
func index(t *testing.T, s *site) (all []entry) {
	t.Helper()
	raw, ok := strings.CutPrefix(string(s.written["index.js"]), "window.siteIndex = ")
	require.True(t, ok)
	var groups []group
	require.NoError(t, json.Unmarshal([]byte(raw), &groups))
	for _, g := range groups {
		for _, line := range g.Entries {
			e := entry{URL: g.URL, Page: g.Page, Said: g.Said, Title: line[1]}
			if line[0] != "" {
				e.URL += "#" + line[0]
			}
			if len(line) > 2 {
				e.Text = line[2]
			}
			all = append(all, e)
		}
	}
	return all
}

func TestTheIndexLeadsToPlacesThatAreThere(t *testing.T) {
	s := made(t)
	all := index(t, s)
	require.Greater(t, len(all), 7500)
	var want []entry
	for _, part := range s.sections {
		for _, p := range part.Pages {
			want = append(want, p.Entries...)
		}
	}
	require.Equal(t, want, all)
	ids := map[string]map[string]bool{}
	for _, e := range all {
		file, id, _ := strings.Cut(e.URL, "#")
		if ids[file] == nil {
			require.Contains(t, s.written, file)
			_, ids[file] = references(t, s.written[file])
		}
		if id != "" {
			assert.True(t, ids[file][id], e.URL)
		}
		assert.NotEmpty(t, e.Title, e.URL)
	}
	assert.Less(t, len(s.written["index.js"]), 1<<20, "a browser loads the index whole")
}

func TestEachSentenceOfTheCatalogueIsInTheIndexInEachLanguage(t *testing.T) {
	titles := map[string]bool{}
	for _, e := range index(t, made(t)) {
		titles[e.Title] = true
	}
	files, err := filepath.Glob("../../shared/wording/texts/en/*.json")
	require.NoError(t, err)
	files = append(files, "../../shared/console/pages/web/messages/en.json")
	checked := 0
	for _, en := range files {
		ja := filepath.Join(filepath.Dir(en), "ja.json")
		if filepath.Base(en) != "en.json" {
			ja = filepath.Join(filepath.Dir(filepath.Dir(en)), "ja", filepath.Base(en))
		}
		texts, err := formsOf(en)
		require.NoError(t, err)
		translated, err := formsOf(ja)
		require.NoError(t, err)
		for code, forms := range texts {
			if len(strings.Fields(forms[0])) < 2 {
				continue
			}
			for _, words := range slices.Concat(forms, translated[code]) {
				assert.True(t, titles[words], "%s %s: %s", en, code, words)
				checked++
			}
		}
	}
	require.Greater(t, checked, 4500)
}

func TestEachSystemHasAPage(t *testing.T) {
	s := made(t)
	for _, name := range []string{"slack", "web_hooks", "jira", "splunk", "s3"} {
		raw, ok := s.written["systems/"+name+".html"]
		require.True(t, ok, name)
		require.Contains(t, string(raw), "<h2 id=\"its-parameters\">")
	}
	require.Contains(t, string(s.written["systems/slack.html"]), "chat:write")
	require.Contains(t, string(s.written["api/deliveries.html"]), `<h2 id="search-deliveries">`)
	require.Contains(t, string(s.written["events/kinds.html"]), `<h2 id="vuln">`)
}

func TestTheSiteIsTheSameWhenItIsMadeAgain(t *testing.T) {
	again, err := build("../..")
	require.NoError(t, err)
	for name, raw := range made(t).written {
		require.Equal(t, string(raw), string(again.written[name]), name)
	}
}
