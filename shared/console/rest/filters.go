package rest

import (
	"fmt"
	"net/http"
	"strconv"

	"tocsin/shared/event"
	"tocsin/shared/filter"
)

// FilterRuleView is a filter that a condition, or an integration, takes.
type FilterRuleView struct {
	ID        filter.ID    `json:"id" example:"attack_type"`
	Title     string       `json:"title" worded:"true" example:"Attack type"`
	Operators []string     `json:"operators" doc:"eq: one of the values is there; ne: none is"`
	Kind      string       `json:"kind" enum:"choice,text,integer"`
	Choices   []ChoiceView `json:"choices,omitempty" doc:"all values of a choice"`
	Help      string       `json:"help,omitempty" worded:"true"`
	Events    []event.Type `json:"events,omitempty" doc:"of an integration: the event types some of whose events have what it looks at; what comes of the others passes it. Absent: all have it"`
}

// ChoiceView is a value with its name.
type ChoiceView struct {
	Value string `json:"value" example:"sqli"`
	Title string `json:"title" worded:"true" example:"SQLi"`
}

// FilterView is a filter.
type FilterView struct {
	ID       filter.ID `json:"id" example:"attack_type"`
	Operator string    `json:"operator" enum:"eq,ne"`
	Values   []any     `json:"values" maxItems:"50" doc:"strings, or whole numbers of applications, specifications and statuses"`
}

// FilterRules shows the rules of filters.
func FilterRules(rules []filter.Rule) []FilterRuleView {
	out := []FilterRuleView{}
	for _, r := range rules {
		v := FilterRuleView{ID: r.ID, Title: r.Title, Operators: r.ID.Operators(), Kind: r.Kind, Help: r.Help,
			Events: r.Events}
		for _, c := range r.Choices {
			v.Choices = append(v.Choices, ChoiceView(c))
		}
		out = append(out, v)
	}
	return out
}

// FilterViews shows filters.
func FilterViews(list []filter.Filter) []FilterView {
	out := []FilterView{}
	for _, f := range list {
		v := FilterView{ID: f.ID, Operator: f.Operator, Values: []any{}}
		for _, value := range f.Values {
			v.Values = append(v.Values, value)
		}
		out = append(out, v)
	}
	return out
}

// Filters reads filters. Error: a Problem that names the value.
func Filters(list []FilterView) ([]filter.Filter, error) {
	var out []filter.Filter
	for n, v := range list {
		f := filter.Filter{ID: v.ID, Operator: v.Operator}
		for k, value := range v.Values {
			switch value := value.(type) {
			case string:
				f.Values = append(f.Values, filter.Value(value))
			case float64:
				f.Values = append(f.Values, filter.Value(strconv.FormatFloat(value, 'f', -1, 64)))
			default:
				return nil, NewProblem(http.StatusUnprocessableEntity, "the request is not valid",
					Fault(fmt.Sprintf("filters.%d.values.%d", n, k), "must be a string or a whole number"))
			}
		}
		out = append(out, f)
	}
	return out, nil
}
