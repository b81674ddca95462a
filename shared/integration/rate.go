package integration

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate bounds what goes to an integration's system: "10/minute" is at most ten messages a minute, one every six
// seconds. A message is a request that carries one event, or a batch where the system takes those; a delivery that
// travels as several requests counts once. What is beyond it waits. "" = as fast as the system takes it.
type Rate string

// MaxRate is how many messages a Rate has at most.
const MaxRate = 1000

var ratePeriods = map[string]time.Duration{"second": time.Second, "minute": time.Minute}

// Every is the time from the beginning of one message to that of the next: from a millisecond to a minute, and 0
// without a bound.
func (r Rate) Every() time.Duration {
	n, per, ok := r.parts()
	if !ok {
		return 0
	}
	return per / time.Duration(n)
}

func (r Rate) parts() (n int, per time.Duration, ok bool) {
	count, name, _ := strings.Cut(string(r), "/")
	n, err := strconv.Atoi(count)
	per = ratePeriods[name]
	return n, per, err == nil && n >= 1 && n <= MaxRate && per > 0 && strconv.Itoa(n) == count
}

func checkRate(r Rate) InvalidError {
	if _, _, ok := r.parts(); ok || r == "" {
		return nil
	}
	return InvalidError{{Field: "rate", Reason: fmt.Sprintf(
		"must be a whole number from 1 to %d, and second or minute, such as 10/minute; or empty", MaxRate)}}
}
