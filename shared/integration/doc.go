// Package integration holds what a tenant has set up: an integration names a system, its parameters, and the
// event types it subscribes to. Service makes every change: it validates against the system, seals the secrets,
// refuses addresses that the egress policy forbids, and announces the change as a system event, which the store
// records in the same step as the change itself.
package integration
