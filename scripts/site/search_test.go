package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// searching runs the search that the site serves, over the index that it serves.
const searching = `
const fs = require("node:fs");
globalThis.window = globalThis;
for (const file of ["look.js", "index.js"]) (0, eval)(fs.readFileSync(process.argv[1] + "/" + file, "utf8"));
const look = siteLook(siteIndex);
const asked = JSON.parse(fs.readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(asked.map((text) => look(text, 12).map(({ title, url }) => [title, url]))));
`

// result is what is found: a title and an address.
type result [2]string

// search asks the search, as the page does, and answers what is found for each text.
func search(t *testing.T, asked []string) (found [][]result) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("needs node, which runs the search as a browser does: ", err)
	}
	folder := t.TempDir()
	for _, name := range []string{"look.js", "index.js"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), made(t).written[name], 0o600))
	}
	in, err := json.Marshal(asked)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "node", "-e", searching, folder)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &found))
	require.Len(t, found, len(asked))
	return found
}

// testdata/printed.json has sentences as runs print them, each with the one that is to be found first.
func TestASentenceIsFoundFirstAsItIsPrinted(t *testing.T) {
	raw, err := os.ReadFile("testdata/printed.json")
	require.NoError(t, err)
	var printed map[string]string
	require.NoError(t, json.Unmarshal(raw, &printed))
	require.Greater(t, len(printed), 25)
	asked := slices.Sorted(maps.Keys(printed))
	for n, found := range search(t, asked) {
		require.NotEmpty(t, found, asked[n])
		assert.Equal(t, printed[asked[n]], found[0][0], asked[n])
	}
}

func TestASentenceIsFoundWithItsValuesFilledIn(t *testing.T) {
	var asked, want []string
	values := []string{`"Zürich"`, "10.1.2.3:8443", "17"}
	said := 0
	for _, e := range index(t, made(t)) {
		if !e.Said {
			continue
		}
		fixed := strings.ReplaceAll(e.Title, "…", " ")
		letters := utf8.RuneCountInString(strings.Join(japanese.FindAllString(fixed, -1), ""))
		if letters < 5 && len(word.FindAllString(fixed, -1)) < leastWords {
			continue // nothing but values
		}
		if said++; said%8 != 0 {
			continue // all of them take a minute
		}
		text := e.Title
		for n := 0; strings.Contains(text, "…"); n++ {
			text = strings.Replace(text, "…", values[n%len(values)], 1)
		}
		asked, want = append(asked, text), append(want, e.Title)
	}
	require.Greater(t, said, 6000)
	for n, found := range search(t, asked) {
		assert.True(t, slices.ContainsFunc(found, func(r result) bool { return strings.EqualFold(r[0], want[n]) }),
			"%s: found are %q", asked[n], found)
	}
}

var japanese = regexp.MustCompile(`[\p{Han}\p{Hiragana}\p{Katakana}ー]+`)

func TestSentencesLeavePlacesToPages(t *testing.T) {
	for n, found := range search(t, []string{"quiet hours", "report schedule", "webhook signature", "rotate"}) {
		pages := 0
		for _, r := range found {
			if !strings.HasPrefix(r[1], "troubleshooting/") {
				pages++
			}
		}
		assert.GreaterOrEqual(t, pages, 4, n)
		assert.Len(t, found, 12)
	}
}
