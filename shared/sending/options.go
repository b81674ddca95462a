package sending

import (
	"context"
	"slices"
	"strings"

	"tocsin/shared/destination"
	"tocsin/shared/integration"
	"tocsin/shared/redact"
)

// Bounds of a list of options: an administrator is waiting, and picks from it by eye.
const (
	maxPages   = 20
	maxOptions = 2000
)

// OptionList is the outcome of asking a system for the values of a parameter.
type OptionList struct {
	Choices []destination.Option
	// More says that the list is not complete: a value can be entered that is not in it.
	More   bool
	Reason string // why there is no list, and what to do; "" when there is one
	Status int    // of the last answer, 0 when there was none
	Host   string // that was asked, for the log; "" when nobody was
}

// Options asks the system for the values that one of its parameters can have, sorted by title.
func (s *Sender) Options(ctx context.Context, opened integration.Opened, field string) (OptionList, error) {
	d, ok := s.Destinations.Destination(opened.System.Name)
	if !ok {
		return OptionList{}, &unavailableError{opened.System.Name}
	}
	lister, ok := d.(destination.OptionLister)
	if !ok || !slices.Contains(opened.System.Choosable, field) {
		return OptionList{},
			integration.InvalidError{{Field: "parameter", Reason: "is not one whose values " + opened.System.Title +
				" can list"}}
	}
	ctx, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	var out OptionList
	hide := redactor(d, opened.Secrets)
	for page, n := "", 0; ; n++ {
		next, ok := s.optionPage(ctx, &out, lister, opened, field, page, hide)
		if !ok {
			out.Reason = hide.Text(out.Reason)
			return out, nil
		}
		if next == "" {
			break
		}
		if page = next; n+1 == maxPages || len(out.Choices) >= maxOptions {
			out.More = true
			break
		}
	}
	slices.SortStableFunc(out.Choices, func(a, b destination.Option) int {
		return strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title))
	})
	return out, nil
}

// optionPage adds one page to the list; false when there is a reason why not.
func (s *Sender) optionPage(ctx context.Context, out *OptionList, d destination.OptionLister, opened integration.Opened,
	field, page string, hide *redact.Redactor) (next string, ok bool) {
	q, err := d.Options(opened.Parameters, field, page)
	if err != nil {
		out.Reason = err.Error()
		return "", false
	}
	out.Host = destination.Host(q.URL)
	response, err := s.Transport.Do(ctx, q)
	if err != nil {
		if ctx.Err() != nil {
			out.Reason = "the list took longer than " + testLimit.String()
			return "", false
		}
		out.Status, out.Reason = 0, err.Error()
		return "", false
	}
	out.Status = response.Status
	list, next, verdict := d.Choices(field, response)
	if !verdict.Delivered {
		out.Reason = hide.With(q.Secrets...).Text(verdict.Reason)
		return "", false
	}
	for i := range list {
		list[i].Title = hide.Text(list[i].Title)
	}
	out.Choices = append(out.Choices, list...)
	return next, true
}
