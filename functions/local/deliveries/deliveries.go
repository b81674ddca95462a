// Package deliveries is `tocsin deliveries`: list, show and replay.
package deliveries

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/integrations"
	"tocsin/functions/local/remote"
	"tocsin/shared/client"
	"tocsin/shared/plaintext"
)

// Group has the commands.
func Group() commandline.Group {
	return commandline.Group{Name: "deliveries", Summary: "look through the delivery log, and send again",
		Commands: []commandline.Command{list(), show(), replay()}}
}

// States are those of a delivery.
var States = []string{"pending", "retrying", "delivered", "dead"}

// Filter narrows the log.
type Filter struct {
	Integration, Event, Kind, State, Status, Text string
	From, To                                      string
}

// Flags are the flags of a filter.
func (w *Filter) Flags(f *flag.FlagSet) {
	f.StringVar(&w.Integration, "integration", "", "only those to an integration: its name or its id")
	f.StringVar(&w.Event, "event", "", "only those that carry an event: its id")
	f.StringVar(&w.Kind, "kind", "", "only those of kinds of events, with commas between")
	f.StringVar(&w.State, "state", "", "only those in states, with commas between: "+strings.Join(States, ", "))
	f.StringVar(&w.Status, "status", "", "only those that were answered so: 404, 5xx, or none for no answer")
	f.StringVar(&w.Text, "text", "", "only those with a text in what people read")
	f.StringVar(&w.From, "from", "", "made at this time or later: a time, a day, or how long ago, such as 2h")
	f.StringVar(&w.To, "to", "", "made before this time")
}

// Params are the filter as the API takes it.
func (w *Filter) Params(ctx context.Context, s *remote.Session, c *remote.API) (p client.SearchDeliveriesParams,
	err error) {
	p.Tenant = s.TenantParameter()
	if w.Integration != "" {
		i, err := integrations.Find(ctx, c, p.Tenant, w.Integration)
		if err != nil {
			return p, err
		}
		p.Integration = []string{i.Id}
	}
	if w.Kind != "" {
		p.Kind = strings.Split(w.Kind, ",")
	}
	if w.State != "" {
		for state := range strings.SplitSeq(w.State, ",") {
			p.State = append(p.State, client.SearchDeliveriesParamsState(state))
		}
	}
	for text, to := range map[*string]**string{&w.Event: &p.Event, &w.Status: &p.Status, &w.Text: &p.Text} {
		if *text != "" {
			*to = text
		}
	}
	if p.From, err = remote.Time(w.From, time.Now()); err != nil {
		return p, fmt.Errorf("-from: %w", err)
	}
	if p.To, err = remote.Time(w.To, time.Now()); err != nil {
		return p, fmt.Errorf("-to: %w", err)
	}
	return p, nil
}

// maxPage is what the API gives in one page.
const maxPage = 1000

func list() commandline.Command {
	s, filter := remote.New(), &Filter{}
	var most int
	return commandline.Command{
		Name: "list", Summary: "list deliveries of all integrations, newest first",
		Examples: []string{"tocsin deliveries list -state dead -from 24h",
			`tocsin deliveries list -integration "Ops channel" -status 5xx`,
			"tocsin deliveries list -event evt-vuln-high -json"},
		Values: map[string][]string{"state": States},
		Flags: func(f *flag.FlagSet) {
			s.Flags(f)
			filter.Flags(f)
			f.IntVar(&most, "limit", 50, "how many at most; 0 for all")
		},
		Run: func(ctx context.Context, _ []string) error {
			if most < 0 {
				return fmt.Errorf("-limit is %d: it must be 0 or more", most)
			}
			c, err := s.API()
			if err != nil {
				return err
			}
			params, err := filter.Params(ctx, s, c)
			if err != nil {
				return err
			}
			found := client.LogOutputBody{Items: []client.LogView{}}
			for {
				limit := int64(maxPage)
				if most > 0 {
					limit = min(limit, int64(most-len(found.Items)))
				}
				params.Limit = &limit
				var page client.LogOutputBody
				_, err := remote.Ask(ctx, c, &page)(client.NewSearchDeliveriesRequest(c.Server, &params))
				if err != nil {
					return err
				}
				found.Items, found.NextCursor, found.Reached = append(found.Items, page.Items...), page.NextCursor,
					page.Reached
				params.Cursor = page.NextCursor
				if page.NextCursor == nil || *page.NextCursor == "" || most > 0 && len(found.Items) >= most {
					break
				}
			}
			rows := make([]string, len(found.Items))
			for n, d := range found.Items {
				rows[n] = Row(d)
			}
			return s.PrintList(found, "MADE\tDELIVERY\tINTEGRATION\tSTATE\tKINDS\tEVENTS\tREASON", rows)
		},
	}
}

