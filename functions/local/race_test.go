//go:build race

package main_test

// The program is a process of its own: a detector in the test would see none of it.
func init() { detector = []string{"-race"} }
