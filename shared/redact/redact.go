// Package redact masks secrets in texts that come from outside: an answer of a receiver, a reason that quotes one, a
// request that is shown. A receiver seldom repeats a secret as it was sent. It decodes a form, quotes JSON, escapes for
// a page, logs a path alone. So a text is not searched for each spelling of a secret: it is decoded in every way in
// which it can have been encoded, and what then reads as a secret is masked where it stands.
//
// What is read: addresses and forms, JSON and the escapes of programming languages, pages and XML, mails, style sheets,
// base64, hex and lists of bytes, UTF-16 as it stands and in base64 and hex (Windows), charsets of one byte a
// character, and what a text becomes that is read in the wrong charset; three of these one above the other.
//
// What is not: a secret with visible characters between its own (spaces, dots, tags of a page), in another order, or as
// its hash; a part of one that is shorter than the limits below; what is compressed, encrypted, base32 or an image. No
// system is known to answer so, all could be taken for anything, and who wants to write a secret down so that nobody
// finds it has it already.
//
// The work is done only for a text that is kept or shown, which is on the failing path: a Redactor is cheap to make,
// and prepares itself when it is first used.
package redact

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"tocsin/shared/cut"
)

// Mask stands for a secret.
const Mask = "********"

// Of secrets and their parts, in bytes.
const (
	// anywhere is the length from which a secret is masked wherever it stands. A shorter one is masked only as a word
	// of its own: within words it would mask half of every text and show by that what it is.
	anywhere = 3
	// part is the least length of a part of a secret (a word of a header, a value of a query) that is masked alone.
	part = 6
	// segment is the least length of a segment of a secret address's path that is masked alone.
	segment = 4
	// encoded is the least length of a base64 or hex form that is looked for as it stands.
	encoded = 6
)

// Redactor masks the secrets it was made with. It is safe for concurrent use.
type Redactor struct {
	secrets []string
	prepare sync.Once
	needles []needle
	begins  map[[3]byte][]int // needles by their first three bytes
	maybe   []uint64          // a bit for the digest of each of these: most places of a text are passed by it
	short   []int             // needles that have fewer
}

// New makes a Redactor. Empty secrets are left out.
func New(secrets ...string) *Redactor {
	return &Redactor{secrets: slices.DeleteFunc(slices.Clone(secrets),
		func(s string) bool { return strings.Trim(s, "*") == "" })}
}

// With is a Redactor that masks further secrets too.
func (r *Redactor) With(secrets ...string) *Redactor {
	if len(secrets) == 0 {
		return r
	}
	return New(append(slices.Clone(r.secrets), secrets...)...)
}

// Text is the text with every secret masked.
func (r *Redactor) Text(s string) string { return r.text(s, naturalEnd) }

// Cut is Text for a text whose end was cut off: what its last characters can be the beginning of is masked as well.
func (r *Redactor) Cut(s string) string { return r.text(s, cutEnd) }

// How many characters at the end of a text must be the beginning of a secret to be masked. A receiver can have cut what
// it repeats, too.
const (
	naturalEnd = 4
	cutEnd     = 1
)

// ellipses stand where a text was cut before it came here: cut.Mark, and what receivers write.
var ellipses = []string{cut.Mark, "..."}

func (r *Redactor) text(s string, end int) string {
	if len(r.secrets) == 0 || s == "" {
		return s
	}
	r.prepare.Do(r.index)
	var found spans
	l := newLayer(s)
	most := depth
	if len(s) > longText {
		most = depth - 1
	}
	r.descend(l, most, map[string]int{}, &found, end)
	r.blocks(l, &found)
	for _, decode := range decoders {
		if deeper, changed := decode(l); changed {
			r.blocks(deeper, &found)
		}
	}
	return found.mask(s)
}

// needle is something to look for, normalised as layers are.
type needle struct {
	text  string
	whole bool // only as a word of its own
	base  bool // base64: its neighbours hold bits of the secret
	shown int  // so much of its beginning is no secret: the host of an address
}

// value is a secret or a part of one.
type value struct {
	text  string
	shown int
}

// public are segments of well-known addresses: no secrets by themselves.
var public = map[string]bool{
	"services": true, "hooks": true, "hook": true, "webhook": true, "webhooks": true, "receiver": true, "http": true,
	"https": true, "collector": true,
	"api": true, "connect": true, "workflows": true, "workflow": true, "events": true, "event": true, "execute": true,
	"triggers": true, "trigger": true,
	"manual": true, "paths": true, "invoke": true, "powerautomate": true, "automations": true, "direct": true,
	"incomingwebhook": true,
	"webhookb2":       true, "alerts": true, "input": true, "intake": true,
}