// Row is a line of the log, with tabs between the columns.
func Row(d client.LogView) string {
	reason := ""
	switch {
	case d.Reason != nil && *d.Reason != "":
		reason = *d.Reason
	case d.Held != nil && d.State == client.LogViewStatePending:
		reason = "held " + held(*d.Held, true)
	}
	return strings.Join([]string{d.CreatedAt.Local().Format(time.DateTime), d.Id, plaintext.Line(d.Integration.Name),
		string(d.State), plaintext.Line(strings.Join(d.Kinds, ",")), fmt.Sprint(d.Count), plaintext.Line(reason)}, "\t")
}

// find is the integration that a delivery goes to.
func find(ctx context.Context, s *remote.Session, c *remote.API, id string) (d client.LogView, err error) {
	var page client.LogOutputBody
	_, err = remote.Ask(ctx, c, &page)(client.NewSearchDeliveriesRequest(c.Server,
		&client.SearchDeliveriesParams{Delivery: &id, Tenant: s.TenantParameter()}))
	if err != nil {
		return d, err
	}
	if len(page.Items) == 0 {
		return d, fmt.Errorf("there is no delivery %q of an integration that there is: `tocsin deliveries list` has the ids",
			id)
	}
	return page.Items[0], nil
}

func show() commandline.Command {
	s := remote.New()
	var requests bool
	return commandline.Command{
		Name: "show", Takes: "DELIVERY", Summary: "show a delivery: its attempts, its events, and what it sends",
		Examples: []string{"tocsin deliveries show 01JD0000000000000000000000 -requests"}, Least: 1, Most: 1,
		Flags: func(f *flag.FlagSet) {
			s.Flags(f)
			f.BoolVar(&requests, "requests", false, "show what it sends, with the integration's present settings")
		},
		Run: func(ctx context.Context, args []string) error {
			c, err := s.API()
			if err != nil {
				return err
			}
			found, err := find(ctx, s, c, args[0])
			if err != nil {
				return err
			}
			if requests {
				var sent client.RequestsOutputBody
				body, err := remote.Ask(ctx, c, &sent)(client.NewListRequestsRequest(c.Server,
					found.Integration.Id, found.Id,
					&client.ListRequestsParams{Tenant: s.TenantParameter()}))
				if err != nil {
					return err
				}
				if s.JSON {
					return s.Print(body)
				}
				tellRequests(s.Out, sent)
				return nil
			}
			var d client.DeliveryDetail
			body, err := remote.Ask(ctx, c, &d)(client.NewGetDeliveryRequest(c.Server,
				found.Integration.Id, found.Id,
				&client.GetDeliveryParams{Tenant: s.TenantParameter()}))
			if err != nil {
				return err
			}
			if s.JSON {
				return s.Print(body)
			}
			tell(s.Out, found.Integration, d)
			return nil
		},
	}
}

