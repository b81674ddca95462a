// Package worker drives the attempts at deliveries: which delivery is sent when, how many at once, how fast, and what
// is written after each. Pool leases deliveries from a queue and runs in the embedded program; Handler works at message
// batches and runs in the deliver and retry functions of AWS. Both share the pace of a system, the way in which
// attempts count for the health of an integration, and the writing of outcomes. Sweeper takes up stranded retries.
//
// It makes no request itself: package sending does. What it needs of an engine is Queue, BatchStore, OutcomeWriter and
// Paces.
package worker
