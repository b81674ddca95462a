package telegram

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"tocsin/shared/destination"
)

// answer is what the Bot API says. Telegram, Bot API, "Making requests" and "ResponseParameters".
type answer struct {
	OK          bool
	Code        int
	Description string
	RetryAfter  json.Number // seconds
	MigrateTo   int64
	Made        bool // the result is a message with an id
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
			RetryAfter json.Number `json:"retry_after"`
			MigrateTo  int64       `json:"migrate_to_chat_id"`
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
		case "result":
			if a.Made = made(dec, ok && a.OK); a.Made && ok && a.OK {
				return a, true
			}
			continue
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

// made looks for the id of a message in the result, and reads no further than to it when that is all that is left to
// know. Telegram, Bot API, "Message": message_id is the first member.
func made(dec *json.Decoder, last bool) (found bool) {
	for depth := 0; ; {
		t, err := dec.Token()
		if err != nil {
			return found
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		case "message_id":
			if depth == 1 {
				id, err := dec.Token()
				n, ok := id.(float64)
				if found = err == nil && ok && n > 0; found && last {
					return true
				}
			}
		}
		if depth == 0 {
			return found
		}
	}
}

// reason explains words of Telegram's.
type reason struct {
	words, reason string
	gone, unread  bool
}

// reasons explain Telegram's words; a description holds one of them. The first that is found counts.
var reasons = []reason{
	{"can't parse entities", "Telegram could not read the message", false, true},
	{"message is too long", "Telegram found the message too long", false, true},
	{"caption is too long", "Telegram found the text beside the file too long", false, true},
	{"message text is empty", "Telegram found no text in the message", false, true},
	{"text must be encoded in utf-8", "Telegram could not read the message", false, true},
	{"file is too big", "Telegram found the file too large", false, true},
	{"request entity too large", "Telegram found the file too large", false, true},
	{"file must be non-empty", "Telegram found the file empty", false, true},
	{"chat not found", "the chat is gone, or the bot never was in it: bind the chat again", true, false},
	{"bot was kicked", "the bot was removed from the chat: add it to the chat again, or bind another chat", true,
		false},
	{"bot is not a member", "the bot is not in the chat any more: add it again, or bind another chat", true, false},
	{"bot was blocked", "the person blocked the bot: unblock it in Telegram, or bind another chat", true, false},
	{"user is deactivated", "the person's Telegram account is gone: bind another chat", true, false},
	{"group chat was deactivated", "the group was deleted: bind another chat", true, false},
	{"group chat was deleted", "the group was deleted: bind another chat", true, false},
	{"channel_private",
		"the bot was removed from the chat, or the chat is gone: add it to the chat again, or bind another chat", true,
		false},
	{"peer_id_invalid", "the chat is gone, or the person never started the bot: bind the chat again", true, false},
	{"can't initiate conversation", "the person has to start the bot first: bind the chat again", false, false},
	{"bots can't send messages to bots", "this chat is another bot: bind a person's chat or a group", true, false},
	{"chat_write_forbidden", "the bot may not write in this chat: give it the right to send messages", false, false},
	{"not enough rights", "the bot may not write in this chat: give it the right to send messages", false, false},
	{"administrator rights", "the bot may not write in this chat: give it the right to send messages", false, false},
	{"chat_admin_required", "the bot may not write in this chat: give it the right to send messages", false, false},
	{"chat_send_", "the bot may not write in this chat: give it the right to send messages", false, false},
	{"have no rights to send", "the bot may not write in this chat: give it the right to send messages", false, false},
	{"chat_restricted", "the bot may not write in this chat: give it the right to send messages", false, false},
	{"topic_closed", "the topic is closed: open it again", false, false},
	{"unauthorized",
		"the bot's token is not valid any more: the operator of this deployment must configure the new one", false,
		false},
}

// noAPI is what a 404 means: the Bot API's own answer to a token that it never gave out, or another server's.
const noAPI = "no Bot API is at this address, or the bot's token is not valid: the operator of this deployment must " +
	"check both"

// Judge takes `ok: true` with the id of a message for a success. Telegram, Bot API, "Making requests": ok is true and
// result holds what was made; "sendMessage", "sendDocument": the Message.
func (Destination) Judge(r destination.Response) destination.Verdict {
	a, ok := read(r.Body)
	success := r.Status >= 200 && r.Status <= 299
	switch {
	case ok && a.OK && success && a.Made:
		return destination.Delivered()
	case !ok && success, a.OK && success:
		v := destination.Unproven(r, "the Bot API answers 200 with ok and the id of the message")
		if !ok && !r.Broken {
			v.Reason = "answered " + destination.StatusText(r.Status) +
				" in words that are not the Bot API's: something else answers at this address"
		}
		return v
	case !ok:
		v := destination.JudgeSaid(r, map[int]string{404: noAPI}, "")
		v.Ours = r.Status == http.StatusNotFound
		return v
	}
	if a.Code == 0 {
		a.Code = r.Status
	}
	inner := r
	inner.Status = a.Code // the two are the same at Telegram's own server
	said, known := explain(a)
	v := destination.Failed(inner, "Telegram answered "+destination.StatusText(a.Code))
	if known.reason != "" {
		v.Reason += ": " + known.reason
	}
	if said != "" {
		v.Reason += " (it says: " + said + ")"
	}
	v.RetryAfter = max(v.RetryAfter, destination.WaitOf(r, a.RetryAfter.String()))
	v.Pace = v.Pace || a.RetryAfter != "" // slow mode of a group says 429; a flood of documents can say 400
	// The token is the deployment's.
	v.Ours = a.Code == http.StatusUnauthorized || a.Code == http.StatusNotFound
	v.Gone, v.Unread = known.gone, known.unread || a.Code == http.StatusRequestEntityTooLarge
	if a.MigrateTo != 0 {
		v.Adapt = Moved(a.MigrateTo)
	}
	return v
}

// explain parts Telegram's words, "" where they say what the status says, from what they mean.
func explain(a answer) (said string, why reason) {
	said = destination.Said(strings.TrimPrefix(a.Description, http.StatusText(a.Code)+": "))
	if strings.EqualFold(said, http.StatusText(a.Code)) {
		said = ""
	}
	switch {
	case a.MigrateTo != 0:
		return "", reason{reason: "the group became a supergroup, and the integration follows it: send again"}
	case a.Code == http.StatusTooManyRequests:
		return said, reason{reason: "a group takes about 20 messages a minute, a chat one a second"}
	}
	for _, r := range reasons {
		if strings.Contains(strings.ToLower(a.Description), r.words) {
			return said, r
		}
	}
	switch {
	case a.Code == http.StatusNotFound:
		return said, reason{reason: noAPI}
	case a.Code >= http.StatusInternalServerError:
		return said, reason{reason: "Telegram has a fault of its own"}
	}
	return said, reason{}
}

// Moved is the change of the parameters of an integration whose group became the supergroup with the id given.
func Moved(to int64) json.RawMessage {
	change, err := json.Marshal(map[string]any{"chat_id": to, "chat_type": "supergroup", "removed_at": nil})
	if err != nil {
		panic(err) // numbers and texts always encode
	}
	return change
}
