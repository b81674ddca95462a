package events

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sort"
	"strings"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/deliveries"
	"tocsin/functions/local/remote"
	"tocsin/shared/client"
	"tocsin/shared/plaintext"
)

// every is how often the log is asked, and overlap how far back: a delivery can appear a little after a later one.
const (
	every   = 2 * time.Second
	overlap = 10 * time.Second
	maxPage = 1000
)

func tail() commandline.Command {
	s, filter := remote.New(), &deliveries.Filter{}
	var count int
	return commandline.Command{
		Name: "tail", Summary: "follow the events that integrations get, until Ctrl-C",
		Help: `A line for each delivery as it is made: when, the delivery, the integration, its state at that moment, the
kinds and the number of its events. An event that no integration takes makes none. With -json the line is what
the API lists. -from begins in the past.`,
		Examples: []string{"tocsin events tail", `tocsin events tail -integration "Ops channel" -from 1h`,
			"tocsin events tail -json -kind vuln"},
		Values: map[string][]string{"state": deliveries.States},
		Flags: func(f *flag.FlagSet) {
			s.Flags(f)
			filter.Flags(f)
			f.IntVar(&count, "count", 0, "end after so many lines (default: never)")
		},
		Run: func(ctx context.Context, _ []string) error {
			if count < 0 {
				return fmt.Errorf("-count is %d: it must be 0 or more", count)
			}
			if filter.To != "" {
				return errors.New("-to: what is followed has no end; `tocsin deliveries list` has one")
			}
			c, err := s.API()
			if err != nil {
				return err
			}
			params, err := filter.Params(ctx, s, c)
			if err != nil {
				return err
			}
			f := follower{Session: s, client: c, params: params, seen: map[string]time.Time{}}
			if err = f.begin(ctx); err == nil {
				err = f.follow(ctx, count)
			}
			return interrupted(ctx, err)
		},
	}
}

// follower prints deliveries as they appear.
type follower struct {
	*remote.Session
	client *remote.API
	params client.SearchDeliveriesParams
	since  time.Time            // of the newest that was printed
	seen   map[string]time.Time // when what was printed was made, by its id
	quiet  bool                 // it was told that nobody answers
}

// begin looks where the log ends, unless the start was named: the API's clock counts, and not that of this machine.
func (f *follower) begin(ctx context.Context) error {
	if f.params.From != nil {
		f.since = *f.params.From
		return nil
	}
	one := int64(1)
	var page client.LogOutputBody
	_, err := remote.Ask(ctx, f.client, &page)(client.NewSearchDeliveriesRequest(f.client.Server,
		&client.SearchDeliveriesParams{Limit: &one, Tenant: f.params.Tenant}))
	if err != nil || len(page.Items) == 0 { // of an empty log all is news
		return err
	}
	newest := page.Items[0]
	f.since, f.params.From, f.seen[newest.Id] = newest.CreatedAt, &newest.CreatedAt, newest.CreatedAt
	return nil
}

// follow asks again and again. What the API refuses ends it; where nobody answers it goes on, once it has begun.
func (f *follower) follow(ctx context.Context, count int) error {
	printed := 0
	for first := true; ; first = false {
		news, err := f.news(ctx)
		switch {
		case errors.Is(err, remote.ErrNoAnswer) && !first && ctx.Err() == nil:
			if !f.quiet {
				fmt.Fprintf(f.Err, "%s; asking again until there is one\n", err)
			}
			f.quiet = true
		case err != nil:
			return err
		default:
			if f.quiet {
				fmt.Fprintln(f.Err, "the API answers again")
			}
			f.quiet = false
		}
		for _, d := range news {
			if err := f.print(d); err != nil {
				return err
			}
			if printed++; printed == count {
				return nil
			}
		}
		if err := remote.Sleep(ctx, every); err != nil {
			return err
		}
	}
}

// news are the deliveries that were not printed yet, oldest first.
func (f *follower) news(ctx context.Context) (news []client.LogView, err error) {
	limit := int64(maxPage)
	params := f.params
	params.Limit, params.Cursor = &limit, nil
	if from := f.since.Add(-overlap); params.From == nil || from.After(*params.From) {
		params.From = &from
	}
	if f.since.IsZero() {
		params.From = nil
	}
	for {
		var page client.LogOutputBody
		_, err := remote.Ask(ctx, f.client, &page)(client.NewSearchDeliveriesRequest(f.client.Server,
			&params))
		if err != nil {
			return nil, err
		}
		for _, d := range page.Items {
			if _, known := f.seen[d.Id]; !known {
				news = append(news, d)
			}
		}
		if params.Cursor = page.NextCursor; params.Cursor == nil || *params.Cursor == "" {
			break
		}
	}
	sort.Slice(news, func(a, b int) bool { return news[a].CreatedAt.Before(news[b].CreatedAt) })
	for _, d := range news {
		f.seen[d.Id] = d.CreatedAt
		if d.CreatedAt.After(f.since) {
			f.since = d.CreatedAt
		}
	}
	for id, made := range f.seen { // what can not be asked for again need not be known
		if made.Before(f.since.Add(-2 * overlap)) {
			delete(f.seen, id)
		}
	}
	return news, nil
}

func (f *follower) print(d client.LogView) error {
	if f.JSON {
		return f.PrintLine(d)
	}
	events := "1 event"
	if d.Count != 1 {
		events = fmt.Sprintf("%d events", d.Count)
	}
	_, err := fmt.Fprintf(f.Out, "%s  %s  %s  %s  %s, %s\n", d.CreatedAt.Local().Format(time.DateTime), d.Id,
		plaintext.Line(d.Integration.Name), d.State, plaintext.Line(strings.Join(d.Kinds, ",")), events)
	return err
}
