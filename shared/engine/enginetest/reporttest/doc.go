// Package reporttest is the suites of the daily totals and of the reports that are made of them. See package
// enginetest.
package reporttest

import "tocsin/shared/engine/enginetest"

// at is the time of the suites.
var at = enginetest.At
