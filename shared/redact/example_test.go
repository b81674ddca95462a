package redact_test

import (
	"fmt"

	"tocsin/shared/redact"
)

// A secret is masked however the receiver wrote it.
func ExampleRedactor_Text() {
	r := redact.New("s3cr3t&token=1")
	fmt.Println(r.Text("no such hook: s3cr3t&token=1"))
	fmt.Println(r.Text("no such hook: s3cr3t%26token%3D1"))
	fmt.Println(r.Text(`{"error":"bad token s3cr3t\u0026token=1"}`))
	// Output:
	// no such hook: ********
	// no such hook: ********
	// {"error":"bad token ********"}
}
