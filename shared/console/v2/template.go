package v2

import (
	"encoding/json"

	"tocsin/shared/filter"
	"tocsin/shared/trigger"
)

// moreThan is the only operator of a threshold (product facts, 4.3).
const moreThan = "gt"

// triggerView is a trigger as an answer shows it.
type triggerView struct {
	ID         int64              `json:"id"`
	Client     json.Number        `json:"client_id"`
	Name       string             `json:"name"`
	Comment    string             `json:"comment"`
	Enabled    bool               `json:"enabled"`
	TemplateID trigger.TemplateID `json:"template_id"`
	Filters    []filterView       `json:"filters"`
	Threshold  *thresholdView     `json:"threshold"`
	Thresholds []thresholdView    `json:"thresholds"` // the same one: the platform's client reads both
	Actions    []actionView       `json:"actions"`
	Template   templateView       `json:"template"`
	CreatedAt  int64              `json:"created_at"` // Unix time
	CreatedBy  string             `json:"created_by"`
	UpdatedAt  int64              `json:"updated_at"` // Unix time
}

type filterView struct {
	ID       filter.ID         `json:"id"`
	Operator string            `json:"operator"`
	Values   []json.RawMessage `json:"values"`
}

type thresholdView struct {
	Period           int64    `json:"period"`
	Operator         string   `json:"operator"`
	AllowedOperators []string `json:"allowed_operators"`
	Count            int64    `json:"count"`
}

type actionView struct {
	ID     trigger.ActionID `json:"id"`
	Params paramsView       `json:"params"`
}

type paramsView struct {
	Integrations *[]int64 `json:"integration_ids,omitempty"`
	LockTime     *int64   `json:"lock_time,omitempty"` // seconds
}

// templateView is the condition: what a trigger of it may have.
type templateView struct {
	ID        trigger.TemplateID   `json:"id"`
	Title     string               `json:"title"`
	Filters   []templateFilterView `json:"filters"`
	Threshold *thresholdView       `json:"threshold"` // the default; null when the condition has none
	Actions   []actionView         `json:"actions"`   // with their defaults
}

type templateFilterView struct {
	ID               filter.ID         `json:"id"`
	Required         bool              `json:"required"`
	Operator         string            `json:"operator"` // the default
	AllowedOperators []string          `json:"allowed_operators"`
	Values           []json.RawMessage `json:"values"` // all of a choice
}

type (
	triggerOutput struct {
		Body struct {
			Trigger triggerView `json:"trigger"`
		}
	}
	triggersOutput struct {
		Body struct {
			Triggers []triggerView `json:"triggers"`
		}
	}
)

// viewOf shows a trigger. numbers are those of its tenant's integrations: one that was deleted is left out.
func viewOf(t trigger.Trigger, numbers map[string]int64) triggerView {
	v := triggerView{
		ID: t.Number, Client: json.Number(t.Tenant), Name: t.Name, Comment: t.Comment, Enabled: !t.Off,
		TemplateID: t.Template, Filters: []filterView{}, Threshold: thresholdOf(t.Threshold),
		Thresholds: []thresholdView{}, Actions: []actionView{}, Template: templateOf(t.Template),
		CreatedAt: t.CreatedAt.Unix(), CreatedBy: t.CreatedBy, UpdatedAt: t.UpdatedAt.Unix(),
	}
	for _, f := range t.Filters {
		v.Filters = append(v.Filters, filterView{f.ID, f.Operator, theirs(f.ID, f.Values)})
	}
	if v.Threshold != nil {
		v.Thresholds = append(v.Thresholds, *v.Threshold)
	}
	for _, a := range t.Actions {
		view := actionView{ID: a.ID}
		switch {
		case a.ID == trigger.Notify:
			ids := []int64{}
			for _, id := range a.Integrations {
				if n, ok := numbers[id]; ok {
					ids = append(ids, n)
				}
			}
			view.Params.Integrations = &ids
		case a.ID.Lists():
			view.Params.LockTime = &a.LockTime
		}
		v.Actions = append(v.Actions, view)
	}
	return v
}

func thresholdOf(t *trigger.Threshold) *thresholdView {
	if t == nil {
		return nil
	}
	return &thresholdView{Period: t.Period, Operator: moreThan, AllowedOperators: []string{moreThan}, Count: t.Count}
}

// defaultLock is how long the actions of a condition lock an address when nobody says otherwise, in seconds: an hour,
// as the form's first choice (product facts, 4.5).
const defaultLock = 3600

func templateOf(id trigger.TemplateID) templateView {
	t, _ := trigger.Find(id)
	v := templateView{ID: id, Title: t.Title, Filters: []templateFilterView{}, Actions: []actionView{}}
	for _, f := range t.Filters {
		view := templateFilterView{ID: f, Operator: filter.Equal, AllowedOperators: f.Operators()}
		var choices []filter.Value
		for _, c := range f.Rule().Choices {
			choices = append(choices, filter.Value(c.Value))
		}
		view.Values = theirs(f, choices)
		v.Filters = append(v.Filters, view)
	}
	if t.Threshold != nil {
		v.Threshold = thresholdOf(&t.Threshold.Default)
	}
	for _, a := range t.Actions {
		view := actionView{ID: a}
		if a.Lists() {
			lock := int64(defaultLock)
			view.Params.LockTime = &lock
		}
		v.Actions = append(v.Actions, view)
	}
	return v
}
