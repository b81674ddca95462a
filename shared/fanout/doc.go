// Package fanout makes deliveries of events: Fanout decides which integrations receive which events, and Recovery makes
// up for what an integration missed.
//
// It sends nothing, and it does not count: what events mean to triggers and to reports is asked of package counting.
// The fanout function and the embedded program call Fanout; the Console calls Recovery. What it needs of an engine is
// Store, Inbox and EventLog.
package fanout
