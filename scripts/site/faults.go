package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// sentence is what the product can say, with … for what is filled in.
type sentence struct {
	words string
	where string // the heading that it stands under
	means string // in English, where it is in another language
}

// leastWords tells a sentence from a label: the API's whole answer to who has no token is "sign in".
const leastWords = 2

// faults makes the pages of what the product says, so that each sentence is found.
func faults(s *site) ([]page, error) {
	texts, translated, err := wordings(filepath.Join(s.root, "shared/wording/texts"))
	if err != nil {
		return nil, err
	}
	console, shown, err := messages(filepath.Join(s.root, "shared/console/pages/web/messages"))
	if err != nil {
		return nil, err
	}
	errs, err := errorsOf(s.root)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, said := range slices.Concat(texts, console) {
		there[said.words] = true
	}
	errs = slices.DeleteFunc(errs, func(said sentence) bool { return there[said.words] })
	return []page{
		told("troubleshooting/answers.html", "en", "What the API and deliveries say",
			"Reasons of deliveries and tests, answers of the API, and notices, by subject. What is wrong and what to "+
				"do stand in the sentence; … is what is filled in.", texts),
		told("troubleshooting/console.html", "en", "What the Console says",
			"Sentences of the Console's own pages.", console),
		told("troubleshooting/program.html", "en", "What the program and its commands say",
			"What is printed or logged, by the folder of the code that says it. A sentence can "+
				"be several of these, with colons between: what was tried comes first.", errs),
		told("troubleshooting/answers-ja.html", "ja", "APIと配信が伝える文",
			"配信とテストの理由、APIの応答、通知の文です。…には値が入ります。文の下は英語です。", translated),
		told("troubleshooting/console-ja.html", "ja", "コンソールが伝える文",
			"コンソールの画面の文です。…には値が入ります。文の下は英語です。", shown),
	}, nil
}

// told makes a page of sentences in a language.
func told(url, language, title, about string, all []sentence) page {
	p := page{URL: url, Title: title, Entries: []entry{{Title: title, URL: url, Page: title, Text: about}}}
	var out strings.Builder
	fmt.Fprintf(&out, "<h1 lang=%q>%s</h1>\n<p lang=%q>%s</p>\n", language, html.EscapeString(title), language,
		html.EscapeString(about))
	where := ""
	for n, s := range all {
		if s.where != where {
			if where != "" {
				out.WriteString("</ul>\n")
			}
			where = s.where
			fmt.Fprintf(&out, "<h2 id=\"%s\">%s</h2>\n<ul>\n", anchor(where), html.EscapeString(where))
		}
		id := fmt.Sprintf("n%d", n+1)
		fmt.Fprintf(&out, "<li id=%q lang=%q>%s", id, language, html.EscapeString(s.words))
		if s.means != "" {
			fmt.Fprintf(&out, "<br><small lang=\"en\">%s</small>", html.EscapeString(s.means))
		}
		out.WriteString("</li>\n")
		p.Entries = append(p.Entries,
			entry{Title: s.words, URL: url + "#" + id, Page: title + ", " + where, Said: true})
	}
	out.WriteString("</ul>\n")
	p.Body = template.HTML(out.String()) //nolint:gosec // its texts were escaped
	return p
}

var notInAnchors = regexp.MustCompile(`[^a-z0-9]+`)

func anchor(s string) string {
	return strings.Trim(notInAnchors.ReplaceAllString(strings.ToLower(s), "-"), "-")
}

// place is what is filled into a text: {host:word} of the catalogue, {name} of the Console.
var place = regexp.MustCompile(`\{[^{}]*\}`)

func isSentence(words string) bool { return len(strings.Fields(words)) >= leastWords }

// wordings are the texts of the catalogue, by their subjects, in English and in Japanese.
func wordings(folder string) (english, japanese []sentence, err error) {
	names, err := filepath.Glob(filepath.Join(folder, "en", "*.json"))
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		subject := strings.TrimSuffix(filepath.Base(name), ".json")
		en, ja, err := pairs(name, filepath.Join(folder, "ja", filepath.Base(name)),
			func(string) string { return subject })
		if err != nil {
			return nil, nil, err
		}
		english, japanese = append(english, en...), append(japanese, ja...)
	}
	return english, japanese, nil
}

// messages are the texts of the Console's own pages, likewise.
func messages(folder string) (english, japanese []sentence, err error) {
	english, japanese, err = pairs(filepath.Join(folder, "en.json"), filepath.Join(folder, "ja.json"),
		func(code string) string {
			subject, _, _ := strings.Cut(code, ".")
			return subject
		})
	byPlace := func(a, b sentence) int { return strings.Compare(a.where, b.where) }
	slices.SortStableFunc(english, byPlace)
	slices.SortStableFunc(japanese, byPlace)
	return english, japanese, err
}

// pairs are the sentences of a file, and of that of the same codes in Japanese, which has no spaces to count words by.
func pairs(en, ja string, where func(code string) string) (english, japanese []sentence, err error) {
	texts, err := formsOf(en)
	if err != nil {
		return nil, nil, err
	}
	translated, err := formsOf(ja)
	if err != nil {
		return nil, nil, err
	}
	for _, code := range slices.Sorted(maps.Keys(texts)) {
		means := ""
		for _, words := range texts[code] {
			if isSentence(words) {
				means = cmp.Or(means, words)
				english = append(english, sentence{words: words, where: where(code)})
			}
		}
		if means == "" {
			continue
		}
		for _, words := range translated[code] {
			japanese = append(japanese, sentence{words: words, where: where(code), means: means})
		}
	}
	return english, japanese, nil
}

// formsOf are the texts of a file by their codes: one, or one for each number of things.
func formsOf(file string) (map[string][]string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var texts map[string]any
	if err := json.Unmarshal(raw, &texts); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	all := map[string][]string{}
	for code, text := range texts {
		forms, ok := text.(map[string]any)
		if !ok {
			forms = map[string]any{"": text}
		}
		for _, form := range slices.Sorted(maps.Keys(forms)) {
			if words, ok := forms[form].(string); ok {
				all[code] = append(all[code], place.ReplaceAllString(words, "…"))
			}
		}
	}
	return all, nil
}
