// Package eventids knows the ids of the events that count: an id counts once for its tenant, for as long as its event
// is kept.
//
// Ids are as good as random. In an index by id each new one would be written to a page of its own, 4 KiB for some ten
// bytes, and be looked up in another. So a digest of 8 bytes is kept in the order of the events: the index falls into
// parts of 16,384 events, of which only the newest grows, some 60 pages. What tells a new id from a repeat is a filter
// in memory, 2 bytes an event, in generations of a million events. It answers "never seen" for all but one in about
// 1,000 that are new; for the others, and for repeats, the parts of the generation that may have it are looked through,
// and the event is read: a digest that two ids share makes neither the other's repeat.
package eventids