// schemes are the words before a credential in a header.
var schemes = map[string]bool{"bearer": true, "basic": true, "splunk": true, "digest": true, "apikey": true,
	"geniekey": true, "negotiate": true}

func needlesOf(secrets []string) []needle {
	seen := map[string]int{} // where in out
	var out []needle
	add := func(n needle) {
		n.text = string(newLayer(n.text).normal().b)
		if at, ok := seen[n.text]; ok {
			out[at].whole = out[at].whole && n.whole // a longer one can read alike: "k+ " as "k+"
		} else if n.text != "" && n.text != " " {
			seen[n.text] = len(out)
			out = append(out, n)
		}
	}
	for _, s := range secrets {
		for _, v := range values(s) {
			add(needle{text: v.text, whole: utf8.RuneCountInString(v.text) < anywhere, shown: v.shown})
			for _, b := range base64Forms(v.text) {
				add(needle{text: b, base: true})
			}
			for _, n := range append(hexForms(v.text), decimalForms(v.text)...) {
				add(needle{text: n})
			}
			for _, wide := range wideForms(v.text) {
				for _, b := range base64Forms(wide) {
					add(needle{text: b, base: true})
				}
				add(needle{text: hex.EncodeToString([]byte(wide))})
			}
			for _, n := range misreadForms(v.text) {
				add(needle{text: n, whole: utf8.RuneCountInString(n) < anywhere})
			}
		}
	}
	return out
}

// values are a secret and the parts of it that are secrets alone.
func values(s string) []value {
	var out []value
	add := func(v string) {
		out = append(out, value{text: v})
		if bare := strings.TrimRight(v, "="); bare != v && len(bare) >= part { // base64 without its padding
			out = append(out, value{text: bare})
		}
	}
	if t := strings.TrimSpace(s); t != s && t != "" {
		out = append(out, values(t)...)
	}
	if u, err := url.Parse(s); err == nil && u.Scheme != "" && u.Host != "" {
		return append(out, addressParts(s, u)...)
	}
	add(s)
	// A header: a scheme and a token, or cookies.
	words := strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",;=\"", r) })
	for _, w := range words {
		if len(words) == 1 {
			break
		}
		if len(w) >= part && !schemes[strings.ToLower(w)] {
			add(w)
		}
		if plain, ok := unbase(w); ok {
			add(plain)
			if _, password, ok := strings.Cut(plain, ":"); ok && password != "" {
				add(password)
			}
		}
	}
	if key, ok := strings.CutPrefix(s, "whsec_"); ok && key != "" { // Standard Webhooks
		add(key)
	}
	return out
}

// addressParts are those of an address that is itself a secret: a receiver logs the path and the query alone. The host
// is none: who reads an answer must see where it came from.
func addressParts(s string, u *url.URL) []value {
	private := func(p string) bool { return p != "" && !public[strings.ToLower(p)] }
	// What stands before the first segment that is no public word.
	path, shown := strings.TrimRight(u.Path, "/"), len(u.Path)
	for at, p := 0, ""; at < len(path); at += len(p) + 1 {
		if p, _, _ = strings.Cut(path[at:], "/"); private(p) {
			shown = at
			break
		}
	}
	host := len(u.Scheme) + len("://") + len(u.Host)
	out := []value{{s, host + shown}, {u.String(), host + shown}}
	if shown < len(path) {
		out = append(out, value{path, shown}, value{strings.TrimLeft(path, "/"), shown}, value{u.RequestURI(), shown})
	}
	for _, p := range strings.Split(u.Path, "/") {
		if len(p) >= segment && private(p) {
			out = append(out, value{text: p})
		}
	}
	if len(u.RawQuery) >= part {
		out = append(out, value{text: u.RawQuery})
	}
	for _, several := range u.Query() {
		for _, v := range several {
			if len(v) >= part {
				out = append(out, value{text: v})
			}
		}
	}
	if password, ok := u.User.Password(); ok {
		out = append(out, value{text: password})
	}
	return out
}

// base64Forms are what of base64 a secret decides alone, at the three places at which it can begin in a longer text
// (user:secret), in both alphabets.
func base64Forms(s string) []string {
	var out []string
	for shift := range 3 {
		whole := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), s...))
		from, to := (shift*8+5)/6, (shift+len(s))*8/6
		if to-from < encoded {
			continue
		}
		form := whole[from:to]
		out = append(out, form)
		if url := strings.NewReplacer("+", "-", "/", "_").Replace(form); url != form {
			out = append(out, url)
		}
	}
	return out
}

