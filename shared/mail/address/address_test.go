package address_test

import (
	"net/mail"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/mail/address"
)

func TestH5AnInternationalisedDomainIsSentAsDNSHasIt(t *testing.T) {
	for typed, wire := range map[string]string{
		"ada@example.com":                 "ada@example.com",
		"Ada.Lovelace+x@EXAMPLE.com":      "Ada.Lovelace+x@example.com",
		"ops@bücher.example":              "ops@xn--bcher-kva.example",
		"ops@BÜCHER.Example":              "ops@xn--bcher-kva.example",
		"ops@bu\u0308cher.example":        "ops@xn--bcher-kva.example", // decomposed, as macOS types it
		"ops@xn--bcher-kva.example":       "ops@xn--bcher-kva.example",
		"ops@XN--BCHER-KVA.example":       "ops@xn--bcher-kva.example",
		"ops@straße.example":              "ops@xn--strae-oqa.example", // not strasse: another domain
		"ops@例え.テスト":                      "ops@xn--r8jz45g.xn--zckzah",
		"ops@例え。テスト":                      "ops@xn--r8jz45g.xn--zckzah", // the full stop that a Japanese keyboard types
		"ops@مثال.إختبار":                 "ops@xn--mgbh0fb.xn--kgbechtv",
		"ops@παράδειγμα.δοκιμή":           "ops@xn--hxajbheg2az3al.xn--jxalpdlp",
		"ops@ｅｘａｍｐｌｅ.com":                 "ops@example.com",
		"a!#$%&'*+-/=?^_`{|}~z@x.org":     "a!#$%&'*+-/=?^_`{|}~z@x.org",
		"o'hara@r3---sn-apo3.example":     "o'hara@r3---sn-apo3.example",
		"1@1.example":                     "1@1.example",
		strings.Repeat("a", 64) + "@x.io": strings.Repeat("a", 64) + "@x.io",
	} {
		got, err := address.Parse(typed)
		require.NoError(t, err, typed)
		require.Equal(t, wire, got)
		again, err := address.Parse(got)
		require.NoError(t, err)
		require.Equal(t, got, again)
		require.Equal(t, address.Canonical(typed), address.Canonical(got), "one address in both spellings is one")
		require.Equal(t, got, address.Wire(typed))
		parsed, err := mail.ParseAddress(got) // another reader
		require.NoError(t, err, got)
		require.Equal(t, got, parsed.Address)
	}
}

// refused are texts that are no address, and why.
var refused = map[string]string{
	"":                                      "must have a name, an @ and a domain",
	"ada":                                   "must have a name, an @ and a domain",
	"@example.com":                          "must have a name, an @ and a domain",
	"ada@":                                  "must have a name, an @ and a domain",
	"jörg@example.com":                      "mail servers do not take 'ö' before the @",
	"用户@例え.テスト":                             "mail servers do not take '用' before the @",
	"ad\u200ba@example.com":                 "mail servers do not take",
	"ad\u00a0a@example.com":                 "holds a space",
	"ada@example.com\r\nBcc: e@x.org":       "a line break",
	"a@b.example\r\nBcc:":                   "a line break",
	"a@b.example\nRCPT TO:<e@x.org>":        "a line break",
	"a\x00@example.com":                     "another character that none can have",
	"a@exa\x7fmple.com":                     "another character that none can have",
	"a\xff@example.com":                     "another character that none can have",
	"a@exam\u2028ple.com":                   "holds a space",
	" ada@example.com":                      "holds a space",
	"ada@example.com ":                      "holds a space",
	"ada @example.com":                      "holds a space",
	"Ada <ada@example.com>":                 "holds a space",
	"<ada@example.com>":                     `'<' before the @`,
	"ada@example.com>":                      `the part "com>"`,
	"ada(x)@example.com":                    `'(' before the @`,
	"ada@(x)example.com":                    `the part "(x)example"`,
	`"ada"@example.com`:                     "names in quotes are not taken",
	`"a@b"@example.com`:                     "names in quotes are not taken",
	`a"b@example.com`:                       `'"' before the @`,
	"ada@eve@example.com":                   `'@' before the @`,
	"ada,eve@example.com":                   `',' before the @`,
	"ada@example.com,eve@example.com":       `'@' before the @`,
	"ada;eve@example.com":                   `';' before the @`,
	`ada\@example.com`:                      `'\\' before the @`,
	".ada@example.com":                      "begin or end with a dot",
	"ada.@example.com":                      "begin or end with a dot",
	"a..da@example.com":                     "two in a row",
	"ada@example.com.":                      "its domain can not begin or end with a dot",
	"ada@例え.テスト。":                           "its domain can not begin or end with a dot",
	"ada@.example.com":                      "its domain can not begin or end with a dot",
	"ada@example..com":                      "two in a row",
	"ada@-example.com":                      `the part "-example"`,
	"ada@example-.com":                      `the part "example-"`,
	"ada@ex_ample.com":                      `the part "ex_ample"`,
	"ada@localhost":                         "its domain has no dot",
	"ada@[192.0.2.1]":                       `the part "[192"`,
	"ada@[IPv6:2001:db8::1]":                `the part "[ipv6`,
	"ada@192.0.2.1":                         "not an IP address",
	"ada@xn--a.example":                     "can not be written for DNS",
	"ada@\u200dx.example":                   "can not be written for DNS",
	"ada@ex\u2260ample.com":                 "can not be written for DNS",
	"ada@אabc.example":                      "can not be written for DNS",
	"ada@exam:ple.com":                      `the part "exam:ple"`,
	"mailto:ada@example.com":                `':' before the @`,
	"ada＠example.com":                       "must have a name, an @ and a domain",
	strings.Repeat("a", 65) + "@x.io":       "longer than 64",
	"a@" + strings.Repeat("b", 64) + ".c":   "longer than 63",
	"a@" + strings.Repeat("ü", 60) + ".c":   "longer than 63",
	"a@" + strings.Repeat("b.", 126) + "cd": "longer than 253",
	strings.Repeat("a", 60) + "@" + strings.Repeat("bbbbbbbbb.", 20) + "c": "longer than 254",
}

