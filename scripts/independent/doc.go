// Package independent decodes what the destinations send with the vendors' own libraries, strictly: a member that a
// vendor does not know, or a type that is not the vendor's, fails here. It is a module of its own, so that those
// libraries stay out of the functions' module; `make test-independent` runs it. Datadog's library, which takes minutes
// to compile, has a module of its own below.
package independent
