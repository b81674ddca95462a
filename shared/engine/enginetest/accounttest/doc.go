// Package accounttest is the contract suites of what lets people and programs in. See package enginetest.
package accounttest
