// Package eventids knows the ids of the events that count: an id counts once for its tenant, for as long as its event
// is kept.
//
// Ids are as good as random. In an index by id each new one would be written to a page of its own, 4 KiB for some ten
// bytes, and be looked up in another. So a digest of 8 bytes is kept in the order of the events: a row for each
// fan-out, and one for each part of 16,384 events that is complete.
//
// What tells a new id from a repeat is in memory, 2.75 bytes an event, for each generation of a million events. The
// first filter answers "never seen" for all but one in about 100 that are new. The second says for the others, and for
// repeats, which of the generation's 64 parts may have it. Those are looked through, and the event is read: a digest
// that two ids share makes neither the other's repeat, and an event that is removed is no repeat's either.
package eventids
