// Package worker drives the attempts at deliveries. It decides which delivery is sent when, how many at once and how
// fast, and it writes what became of each. It makes no request itself: package sending does.
//
// There are two workers. Pool leases deliveries from a queue, waits in memory, and runs in the embedded program.
// Handler works at message batches, hands back to its queue what has to wait, and runs in the deliver and retry
// functions of AWS. Sweeper takes up retries that no execution works at.
//
// An attempt goes this way in both. The worker takes a delivery from its engine (Queue or BatchStore) and opens its
// integration (sending.TargetCache). It asks the limiter for a place and waits until the pace of the system lets the
// request begin. Then sending.Sender encodes the events, authorizes the requests, sends them and judges the answers.
// The limiter learns from the result. The worker settles the delivery in its new state (OutcomeWriter) and counts the
// attempt for the health of its integration, which may disable it.
//
// Both workers ask one limiter and one counting, so the same answers make requests begin at the same times and count
// alike. Three things differ. A Handler books several requests of a slowed system at a time, because each booking is a
// write to a row that all processes share. A Handler does not narrow to two requests after a failure, because nobody
// else waits for its places and its time is paid for. What a Handler can not count is not counted later, because its
// outcomes are written by then; a Pool counts again until it succeeds.
//
// What the workers need of an engine is Queue, BatchStore, OutcomeWriter, RetryStarter and Paces.
package worker
