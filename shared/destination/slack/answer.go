package slack

import (
	"cmp"
	"encoding/json"
	"strings"

	"tocsin/shared/destination"
	"tocsin/shared/notification"
)

// answer is one of the Web API. Slack, "Using the Slack Web API", "Evaluating responses": 200 whatever came of it, with
// ok and, where it is false, a word; 429 with Retry-After.
type answer struct {
	OK       bool   `json:"ok"`
	Error    string `json:"error"`
	Needed   string `json:"needed"` // the right that is missing
	Channel  json.RawMessage
	TS       string `json:"ts"`
	Messages []struct {
		TS       string          `json:"ts"`
		Thread   string          `json:"thread_ts"`
		Metadata json.RawMessage `json:"metadata"`
	} `json:"messages"`
	Channels []struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		Private bool   `json:"is_private"`
	} `json:"channels"`
	More struct {
		Cursor   string   `json:"next_cursor"`
		Messages []string `json:"messages"` // what is wrong with the arguments
	} `json:"response_metadata"`
}

// Sentences for several words.
const (
	denied    = "the workspace does not let the app do this: ask its administrator"
	archived  = "the channel is archived: bring it back, or choose another channel"
	refused   = "the bot token is not accepted: copy the Bot User OAuth Token of the app again"
	withdrawn = "the bot token was revoked, or the app was removed from the workspace: install the app again and " +
		"enter its new token"
	moving = "the workspace is being moved to an Enterprise organisation: Slack takes nothing until then"
	paced  = "Slack takes about one message a second for each channel"
	faulty = "Slack has a fault of its own"
	long   = "Slack found the message too long"
	broken = "Slack could not read the message"
)

// said explain the error words of the Web API. Slack, "chat.postMessage", "chat.update", "conversations.list" and
// "conversations.history", "Errors".
var said = map[string]string{
	"not_in_channel": "the app is not in the channel: write /invite and the app's name there",
	"channel_not_found": "the app sees no such channel: check its ID; in a private channel write /invite and the " +
		"app's name first",
	"is_archived": archived, "is_inactive": archived,
	"invalid_auth": refused, "not_authed": refused,
	"token_revoked": withdrawn, "account_inactive": withdrawn,
	"token_expired": "the bot token has expired: switch the app's token rotation off and enter its new token",
	"missing_scope": "the app lacks a right: add it to the app under OAuth & Permissions, Bot Token Scopes, and " +
		"install the app again",
	"no_permission":          "the app may not do this: install it again with the right chat:write",
	"not_allowed_token_type": "the token is none of a bot: copy the Bot User OAuth Token of the app",
	"access_denied":          denied, "accesslimited": denied, "team_access_not_granted": denied,
	"enterprise_is_restricted": denied, "restricted_action": denied, "ekm_access_denied": denied,
	"two_factor_setup_required": denied,
	"restricted_action_read_only_channel": "only some may post to the channel: let the app, or choose another " +
		"channel",
	"restricted_action_thread_only_channel":    "the channel takes replies only: choose another channel",
	"restricted_action_non_threadable_channel": "the channel takes no replies: choose another channel, or a webhook",
	"messages_tab_disabled": "the app takes no direct messages: switch its Messages Tab on, or choose a " +
		"channel",
	"team_not_found":     "the workspace is gone: install the app in another one",
	"org_login_required": moving, "team_added_to_org": moving,

	"msg_too_long": long, "msg_blocks_too_long": long, "too_many_attachments": long, "metadata_too_large": long,
	"no_text":        "Slack found no text in the message",
	"invalid_blocks": broken, "invalid_blocks_format": broken, "invalid_arguments": broken,
	"invalid_metadata_format": broken, "invalid_metadata_schema": broken,

	"ratelimited": paced, "rate_limited": paced,
	"message_limit_exceeded": "the workspace's limit of messages is reached: Slack takes more later",
	"internal_error":         faulty, "fatal_error": faulty, "service_unavailable": faulty, "request_timeout": faulty,

	"message_not_found":               "the first message is gone",
	"cant_update_message":             "the first message is not the app's",
	"restricted_action_thread_locked": "the thread is locked",
	"cannot_reply_to_message":         "the first message takes no replies",
}

