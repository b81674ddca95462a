package reachability

import (
	"errors"
	"net/url"

	"tocsin/shared/destination"
)

// Lost is the host that an error says could not be reached for a reason that can be our own, "" for every other error.
func Lost(err error, q destination.Request) string {
	var ours interface{ MaybeOurs() bool }
	if q.Mail != nil || !errors.As(err, &ours) || !ours.MaybeOurs() {
		return ""
	}
	if u, err := url.Parse(q.URL); err == nil {
		return u.Host
	}
	return ""
}

// Unsent is the verdict on a request that got no answer. What is certainly the deployment's own fault is to count
// against nobody, however few integrations it meets.
func Unsent(err error) destination.Verdict {
	var ours interface{ CertainlyOurs() bool }
	return destination.Verdict{Reason: err.Error(), Ours: errors.As(err, &ours) && ours.CertainlyOurs()}
}
