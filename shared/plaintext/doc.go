// Package plaintext prepares text from outside for the people who read it: in messages, mails, reports and tables. It
// leaves what a text says and takes out what would make it look like something else: line breaks that begin a line of
// their own, characters that turn the direction of writing (Unicode Standard Annex #9), characters that nobody sees
// (Default_Ignorable_Code_Point of the Unicode Character Database), control characters. It also decides what a link is.
//
// What machines read keeps every character: see package ijson.
package plaintext
