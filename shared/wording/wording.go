// Package wording is the catalogue of what the product says to people, in every language that it speaks.
//
// A text is a message: a code, such as `judge.redirect`, and the values of its places. Each file of texts/<language>
// has the messages of one subject in one language; a code is the subject and the key in its file. The product writes
// its texts in English, as texts/en words them. Read finds the message again that an English text is, and Text.In
// words it in any language. So a text can be kept, cut, masked and joined as what it is, and what was kept by earlier
// releases is worded like what is new: a wording that was changed stays in texts/was, under its code.
//
// A place is `{name}` or `{name:kind}`:
//
//	text      another message, or words from outside, which stay as they are
//	clause    the same, without "; ", which parts what is told one after the other
//	sure      another message, and nothing else
//	number    digits, with commas between thousands or without
//	duration  as time.Duration writes it: 1m30s
//	time      RFC 3339
//	list      values with ", " between them
//	dates     days as Date writes them, likewise, or a message about them
//	word      no space in it: a host, an address, a name of a field
//	status    an HTTP status, with its name or without
//
// The messages of the subject "heading" are asked for by their codes alone: Read finds none of them, as their words are
// too common. A place without a kind takes anything. Where several messages could be meant, the one with most fixed
// words is.
package wording

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

// Language is one that the product speaks, as BCP 47 names it.
type Language string

// The languages.
const (
	English  Language = "en"
	Japanese Language = "ja"
)

// Languages lists them; the first is that of the code.
func Languages() []Language { return []Language{English, Japanese} }

// Valid reports whether the product speaks it.
func (l Language) Valid() bool { return slices.Contains(Languages(), l) }

// Or is the language, or another where none is chosen or the one that is chosen is not spoken any more.
func (l Language) Or(other Language) Language {
	if l.Valid() {
		return l
	}
	return other
}

var matcher = language.NewMatcher([]language.Tag{language.English, language.Japanese})

// Accepted is the language for a caller, by its Accept-Language (RFC 9110, 12.5.4): the first of Languages where the
// header is absent, can not be read, or names none that the product speaks.
func Accepted(header string) Language {
	const long = 1 << 10 // what browsers send is far shorter
	if header == "" || len(header) > long {
		return English
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil || len(tags) == 0 {
		return English
	}
	_, at, _ := matcher.Match(tags...)
	return Languages()[at]
}

//go:embed texts
var files embed.FS

// catalogue is all messages.
type catalogue struct {
	worded map[Language]map[string]template // by code
	whole  map[string]string                // codes of messages without places, by their English text
	places []template                       // English ones with places, those with most fixed words first
}

// texts are read when the first one is asked for: most of what starts this program words nothing, or only in English.
var texts = sync.OnceValue(load)

// load reads the embedded files. It panics where one is damaged: every test would fail.
func load() *catalogue {
	c := &catalogue{worded: map[Language]map[string]template{}, whole: map[string]string{}}
	for _, l := range Languages() {
		c.worded[l] = map[string]template{}
		for code, t := range folder(string(l)) {
			c.worded[l][code] = t
			if l == English && !strings.HasPrefix(code, "heading.") {
				c.add(t)
			}
		}
	}
	for _, t := range folder("was") {
		c.add(t)
	}
	slices.SortFunc(c.places, func(a, b template) int {
		if d := b.weight() - a.weight(); d != 0 {
			return d
		}
		return strings.Compare(a.code, b.code)
	})
	return c
}

// add makes an English wording known to Read. Of two messages that read alike the first code is taken.
func (c *catalogue) add(t template) {
	if t.fixed() {
		if had, ok := c.whole[t.source]; !ok || t.code < had {
			c.whole[t.source] = t.code
		}
		return
	}
	c.places = append(c.places, t)
}

// folder reads the files of one language, by code.
func folder(name string) map[string]template {
	out := map[string]template{}
	entries, err := files.ReadDir(path.Join("texts", name))
	for _, e := range entries {
		raw, failed := files.ReadFile(path.Join("texts", name, e.Name()))
		messages := map[string]string{}
		if failed == nil {
			failed = json.Unmarshal(raw, &messages)
		}
		if failed != nil {
			panic(fmt.Sprintf("wording: texts/%s/%s: %v", name, e.Name(), failed))
		}
		for key, text := range messages {
			code := strings.TrimSuffix(e.Name(), ".json") + "." + key
			out[code] = parse(code, text)
		}
	}
	if err != nil {
		panic(fmt.Sprintf("wording: %v", err)) // embedded files can be read
	}
	return out
}

// Text is a message with the values of its places.
type Text struct {
	Code   string
	Params map[string]string // as they stand in the English text
}

// Read finds the message that an English text is; false for words that are none of ours.
func Read(english string) (Text, bool) {
	r := reader{catalogue: texts(), budget: most}
	return r.read(english, depth)
}

// depth bounds messages within messages, most how many texts are looked at for one: words from outside can be made so
// that each part of them might be one.
const (
	depth = 8
	most  = 300
)

// reader reads one text.
type reader struct {
	*catalogue
	budget int
}

// longest is what Read looks at, in bytes: no text of ours is longer.
const longest = 8 << 10

func (c *reader) read(english string, depth int) (Text, bool) {
	if code, ok := c.whole[english]; ok {
		return Text{Code: code}, true
	}
	c.budget--
	if c.budget < 0 || depth == 0 || english == "" || len(english) > longest {
		return Text{}, false
	}
	for _, t := range c.places {
		if params, ok := t.match(english, func(s string) bool {
			_, ok := c.read(s, depth-1)
			return ok
		}); ok {
			return Text{t.code, params}, true
		}
	}
	return Text{}, false
}

// In words the message in a language, in English where that language has no words for it.
func (t Text) In(l Language) string { return t.For(Locale{Language: l}) }

// For words the message for its reader, in English where the language has no words for it.
func (t Text) For(l Locale) string {
	l.Language = l.Language.Or(English)
	as, ok := texts().worded[l.Language][t.Code]
	if !ok {
		l.Language, as = English, texts().worded[English][t.Code]
	}
	in := texts().worded[English][t.Code]
	var out strings.Builder
	for _, p := range as.pieces {
		if p.name == "" {
			out.WriteString(p.fixed)
			continue
		}
		out.WriteString(value(l, in.kind(p.name), t.Params[p.name]))
	}
	return out.String()
}

// In words an English text of ours in a language. Words that are none of ours stay as they are.
func In(l Language, english string) string { return Locale{Language: l}.Say(english) }

// Terms lists the names of conditions, filters, groups and roles in a language, by their English texts: what a page
// looks up by itself.
func Terms(l Language) map[string]string {
	out := map[string]string{}
	for code, t := range texts().worded[English] {
		if strings.HasPrefix(code, "term.") {
			out[t.source] = Text{Code: code}.In(l)
		}
	}
	return out
}
