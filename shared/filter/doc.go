// Package filter has the language in which a person says which events a thing is about: the conditions of triggers and
// what an integration receives are narrowed by the same filters.
package filter
