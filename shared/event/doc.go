// Package event holds what the platform publishes: the kinds of event, the shape of each kind's data, and the
// rule that reads one from the bus. A kind is the `notification_type` of the product facts (section 1.8) and
// travels as the bus's detail-type; a Type is what an integration subscribes to (section 1.5).
//
// The envelope of an event is strict (an unknown member is an error: a new member means a new version), its data
// is not: members that this package does not know travel on to the receivers untouched.
package event
