// Package waiting counts the deliveries that wait, integration by integration, in their tables.
package waiting
