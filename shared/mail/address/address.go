// Package address reads e-mail addresses: one function for every place that takes one (integrations, reports,
// profiles, the sending address, lists of blocked addresses), so that what is saved can be sent to.
//
// Taken is what every mail server takes without an extension (RFC 5321, 4.1.2): a dot-atom of ASCII before the @, and
// a domain after it. A domain in another script is sent as DNS has it, in A-labels (RFC 5891, `xn--…`). Not taken, on
// purpose: letters outside ASCII before the @ (they need SMTPUTF8, RFC 6531, on the whole way to the mailbox, and
// nobody can promise that), quoted names, comments, names beside the address, address literals and domains of a
// single label.
package address

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits in bytes, in the form that is sent. RFC 5321, 4.5.3.1: 64 and 255; RFC 3696, erratum 1690: 254 in all. RFC
// 1035, 2.3.4: 63 for a label.
const (
	Limit       = 254
	localLimit  = 64
	labelLimit  = 63
	domainLimit = 253
)

// Parse returns the form of an address in which it is sent. Its error is the end of a sentence that begins with the
// address or the name of its field.
func Parse(s string) (string, error) { return parse(s, true) }

// ParseSender is Parse for the sending address of a deployment: it may have a name, and the domain may be a single
// label, as in a network of one's own. The error is a whole sentence.
func ParseSender(s string) (*mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return nil, fmt.Errorf(
			"the sending address %q is not an e-mail address: it must be name@example.com or Name <name@example.com>",
			s)
	}
	if a.Address, err = parse(a.Address, false); err != nil {
		return nil, fmt.Errorf("the sending address %q %w", s, err)
	}
	return a, nil
}

// Check says what keeps an address that is saved already from being sent to, nil for nothing: a domain of a single
// label is taken here. The error is that of Parse.
func Check(s string) error {
	_, err := parse(s, false)
	return err
}

// Wire is the form in which an address is sent; one that Parse does not take stays as it is, for the mail server to
// judge: it may have been saved by an older release.
func Wire(s string) string {
	if wire, err := parse(s, false); err == nil {
		return wire
	}
	return s
}

// Canonical is the form in which addresses are compared: as they are sent, in lower case. Receivers tell no cases
// apart, whatever RFC 5321 allows. It takes anything, and is its own canonical form.
func Canonical(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	domain := s[at+1:]
	if ascii, err := toASCII(domain); err == nil {
		domain = ascii
	}
	return s[:at+1] + strings.TrimRightFunc(domain, func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
}

// Unique leaves each mailbox in a list once, the first way it is written.
func Unique(list []string) []string {
	out := make([]string, 0, len(list))
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if key := Canonical(s); !seen[key] {
			seen[key] = true
			out = append(out, s)
		}
	}
	return out
}

func parse(s string, public bool) (string, error) {
	if strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError
	}) {
		return "", errors.New(
			"is not an e-mail address: it holds a space, a line break or another character that none can have")
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 {
		return "", errors.New("is not an e-mail address: it must have a name, an @ and a domain")
	}
	if err := checkLocal(s[:at]); err != nil {
		return "", err
	}
	domain, err := parseDomain(s[at+1:], public)
	if err != nil {
		return "", err
	}
	if at+1+len(domain) > Limit {
		return "", fmt.Errorf(
			"is not an e-mail address: it is longer than %d characters in the form in which it is sent", Limit)
	}
	return s[:at+1] + domain, nil
}

// atext is what a name may hold beside letters and digits. RFC 5322, 3.2.3.
const atext = "!#$%&'*+-/=?^_`{|}~"

func checkLocal(local string) error {
	if local[0] == '"' {
		return errors.New("is not an e-mail address that can be used: names in quotes are not taken")
	}
	for part := range strings.SplitSeq(local, ".") {
		if part == "" {
			return errors.New(
				"is not an e-mail address: the name before the @ can not begin or end with a dot, or have two in a row")
		}
		for _, r := range part {
			switch {
			case r >= utf8.RuneSelf:
				return fmt.Errorf("is not an e-mail address that can be used: mail servers do not take %q before the "+
					"@; "+
					"use the address that its owner has in letters from a to z", r)
			case (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') &&
				!strings.ContainsRune(atext, r):
				return fmt.Errorf("is not an e-mail address: it can not have %q before the @", r)
			}
		}
	}
	if len(local) > localLimit {
		return fmt.Errorf("is not an e-mail address: the name before the @ is longer than %d characters", localLimit)
	}
	return nil
}

// lookup maps a domain as one that is typed (RFC 5895; UTS 46, non-transitional) and lets through only what DNS can
// have.
var lookup = idna.New(
	idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.CheckJoiners(true),
	idna.StrictDomainName(true),
)

// Readable is the form in which people write an address of an international domain: ada@bücher.example for
// ada@xn--bcher-kva.example, in lower case. Another is as Canonical has it.
func Readable(s string) string {
	s = Canonical(s)
	at := strings.LastIndexByte(s, '@')
	if at < 0 || len(s)-at > readLimit {
		return s
	}
	domain, err := lookup.ToUnicode(s[at+1:])
	if err != nil {
		return s
	}
	return s[:at+1] + domain
}

// readLimit is how much of a domain is looked at, in bytes: punycode takes the square of a length.
const readLimit = 4 * domainLimit

func toASCII(domain string) (string, error) {
	if len(domain) > readLimit {
		return "", errors.New("it is too long")
	}
	if isASCII(domain) && !strings.Contains(strings.ToLower(domain), "xn--") {
		// nothing to map: and `r3---x.example` is a name, though no IDN could be one
		return strings.ToLower(domain), nil
	}
	return lookup.ToASCII(domain)
}

func parseDomain(domain string, public bool) (string, error) {
	ascii, err := toASCII(domain)
	if err != nil {
		return "", fmt.Errorf("is not an e-mail address: its domain %q can not be written for DNS (%s)",
			domain, strings.TrimPrefix(err.Error(), "idna: "))
	}
	labels := strings.Split(ascii, ".")
	for _, label := range labels {
		switch {
		case label == "":
			return "", errors.New(
				"is not an e-mail address: its domain can not begin or end with a dot, or have two in a row")
		case len(label) > labelLimit:
			return "", fmt.Errorf("is not an e-mail address: a part of its domain is longer than %d characters",
				labelLimit)
		case label[0] == '-' || label[len(label)-1] == '-' || !isLDH(label):
			return "", fmt.Errorf("is not an e-mail address: its domain can not have the part %q", label)
		}
	}
	top := labels[len(labels)-1]
	switch {
	case len(ascii) > domainLimit:
		return "", fmt.Errorf("is not an e-mail address: its domain is longer than %d characters", domainLimit)
	case public && len(labels) == 1:
		return "", errors.New("is not an e-mail address: its domain has no dot")
	case public && strings.Trim(top, "0123456789") == "":
		return "", errors.New("is not an e-mail address: it must have a domain, not an IP address")
	}
	return ascii, nil
}

func isLDH(label string) bool {
	for i := range len(label) {
		if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
