// Package pdf renders a report as a PDF that a manager would forward: what matters on the first page, charts, then the
// tables with their links.
//
// Pages are drawn with github.com/tdewolff/canvas, because it shapes text (HarfBuzz's rules in Go, right-to-left scripts
// included) and embeds just the glyphs that are used; the libraries that draw character by character break Arabic. Charts
// are gonum's (gonum.org/v1/plot), drawn as vectors onto the same canvas.
//
// The fonts are Noto Sans and Noto Emoji under the SIL Open Font License (the OFL files beside them), unchanged from the npm
// packages @fontsource/noto-sans, -jp, -kr, -sc, -arabic, -hebrew, -thai, -devanagari 5.3.0 and @fontsource/noto-emoji
// 5.3.2. They are WOFF 1: the library misreads the WOFF 2 files of some.
//
// Drawn are the scripts Latin, Greek, Cyrillic, Arabic, Hebrew, Thai, Devanagari, Han (the common characters of Chinese and
// Japanese), Hiragana, Katakana and Hangul, and emoji in one colour. A run of characters of any other script is replaced by
// a mark that names it: [Tamil U+0BA4 U+0BAE]. Of Arabic and Devanagari a reader's copy lacks letters that are drawn joined.
package pdf