func TestH5AnAddressThatCanNotBeSentToSaysWhy(t *testing.T) {
	for typed, says := range refused {
		got, err := address.Parse(typed)
		require.Error(t, err, "%q became %q", typed, got)
		require.ErrorContains(t, err, says, "%q", typed)
		require.ErrorContains(t, err, "is not an e-mail address", "%q", typed)
		require.Equal(t, address.Canonical(typed), address.Canonical(address.Canonical(typed)))
	}
}

func TestASendingAddressMayHaveANameAndADomainOfOneLabel(t *testing.T) {
	for typed, want := range map[string]mail.Address{
		"tocsin@mailhost":                   {Address: "tocsin@mailhost"},
		"Tocsin <tocsin@bücher.example>":    {Name: "Tocsin", Address: "tocsin@xn--bcher-kva.example"},
		"\"Tocsin, Inc.\" <t@example.com>":  {Name: "Tocsin, Inc.", Address: "t@example.com"},
		"=?utf-8?q?T=C3=B6csin?= <t@x.org>": {Name: "Töcsin", Address: "t@x.org"},
		"警鐘 <t@x.org>":                      {Name: "警鐘", Address: "t@x.org"},
	} {
		got, err := address.ParseSender(typed)
		require.NoError(t, err, typed)
		require.Equal(t, want, *got)
	}
	for typed, says := range map[string]string{
		"nobody":                       "is not an e-mail address",
		"a@x.org, b@x.org":             "is not an e-mail address",
		"Tocsin <töcsin@example.com>":  "mail servers do not take 'ö'",
		"Tocsin <t@ex_ample.com>":      `the part "ex_ample"`,
		"Tocsin <t@x.org>\r\nBcc: e@x": "is not an e-mail address",
	} {
		_, err := address.ParseSender(typed)
		require.ErrorContains(t, err, says, typed)
	}
}

func TestWhatWasSavedBeforeIsSentAsItIs(t *testing.T) {
	require.Equal(t, "jörg@example.com", address.Wire("jörg@example.com"))
	require.Equal(t, "ada@localhost", address.Wire("ada@LOCALHOST"))
}

func TestAMailboxInTwoSpellingsIsOne(t *testing.T) {
	require.Equal(t, []string{"Ops@bücher.example", "b@x.org"},
		address.Unique([]string{"Ops@bücher.example", "ops@xn--bcher-kva.example", "b@x.org", "OPS@BÜCHER.EXAMPLE",
			"b@X.org"}))
}

func TestAnAddressOfAnInternationalDomainIsWrittenAsPeopleDo(t *testing.T) {
	for in, want := range map[string]string{
		"Ada@xn--bcher-kva.example": "ada@bücher.example", "ada@BÜCHER.example": "ada@bücher.example",
		"山田@例え.テスト": "山田@例え.テスト", "ada@example.com.": "ada@example.com", "ada": "ada", "": "",
		"ada@xn--a": "ada@xn--a", "ada@" + strings.Repeat("x", 5000): "ada@" + strings.Repeat("x", 5000),
	} {
		require.Equal(t, want, address.Readable(in), in)
		require.Equal(t, address.Canonical(in), address.Canonical(address.Readable(in)), in)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"ada@example.com", "ops@bücher.example", "a@b.example\r\nBcc:", `"a b"@x.org`,
		"a@xn--a.b", "a@\u200d.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c := address.Canonical(s); address.Canonical(c) != c {
			t.Fatalf("%q: %q is not its own canonical form", s, c)
		}
		got, err := address.Parse(s)
		if err != nil {
			return
		}
		a, err := mail.ParseAddress(got)
		if err != nil || a.Address != got || strings.ContainsAny(got, "\r\n <>()\",;:\\") {
			t.Fatalf("%q became %q: %v", s, got, err)
		}
		if again, err := address.Parse(got); err != nil || again != got {
			t.Fatalf("%q became %q and then %q: %v", s, got, again, err)
		}
		if address.Canonical(s) != address.Canonical(got) {
			t.Fatalf("%q and %q are one address", s, got)
		}
	})
}
