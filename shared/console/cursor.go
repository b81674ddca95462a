package console

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// A list is one of the paged answers. A cursor names its list, so that it is refused at another.
type list string

const (
	integrationList list = "integrations"
	deliveryList    list = "deliveries"
	replayList      list = "replay"
	mailList        list = "mails"
	deadLetterList  list = "dead letters"
	commandList     list = "commands"
	blockList       list = "blocked addresses"
	recoverList     list = "recover"
	outcomeList     list = "mails to a person"
	peopleList      list = "people"
)

// Of a cursor, in bytes.
const (
	cursorSum   = 6   // of a digest: it finds what was cut off or typed over; it keeps no secret, and needs none
	maxCursorID = 254 // ids of ours have 26, addresses up to this
)

// makeCursor hides an id of a list: callers hand it back and read nothing into it.
func makeCursor(l list, tenant, id string) string {
	return base64.RawURLEncoding.EncodeToString(append(sum(l, tenant, id), id...))
}

// openCursor returns the id in a cursor that was made for the list and the tenant; "" for none.
func openCursor(l list, tenant, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil && len(raw) > cursorSum && len(raw) <= cursorSum+maxCursorID {
		if id := string(raw[cursorSum:]); string(sum(l, tenant, id)) == string(raw[:cursorSum]) {
			return id, nil
		}
	}
	return "", problem(http.StatusBadRequest, "the cursor is not one of this list: begin again without it",
		fault("cursor", "is not one of this list"))
}

func sum(l list, tenant, id string) []byte {
	d := sha256.Sum256([]byte(strings.Join([]string{string(l), tenant, id}, "\x00")))
	return d[:cursorSum]
}
