package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/url"
	"os"
	"path"
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
		if strings.HasSuffix(name, ".html") || strings.HasSuffix(name, ".css") || name == "search.js" {
			assert.NotRegexp(t, loads, string(raw), name)
		}
	}
}

func TestTheIndexLeadsToPlacesThatAreThere(t *testing.T) {
	s := made(t)
	var index []entry
	require.NoError(t, json.Unmarshal(s.written["index.json"], &index))
	require.Greater(t, len(index), 2500)
	ids := map[string]map[string]bool{}
	for _, e := range index {
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
	var again []entry
	script := strings.TrimSuffix(strings.TrimPrefix(string(s.written["index.js"]), "window.siteIndex = "), ";\n")
	require.NoError(t, json.Unmarshal([]byte(script), &again))
	require.Equal(t, index, again)
}

func TestEachSentenceOfTheCatalogueIsFound(t *testing.T) {
	s := made(t)
	var index []entry
	require.NoError(t, json.Unmarshal(s.written["index.json"], &index))
	titles := map[string]bool{}
	for _, e := range index {
		titles[e.Title] = true
	}
	folder := "../../shared/wording/texts/en/"
	names, err := os.ReadDir(folder)
	require.NoError(t, err)
	checked := 0
	for _, name := range names {
		raw, err := os.ReadFile(folder + name.Name())
		require.NoError(t, err)
		var texts map[string]string
		require.NoError(t, json.Unmarshal(raw, &texts))
		for _, words := range slices.Sorted(maps.Values(texts)) {
			if words = place.ReplaceAllString(words, "…"); isSentence(words) {
				assert.True(t, titles[words], words)
				checked++
			}
		}
	}
	require.Greater(t, checked, 900)
	for _, words := range []string{
		// by a format, by a constant behind another one, by a log, and by the doctor
		"listen on …: …: stop what uses the port, or choose another with -…",
		"events could not be stored",
		"the token is not known",
		// by a function that answers with it, by one that makes an error of it, and by a field of the answer
		": the token needs the role of an administrator",
		"a tab indents this line: YAML takes spaces only",
		"it is not signed: give the integration a signing_secret or a signing_key",
		"the request can not be read: …",
		"Not authorized for the source.",
		"there is no command …: `tocsin help` lists them",
	} {
		found := false
		for title := range titles {
			found = found || strings.Contains(title, words)
		}
		assert.True(t, found, words)
	}
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
