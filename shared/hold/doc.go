// Package hold says when what is sent to an integration waits: in quiet hours, which come again, and while somebody has
// muted it, once and for a time. It does no I/O and has no clock: a caller says what time it is.
//
// An integration has rules of its own, and its tenant has rules for all integrations with systems that people read:
// quiet hours are for people's rest, and a log store that lacks a night until the morning is of no use to who looks for
// an attack in it. A machine's system is held by the rules of its integration alone. Of several rules that hold an
// event the first says what becomes of it: an integration's mute, its quiet hours, its tenant's mute, its tenant's
// quiet hours. The event waits until none of them holds it.
//
// Quiet hours begin at the first moment at which the clock of their zone shows their beginning or later, and end at the
// last moment at which it goes past their end. So an hour that does not exist on a day is the moment of the jump, and
// one that comes twice is quiet both times.
package hold
