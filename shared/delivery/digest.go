package delivery

import (
	"strconv"
	"strings"

	"tocsin/shared/destination"
)

// Why the events of a delivery are a digest (Delivery.Digest). The words are kept in rows.
const (
	DigestQuiet = "quiet" // they were held until the end of quiet hours
	DigestMute  = "mute"  // they were held until the end of a mute
	DigestGroup = "group" // the integration asks for one message every so many minutes
	DigestStorm = "storm" // there were more in a minute than anybody reads
)

// Messages is how many messages its events are for the system: one where they are a digest. The runs of Parts are
// counted in them.
func (d *Delivery) Messages() int {
	if d.Digest != "" {
		return min(d.Count, 1)
	}
	return d.Count
}

// DigestUpTo is DigestGroup with how many events one message has at most, as rows keep it: "group/50".
func DigestUpTo(events int) string { return DigestGroup + "/" + strconv.Itoa(events) }

// DigestReason is one of the reasons above, whatever Delivery.Digest says beside it; "" of what is no digest.
func DigestReason(digest string) string {
	reason, _, _ := strings.Cut(digest, "/")
	return reason
}

// mostEvents is how many events deliveries of a kind hold that became one.
func mostEvents(digest string) int {
	_, count, _ := strings.Cut(digest, "/")
	if n, err := strconv.Atoi(count); err == nil && n > 0 {
		return min(n, destination.File.Count)
	}
	return destination.File.Count
}
