// Package chaos holds the chaos test of the distributed engine (make test-aws-chaos): see chaos_test.go.
package chaos