func hexForms(s string) []string {
	if len(s)*2 < encoded {
		return nil
	}
	digits := hex.EncodeToString([]byte(s))
	out := []string{digits}
	for _, between := range []string{" ", ":", "-", ", ", ", 0x", " 0x"} {
		var b strings.Builder
		for i := 0; i < len(digits); i += 2 {
			if i > 0 {
				b.WriteString(between)
			}
			b.WriteString(digits[i : i+2])
		}
		out = append(out, b.String())
	}
	return out
}

// decimalForms are a secret as a list of bytes in decimal: of Go's %v, of JavaScript's Buffer in JSON, of Python, and
// of Java, whose bytes have a sign.
func decimalForms(s string) []string {
	if len(s) < anywhere {
		return nil
	}
	var out []string
	for _, between := range []string{" ", ",", ", "} {
		var plain, signed []string
		for _, b := range []byte(s) {
			plain = append(plain, strconv.Itoa(int(b)))
			signed = append(signed, strconv.Itoa(int(int8(b))))
		}
		out = append(out, strings.Join(plain, between), strings.Join(signed, between))
	}
	return out
}

// depth is how many encodings one above the other are taken off: a form in JSON in a page.
const depth = 3

// longText is the length, in bytes, from which a text is decoded twice at most: it is a request that is shown to a
// person, and holds what we wrote.
const longText = 16 << 10

// descend looks for the needles in a text and in what it can be decoded to. Encodings that do not touch one another
// come off in any order and leave the same text: seen says how deep each was gone into.
func (r *Redactor) descend(l layer, most int, seen map[string]int, found *spans, end int) {
	if before, ok := seen[string(l.b)]; ok && before >= most {
		return
	}
	seen[string(l.b)] = most
	r.find(l.normal(), found, end)
	if most == 0 {
		return
	}
	for _, decode := range decoders {
		if deeper, changed := decode(l); changed {
			r.descend(deeper, most-1, seen, found, end)
		}
	}
}

func (r *Redactor) index() {
	r.needles, r.begins, r.maybe = needlesOf(r.secrets), map[[3]byte][]int{}, make([]uint64, 1<<10)
	for i, n := range r.needles {
		if len(n.text) < 3 {
			r.short = append(r.short, i)
			continue
		}
		first := [3]byte([]byte(n.text[:3]))
		r.begins[first] = append(r.begins[first], i)
		word, bit := digest(first)
		r.maybe[word] |= bit
	}
}

// digest is a place among 65,536.
func digest(b [3]byte) (word, bit uint64) {
	h := (uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16) * 2654435761 >> 16
	return uint64(h >> 6), 1 << (h & 63)
}

func (r *Redactor) find(l layer, found *spans, end int) {
	text := string(l.b)
	hit := func(i, from int) {
		n, to := r.needles[i], from+len(r.needles[i].text)
		switch {
		case !strings.HasPrefix(text[from:], n.text), n.whole && !alone(text, from, to):
			return
		case n.base:
			from, to = widen(text, from, to)
		}
		found.add(l.source(from, to))
	}
	for at := range len(text) {
		for _, i := range r.short {
			hit(i, at)
		}
		if at+3 > len(text) {
			continue
		}
		first := [3]byte(l.b[at : at+3])
		if word, bit := digest(first); r.maybe[word]&bit == 0 {
			continue
		}
		for _, i := range r.begins[first] {
			hit(i, at)
		}
	}
	r.tail(l, text, len(text), end, found)
	for _, mark := range ellipses {
		for at := 0; ; {
			i := strings.Index(text[at:], mark)
			if i < 0 {
				break
			}
			r.tail(l, text, at+i, 2, found)
			at += i + len(mark)
		}
	}
}

// tail masks the end of a text that was cut at a place if it can be the beginning of a secret.
func (r *Redactor) tail(l layer, text string, at, least int, found *spans) {
	whole := text[:at]
	open := withoutOpen(whole)
	for _, kept := range []string{whole, open} {
		most := 0
		for _, n := range r.needles {
			if k := overlap(kept, n.text); k >= least && k > n.shown && !n.whole {
				most = max(most, k)
			}
		}
		if most > 0 {
			found.add(l.source(len(kept)-most, at))
		}
		if len(open) == len(whole) {
			return
		}
	}
}

