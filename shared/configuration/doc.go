// Package configuration is what administrators set, as a document that people keep in a repository: integrations,
// triggers and the settings of reports. It reads and writes the document, compares it with what an account has, and
// plans what makes the account like it. It does no I/O: package client speaks to the API.
//
// # Decisions
//
// Names are keys. The API knows objects by their ids, which another installation does not have; so a document names an
// object, and two objects of one kind with one name can not be in one. A new name is told from a new object by `was`,
// which counts only as long as there is no object of the new name: a document that was applied can keep it.
//
// The document is the whole of an object that it names: a parameter that it leaves out has its default, a filter that
// it leaves out is removed. Two things that it leaves out stay as they are: secrets, which an export can not tell, and
// whether the object is enabled, which the platform and people change by day. A section that it leaves out is not
// looked at; an object that it leaves out stays, unless who applies it asks for pruning.
//
// What a person chose for themselves, such as notifications and their language, is not in it: it belongs to the person,
// and no administrator sets it.
//
// Secrets are write-only in the API, so nobody can compare them from outside. A comparison says so. Applying sends each
// secret that is given, and the service tells by the revision whether it was another one: an update that changes
// nothing leaves it as it is.
package configuration
