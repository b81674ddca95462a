// Package settingstest is the suites of the stores that people fill: integrations, triggers and what they ask of the
// platform, profiles, and addresses that get no mail. See package enginetest.
package settingstest

import "tocsin/shared/engine/enginetest"

// at is the time of the suites.
var at = enginetest.At
