// Package egress is the one way out to customers' systems. It decides, for every request alike: https only; never
// a redirect; never a private, loopback, link-local, multicast or metadata address, judged on the address that is
// dialled and not on the name; deadlines; how much of an answer is read. What goes wrong becomes a sentence for
// an administrator that names host and port at most, because the rest of an address can be a secret.
package egress
