// Package browser uses the Console as people do: in Chromium, against the built program with receivers on this machine.
// It adds an integration of each system through its form, watches one fail, filters and replays, and has axe-core judge
// every view in both themes, languages and sizes. It is a module of its own, so that the browser's driver stays out of
// the program's; `make test-browser` installs the browser and axe-core and runs it. Screenshots of every view are left
// in var/browser.
package browser
