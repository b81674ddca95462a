package deliveries

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/integrations"
	"tocsin/functions/local/remote"
	"tocsin/shared/client"
)

func replay() commandline.Command {
	s := remote.New()
	var integration, state, from, to string
	var flags *flag.FlagSet
	return commandline.Command{
		Name: "replay", Takes: "[DELIVERY...]", Summary: "send dead or delivered deliveries again, under their old ids",
		Help: "Either the ids of deliveries, or -integration for all of one: the dead ones, if -state does not say " +
			"otherwise.",
		Examples: []string{"tocsin deliveries replay 01JD0000000000000000000000",
			`tocsin deliveries replay -integration "Ops channel" -from 24h`},
		Values: map[string][]string{"state": {"dead", "delivered"}}, Most: -1,
		Flags: func(f *flag.FlagSet) {
			s.Flags(f)
			f.StringVar(&integration, "integration", "", "all of an integration: its name or its id")
			f.StringVar(&state, "state", "dead", "with -integration: states, with commas between: dead, delivered")
			f.StringVar(&from, "from", "", "with -integration: made at this time or later, or how long ago, such as 2h")
			f.StringVar(&to, "to", "", "with -integration: made before this time")
			flags = f
		},
		Run: func(ctx context.Context, ids []string) error {
			if (integration == "") == (len(ids) == 0) {
				return errors.New("give the ids of deliveries, or -integration for all of one")
			}
			if err := whole(flags, integration); err != nil {
				return err
			}
			c, err := s.API()
			if err != nil {
				return err
			}
			if integration == "" {
				return some(ctx, s, c, ids)
			}
			body := client.ReplayInputBody{}
			for word := range strings.SplitSeq(state, ",") {
				body.States = append(body.States, client.ReplayInputBodyStates(word))
			}
			if body.From, err = remote.Time(from, time.Now()); err != nil {
				return fmt.Errorf("-from: %w", err)
			}
			if body.To, err = remote.Time(to, time.Now()); err != nil {
				return fmt.Errorf("-to: %w", err)
			}
			i, err := integrations.Find(ctx, c, s.TenantParameter(), integration)
			if err != nil {
				return err
			}
			return all(ctx, s, c, i.Id, body)
		},
	}
}

// whole refuses what narrows an integration's deliveries down where ids are given: it would be heeded for none of them.
func whole(flags *flag.FlagSet, integration string) (err error) {
	flags.Visit(func(f *flag.Flag) {
		if integration == "" && (f.Name == "state" || f.Name == "from" || f.Name == "to") {
			err = fmt.Errorf("-%s is for -integration: deliveries given by their ids are all sent again", f.Name)
		}
	})
	return err
}

// outcome is what became of a replay, as a line of JSON.
type outcome struct {
	Delivery string `json:"delivery,omitempty"`
	Count    int64  `json:"count"`
}

// some sends deliveries again by their ids.
func some(ctx context.Context, s *remote.Session, c *remote.API, ids []string) error {
	for n, id := range ids {
		d, err := find(ctx, s, c, id)
		if err == nil {
			var answer client.ReplayView
			_, err = remote.Ask(ctx, c, &answer)(client.NewReplayDeliveryRequest(c.Server,
				d.Integration.Id, d.Id,
				&client.ReplayDeliveryParams{Tenant: s.TenantParameter()}))
			if err == nil {
				err = told(s, id, answer.Count)
			}
		}
		if err != nil {
			return &commandline.Stopped{Err: fmt.Errorf("delivery %s: %w", id, err),
				Done: fmt.Sprintf("%d of %d were done before it", n, len(ids))}
		}
	}
	return nil
}

func told(s *remote.Session, id string, count int64) error {
	if s.JSON {
		return s.PrintLine(outcome{id, count})
	}
	words := "is sent again"
	if count == 0 {
		words = "is on its way already"
	}
	_, err := fmt.Fprintf(s.Out, "%s %s\n", id, words)
	return err
}

// all sends the deliveries of an integration again, call by call.
func all(ctx context.Context, s *remote.Session, c *remote.API, id string, body client.ReplayInputBody) error {
	total := int64(0)
	for {
		var answer client.ReplayView
		_, err := remote.Ask(ctx, c, &answer)(client.NewReplayDeliveriesRequest(c.Server, id,
			&client.ReplayDeliveriesParams{Tenant: s.TenantParameter()}, body))
		if err != nil {
			return &commandline.Stopped{Err: err, Done: fmt.Sprintf("%d were sent again before", total)}
		}
		total += answer.Count
		if answer.NextCursor == nil || *answer.NextCursor == "" {
			break
		}
		body.Cursor = answer.NextCursor
	}
	if s.JSON {
		return s.PrintLine(outcome{Count: total})
	}
	_, err := fmt.Fprintf(s.Out, "%d deliveries are sent again.\n", total)
	return err
}
