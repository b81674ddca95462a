package delivery

import (
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
)

// MadeAt is the time that an id of a delivery holds.
func MadeAt(id string) (time.Time, error) {
	parsed, err := ulid.ParseStrict(id)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the id of a delivery: %w", err)
	}
	return parsed.Timestamp().UTC(), nil
}
