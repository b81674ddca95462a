package plaintext_test

import (
	"fmt"

	"tocsin/shared/plaintext"
)

// A line break and a character that turns the direction of writing are made visible, or go.
func ExampleLine() {
	fmt.Println(plaintext.Line("Shop\r\nSubject: you won"))
	fmt.Println(plaintext.Line("invoice\u202efdp.exe"))
	// Output:
	// Shop ⏎ Subject: you won
	// invoicefdp.exe
}

func ExampleLink() {
	fmt.Println(plaintext.Link("https://例え.example/検索"))
	fmt.Printf("%q\n", plaintext.Link("javascript:alert(1)"))
	// Output:
	// https://xn--r8jz45g.example/%E6%A4%9C%E7%B4%A2
	// ""
}
