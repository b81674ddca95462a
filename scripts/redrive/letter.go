package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tocsin/shared/cut"
)

// letter is what is shown of a message: who it concerns and why it is here, nothing of what it holds.
type letter struct {
	id, sent, receives, tenant, what, reason string
}

func (l letter) String() string {
	return fmt.Sprintf("%s  sent %s  received %s times  tenant %s  %s  %s", l.id, l.sent, l.receives, orDash(l.tenant),
		l.what, l.reason)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// body is what the queues of the stack hold, as far as a letter tells of it: an event of the bus, a message with
// deliveries, a retry batch with the error that broke it off, a job of a report, a call by a schedule that failed.
type body struct {
	Tenant     string            `json:"tenant"`
	Batch      string            `json:"batch"`
	Deliveries []json.RawMessage `json:"deliveries"`
	DetailType string            `json:"detail-type"`
	Detail     struct {
		Tenant any `json:"tenant"`
	} `json:"detail"`
	Error struct {
		Error string `json:"Error"`
	} `json:"error"`
	RequestContext struct {
		Condition string `json:"condition"`
		Function  string `json:"functionArn"`
	} `json:"requestContext"`
	ResponsePayload struct {
		ErrorType string `json:"errorType"`
	} `json:"responsePayload"`
}

func read(m types.Message) letter {
	l := letter{id: awssdk.ToString(m.MessageId), receives: m.Attributes["ApproximateReceiveCount"], sent: "?"}
	if ms, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64); err == nil {
		l.sent = time.UnixMilli(ms).UTC().Format(time.RFC3339)
	}
	var b body
	if err := json.Unmarshal([]byte(awssdk.ToString(m.Body)), &b); err != nil {
		l.what, l.tenant = "no JSON", plain(m.Attributes["MessageGroupId"])
		return l
	}
	tenant, _ := b.Detail.Tenant.(string)
	l.tenant = plain(cmp.Or(b.Tenant, tenant, m.Attributes["MessageGroupId"]))
	switch {
	case b.DetailType != "":
		l.what = "event " + plain(b.DetailType)
	case b.Batch != "":
		l.what = "retry batch " + plain(b.Batch)
	case len(b.Deliveries) > 0:
		l.what = strconv.Itoa(len(b.Deliveries)) + " deliveries"
	case b.RequestContext.Function != "":
		_, name, _ := strings.Cut(b.RequestContext.Function, ":function:")
		l.what = "call of " + plain(name)
	default:
		l.what = "message"
	}
	// ERROR_CODE and ERROR_MESSAGE are EventBridge's (its user guide, "Using dead-letter queues"). Error messages of
	// functions are in their logs: here stands their class only.
	reason := cmp.Or(attribute(m, "ERROR_CODE"), b.Error.Error, b.ResponsePayload.ErrorType, b.RequestContext.Condition)
	if l.reason = plain(reason); l.reason == "" {
		l.reason = "the reason is in the function's log, by the message's id"
	}
	return l
}

func attribute(m types.Message, name string) string {
	return awssdk.ToString(m.MessageAttributes[name].StringValue)
}

// plain is a text from outside on one line of a terminal, of at most 100 characters.
func plain(s string) string {
	return cut.Runes(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s), 100)
}
