package events

import (
	"strings"
	"time"

	"tocsin/shared/client"
	"tocsin/shared/plaintext"
)

// whys say why an event went to an integration.
var whys = map[client.CarriedViewWhy]string{
	client.CarriedViewWhySubscription: "it takes this type of event",
	client.CarriedViewWhyTrigger:      "the trigger names it",
	client.CarriedViewWhyAddress:      "the event is for it alone",
	client.CarriedViewWhyFallback:     "it is the fallback of another",
}

// why is what is said of a delivery's route. Any other one says how the integration is set up now.
func why(of client.CarriedViewWhy) string {
	if words, ok := whys[of]; ok {
		return words
	}
	return "it was set up otherwise then"
}

// leftOuts say why an integration did not get an event, as the Console does.
var leftOuts = map[client.LeftOutEventReason]string{
	client.LeftOutEventReasonAboutItself: "it is not told of changes of itself.",
	client.LeftOutEventReasonAdded:       "it was added afterwards, on {at}.",
	client.LeftOutEventReasonDisabled:    "it has been disabled since {at}.",
	client.LeftOutEventReasonFiltered:    "a filter stops it: {filter}.",
	client.LeftOutEventReasonForAnother:  "the event is for one other receiver.",
	client.LeftOutEventReasonForTriggers: "no integration can take this kind: triggers count it.",
	client.LeftOutEventReasonMissed: "it takes such events now, and did not when this one came. Recover what it " +
		"missed on its page.",
	client.LeftOutEventReasonMute: "it came while the integration was muted, and what comes meanwhile is not sent. " +
		"You can recover it on its page.",
	client.LeftOutEventReasonNotNamed:      "the trigger does not name it.",
	client.LeftOutEventReasonNotSubscribed: "it does not take this type of event.",
	client.LeftOutEventReasonQuiet: "it came in quiet hours, and what comes in them is not sent. You can recover it " +
		"on its page.",
	client.LeftOutEventReasonUnknown: "so much was sent to it within minutes that not all of it was looked through.",
}

// leftOut is what is said of an integration that did not get an event; a reason that is newer than this program is
// told by its code.
func leftOut(l client.LeftOutEvent) string {
	words, ok := leftOuts[l.Reason]
	if !ok {
		return string(l.Reason)
	}
	at, filter := "", ""
	if l.Since != nil {
		at = l.Since.Local().Format(time.DateTime)
	}
	if l.FilterTitle != nil {
		filter = plaintext.Line(*l.FilterTitle)
	}
	return strings.NewReplacer("{at}", at, "{filter}", filter).Replace(words)
}
