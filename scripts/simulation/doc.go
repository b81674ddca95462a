// Package simulation runs what the embedded program is made of through twelve hours of faults in a minute: a thousand
// integrations on the real engine, in a time that is not real. It has only tests.
package simulation
