// Package aws is the distributed engine: the domain's interfaces on DynamoDB, SQS, Step Functions, EventBridge, SES and
// KMS, in packages by subject. It passes the contract suites of enginetest, whose tests stand here because they need
// several of the packages.
//
// The life of a delivery: fan-out claims the events of a tenant's batch, each by inserting the row of its key
// (intakes), and commits an intake with one conditional write (accept): a row that holds the events, packed, and the
// deliveries that they go into. From that row the deliveries' rows are made, and then the messages of the deliveries
// queue (deliveries), each of which names up to 99 deliveries of one integration. The deliver function (handlers) loads
// the rows and sends. What fails first is claimed by a retry batch, in one transaction with the batch's row, and an
// execution of the state machine is started under the batch's id (stepfunctions). What breaks off is finished by a
// sweeper each minute (accept), which goes by a marker that was written before (outbox). A marker stays until its
// deliveries are pending no more.
//
// What events mean to triggers and add to reports is counted apart (counts): one transaction changes the states of
// triggers (settings), and adds an entry to the journal of daily totals, which is compacted into days (dailytotals). A
// schedule finds the reports that are due and sends a job for each recipient to a queue (reports).
//
// Every table of things that pass has a TTL attribute, `expires` (epoch seconds). DynamoDB deletes lazily, so expired
// rows are left out when they are read. docs/tables.md lists all tables and kinds of rows.
package aws
