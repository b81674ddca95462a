// Package aws is the distributed engine: the domain's interfaces on DynamoDB, SQS, Step Functions, EventBridge, SES and
// KMS. It passes the contract suites of enginetest.
//
// The life of a delivery here: fan-out writes its row (pending), then the rows of its events, then a message of the
// deliveries queue that names up to 99 deliveries of one integration (delivery.Parcel). The deliver function loads the
// rows and sends; what fails first is claimed by a retry batch in one transaction with the batch's record, and an
// execution of the state machine is started under the batch's id. An event's row names the deliveries that it went
// into, so that a fan-out which broke off half way is taken up again, not composed anew, when its message comes again.
//
// A delivery that gathers (delivery.Join) is a row with a due time, and its message is delayed until then. Whichever of a
// span's messages comes first joins all of the span's rows; each row that is left then has a message of its own.
//
// What events add to reports is written with them and folded into days later: see Record. A schedule finds what is due in
// a sparse index (Reports) and sends a job for each recipient to a queue (ReportJobs), whose function makes the report and
// publishes its event.
//
// Every table of things that pass has a TTL attribute, `expires` (epoch seconds). DynamoDB deletes lazily, so expired rows are left out
// when they are read.
package aws
