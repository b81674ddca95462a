// Package destination is the seam between Tocsin and a system of the customer's: what a system is, which
// parameters it takes, how notifications become its requests and how its answers are judged. Each system lives
// in a folder of its own below this one; package catalogue lists them all.
//
// A destination does no I/O and keeps no state. The parameters of a system are a Go struct with tags; its JSON
// Schema is made from the tags and the same schema validates what an administrator sends, so the form, the API
// and the code can not drift apart.
package destination
