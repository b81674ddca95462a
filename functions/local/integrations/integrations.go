// Package integrations is `tocsin integrations`: list, show, test, enable and disable.
package integrations

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/remote"
	"tocsin/shared/client"
	"tocsin/shared/plaintext"
)

// Group has the commands.
func Group() commandline.Group {
	return commandline.Group{Name: "integrations", Summary: "list, test, enable and disable integrations",
		Commands: []commandline.Command{list(), show(), test(), enable(), disable()}}
}

var states = []string{"ok", "failing", "disabled"}

func list() commandline.Command {
	s := remote.New()
	var state, system string
	return commandline.Command{
		Name: "list", Summary: "list the integrations of the account", Most: 0,
		Examples: []string{"tocsin integrations list", "tocsin integrations list -state failing",
			"tocsin integrations list -json | jq -r '.items[].name'"},
		Values: map[string][]string{"state": states},
		Flags: func(f *flag.FlagSet) {
			s.Flags(f)
			f.StringVar(&state, "state", "", "only those in a state: "+strings.Join(states, ", "))
			f.StringVar(&system, "system", "", "only those of a system, such as slack")
		},
		Run: func(ctx context.Context, _ []string) error {
			c, err := s.API()
			if err != nil {
				return err
			}
			brief := true
			params := client.ListIntegrationsParams{Brief: &brief, Tenant: s.TenantParameter()}
			if state != "" {
				in := client.ListIntegrationsParamsState(state)
				params.State = &in
			}
			if system != "" {
				params.System = &system
			}
			whole, err := All(ctx, c, params)
			if err != nil {
				return err
			}
			rows := make([]string, len(whole.Items))
			for n, i := range whole.Items {
				rows[n] = fmt.Sprintf("%s\t%s\t%s\t%s", i.Id, plaintext.Line(i.Name), i.System, condition(i))
			}
			return s.PrintList(whole, "ID\tNAME\tSYSTEM\tSTATE", rows)
		},
	}
}

// condition is the state of an integration, and whether it is muted.
func condition(i client.IntegrationView) string {
	m := i.Muted
	if m == nil {
		return string(i.State)
	}
	then := ""
	if m.Then != nil && *m.Then == client.MuteViewThenDrop {
		then = ", what comes is dropped"
	}
	return fmt.Sprintf("%s, muted until %s%s", i.State, m.Until.Local().Format(time.DateTime), then)
}

// All reads every page of the list.
func All(ctx context.Context, c *remote.API, params client.ListIntegrationsParams) (all client.ListOutputBody,
	err error) {
	most := int64(200)
	params.Limit, all.Items = &most, []client.IntegrationView{}
	for {
		var page client.ListOutputBody
		_, err := remote.Ask(ctx, c, &page)(client.NewListIntegrationsRequest(c.Server, &params))
		if err != nil {
			return all, err
		}
		all.Items, all.Counts = append(all.Items, page.Items...), page.Counts
		if page.NextCursor == nil || *page.NextCursor == "" {
			return all, nil
		}
		params.Cursor = page.NextCursor
	}
}

// Find is the integration of a name or an id.
func Find(ctx context.Context, c *remote.API, tenant *client.Tenant, named string) (found client.IntegrationView,
	err error) {
	brief := true
	all, err := All(ctx, c, client.ListIntegrationsParams{Brief: &brief, Tenant: tenant})
	if err != nil {
		return found, err
	}
	var ids []string
	for _, i := range all.Items {
		if i.Id == named {
			return i, nil
		}
		if i.Name == named {
			found, ids = i, append(ids, i.Id)
		}
	}
	switch len(ids) {
	case 0:
		return found, fmt.Errorf("there is no integration %q: `tocsin integrations list` has the names and the ids", named)
	case 1:
		return found, nil
	}
	return found, fmt.Errorf("%d integrations have the name %q: give the id of one (%s)", len(ids), named,
		strings.Join(ids, ", "))
}

// one is a command on one integration.
func one(name, summary string, examples []string, run func(context.Context, *remote.Session, *remote.API,
	client.IntegrationView) error) commandline.Command {
	s := remote.New()
	return commandline.Command{Name: name, Takes: "NAME-OR-ID", Summary: summary, Examples: examples, Least: 1, Most: 1,
		Flags: s.Flags,
		Run: func(ctx context.Context, args []string) error {
			c, err := s.API()
			if err != nil {
				return err
			}
			found, err := Find(ctx, c, s.TenantParameter(), args[0])
			if err != nil {
				return err
			}
			return run(ctx, s, c, found)
		}}
}

func show() commandline.Command {
	return one("show", "show an integration, with its secrets masked", []string{`tocsin integrations show "Ops channel"`},
		func(ctx context.Context, s *remote.Session, c *remote.API, i client.IntegrationView) error {
			var shown client.IntegrationView
			body, err := remote.Ask(ctx, c, &shown)(client.NewGetIntegrationRequest(c.Server, i.Id,
				&client.GetIntegrationParams{Tenant: s.TenantParameter()}))
			if err != nil {
				return err
			}
			return s.Print(body)
		})
}

func enable() commandline.Command {
	return one("enable", "enable an integration: events are sent to it from now on",
		[]string{`tocsin integrations enable "Ops channel"`},
		func(ctx context.Context, s *remote.Session, c *remote.API, i client.IntegrationView) error {
			return switched(ctx, s, c, "enabled")(client.NewEnableIntegrationRequest(c.Server, i.Id,
				&client.EnableIntegrationParams{Tenant: s.TenantParameter()}))
		})
}

func disable() commandline.Command {
	return one("disable", "disable an integration: nothing is sent to it, and what waits is not sent",
		[]string{`tocsin integrations disable "Ops channel"`},
		func(ctx context.Context, s *remote.Session, c *remote.API, i client.IntegrationView) error {
			return switched(ctx, s, c, "disabled")(client.NewDisableIntegrationRequest(c.Server, i.Id,
				&client.DisableIntegrationParams{Tenant: s.TenantParameter()}))
		})
}

// switched makes a call and tells what the integration is then.
func switched(ctx context.Context, s *remote.Session, c *remote.API, word string) func(*http.Request, error) error {
	return func(q *http.Request, err error) error {
		var i client.IntegrationView
		body, err := remote.Ask(ctx, c, &i)(q, err)
		if err != nil {
			return err
		}
		if s.JSON {
			return s.Print(body)
		}
		_, err = fmt.Fprintf(s.Out, "%s is %s.\n", plaintext.Line(i.Name), word)
		return err
	}
}
