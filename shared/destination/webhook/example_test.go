package webhook_test

import (
	"encoding/json"
	"fmt"
	"time"

	"tocsin/shared/destination"
	"tocsin/shared/destination/webhook"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

// A destination makes the requests of a delivery and judges the answers. It sends nothing itself.
func Example() {
	hook := webhook.New()
	complete, err := hook.System().Parameters.Complete([]byte(`{"url":"https://hooks.example.com/in"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	parameters, err := hook.System().Parameters.Open(complete)
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := event.Parse("vuln", []byte(`{"version":1,"id":"evt-7","tenant":"42","client_name":"Acme",
		"time":"2023-03-01T00:00:00Z","data":{"vuln":{"threat":"High","title":"Reflected XSS"}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	requests, err := hook.Encode(destination.Target{
		Parameters: parameters, Delivery: "01GTD8R4000000000000000001", Now: time.Unix(1677628800, 0),
	}, []notification.Notification{{Event: e, Platform: notification.Platform{Name: "Tocsin", Cloud: "EU"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range requests {
		fmt.Println(r.Method, r.URL, r.Header.Get("Webhook-Id"))
		var envelopes []struct{ Summary string }
		fmt.Println(json.Unmarshal(r.Body, &envelopes), envelopes)
	}
	fmt.Println(hook.Judge(destination.Response{Status: 204}).Delivered)
	fmt.Println(hook.Judge(destination.Response{Status: 404}).Reason)
	// Output:
	// POST https://hooks.example.com/in 01GTD8R4000000000000000001
	// <nil> [{[Tocsin] New vulnerability detected}]
	// true
	// answered 404 Not Found: nothing is at this address: check the URL
}
