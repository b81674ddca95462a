// Package events is `tocsin events`: sample, publish, show and tail.
package events

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/remote"
	"tocsin/shared/client"
	"tocsin/shared/event"
	"tocsin/shared/plaintext"
)

// Group has the commands.
func Group() commandline.Group {
	return commandline.Group{Name: "events", Summary: "publish events, and follow what becomes of them",
		Commands: []commandline.Command{sample(), publish(), show(), tail()}}
}

// kinds are those that a platform publishes.
func kinds() (all []string) {
	for _, k := range event.Kinds() {
		if !k.Own() {
			all = append(all, string(k))
		}
	}
	return all
}

func sample() commandline.Command {
	s := remote.New()
	var tenant string
	return commandline.Command{
		Name: "sample", Takes: "KIND", Summary: "print an example of an event, with a new id, as an entry to publish",
		Help: "The kinds are " + strings.Join(kinds(), ", ") + ".",
		Examples: []string{"tocsin events sample vuln", "tocsin events sample create_user -account 42 | " +
			"tocsin events publish -"}, Least: 1, Most: 1,
		Flags: func(f *flag.FlagSet) {
			f.StringVar(&tenant, "account", "42", "the tenant that the event is of")
		},
		Run: func(_ context.Context, args []string) error {
			k := event.Kind(args[0])
			if !k.Known() || k.Own() {
				return fmt.Errorf("there is no kind %q that is published: %s", args[0], strings.Join(kinds(), ", "))
			}
			e := k.Example()
			e.ID, e.Tenant, e.Time = ulid.Make().String(), tenant, time.Now().UTC().Truncate(time.Second)
			detail, err := e.Encode()
			if err != nil {
				return err
			}
			body, err := json.Marshal([]map[string]string{{"Source": "platform.sample", "DetailType": string(k),
				"Detail": string(detail)}})
			if err != nil {
				return err
			}
			return s.Print(body)
		},
	}
}

func show() commandline.Command {
	s := remote.New()
	return commandline.Command{
		Name: "show", Takes: "EVENT", Summary: "show an event: where it went, why, and what left it out elsewhere",
		Help:     "EVENT is the id in the event's Detail, which tocsin events publish prints.",
		Examples: []string{"tocsin events show evt-vuln-high"}, Least: 1, Most: 1, Flags: s.Flags,
		Run: func(ctx context.Context, args []string) error {
			c, err := s.API()
			if err != nil {
				return err
			}
			var e client.EventTrace
			body, err := remote.Ask(ctx, c, &e)(client.NewGetEventRequest(c.Server, args[0],
				&client.GetEventParams{Tenant: s.TenantParameter()}))
			if err != nil {
				return err
			}
			if s.JSON {
				return s.Print(body)
			}
			fmt.Fprintf(s.Out, "event     %s\nkind      %s\ntime      %s\nsummary   %s\n", plaintext.Line(e.Id),
				plaintext.Line(e.Kind), e.Time.Local().Format(time.DateTime), plaintext.Line(e.Summary))
			for _, d := range e.Deliveries {
				reason := ""
				if d.Reason != nil && *d.Reason != "" {
					reason = ": " + plaintext.Line(*d.Reason)
				}
				fmt.Fprintf(s.Out, "delivery  %s to %s (%s): %s%s\n", d.Id, plaintext.Line(d.Integration.Name),
					why(d.Why), d.State, reason)
			}
			for _, l := range e.LeftOut {
				fmt.Fprintf(s.Out, "left out  %s: %s\n", plaintext.Line(l.Integration.Name), leftOut(l))
			}
			return nil
		},
	}
}

// interrupted is how a command ends that goes on until it is stopped.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
		return &commandline.Exit{Code: commandline.ExitInterrupted}
	}
	return err
}
