package delivery

import (
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
)

// Ids of deliveries and of dead letters are ULIDs: a time in milliseconds, then 10 bytes that make it unique. They sort
// by their time.

// DerivedID makes an id of a time and a digest of at least 10 bytes: the same input makes the same id, so that what is
// done twice makes one thing.
func DerivedID(at time.Time, digest []byte) string {
	var id ulid.ULID
	copy(id[6:], digest)
	// Only a time before 1970 or after the year 10889 is refused.
	_ = id.SetTime(uint64(max(0, at.UnixMilli())))
	return id.String()
}

// MadeAt is the time that an id holds.
func MadeAt(id string) (time.Time, error) {
	parsed, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the id of a delivery: %w", err)
	}
	return parsed.Timestamp().UTC(), nil
}

// LeastID sorts before every id, GreatestID after every id.
const LeastID, GreatestID = "0", "~"

// FirstID sorts before every id of the time or later; the zero time comes before all.
func FirstID(at time.Time) string {
	if at.IsZero() || at.UnixMilli() <= 0 {
		return LeastID
	}
	var id ulid.ULID
	if id.SetTime(uint64(at.UnixMilli())) != nil {
		return GreatestID
	}
	return id.String()
}
