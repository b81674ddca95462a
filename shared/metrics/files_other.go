//go:build !unix

package metrics

// maxFiles is not known.
func maxFiles(*Gathering) {}
