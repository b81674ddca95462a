// Package aws is the distributed engine: the domain's interfaces on DynamoDB, SQS, Step Functions, EventBridge, SES
// and KMS. It passes the contract suites of enginetest.
//
// The life of a delivery here: fan-out claims the events of a tenant's batch, each by inserting the row of its key,
// and commits an intake with one conditional write: a row that holds the events, packed, and the deliveries that they
// go into. From that row, which is an outbox, the deliveries' rows are made (pending), then the messages of the
// deliveries queue, each of which names up to 99 deliveries of one integration (worker.MessageBatch). The deliver
// function loads the rows and sends; what fails first is claimed by a retry batch in one transaction with the batch's
// record, and an execution of the state machine is started under the batch's id. Whatever breaks off on the way is
// finished by a sweeper each minute, which goes by a marker that was written before; a marker stays until the
// deliveries are pending no more. See intake.go, claims.go, outbox.go.
//
// A delivery that gathers (delivery.Join) is a row with a due time. The rows of one span of the clock have one
// message, which is delayed until the span is over; opening it joins the rows. See gather.go.
//
// Rows have a version in the attribute v: see rows.go.
//
// What events add to reports is written with them and folded into days later: see Record. A schedule finds what is
// due in a sparse index (Reports) and sends a job for each recipient to a queue (ReportJobs), whose function makes
// the report and publishes its event.
//
// Every table of things that pass has a TTL attribute, `expires` (epoch seconds). DynamoDB deletes lazily, so expired
// rows are left out when they are read.
package aws
