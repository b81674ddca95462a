package delivery

import (
	"errors"
	"fmt"
)

// ErrNotFound: the integration has no such delivery.
var ErrNotFound = errors.New("delivery not found")

// ErrNoEntry: a dead letter is in no form that the bus takes. It came there by another way than the bus.
var ErrNoEntry = errors.New("the dead letter is no entry of the bus")

// NotWaitingError names deliveries that could not be settled because they wait nowhere: they have ended, or are kept no
// more. It is an ErrNotFound.
type NotWaitingError struct{ IDs []string }

func (e *NotWaitingError) Error() string {
	return fmt.Sprintf("%d deliveries wait nowhere, the first is %s", len(e.IDs), e.IDs[0])
}

// Is makes it an ErrNotFound.
func (*NotWaitingError) Is(target error) bool { return target == ErrNotFound }
