package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"math/rand/v2"
	"mime/quotedprintable"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"tocsin/shared/patience"
	"tocsin/shared/redact"
)

const nasty = `P@ss/w<o>rd &"q"+=%41 é\n`

// spellings are encoders of others: what a receiver may make of a secret that it repeats.
var spellings = map[string]func(s string) string{
	"as it is":                  func(s string) string { return s },
	"in upper case":             strings.ToUpper,
	"in a query":                url.QueryEscape,
	"in a query, in lower case": func(s string) string { return lowerEscapes(url.QueryEscape(s)) },
	"in a path":                 url.PathEscape,
	"in a form":                 func(s string) string { return url.Values{"password": {s}, "a": {"b"}}.Encode() },
	"in a form twice":           func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"every byte with a percent": func(s string) string {
		return everyByte(s, func(c byte) string { return fmt.Sprintf("%%%02x", c) })
	},
	"in JSON":                  quoteJSON,
	"in JSON, slashes escaped": func(s string) string { return strings.ReplaceAll(quoteJSON(s), "/", `\/`) },
	"in JSON, every character": everyRuneJSON,
	"in JSON in JSON":          func(s string) string { return quoteJSON(quoteJSON(s)) },
	"in JSON for a page":       func(s string) string { return html.EscapeString(quoteJSON(s)) },
	"in a page":                html.EscapeString,
	"in a page, of a template": template.HTMLEscapeString,
	"in a page, numbers": func(s string) string {
		return everyRune(s, func(r rune) string { return fmt.Sprintf("&#%d;", r) })
	},
	"in a page, hex numbers": func(s string) string {
		return everyRune(s, func(r rune) string { return fmt.Sprintf("&#X%X;", r) })
	},
	"a form in a page":       func(s string) string { return html.EscapeString(url.Values{"x": {s}}.Encode()) },
	"in a script":            template.JSEscapeString,
	"quoted by Go":           strconv.Quote,
	"quoted by Go, ASCII":    strconv.QuoteToASCII,
	"in a mail":              quotedPrintable,
	"in base64":              func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"in base64 of addresses": func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
	"in base64, not padded":  func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
	"in a Basic authorization": func(s string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("ada:"+s))
	},
	"in base64 after one byte": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte(":" + s + " tail"))
	},
	"in base64 after two bytes": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte("a:" + s + "x"))
	},
	"base64 in a query": func(s string) string {
		return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s)))
	},
	"base64 on lines of a few": func(s string) string {
		return wrapped(base64.StdEncoding.EncodeToString([]byte("user:" + s)))
	},
	"in hex":                    func(s string) string { return hex.EncodeToString([]byte(s)) },
	"in hex, upper case":        func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"as a list of bytes, by Go": func(s string) string { return fmt.Sprint([]byte(s)) },
	"as a list of bytes, in JSON": func(s string) string {
		return `{"type":"Buffer","data":[` + strings.Trim(everyByte(s, func(c byte) string {
			return strconv.Itoa(int(c)) + ","
		}), ",") + "]}"
	},
	"as a list of bytes, by Java": func(s string) string {
		return "[" + strings.TrimSuffix(everyByte(s, func(c byte) string { return strconv.Itoa(int(int8(c))) + ", " }),
			", ") + "]"
	},
	"in hex with colons": func(s string) string { return fmt.Sprintf("% x", s) },
	"bytes of a script": func(s string) string {
		return everyByte(s, func(c byte) string { return fmt.Sprintf(`\x%02x`, c) })
	},
	"with soft hyphens": func(s string) string {
		return everyRune(s, func(r rune) string { return string(r) + "\u00ad" })
	},
	"with spaces of no width": func(s string) string {
		return everyRune(s, func(r rune) string { return string(r) + "\u200b" })
	},
	"with breaks that a page allows": func(s string) string {
		return everyRune(s, func(r rune) string { return html.EscapeString(string(r)) + "<WBR>" })
	},
	"in a style sheet": func(s string) string {
		return everyRune(s, func(r rune) string { return fmt.Sprintf(`\%x `, r) })
	},
	"in a style sheet, six digits": func(s string) string {
		return everyRune(s, func(r rune) string { return fmt.Sprintf(`\%06X`, r) })
	},
	"in base64 of UTF-16":             func(s string) string { return base64Of(utf16(s, low)) },
	"in base64 of UTF-16, high first": func(s string) string { return base64Of(utf16(s, high)) },
	"in base64 of UTF-16 with a mark": func(s string) string { return base64Of(utf16("\ufeff"+s, low)) },
	"in base64 of UTF-16 in an address": func(s string) string {
		return url.QueryEscape(base64.RawURLEncoding.EncodeToString([]byte(utf16(s, low))))
	},
	"in base64 of a command of PowerShell": func(s string) string {
		return base64Of(utf16("Connect -Token '"+s+"' -Force", low))
	},
	"in hex of UTF-16":    func(s string) string { return "0x" + hex.EncodeToString([]byte(utf16(s, low))) },
	"UTF-16 with percent": func(s string) string { return everyByte(utf16(s, low), percented) },
	"UTF-16 with percent, high first": func(s string) string {
		return everyByte(utf16(s, high), percented)
	},
	"in full width": fullWidth,
	"in braces, every character": func(s string) string {
		return everyRune(s, func(r rune) string { return fmt.Sprintf(`\u{%x}`, r) })
	},
	"as a line of printable words": func(s string) string { return strings.Join(strings.Fields(s), " ") },
}

