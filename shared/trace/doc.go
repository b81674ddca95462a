// Package trace tells where the time of one event goes, as spans of OpenTelemetry: the call that published it, its wait
// for fan-out, fan-out, and each attempt at each of its deliveries.
//
// What links the processes is one short text that is kept with an event (Parent): whose child its first span is, or
// that nobody follows it. All other ids are digests of ids that are kept anyway, so that fan-out, a worker and a retry
// an hour later in another process know one another's spans without a further write. A step that is done twice after a
// crash makes the same span twice.
//
// A nil *Tracer follows nothing and costs a comparison.
//
// The SDK of OpenTelemetry is not used. It would not know spans whose ids are derived, and would add 1.1 MB to a binary
// that may have 40; with its exporter for OTLP over HTTP it is 5.0 MB (protocol buffers by reflection, gRPC). What is
// written is small: see otlp.go. OpenTelemetry's own definitions judge it in the tests.
//
// No attribute holds a secret, an address, a payload or a word of an answer.
package trace
