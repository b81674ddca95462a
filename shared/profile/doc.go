// Package profile keeps each person's own notifications: mail to the address of the account, on by default (product
// facts, 5.3). Service is what a person of any role may do with them; Links signs the link by which a mail is
// unsubscribed from.
//
// A person is known from the moment that a token of theirs is used or that upstream tells of the user (create_user),
// and forgotten when upstream tells that the user was deleted.
//
// What a person chose is one thing and what the role may see another: the choices are kept as they are, and what is
// sent of them is decided when it is sent (Profile.Told). So a role that was lost takes the mails with it, and one that
// is given back brings them again. A person whose role nobody has told us is sent nothing.
package profile
