// Package uri has the patterns of URIs in filters: segments with wildcards, or a regular expression. It
// bounds what a pattern costs; the budget of a tenant is package trigger's.
package uri

import (
	"fmt"
	"math/bits"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Pattern of a URI: segments with wildcards, or a regular expression.
type Pattern struct {
	segments []string
	regex    *regexp.Regexp
	// Size is that of the regular expression, in instructions; 0 of segments.
	Size int
}

// Steps is what a match of a URI, as Split and joined by slashes again, takes at most, in instructions times bytes.
func (p Pattern) Steps(segments []string, joined string) int {
	if p.regex == nil {
		return len(p.segments) * len(segments)
	}
	return p.Size * (len(joined) + 1)
}

// Depth is the number of segments, from 1, of the pattern that matches, 0 when it does not. A regular expression is as
// deep as the URI.
func (p Pattern) Depth(segments []string, joined string) int {
	switch {
	case p.regex != nil:
		if p.regex.MatchString(joined) {
			return len(segments)
		}
		return 0
	case !match(p.segments, segments):
		return 0
	}
	n := 1
	for _, s := range p.segments {
		if s != "**" {
			n++
		}
	}
	return n
}

// New reads a value of filter.ByURL.
func New(value string) (Pattern, error) {
	raw, ok := strings.CutPrefix(value, "~")
	if !ok {
		return Pattern{segments: Split(value)}, nil
	}
	size, err := Size(value)
	switch {
	case err != nil:
		return Pattern{}, err
	case size > maxCompile:
		return Pattern{}, TooLarge(size)
	}
	re, err := regexp.Compile(`\A(?:` + raw + `)\z`)
	if err != nil {
		return Pattern{}, fmt.Errorf("is not a regular expression (RE2): %w", err)
	}
	return Pattern{regex: re, Size: size}, nil
}

// TooLarge is the word for an expression of too many steps.
func TooLarge(size int) error {
	return fmt.Errorf("is too large a regular expression: its repetitions make it %d steps, at most %d are taken: "+
		"write .* in place of a long repetition", size, MaxSteps)
}

// Split cuts a URI into its host and the segments of its path. The first maxURL bytes are looked at.
func Split(url string) []string {
	if len(url) > maxURL {
		url = url[:maxURL]
	}
	url, _, _ = strings.Cut(url, "?")
	if scheme, rest, ok := strings.Cut(url, "://"); ok && !strings.Contains(scheme, "/") {
		url = rest // without a scheme, what looks like one is a part of the path
	}
	host, path, _ := strings.Cut(url, "/")
	out := []string{strings.ToLower(host)}
	if path = strings.TrimSuffix(path, "/"); path != "" {
		out = append(out, strings.Split(path, "/")...)
	}
	return out
}

// match compares segments with `*` for one and `**` for any number, also none. It keeps one place to go back to, which
// is enough: an earlier ** can take over nothing that the latest can not.
func match(pattern, segments []string) bool {
	p, s, star, mark := 0, 0, -1, 0
	for s < len(segments) {
		switch {
		case p < len(pattern) && pattern[p] == "**":
			star, mark = p, s
			p++
		case p < len(pattern) && (pattern[p] == "*" || pattern[p] == segments[s]):
			p, s = p+1, s+1
		case star >= 0:
			mark++
			p, s = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == "**" {
		p++
	}
	return p == len(pattern)
}

// Size is that of the regular expression in a value, in instructions; 0 of segments.
func Size(value string) (int, error) {
	raw, ok := strings.CutPrefix(value, "~")
	if !ok {
		return 0, nil
	}
	re, err := syntax.Parse(raw, syntax.Perl)
	if err != nil {
		return 0, fmt.Errorf("is not a regular expression (RE2): %w", err)
	}
	return programSize(re), nil
}

// programSize bounds the number of instructions of a regular expression, without compiling it: that alone could take a
// second.
func programSize(re *syntax.Regexp) int {
	const most = 1 << 24 // sums stay far from an overflow
	total := 0
	for _, sub := range re.Sub {
		total = min(most, total+programSize(sub))
	}
	switch re.Op {
	case syntax.OpLiteral:
		total = len(re.Rune)
	case syntax.OpCharClass:
		total = 1 + bits.Len(uint(len(re.Rune)))/4 // a class of many ranges is searched
	case syntax.OpCapture:
		total += 2
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		total += 2
	case syntax.OpAlternate:
		total += len(re.Sub)
	case syntax.OpRepeat:
		times := re.Max
		if times < 0 {
			times = re.Min + 1
		}
		total = min(most, (total+1)*max(1, times))
	}
	return min(most, max(1, total))
}

// MaxSteps bounds the compiled size of one regular expression, and filter.Check that of several together, in
// instructions of package regexp/syntax. A pattern of a person's has less than a hundred.
const MaxSteps = 1000

// maxCompile is from which size on one that an earlier release saved is not even compiled.
const maxCompile = 100_000

// maxURL is how much of a URI is looked at, in bytes. HTTP has no limit of its own; RFC 9110, 4.1, asks for 8,000
// and most browsers and proxies stop at 2,048 or 8,192.
const maxURL = 2048
