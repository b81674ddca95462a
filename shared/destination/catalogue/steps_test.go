package catalogue_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/s3"
	"tocsin/shared/destination/telegram"
)

// P10: the form says of a system without a set-up page that it needs no steps at its own side. That is true of mail
// alone.
func TestP10EverySystemThatNeedsStepsHasThem(t *testing.T) {
	for _, e := range catalogue.Default().All() {
		steps := e.System.Steps("42", destination.English)
		if e.System.Personal || e.System.Name == "email" {
			require.Empty(t, steps, e.System.Name)
			continue
		}
		require.Greater(t, len(strings.Fields(steps)), 40, "%s: what to click at its side", e.System.Name)
	}
}

// P8: a deployment without a bot says so of Telegram, before and after an integration is made.
func TestP8TelegramWithoutABotSaysSo(t *testing.T) {
	s, _, _ := catalogue.Default().Lookup("telegram")
	require.Equal(t, "this deployment has no Telegram bot: its operator must configure the bot's token", s.Missing)
	s, _, _ = catalogue.Default(telegram.New(telegram.Bot{Token: "123:ABC"})).Lookup("telegram")
	require.Empty(t, s.Missing)
}

// texts are the set-up pages of the systems in a language; Amazon S3 has one for each identity of the deployment.
func texts(language string) map[string]string {
	out := map[string]string{}
	add := func(name string, list []catalogue.Entry) {
		for _, e := range list {
			if steps := e.System.Steps("42", language); steps != "" && (name == "" || e.System.Name == "s3") {
				out[e.System.Name+name] = steps
			}
		}
	}
	add("", catalogue.Default().All())
	for name, platform := range map[string]s3.Platform{
		" with a role":                   {Identity: s3.Static{Of: s3.Account{ID: "123456789012"}}},
		" with roles of certain names":   {Identity: s3.Static{Of: s3.Account{ID: "123456789012"}}, RoleNames: "x-*"},
		" while it looks for an account": {Identity: looking{}},
	} {
		add(name, catalogue.Default(s3.New(platform)).All())
	}
	return out
}

// looking is an identity that is not known yet.
type looking struct{ s3.Identity }

func (looking) Account() (s3.Account, bool) { return s3.Account{}, false }
func (looking) Prepare(context.Context)     {}

var (
	fence  = regexp.MustCompile("(?s) *```.*?```")
	code   = regexp.MustCompile("`[^`]+`")
	link   = regexp.MustCompile(`!?\[[^\]]*\]\(([^)]*)\)`)
	number = regexp.MustCompile(`(?m)^(\d+)\. `)
	strong = regexp.MustCompile(`\*\*[^*]+\*\*`)
)

// form is what a page has beside its words: blocks of code, then headings, steps and paragraphs, links and images.
func form(page string) (blocks, shape, spans, links []string) {
	blocks = fence.FindAllString(page, -1)
	page = fence.ReplaceAllString(page, "```")
	for paragraph := range strings.SplitSeq(page, "\n\n") {
		kind := "text"
		switch paragraph = strings.TrimSpace(paragraph); {
		case strings.HasPrefix(paragraph, "#"):
			kind = "heading"
		case strings.HasPrefix(paragraph, "```"):
			kind = "code"
		default:
			for _, n := range number.FindAllStringSubmatch(paragraph, -1) {
				shape = append(shape, n[1])
			}
		}
		shape = append(shape, kind)
	}
	spans = code.FindAllString(strings.ReplaceAll(page, "```", ""), -1)
	for _, l := range link.FindAllStringSubmatch(page, -1) {
		links = append(links, l[1])
	}
	slices.Sort(spans) // languages have their own order of words
	return blocks, shape, spans, links
}

func TestEverySetUpPageIsTheSameInJapanese(t *testing.T) {
	pages := texts("ja")
	for name, english := range texts(destination.English) {
		t.Run(name, func(t *testing.T) {
			page := pages[name]
			blocks, shape, spans, links := form(english)
			gotBlocks, gotShape, gotSpans, gotLinks := form(page)
			require.Equal(t, blocks, gotBlocks, "blocks of code")
			require.Equal(t, shape, gotShape, "headings, steps and paragraphs")
			require.Equal(t, spans, gotSpans, "code within sentences")
			require.Equal(t, links, gotLinks, "links and images")
			require.Zero(t, strings.Count(strong.ReplaceAllString(fence.ReplaceAllString(page, ""), ""), "**"),
				"what is bold ends")
			for paragraph := range strings.SplitSeq(fence.ReplaceAllString(page, ""), "\n") {
				require.NotRegexp(t, `^ +\S`, paragraph,
					"a line goes on in the next: the page would show a space there")
				japanese := strings.ContainsFunc(paragraph, func(r rune) bool {
					return unicode.In(r, unicode.Hiragana, unicode.Katakana)
				})
				require.True(t, japanese || paragraph == "" || strings.HasPrefix(paragraph, "#"), paragraph)
			}
		})
	}
	require.Len(t, pages, len(texts(destination.English)))
}
