// Package trigger watches the events of a tenant for what its administrators want to know or act on (product facts,
// section 4): a condition, filters that narrow it, and reactions.
//
// Fan-out hands each batch to an Evaluator. What it finds becomes events on the bus, written in the transaction that
// accepts the batch: one for the chosen integrations, which is then delivered as any other, and commands for upstream,
// since Tocsin owns no traffic.
//
// A threshold is a sliding window over the times of events. A trigger fires when more than N events lie within one
// period. It fires at most once in a period. An event that is older than a period when it comes is too late. Up to
// a threshold of 2,047 (511 where sources are counted apart) times count to the millisecond, beyond that to a part of
// the period. The state of a trigger is one small document (see window), read and replaced once for a batch under its
// version, in the transaction that makes the batch's events known: concurrent workers exclude one another and an event
// counts once, on both engines, by the same code. Counters that the database adds up would save the read and cost the
// rest: an event that comes again after a crash would count twice, and different payloads can not be added up.
package trigger
