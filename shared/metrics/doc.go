// Package metrics names what Tocsin counts of itself, each once, and keeps and writes it.
//
// Whoever does the work adds what one batch of it came to (Batch) to a Sink: never one delivery at a time. On one
// machine the Sink is a Registry, which Prometheus reads; on AWS it is the line that a function writes for CloudWatch.
//
// The three formats are written here and not by Prometheus' own library: that one would add 4.6 MB to a binary that may
// have 40 (protocol buffers by reflection, mostly), and what is written is small. Its decoder, and a Prometheus, judge
// what is written in the tests.
//
// A label has one of a few values that are known beforehand: a system of the catalogue, a cause. Any other becomes
// Other. No tenant, no address and no word of an answer is in a label, so that the number of series is bounded and none
// has a secret.
package metrics
