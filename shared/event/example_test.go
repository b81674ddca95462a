package event_test

import (
	"errors"
	"fmt"

	"tocsin/shared/event"
)

// A detail-type and a detail of the bus become an event, or an error that names the member at fault.
func ExampleParse() {
	e, err := event.Parse("vuln", []byte(`{"version":1,"id":"evt-7","tenant":"42","client_name":"Acme",
		"time":"2023-03-01T00:00:00Z","data":{"vuln":{"threat":"High","title":"Reflected XSS"}}}`))
	fmt.Println(e.Kind, e.ID, event.Data[event.VulnData](e).Vuln.Threat, err)

	_, err = event.Parse("vuln", []byte(`{"version":1,"id":"evt-8","tenant":"42","client_name":"Acme",
		"time":"2023-03-01T00:00:00Z","data":{"vuln":{"threat":"Severe"}}}`))
	var invalid *event.InvalidError
	if errors.As(err, &invalid) {
		fmt.Println(invalid.Field + ": " + invalid.Reason)
	}
	// Output:
	// vuln evt-7 High <nil>
	// data.vuln.threat: must be High, Medium or Low, is "Severe"
}
