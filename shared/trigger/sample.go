package trigger

import (
	"encoding/json"
	"fmt"
	"time"

	"tocsin/shared/event"
)

// samples are the data that a preview makes up for conditions without a threshold.
var samples = map[TemplateID]string{
	Denylisted:  `{"ip":"203.0.113.9","application":"default","reason":"Many attacks","expire_at":"%s"}`,
	APIChanged:  `{"application":"default","domain":"api.example.com","endpoint_path":"/v1/orders","http_method":"POST","change_type":"added"}`,
	UserAdded:   `{"user":{"name":"Test User","email":"test.user@example.com","role":"Administrator"},"by":{"name":"Test Administrator","email":"admin@example.com"}}`,
	Compromised: `{"accounts":["test.user@example.com"],"url":"https://app.example.com/login"}`,
	RogueAPI:    `{"api_host":"api.example.com","endpoint_path":"/v1/internal","http_method":"GET","type_of_endpoint":"shadow","specification_name":"Public API"}`,
}

// Preview are the events that the trigger would publish if it went off now, on made-up data.
func Preview(t Trigger, now time.Time) ([]event.Event, error) {
	m, err := compile(t)
	if err != nil {
		return nil, err
	}
	f := firing{client: t.ClientName, now: now, to: now}
	if rule := m.template.Threshold; rule != nil {
		f.step = m.ruler.at(now)
		f.from = now.Add(-time.Duration(t.Threshold.Period) * time.Second)
		if rule.PerSource {
			f.source = "203.0.113.9" // RFC 5737: an address for examples
		}
		_, events := m.react(f)
		return events, nil
	}
	data := samples[t.Template]
	if t.Template == Denylisted {
		data = fmt.Sprintf(data, now.Add(time.Hour).UTC().Format("2006-01-02 15:04:05 -0700"))
	}
	f.event = event.Event{ID: "preview", Tenant: t.Tenant, Data: json.RawMessage(data)}
	_, events := m.react(f)
	return events, nil
}
