package filter

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tocsin/shared/destination"
	"tocsin/shared/event"
	"tocsin/shared/filter/uri"
)

// Limits of one thing's filters. The product facts, 4.4, know the number of filters alone.
const (
	Max      = 6
	MaxValue = 500 // characters of a value
	// MaxValues is how many values a filter has.
	MaxValues = 50
	// maxSteps bounds the regular expressions together, in instructions.
	maxSteps = 5000
	// maxBytes bounds the filters as they are stored: every batch of events has them read.
	maxBytes = 64 << 10
)

// Check says what is wrong with the filters of something that takes some of them: nothing when nothing is. of is that
// thing as a person calls it.
func Check(list []Filter, takes []ID, of string) destination.InvalidParameters {
	var v validation
	v.list(list, takes, of)
	if len(v.InvalidParameters) == 0 {
		v.steps(list)
	}
	if raw, err := json.Marshal(list); len(v.InvalidParameters) == 0 && (err != nil || len(raw) > maxBytes) {
		v.Addf("filters", "must have at most %d bytes in all", maxBytes)
	}
	return v.InvalidParameters
}

// CheckTrigger is Check for a trigger with a condition that looks at events of some kinds.
func CheckTrigger(list []Filter, takes []ID, of string, kinds []event.Kind) destination.InvalidParameters {
	if wrong := Check(list, takes, of); len(wrong) > 0 {
		return wrong
	}
	return Place{Sent: SentOfKinds(kinds...)}.Check(list)
}

type validation struct{ destination.InvalidParameters }

func (v *validation) list(list []Filter, takes []ID, of string) {
	if len(list) > Max {
		v.Addf("filters", "must be at most %d, are %d", Max, len(list))
	}
	for n, f := range list {
		field := fmt.Sprintf("filters.%d", n)
		if !slices.Contains(takes, f.ID) {
			v.Addf(field+".id", "is not a filter of %s%s", of, OneOf(takes))
			continue
		}
		if !slices.Contains(f.ID.Operators(), f.Operator) {
			v.Addf(field+".operator", "must be eq or ne")
		}
		switch {
		case len(f.Values) == 0:
			v.Addf(field+".values", "is required: at least one value")
		case len(f.Values) > MaxValues:
			v.Addf(field+".values", "must be at most %d, are %d", MaxValues, len(f.Values))
		}
		for k, value := range f.Values[:min(len(f.Values), MaxValues)] {
			if reason := f.ID.wrong(string(value)); reason != "" {
				v.Addf(fmt.Sprintf("%s.values.%d", field, k), "%s", reason)
			}
		}
	}
}

// OneOf says in a sentence's end what a thing takes.
func OneOf[T ~string](list []T) string {
	if len(list) == 0 {
		return ", which takes none"
	}
	names := make([]string, len(list))
	for n, id := range list {
		names[n] = string(id)
	}
	return ": it takes " + strings.Join(names, ", ")
}

var (
	hostName = regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?(:[0-9]{1,5})?$`)
	country  = regexp.MustCompile(`^[A-Za-z]{2}$`)
)

// wrong says what is wrong with a value, "" when nothing is.
func (id ID) wrong(value string) string {
	rule := id.Rule()
	switch {
	case value == "":
		return "is empty"
	case utf8.RuneCountInString(value) > MaxValue:
		return fmt.Sprintf("must have at most %d characters", MaxValue)
	case rule.Kind == KindChoice && !slices.ContainsFunc(rule.Choices, func(c Option) bool { return c.Value == value }):
		names := make([]string, len(rule.Choices))
		for n, c := range rule.Choices {
			names[n] = c.Value
		}
		return "must be one of " + strings.Join(names, ", ")
	case rule.Kind == KindInteger:
		if n, err := strconv.ParseInt(value, 10, 64); err != nil || n < -1 || strconv.FormatInt(n, 10) != value {
			return "must be a whole number from 0, or -1"
		}
	}
	switch id {
	case ByIP:
		if a, err := netip.ParseAddr(value); err != nil || a.Zone() != "" {
			return "must be a single IPv4 or IPv6 address"
		}
	case ByDomain:
		if host, port := hostOf(value); !hostName.MatchString(host + port) {
			return "must be a host name, such as shop.example.com"
		}
	case ByStatus:
		if n, err := strconv.Atoi(value); (err != nil || n < 100 || n > 599 || strconv.Itoa(n) != value) &&
			!slices.Contains([]string{"1xx", "2xx", "3xx", "4xx", "5xx"}, value) {
			return "must be a status such as 404, or a class such as 5xx"
		}
	case ByURL:
		return wrongPattern(value)
	case ByKind:
		if event.Kind(value).Known() {
			return ""
		}
		return "is not a notification_type"
	case ByCountry:
		if !country.MatchString(value) {
			return "must be the two letters of a country (ISO 3166), such as NL"
		}
	}
	return ""
}

// wrongPattern says what is wrong with a value of ByURL.
func wrongPattern(value string) string {
	if err := TooLarge(value); err != nil {
		return err.Error()
	}
	if _, err := uri.New(value); err != nil {
		return err.Error()
	}
	return ""
}

// TooLarge is an error of a value of ByURL that is too large a regular expression; nil when it is not, or is none.
func TooLarge(value string) error {
	if size, err := uri.Size(value); err == nil && size > uri.MaxSteps {
		return uri.TooLarge(size)
	}
	return nil
}

// steps bounds what the regular expressions are together.
func (v *validation) steps(list []Filter) {
	total := 0
	for n, f := range list {
		if f.ID != ByURL {
			continue
		}
		for k, value := range f.Values {
			if size, err := uri.Size(string(value)); err == nil {
				total += size
			}
			if total > maxSteps {
				v.Addf(fmt.Sprintf("filters.%d.values.%d", n, k),
					"is one too many: the regular expressions have at most %d steps together", maxSteps)
				return
			}
		}
	}
}