const low, high = unicode.LittleEndian, unicode.BigEndian

// utf16 is a text in UTF-16 by a library that is not ours.
func utf16(s string, order unicode.Endianness) string {
	out, err := unicode.UTF16(order, unicode.IgnoreBOM).NewEncoder().String(s)
	if err != nil {
		panic(err)
	}
	return out
}

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func percented(c byte) string { return fmt.Sprintf("%%%02x", c) }

func lowerEscapes(s string) string {
	out := []byte(s)
	for i := range out {
		if out[i] == '%' {
			copy(out[i+1:i+3], bytes.ToLower(out[i+1:i+3]))
		}
	}
	return string(out)
}

func everyByte(s string, f func(byte) string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString(f(s[i]))
	}
	return b.String()
}

func everyRune(s string, f func(rune) string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteString(f(r))
	}
	return b.String()
}

func quoteJSON(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func everyRuneJSON(s string) string {
	return everyRune(s, func(r rune) string { return fmt.Sprintf(`\u%04x`, r) })
}

func quotedPrintable(s string) string {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func fullWidth(s string) string {
	return everyRune(s, func(r rune) string {
		if r > ' ' && r < 0x7f {
			r += 0xFF01 - '!'
		}
		return string(r)
	})
}

func wrapped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if i > 0 && i%7 == 0 {
			b.WriteString("\r\n")
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

var around = []struct{ before, after string }{
	{"", ""}, {"Cannot POST /", " now"}, {`{"error":"bad `, `"}`}, {"<p>", "</p>"},
	{"grant_type=password&password=", "&client_id=c"}, {"x", "y"}, {"ключ: ", " — нет"},
}

// leaks looks for the secret in a text and in all that decoders of others make of it.
func leaks(text, secret string) bool {
	seen := map[string]bool{}
	level := []string{text}
	for range 3 {
		var next []string
		for _, s := range level {
			if seen[s] {
				continue
			}
			seen[s] = true
			if strings.Contains(strings.ToLower(s), strings.ToLower(secret)) {
				return true
			}
			next = append(next, html.UnescapeString(s))
			if v, err := url.QueryUnescape(s); err == nil {
				next = append(next, v)
			}
			for _, order := range []unicode.Endianness{low, high} {
				if v, err := unicode.UTF16(order, unicode.UseBOM).NewDecoder().String(s); err == nil {
					next = append(next, v)
				}
			}
			if v, err := url.PathUnescape(s); err == nil {
				next = append(next, v)
			}
			var v string
			if json.Unmarshal([]byte(`"`+strings.Trim(s, `"`)+`"`), &v) == nil {
				next = append(next, v)
			}
			for _, word := range strings.FieldsFunc(s,
				func(r rune) bool { return strings.ContainsRune(" \"'<>{}:,;&", r) }) {
				for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
					if raw, err := e.DecodeString(word); err == nil {
						next = append(next, string(raw))
					}
				}
				if raw, err := hex.DecodeString(word); err == nil {
					next = append(next, string(raw))
				}
			}
		}
		level = next
	}
	return false
}

func TestS6ASecretIsMaskedHoweverItIsWritten(t *testing.T) {
	for _, secret := range []string{nasty, "s3cr3t-in-the-url", "p a s s", "a/b+c=d&e", "пароль-Ünï", "hunter2", "abc",
		"11111111-2222-3333-4444-555555555555"} {
		r := redact.New(secret)
		for name, write := range spellings {
			for _, a := range around {
				if a.before == "x" && (strings.Contains(name, "base64") || strings.Contains(name, "hex")) {
					continue // which would not decode to it either
				}
				text := a.before + write(secret) + a.after
				got := r.Text(text)
				require.Contains(t, got, redact.Mask, "%s: %q", name, text)
				require.False(t, leaks(got, secret), "%s: %q became %q", name, text, got)
			}
		}
	}
}

func TestS6WhatIsNoSecretStays(t *testing.T) {
	r := redact.New("s3cr3t-in-the-url", nasty, "https://hooks.slack.com/services/T000/B000/abcdefXYZ", "k",
		"Bearer tok_12345678")
	for _, text := range []string{
		"", "answered 404 Not Found: nothing is at this address",
		`{"error":"invalid_token","text":"the key is unknown"}`, "hooks.slack.com:443 services",
		"100 % of &amp; <b>50%</b> \\d+ =?utf-8?q?a=20b?= \xff\xfe", "Bearer realm=\"console\"",
	} {
		require.Equal(t, text, r.Text(text))
	}
	require.Equal(t, "as it was", redact.New().Text("as it was"))
	require.Equal(t, "****", redact.New("", "****").Text("****"))
}

func TestS6AShortSecretIsMaskedAsAWord(t *testing.T) {
	r := redact.New("p", "ab")
	for text, want := range map[string]string{
		"password=p&user=u":          "password=********&user=u",
		`{"password":"p"}`:           `{"password":"********"}`,
		"the password P is wrong":    "the password ******** is wrong",
		"pw %70, &#112; or \\u0070.": "pw ********, ******** or ********.",
		"ab: absurd":                 "********: absurd",
		"Basic YWRhOnA=":             "Basic ********=",
	} {
		require.Equal(t, want, r.Text(text), text)
	}
	for _, order := range []unicode.Endianness{low, high} {
		said := utf16("\ufeffpassword p!", order)
		require.Equal(t, "in ********.", r.Text("in "+base64.RawStdEncoding.EncodeToString([]byte(said))+"."))
		require.Equal(t, "in ********.", r.Text("in "+hex.EncodeToString([]byte(said))+"."))
	}
	require.NotContains(t, redact.New("abc").Text("xabcx"), "abc")
	require.Equal(t, "x********y", redact.New("#+ ").Text("x#+ y"), "one that reads as a shorter one")
}

func TestS6AnAddressThatIsASecret(t *testing.T) {
	r := redact.New("https://hooks.slack.com/services/T1/SECRETpart",
		"https://prod-1.logic.azure.com/workflows/0123abcd/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers&sig=AbC%2Bd_e-9")
	for text, hidden := range map[string]string{
		"Cannot POST /services/T1/SECRETpart":                             "SECRETpart",
		"Cannot POST /services/T1/SECRETpart/":                            "SECRETpart",
		"<pre>Cannot POST &#x2F;services&#x2F;T1&#x2F;SECRETpart</pre>":   "SECRETpart",
		`{"path":"\/services\/T1\/SECRETpart"}`:                           "SECRETpart",
		"no such hook: secretPART":                                        "secretPART",
		"next=https%3A%2F%2Fhooks.slack.com%2Fservices%2FT1%2FSECRETpart": "SECRETpart",
		"HTTPS://HOOKS.SLACK.COM/SERVICES/T1/SECRETPART":                  "SECRETPART",
		"workflow 0123ABCD is disabled":                                   "0123ABCD",
		"the signature AbC+d_e-9 does not match":                          "AbC+d_e-9",
		"sig=AbC%2bd_e-9":                                                 "AbC%2bd_e-9",
		"?api-version=2016-06-01&amp;sp=%2Ftriggers&amp;sig=AbC%2Bd_e-9":  "AbC%2Bd_e-9",
	} {
		got := r.Text(text)
		require.NotContains(t, got, hidden)
		require.Contains(t, got, redact.Mask, text)
	}
	require.Equal(t, "connection refused: nothing listens at hooks.slack.com:443",
		r.Text("connection refused: nothing listens at hooks.slack.com:443"))
}

func TestS6APartOfAHeaderIsASecretToo(t *testing.T) {
	r := redact.New("Bearer eyJhbGciOi.abc.def", "Basic YWRhOmh1bnRlcjI=", "sid=abcdef123; other=x",
		"whsec_c2VjcmV0LWtleS1vZi0yNC1ieXRlcw==")
	for _, hidden := range []string{"eyJhbGciOi.abc.def", "hunter2", "ada:hunter2", "YWRhOmh1bnRlcjI", "abcdef123",
		"c2VjcmV0LWtleS1vZi0yNC1ieXRlcw"} {
		require.NotContains(t, r.Text("it was "+hidden+" that is wrong"), hidden)
	}
}

func TestS6TheEndOfACutText(t *testing.T) {
	r := redact.New("s3cr3t&value", "other-one")
	full := "the token s3cr3t&amp;value is wrong"
	for n := len("the token s"); n <= len(full); n++ {
		got := r.Cut(full[:n])
		require.NotContains(t, got, "s3", full[:n])
		require.True(t, strings.HasPrefix(got, "the token ********"), "%q became %q", full[:n], got)
	}
	// Cut before it came to us, with a mark; and by the receiver itself.
	require.Equal(t, "(it says: the token ********…): check it", r.Text("(it says: the token s3cr3…): check it"))
	require.Equal(t, "the token ********", r.Text("the token s3cr3t%26va"))
	require.Equal(t, "the token ********", r.Text("the token s3cr3t%2"))
	require.Equal(t, "the tokens", r.Text("the tokens"), "an end that says nothing stays")
	basic := base64.StdEncoding.EncodeToString([]byte("ada:a-long-password-of-ada"))
	got := redact.New("a-long-password-of-ada").Cut("Authorization: Basic " + basic[:20])
	raw, _ := base64.RawStdEncoding.DecodeString(strings.TrimPrefix(got, "Authorization: Basic "))
	require.NotContains(t, string(raw), "a-long")
}

func TestS6SeveralSecrets(t *testing.T) {
	r := redact.New("abcdef").With("abcdefghi", "zyxwvu")
	require.Equal(t, "******** and ******** and ********.", r.Text("abcdefghi and abcdef and zyxwvu."))
	require.Same(t, r, r.With())
}

// TestS6NoSpellingSurvives writes random secrets with every character in a way of its own.
func TestS6NoSpellingSurvives(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const alphabet = `abcXYZ019 /+=&<>"'%\é—;:#?.,-_~`
	letters := []rune(alphabet)
	mixed := map[string]func(r rune) string{
		"percent": func(r rune) string {
			if rng.IntN(2) == 0 {
				return string(r)
			}
			e := everyByte(string(r), func(c byte) string { return fmt.Sprintf("%%%02X", c) })
			if rng.IntN(2) == 0 {
				return strings.ToLower(e)
			}
			return e
		},
		"json": func(r rune) string {
			if rng.IntN(2) == 0 {
				return fmt.Sprintf(`\u%04X`, r)
			}
			return strings.Trim(quoteJSON("x"+string(r)+"x"), `"`)[1 : len(quoteJSON("x"+string(r)+"x"))-3]
		},
		"html": func(r rune) string {
			if rng.IntN(2) == 0 {
				return fmt.Sprintf("&#x%x;", r)
			}
			return html.EscapeString(string(r))
		},
	}
	for range 400 {
		secret := ""
		for range 3 + rng.IntN(20) {
			secret += string(letters[rng.IntN(len(letters))])
		}
		if strings.TrimSpace(secret) == "" {
			continue
		}
		r := redact.New(secret)
		for name, write := range mixed {
			written := everyRune(secret, write)
			if name == "percent" && strings.Contains(secret, "%") {
				written = everyByte(secret, func(c byte) string { return fmt.Sprintf("%%%02x", c) })
			}
			if name == "json" && strings.Contains(secret, `\`) {
				written = everyRuneJSON(secret)
			}
			if name == "html" && strings.Contains(secret, "&") {
				written = html.EscapeString(secret)
			}
			got := r.Text("before[" + written + "]after")
			require.Equal(t, "before["+redact.Mask+"]after", got, "%s: %q written %q", name, secret, written)
		}
		for name, write := range spellings {
			got := r.Text("[" + write(secret) + "]")
			require.Contains(t, got, redact.Mask, "%s: %q", name, secret)
		}
	}
}

func TestS6AHostileAnswerIsReadInTime(t *testing.T) {
	secrets := make([]string, 60)
	for i := range secrets {
		secrets[i] = fmt.Sprintf("secret-number-%d-%s", i, strings.Repeat("x", i))
	}
	r := redact.New(secrets...)
	for _, unit := range []string{`%25255c\\\\&amp;amp;=3D=` + "\n", "secret-number-", "AAAA", "%", `\u0073`, "…", "s",
		"&#x73;", "s\x00", "\x00\\73 %41&#x73;", "<wbr>s", "\\73 ", "\xe9s"} {
		text := strings.Repeat(unit, 4096/len(unit)+1)[:4096]
		began := time.Now()
		r.Text(text)
		// a stop for what grows without bound; it takes milliseconds
		require.Less(t, time.Since(began), patience.Long, unit)
	}
}

func FuzzText(f *testing.F) {
	for _, write := range spellings {
		f.Add("[ "+write(nasty)+" ]", nasty)
	}
	f.Add("%zz \\u12 &#xg; =4", "abc")
	f.Fuzz(func(t *testing.T, text, secret string) {
		if len(text) > 4096 || len(secret) > 256 {
			return
		}
		r := redact.New(secret)
		got := r.Text(text)
		r.Cut(text)
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatalf("%q was valid, %q is not", text, got)
		}
		if utf8.RuneCountInString(secret) < 3 || strings.Trim(secret, "*+ ") == "" || !utf8.ValidString(secret) ||
			strings.Contains(redact.Mask, secret) {
			return
		}
		if strings.Contains(got, secret) {
			t.Fatalf("%q in %q became %q", secret, text, got)
		}
	})
}

func BenchmarkText(b *testing.B) {
	r := redact.New("https://hooks.slack.com/services/T000/B000/s3cr3t-in-the-url", "another secret", "a third one")
	answer := strings.Repeat(`{"error":"no such token &quot;x&quot; at /services%2FT","ok":false} `, 15)
	b.SetBytes(int64(len(answer)))
	for b.Loop() {
		r.Text(answer)
	}
}

// TestS6AnswersInUTF16 and of tokens that a receiver shows the beginning of.
func TestS6AnswersInUTF16(t *testing.T) {
	const token = "SuperSecretTokenValue12345"
	r := redact.New("Bearer " + token)
	for name, order := range map[string]unicode.Endianness{"low byte first": unicode.LittleEndian,
		"high byte first": unicode.BigEndian} {
		written, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().String("no such token " + token +
			", ask again")
		require.NoError(t, err)
		got := r.Text(written)
		require.Contains(t, got, redact.Mask, name)
		require.False(t, leaks(strings.ReplaceAll(got, "\x00", ""), token), got)
	}
	require.Equal(t, "token "+redact.Mask+"... is not known", r.Text("token SuperSecretT... is not known"))
	require.Equal(t, "token "+redact.Mask+"… is not known", r.Text("token SuperSecretT… is not known"))
	require.Equal(t, "wait... and see...", r.Text("wait... and see..."))
}

// TestS6ASecretInAnotherCharset: pages of older systems are in a charset of one byte a character, others take UTF-8 for
// one, or write a question mark for what they do not know.
func TestS6ASecretInAnotherCharset(t *testing.T) {
	for secret, of := range map[string][]*charmap.Charmap{
		"päss-wörd-Ünï":  {charmap.ISO8859_1, charmap.Windows1252, charmap.CodePage850},
		"€uro-šecret“12": {charmap.Windows1252},
		"пароль-abc12":   {charmap.Windows1251, charmap.KOI8R},
	} {
		r := redact.New(secret)
		for _, c := range of {
			written, err := c.NewEncoder().String(secret)
			require.NoError(t, err)
			for name, text := range map[string]string{
				"as it is": written, "in an address": everyByte(written, percented),
				"made UTF-8": strings.ToValidUTF8(written, "\uFFFD"), "made UTF-8 by JSON": asJSON(written),
				"with marks": strings.ToValidUTF8(written, "?"),
			} {
				if name == "with marks" {
					text = everyRune(secret, func(r rune) string {
						if r > 0x7f {
							return "?"
						}
						return string(r)
					})
				}
				require.Equal(t, "<p>token "+redact.Mask+"</p>", r.Text("<p>token "+text+"</p>"), "%s %s", c, name)
			}
		}
		for _, c := range []*charmap.Charmap{charmap.ISO8859_1, charmap.Windows1252} {
			misread, err := c.NewDecoder().String(secret)
			require.NoError(t, err)
			if !strings.Contains(misread, "\uFFFD") {
				require.Equal(t, "no "+redact.Mask+"!", r.Text("no "+misread+"!"), "%s read as %s", secret, c)
			}
		}
	}
	for _, order := range []unicode.Endianness{low, high} {
		for _, before := range []string{"", "\ufeff", "ключ: "} {
			text := "é" + utf16(before+"<p>пароль, привет</p>", order)
			got := redact.New("пароль, привет").Text(text)
			require.Contains(t, got, redact.Mask)
			require.False(t, leaks(strings.TrimPrefix(got, "é"), "пароль"), got)
		}
	}
	const empty = "is it ???? or \uFFFD\uFFFD\uFFFD?"
	require.Equal(t, empty, redact.New("пароль", "ключ").Text(empty), "what says nothing stays")
}

// asJSON is what the encoder of JSON makes of bytes that are no UTF-8: a character for each.
func asJSON(s string) string {
	var v string
	if err := json.Unmarshal([]byte(quoteJSON(s)), &v); err != nil {
		panic(err)
	}
	return v
}
