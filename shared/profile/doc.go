// Package profile keeps each person's own notifications: mail to the address of the account, on by default (product facts,
// 5.3). Service is what a person of any role may do with them; Links signs the link by which a mail is unsubscribed from.
//
// A person is known from the moment that a token of theirs is used or that upstream tells of the user (create_user), and
// forgotten when upstream tells that the user was deleted.
package profile
