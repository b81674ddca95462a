// Package sim runs the distributed engine's own code on models of AWS whose clock is virtual: inside a bubble of
// testing/synctest waits cost nothing, and what the local servers take is no time at all.
//
// DynamoDB is DynamoDB Local, reached without a goroutine in the background, because a goroutine that waits for the
// network keeps the bubble's clock from moving: so a call takes as long as the model says, however slow the machine is.
// SQS, Step Functions and EventBridge are models in this package. They do all that the services' documents allow:
// messages that come twice, late, in another order and in other company; a redrive that gives new ids; a purge;
// executions that are stopped, and tasks that are called again.
//
// A Sandbox is an execution environment of a function: it makes one invocation at a time, its clock may be wrong, and a
// fault can end it at any call. From then on nothing that its code does has an effect, so that the code's own clean-up,
// which a real crash would not run, does not help it.
package sim
