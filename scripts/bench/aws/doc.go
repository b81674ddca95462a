// Package aws measures the distributed engine in virtual time (make bench-aws): see bench_test.go.
package aws
