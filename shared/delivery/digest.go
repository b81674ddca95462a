package delivery

import (
	"strconv"
	"strings"
	"time"

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

// DigestUpTo is DigestGroup with how many events one message has at most, as rows keep it: "group/50", or
// "group/50/60m" where the message gathers for longer than a file does.
func DigestUpTo(events int, every time.Duration) string {
	return lasting(DigestGroup+"/"+strconv.Itoa(events), every)
}

// DigestStormOf is DigestStorm of an integration whose events are grouped by a time, as rows keep it: "storm", or
// "storm//60m".
func DigestStormOf(every time.Duration) string {
	if every > destination.File.Every {
		return lasting(DigestStorm+"/", every)
	}
	return DigestStorm
}

func lasting(digest string, every time.Duration) string {
	if every > destination.File.Every {
		digest += "/" + strconv.Itoa(int(every/time.Minute)) + "m"
	}
	return digest
}

// DigestSpan is the time that a message gathers for, where a digest says one: it is longer than a file's. Engines look
// for what waits for the same message as far back as that, and else as far as destination.File.Every.
func DigestSpan(digest string) time.Duration {
	parts := strings.Split(digest, "/")
	minutes, err := strconv.Atoi(strings.TrimSuffix(parts[len(parts)-1], "m"))
	if len(parts) < 3 || err != nil {
		return 0
	}
	return time.Duration(minutes) * time.Minute
}

// DigestReason is one of the reasons above, whatever Delivery.Digest says beside it; "" of what is no digest.
func DigestReason(digest string) string {
	reason, _, _ := strings.Cut(digest, "/")
	return reason
}

// mostEvents is how many events deliveries of a kind hold that became one.
func mostEvents(digest string) int {
	_, count, _ := strings.Cut(digest, "/")
	count, _, _ = strings.Cut(count, "/")
	if n, err := strconv.Atoi(count); err == nil && n > 0 {
		return min(n, destination.File.Count)
	}
	return destination.File.Count
}
