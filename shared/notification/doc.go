// Package notification turns an event into what receivers read: the envelope of the product facts (section 1.6)
// for machines, and a summary, facts, severity and link for people. It knows no receiving system: limits and
// escaping belong to the destinations.
package notification