var (
	// over are the words that say that the channel, the workspace or the token is gone for good.
	over = words("is_archived", "is_inactive", "token_revoked", "account_inactive", "team_not_found")
	// unreadable are those about the message.
	unreadable = words("msg_too_long", "msg_blocks_too_long", "too_many_attachments", "metadata_too_large", "no_text",
		"invalid_blocks", "invalid_blocks_format", "invalid_arguments", "invalid_metadata_format",
		"invalid_metadata_schema")
)

// missing are the words by which what is posted to a thread has to begin a new one.
var missing = words("message_not_found", "cant_update_message", "restricted_action_thread_locked",
	"cannot_reply_to_message")

// read reads an answer of the Web API. The verdict of one that is ok is delivered; a says what it holds.
func read(r destination.Response) (a answer, v destination.Verdict) {
	unread := r.Broken || json.Unmarshal(r.Body, &a) != nil
	switch {
	case !unread && a.OK && destination.Success(r.Status):
		return a, destination.Delivered()
	case unread || a.Error == "":
		if destination.Success(r.Status) {
			return a, destination.Unproven(r, "Slack answers 200 with ok and the time of the message")
		}
		return a, destination.JudgeSaid(r, map[int]string{429: paced}, "")
	}
	reason := "Slack answered " + destination.StatusText(r.Status) + " " + destination.Said(a.Error)
	if why := said[a.Error]; why != "" {
		reason += ": " + why
	}
	if words := destination.Said(append([]string{a.Needed}, a.More.Messages...)...); words != "" {
		reason += " (it says: " + words + ")"
	}
	v = destination.Failed(r, reason)
	v.Gone, v.Unread = over[a.Error], unreadable[a.Error]
	v.Pace = v.Pace || strings.HasPrefix(a.Error, "rate")
	return a, v
}

// posted takes an ok with the message's channel and time for a success: together they are what Slack calls it.
func posted(r destination.Response) destination.Verdict {
	a, v := read(r)
	if !v.Delivered {
		return v
	}
	var channel string
	if json.Unmarshal(a.Channel, &channel) != nil || channel == "" || a.TS == "" {
		return destination.Unproven(r, "Slack answers 200 with ok and the time of the message")
	}
	v.Reference = channel + " " + a.TS
	return v
}

// updated is posted for the first message. A workspace can forbid that messages are changed: then the thread alone
// tells what became of the object.
func updated(r destination.Response) destination.Verdict {
	a, v := read(r)
	if a.Error == "edit_window_closed" {
		return destination.Delivered()
	}
	v.Missing = !v.Delivered && missing[a.Error]
	return v
}

// replied is posted for a reply.
func replied(r destination.Response) destination.Verdict {
	a, _ := read(r)
	v := posted(r)
	v.Missing = !v.Delivered && missing[a.Error]
	return v
}

// found reads the list of messages. An app that may not read them finds none.
func (p *Parameters) found(r destination.Response, n notification.Notification) destination.Verdict {
	a, v := read(r)
	if !v.Delivered {
		switch a.Error {
		case "missing_scope", "no_permission", "access_denied", "not_allowed_token_type":
			return destination.Delivered()
		}
		return v
	}
	if a.Messages == nil {
		return destination.Unproven(r, "Slack answers 200 with a list of messages")
	}
	for _, m := range a.Messages {
		var of metadata
		if json.Unmarshal(m.Metadata, &of) == nil && of.Type == marked && of.Payload.Object == n.Dedup() &&
			m.TS != "" && cmp.Or(m.Thread, m.TS) == m.TS {
			v.Reference = p.Channel + " " + m.TS
			break
		}
	}
	return v
}

// Choices reads the list of channels.
func (Destination) Choices(_ string, r destination.Response) ([]destination.Option, string, destination.Verdict) {
	a, v := read(r)
	if !v.Delivered {
		if a.Error == "missing_scope" {
			v.Reason = "the app may not list channels: give it the rights channels:read and groups:read, or enter " +
				"the channel's ID"
		}
		return nil, "", v
	}
	if a.Channels == nil {
		return nil, "", destination.Unproven(r, "Slack answers 200 with a list of channels")
	}
	var out []destination.Option
	for _, c := range a.Channels {
		title := "#" + c.Name
		if c.Private {
			title = "🔒 " + c.Name
		}
		out = append(out, destination.Option{Value: c.ID, Title: title})
	}
	return out, a.More.Cursor, v
}
