// Package tables reads and writes the deliveries of an integration where they are: in rows of their own (the tables
// pending, retrying and finished; for lists gathering and merged too) or in blocks. It knows no memory of the process:
// what is leased is package deliveries' affair.
package tables
