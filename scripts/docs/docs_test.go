package docs

import (
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

const root = "../.."

// limits of what a person reads, by the issue that asked for them.
const (
	readmeLines  = 200
	lineColumns  = 120
	glossaryRows = 40
)

// generated stands in a page that a program writes.
const generated = "Written by `go run"

// pages are the documents for people: at the top, and in docs.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("git", "-C", root, "ls-files", "*.md", "docs/*.md", "docs/*/*.md", "events/*.md").Output()
	require.NoError(t, err, "the list of documents comes from git")
	all := map[string]string{}
	for name := range strings.FieldsSeq(string(out)) {
		if strings.Count(name, "/") > 0 && !strings.HasPrefix(name, "docs/") && !strings.HasPrefix(name, "events/") {
			continue // those of a folder are that folder's own
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		all[name] = string(text)
	}
	require.Greater(t, len(all), 40)
	return all
}

// prose are the lines of a document that are no code and no table, with their numbers.
func prose(text string) map[int]string {
	lines, code := map[int]string{}, false
	for n, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimPrefix(strings.TrimSpace(line), "- "), "```") {
			code = !code
			continue
		}
		if !code && !strings.HasPrefix(line, "|") {
			lines[n+1] = line
		}
	}
	return lines
}

var (
	// link is a link or a picture of Markdown to a file.
	link = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	// path is a file or a folder of this repository in code.
	path = regexp.MustCompile("`((?:shared|functions|scripts|infra|events|docs)(?:/[A-Za-z0-9_.-]+)*)/?`")
	// target is a command of make.
	target = regexp.MustCompile("(?:^|`)make ([a-z][a-z-]*)")
)

func TestWhatADocumentNamesIsThere(t *testing.T) {
	makefile, err := os.ReadFile(root + "/Makefile")
	require.NoError(t, err)
	for name, text := range pages(t) {
		if name == "CHANGELOG.md" {
			continue // it tells of what was
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			_, err := os.Stat(filepath.Join(root, filepath.Dir(name), m[1]))
			assert.NoError(t, err, "%s links to %s", name, m[1])
		}
		for _, m := range path.FindAllStringSubmatch(text, -1) {
			at := m[1]
			if strings.Contains(at, "acmelogs") { // the example of a new destination
				continue
			}
			_, err := os.Stat(filepath.Join(root, at))
			assert.NoError(t, err, "%s names %s", name, at)
		}
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			assert.Contains(t, string(makefile), "\n"+m[1]+":", "%s names make %s", name, m[1])
		}
	}
}

func TestDocumentsKeepTheirSize(t *testing.T) {
	all := pages(t)
	require.Less(t, strings.Count(all["README.md"], "\n"), readmeLines, "lines of README.md")
	for name, text := range all {
		if strings.Contains(text, generated) {
			continue
		}
		for n, line := range prose(text) {
			assert.LessOrEqual(t, utf8.RuneCountInString(line), lineColumns, "%s:%d", name, n)
		}
	}
}

func TestTheGlossaryIsShort(t *testing.T) {
	text := pages(t)["ARCHITECTURE.md"]
	_, after, found := strings.Cut(text, "## Glossary\n")
	require.True(t, found)
	section, _, _ := strings.Cut(after, "\n## ")
	rows := 0
	for line := range strings.SplitSeq(section, "\n") {
		if strings.HasPrefix(line, "| ") {
			rows++
		}
	}
	rows-- // the heading
	require.Greater(t, rows, 20)
	require.LessOrEqual(t, rows, glossaryRows)
}

// described is a target of the Makefile with its line of help.
var described = regexp.MustCompile(`(?m)^([a-z][a-z-]*):.*## (.+)$`)

func TestMakeHelpNamesEachTarget(t *testing.T) {
	makefile, err := os.ReadFile(root + "/Makefile")
	require.NoError(t, err)
	said, err := exec.Command("make", "-s", "-C", root, "help").CombinedOutput()
	require.NoError(t, err, "%s", said)
	targets := described.FindAllStringSubmatch(string(makefile), -1)
	require.Greater(t, len(targets), 20)
	for _, m := range targets {
		assert.Regexp(t, `(?m)^`+m[1]+` +`+regexp.QuoteMeta(m[2])+`$`, string(said))
	}
}

// resources finds what of a type the template has, by the logical ids.
func resources(t *testing.T, has string) (ids []string) {
	t.Helper()
	template, err := os.ReadFile(root + "/template.yaml")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(template), "\nResources:\n")
	id := ""
	for line := range strings.SplitSeq(section, "\n") {
		if name := strings.TrimSuffix(line, ":"); strings.HasPrefix(line, "  ") && line[2] != ' ' && name != line {
			id = strings.TrimSpace(name)
		}
		if strings.Contains(line, has) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func TestThePageOnRestoreNamesEachTable(t *testing.T) {
	page := pages(t)["docs/restore.md"]
	tables := resources(t, "Type: AWS::DynamoDB::Table")
	require.Greater(t, len(tables), 10)
	for _, table := range tables {
		assert.Contains(t, page, "`"+table+"`")
	}
}
