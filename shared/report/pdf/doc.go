// Package pdf renders a report as a PDF that a manager would forward: what matters on the first page, charts, then the
// tables with their links.
//
// Text is shaped by github.com/go-text/typesetting (HarfBuzz in Go), because libraries that draw character by character
// break Arabic and Devanagari. The file is written here: the libraries that embed shaped glyphs are under the GPL,
// bring code under the LGPL (fribidi), or can not tag. It is tagged: who listens to a report hears headings, tables and
// what a chart shows (ISO 32000-1, 14.8). Bars of charts are boxes of the page.
//
// The fonts are Noto Sans and Noto Emoji under the SIL Open Font License (the OFL files beside them), from the npm
// packages @fontsource/noto-sans, -jp, -kr, -sc, -arabic, -hebrew, -thai, -devanagari 5.3.0 and @fontsource/noto-emoji
// 5.3.2. Their tables are unchanged; scripts/fonts takes them out of the WOFF files and compresses them by zstd.
//
// Drawn are the scripts Latin, Greek, Cyrillic, Arabic, Hebrew, Thai, Devanagari, Han (the common characters of Chinese
// and Japanese), Hiragana, Katakana and Hangul, and emoji in one colour. A run of characters of any other script is
// replaced by a mark that names it: [Tamil U+0BA4 U+0BAE].
package pdf
