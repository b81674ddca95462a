// Package people is the stores of profiles in the state file, of the addresses that get no mail, and of the mails of a
// machine without a mail server. See package sqlite.
package people
