// Package datadog decodes what the Datadog destination sends with Datadog's own library. It is a module of its own:
// that library takes minutes to compile.
package datadog
