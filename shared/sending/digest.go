package sending

import (
	"net/url"
	"slices"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

// joins reports whether the events of a digest become one message: where people read the system. Machines get every
// event, as does who would be told of one alone; a report has files of its own, which no other message holds.
func (r *Target) joins(d delivery.Delivery) bool {
	return d.Digest != "" && len(d.Events) > 1 && r.opened.System.Class.Read() &&
		!slices.ContainsFunc(d.Events, func(e event.Event) bool { return e.Kind == event.Report })
}

// together makes one message of a digest's events.
func (r *Target) together(d delivery.Delivery, ns []notification.Notification) []notification.Notification {
	if !r.joins(d) {
		return ns
	}
	path := "" // mails of a profile are of no integration that has a page
	if !r.opened.System.Personal {
		path = "/integrations/" + url.PathEscape(d.Integration) + "/deliveries/" + url.PathEscape(d.ID)
	}
	digest := notification.Together(delivery.DigestReason(d.Digest), d.ID, path, ns)
	return []notification.Notification{digest.Without(d.Missing())}
}