// overlap is the length of the longest proper beginning of a needle at which a text ends.
func overlap(text, needle string) int {
	for k := min(len(text), len(needle)-1); k > 0; k-- {
		if text[len(text)-k] == needle[0] && strings.HasSuffix(text, needle[:k]) {
			return k
		}
	}
	return 0
}

// openEscape is an escape that was cut in its middle.
var openEscape = regexp.MustCompile(
	`(?i)(%[0-9a-f]?|%u[0-9a-f]{0,3}|=[0-9a-f]?|\\(u[0-9a-f]{0,3}|x[0-9a-f]?|[0-7]{0,2})|&(#x?[0-9a-f]{0,6}|[a-z0-9]{0,7}))$`)

// withoutOpen is a text without an escape, or a character, that was cut in its middle.
func withoutOpen(s string) string {
	const longest = 10
	s = strings.TrimRight(s, "\uFFFD")
	from := max(0, len(s)-longest)
	if at := openEscape.FindStringIndex(s[from:]); at != nil {
		return s[:from+at[0]]
	}
	return s
}

// alone reports whether what stands between two places is a word of its own.
func alone(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, _ := utf8.DecodeRuneInString(text[to:])
	return (from == 0 || !wordy(before)) && (to == len(text) || !wordy(after))
}

func wordy(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// widen takes in a character of base64 on either side, which holds some bits of the secret.
func widen(text string, from, to int) (int, int) {
	if from > 0 && basic(text[from-1]) {
		from--
	}
	if to < len(text) && basic(text[to]) {
		to++
	}
	return from, to
}

func basic(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("+/-_", c) >= 0
}

// Of base64 and hex in a text, in bytes.
const (
	shortestBlock = 4
	longestBlock  = 16 << 10
)

// blocks masks what is base64 or hex of a readable text in which there is a secret, however short.
func (r *Redactor) blocks(l layer, found *spans) {
	for from := 0; from < len(l.b); {
		to := from
		for to < len(l.b) && basic(l.b[to]) {
			to++
		}
		if n := to - from; n >= shortestBlock && n <= longestBlock && r.inBlock(string(l.b[from:to])) {
			found.add(l.source(from, to))
		}
		from = to + 1
	}
}

// inBlock reports whether a block holds a secret. It need not begin with the block: a slash can be that of a path.
func (r *Redactor) inBlock(block string) bool {
	tries := []string{block}
	if strings.Contains(block, "/") {
		tries = append(tries, strings.Split(block, "/")...)
	}
	for _, b := range tries {
		for _, plain := range readable(b) {
			var inner spans
			if r.descend(newLayer(plain), 1, map[string]int{}, &inner, naturalEnd); len(inner) > 0 {
				return true
			}
		}
	}
	return false
}

// readable are the texts that a block can stand for.
func readable(block string) (out []string) {
	if raw, err := hex.DecodeString(block); err == nil && len(block) >= encoded {
		if printable(raw) {
			out = append(out, string(raw))
		} else {
			out = append(out, wideTexts(raw)...)
		}
	}
	if raw, ok := bytesOf(block); ok {
		if printable(raw) {
			return append(out, string(raw))
		}
		out = append(out, wideTexts(raw)...)
	}
	return out
}

// unbase is the text of which a word is the base64.
func unbase(block string) (string, bool) {
	raw, ok := bytesOf(block)
	return string(raw), ok && printable(raw)
}

func bytesOf(block string) ([]byte, bool) {
	block = strings.TrimRight(block, "=")
	if len(block) < shortestBlock {
		return nil, false
	}
	raw, err := base64.RawStdEncoding.DecodeString(block)
	if err != nil {
		raw, err = base64.RawURLEncoding.DecodeString(block)
	}
	return raw, err == nil
}

func printable(raw []byte) bool {
	return len(raw) > 0 && utf8.Valid(raw) &&
		!strings.ContainsFunc(string(raw), func(r rune) bool { return !unicode.IsPrint(r) && !unicode.IsSpace(r) })
}

// span is a part of a text, in bytes.
type span struct{ from, to int }

type spans []span

func (s *spans) add(v span) { *s = append(*s, v) }

// mask replaces the spans.
func (s spans) mask(text string) string {
	if len(s) == 0 {
		return text
	}
	slices.SortFunc(s, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		v := s[i]
		for i++; i < len(s) && s[i].from <= v.to; i++ {
			v.to = max(v.to, s[i].to)
		}
		b.WriteString(text[done:v.from])
		b.WriteString(Mask)
		done = v.to
	}
	b.WriteString(text[done:])
	return b.String()
}
