package filter

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// ID is what a filter looks at: `id` of the product facts, 4.4. The filter `hint_tag` binds a trigger to a counter
// inside upstream and is not offered: upstream's counts arrive with their URL.
type ID string

// The filters.
const (
	ByURL         ID = "url"
	ByType        ID = "attack_type"
	ByApplication ID = "pool"
	ByIP          ID = "ip_address"
	ByDomain      ID = "domain"
	ByStatus      ID = "response_status"
	ByTarget      ID = "target"
	ByRole        ID = "role" // the facts give it no name
	ByChange      ID = "change_type"
	ByPII         ID = "pii"
	ByDeviation   ID = "deviation_type"
	BySpec        ID = "api_spec_ids"

	// Those of integrations alone: the facts have no such filters.
	ByKind     ID = "kind"
	BySeverity ID = "severity"
	ByCountry  ID = "country"
)

// Operators of a filter.
const (
	Equal    = "eq"
	NotEqual = "ne"
)

// Operators are what the filter takes.
func (id ID) Operators() []string { return []string{Equal, NotEqual} }

// Filter is passed with Equal when one of the values is there, with NotEqual when none is.
type Filter struct {
	ID       ID      `json:"id"`
	Operator string  `json:"operator"`
	Values   []Value `json:"values"`
}

// Value of a filter. JSON may write it as a string or as a whole number.
type Value string

// UnmarshalJSON takes both.
func (v *Value) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err == nil {
		*v = Value(s)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("a filter's value must be a string or a whole number, is %s", b)
	}
	*v = Value(n)
	return nil
}

// MarshalJSON writes a number as a number (facts, 4.4: applications and specifications are integers).
func (v Value) MarshalJSON() ([]byte, error) {
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil && strconv.FormatInt(n, 10) == string(v) {
		return []byte(v), nil
	}
	return json.Marshal(string(v))
}
