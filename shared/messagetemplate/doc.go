// Package messagetemplate makes the title and the text of an integration's messages from what its administrator wrote:
// a template in the language of Go's text/template, of which it takes a small part.
//
// A template is bounded by what it can hold, and not by a watch over its run. Its parse tree is walked when it is
// saved, and each node that is not in the closed set is refused: there are texts, fields of Fields, functions of
// Functions, and if with else. There are no loops, no variables, no methods and no templates in templates, so that each
// node runs once at most, and values have types, so that no call can fail. A template is at most MaxText characters
// long, each value and each output is cut, and so a run takes some milliseconds at worst whatever an event holds.
//
// What it makes is plain text (package plaintext). A system escapes it like any other text for people, so a template
// can write no markup, and neither can an event through it.
//
// It is made for each event: of a message that holds several events, each has its own.
package messagetemplate
