package rest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"tocsin/shared/integration"
	"tocsin/shared/report"
	"tocsin/shared/trigger"
)

// MakeETag makes the ETag of a revision.
func MakeETag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// OpenETag reads an If-Match; "" and * take any revision, which is 0. A proxy that compresses answers may have made
// the ETag weak: it is taken as it was.
func OpenETag(s string) (int64, error) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "W/")
	if s == "" || s == "*" {
		return 0, nil
	}
	bare, opened := strings.CutPrefix(s, `"`)
	bare, closed := strings.CutSuffix(bare, `"`)
	n, err := strconv.ParseInt(bare, 10, 64)
	if !opened || !closed || err != nil || n < 1 {
		// An ETag that we never made matches nothing (RFC 9110, 13.1.1).
		return 0, NewProblem(http.StatusPreconditionFailed, "If-Match is not an ETag of ours: read it again")
	}
	return n, nil
}

// conflictTries is how often a change without If-Match is tried. Each try loses to a change that another one made, so
// only a storm of changes to one thing uses them up.
const conflictTries = 5

// UnlessChanged makes a change on the condition of an If-Match. Without one the last change wins: a change that comes
// between our reading and our writing is no reason to refuse, so the change is made again on top of it.
func (s Kit) UnlessChanged(ctx context.Context, ifMatch string, change func(revision int64) error) error {
	revision, err := OpenETag(ifMatch)
	if err != nil {
		return err
	}
	for range conflictTries {
		err = change(revision)
		if revision != 0 || ctx.Err() != nil || !errors.Is(err, integration.ErrConflict) &&
			!errors.Is(err, trigger.ErrConflict) && !errors.Is(err, report.ErrConflict) {
			return s.Answer(ctx, err)
		}
	}
	return NewProblem(http.StatusConflict, "it is being changed by others all the time: try again")
}
