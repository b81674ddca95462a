// Package awslocal is the stack without an account, for tests: AWS's own DynamoDB Local, an SQS server and an SES
// server that others wrote, an independent interpreter for the state machine, and the functions' built binaries behind
// the Lambda runtime API, all on loopback and all made of template.yaml. What has no server that others wrote (KMS, the
// bus, the pollers of Lambda) is done here as its documents say. scripts/test-aws installs what it needs.
package awslocal
