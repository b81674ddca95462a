package telegram

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"tocsin/shared/destination"
)

// answer is what the Bot API says. Telegram, Bot API, "Making requests" and "ResponseParameters".
type answer struct {
	OK          bool
	Code        int
	Description string
	RetryAfter  int // seconds
	MigrateTo   int64
}

// read finds the members of an answer. Its end may be missing: a success echoes the whole message, and only the first
// bytes of an answer are kept. ok is false when it is no answer of the Bot API.
func read(body []byte) (a answer, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return a, false
	}
	for {
		name, err := dec.Token()
		if err != nil {
			return a, ok
		}
		var into any
		var parameters struct {
			RetryAfter int   `json:"retry_after"`
			MigrateTo  int64 `json:"migrate_to_chat_id"`
		}
		switch name {
		case "ok":
			into = &a.OK
		case "error_code":
			into = &a.Code
		case "description":
			into = &a.Description
		case "parameters":
			into = &parameters
		default:
			into = &json.RawMessage{}
		}
		if dec.Decode(into) != nil {
			return a, ok
		}
		ok = ok || name == "ok"
		if name == "parameters" {
			a.RetryAfter, a.MigrateTo = parameters.RetryAfter, parameters.MigrateTo
		}
	}
}

// reasons explain Telegram's words; a description holds one of them. The first that is found counts.
var reasons = []struct{ words, reason string }{
	{"can't parse entities", "Telegram could not read the message"},
	{"message is too long", "Telegram found the message too long"},
	{"chat not found", "the chat is gone, or the bot never was in it: bind the chat again"},
	{"bot was kicked", "the bot was removed from the chat: add it to the chat again, or bind another chat"},
	{"bot is not a member", "the bot is not in the chat any more: add it again, or bind another chat"},
	{"bot was blocked", "the person blocked the bot: unblock it in Telegram, or bind another chat"},
	{"user is deactivated", "the person's Telegram account is gone: bind another chat"},
	{"group chat was deactivated", "the group was deleted: bind another chat"},
	{"can't initiate conversation", "the person has to start the bot first: bind the chat again"},
	{"chat_write_forbidden", "the bot may not write in this chat: give it the right to send messages"},
	{"not enough rights", "the bot may not write in this chat: give it the right to send messages"},
	{"topic_closed", "the topic is closed: open it again"},
	{"unauthorized", "the bot's token is not valid any more: the operator of this deployment must configure the new one"},
}

// Judge takes `ok: true` for a success, whatever the status says besides.
func (Destination) Judge(r destination.Response) destination.Verdict {
	a, ok := read(r.Body)
	success := r.Status >= 200 && r.Status <= 299
	switch {
	case ok && a.OK && success:
		return destination.Delivered()
	case !ok && success && r.Broken:
		return destination.BrokenOff(r, "Telegram")
	case !ok && success:
		return destination.Failed(r, "answered "+destination.StatusText(r.Status)+" in words that are not the Bot API's: something else answers at this address")
	case !ok:
		return destination.JudgeStatus(r, map[int]string{404: "no Bot API is at this address, or the bot's token is not valid: the operator of this deployment must check both"})
	}
	if a.Code == 0 {
		a.Code = r.Status
	}
	v := destination.Failed(r, "Telegram answered "+destination.StatusText(a.Code)+": "+explain(a))
	v.RetryAfter = max(v.RetryAfter, time.Duration(max(0, a.RetryAfter))*time.Second)
	if a.MigrateTo != 0 {
		v.Adapt = Moved(a.MigrateTo)
	}
	return v
}

func explain(a answer) string {
	said := destination.Cut(destination.Printable(strings.TrimPrefix(a.Description, http.StatusText(a.Code)+": ")), 300)
	switch {
	case a.MigrateTo != 0:
		return "the group became a supergroup, and the integration follows it: send again"
	case a.Code == http.StatusTooManyRequests:
		return said + ": a group takes about 20 messages a minute, a chat one a second"
	}
	for _, r := range reasons {
		if strings.Contains(strings.ToLower(a.Description), r.words) {
			return said + ": " + r.reason
		}
	}
	return said
}

// Moved is the change of the parameters of an integration whose group became the supergroup with the id given.
func Moved(to int64) json.RawMessage {
	change, err := json.Marshal(map[string]any{"chat_id": to, "chat_type": "supergroup", "removed_at": nil})
	if err != nil {
		panic(err) // numbers and texts always encode
	}
	return change
}
