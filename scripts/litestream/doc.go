// Package litestream tries docs/continuous-copies.md with the real program: Litestream, with the configuration of that
// page, copies the state of a running Tocsin into an S3 server that is not ours (moto); both are killed, and what the
// bucket has is restored and goes on.
//
// The test needs the build tag litestream; `make test-litestream` installs what it needs and starts it.
package litestream
