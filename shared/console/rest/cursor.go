package rest

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// A List is one of the paged answers. A cursor names its list, so that it is refused at another.
type List string

// Of a cursor, in bytes.
const (
	cursorSum   = 6       // of a digest: it finds what was cut off or typed over; it keeps no secret, and needs none
	maxCursorID = 5 << 10 // ids of ours have 26, addresses up to 254; a place in an export names keys
)

// MakeCursor hides an id of a list: callers hand it back and read nothing into it.
func MakeCursor(l List, tenant, id string) string {
	return base64.RawURLEncoding.EncodeToString(append(sum(l, tenant, id), id...))
}

// OpenCursor returns the id in a cursor that was made for the list and the tenant; "" for none.
func OpenCursor(l List, tenant, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil && len(raw) > cursorSum && len(raw) <= cursorSum+maxCursorID {
		if id := string(raw[cursorSum:]); string(sum(l, tenant, id)) == string(raw[:cursorSum]) {
			return id, nil
		}
	}
	return "", NewProblem(http.StatusBadRequest, "the cursor is not one of this list: begin again without it",
		Fault("cursor", "is not one of this list"))
}

func sum(l List, tenant, id string) []byte {
	d := sha256.Sum256([]byte(strings.Join([]string{string(l), tenant, id}, "\x00")))
	return d[:cursorSum]
}