// tell writes a delivery for a person.
func tell(out io.Writer, to client.LogTarget, d client.DeliveryDetail) {
	fmt.Fprintf(out, "delivery     %s\nintegration  %s (%s)\nstate        %s\nmade         %s\n", d.Id,
		plaintext.Line(to.Name), to.Id, d.State, d.CreatedAt.Local().Format(time.DateTime))
	if d.Due != nil {
		fmt.Fprintf(out, "due          %s\n", d.Due.Local().Format(time.DateTime))
	}
	tellWay(out, d)
	if d.Reason != nil && *d.Reason != "" {
		fmt.Fprintf(out, "reason       %s\n", plaintext.Line(*d.Reason))
	}
	for n, a := range d.Attempts {
		words := "delivered"
		if !a.Delivered {
			words = "failed"
		}
		if a.Status != nil {
			words += fmt.Sprintf(", answered %d", *a.Status)
		}
		if a.Reason != nil && *a.Reason != "" {
			words += ": " + plaintext.Line(*a.Reason)
		}
		fmt.Fprintf(out, "attempt %-4d %s, %.0f ms: %s\n", n+1, a.At.Local().Format(time.DateTime), a.TookMs, words)
		if a.Answer != nil && *a.Answer != "" {
			fmt.Fprintf(out, "             its answer: %s\n", plaintext.Line(*a.Answer))
		}
	}
	for _, e := range d.Events {
		fmt.Fprintf(out, "event        %s %s, of %s\n", plaintext.Line(e.Kind), plaintext.Line(e.Id),
			e.Time.Local().Format(time.DateTime))
	}
}

// tellWay writes what waits with a delivery, what is one message with it, and where it comes from and goes to.
func tellWay(out io.Writer, d client.DeliveryDetail) {
	if d.Held != nil {
		fmt.Fprintf(out, "held         %s\n", held(*d.Held, d.State == client.DeliveryDetailStatePending))
	}
	if d.Digest != nil {
		why := map[client.DeliveryDetailDigest]string{client.DeliveryDetailDigestGroup: "they are grouped",
			client.DeliveryDetailDigestStorm:    "there were too many",
			client.DeliveryDetailDigestQuiet:    "quiet hours held them",
			client.DeliveryDetailDigestMute:     "a mute held them",
			client.DeliveryDetailDigestFallback: "they fell back within a minute"}[*d.Digest]
		fmt.Fprintf(out, "one message  of %d events: %s\n", d.Count, why)
	}
	if f := d.From; f != nil {
		fmt.Fprintf(out, "from         %s (%s)%s: %s\n", plaintext.Line(f.Name), f.IntegrationId,
			delivered(f.DeliveryId), plaintext.Line(f.Reason))
	}
	if f := d.Fallback; f != nil {
		why := ""
		if f.Why != nil {
			why = ": its events went nowhere else, because " + map[client.FallbackViewWhy]string{
				client.FallbackViewWhyDeleted:  "it was deleted",
				client.FallbackViewWhyDisabled: "it was disabled",
				client.FallbackViewWhyDirect:   "they are for this integration alone, or tell of the fallback itself",
				client.FallbackViewWhyOnce:     "they came by fallback, and events fall back once",
			}[*f.Why]
		}
		fmt.Fprintf(out, "fallback     %s%s%s\n", f.IntegrationId, delivered(f.DeliveryId), why)
	}
}

// held says by what a delivery is held, or was.
func held(h client.HeldView, waits bool) string {
	by := map[client.HeldViewBy]string{client.HeldViewByQuiet: "by quiet hours", client.HeldViewByMute: "by a mute",
		client.HeldViewByFallback: "for what else falls back within the minute"}[h.By]
	if h.Account != nil && *h.Account {
		by += " of the account"
	}
	until := ", at the latest until " // when it was sent says more
	if waits {
		until = " until "
	}
	return by + until + h.Until.Local().Format(time.DateTime)
}

func delivered(id *string) string {
	if id == nil {
		return ""
	}
	return ", delivery " + *id
}

// tellRequests writes requests and mails for a person.
func tellRequests(out io.Writer, sent client.RequestsOutputBody) {
	for _, r := range sent.Items {
		if m := r.Mail; m != nil {
			fmt.Fprintf(out, "mail to %s\n%s\n\n%s\n", plaintext.Line(m.To), plaintext.Line(m.Subject),
				commandline.Clean(m.Text))
			continue
		}
		if r.Method != nil && r.Url != nil {
			fmt.Fprintf(out, "%s %s\n", *r.Method, plaintext.Line(*r.Url))
		}
		if r.Body != nil {
			fmt.Fprintf(out, "\n%s\n\n", commandline.Clean(*r.Body))
		}
	}
}
