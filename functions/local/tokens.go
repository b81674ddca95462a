package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/shared/access"
	"tocsin/shared/account"
	"tocsin/shared/token"
)

// tokenCommand makes API tokens for programs, in the name of a person. The Console and the API make them too.
var tokenCommand = administrative{
	Page: commandline.Page{Summary: "make, list and revoke API tokens for programs, in the name of a person",
		Usage: "usage: tocsin token create NAME [-email EMAIL] [-kind shared|personal] [-role ROLE] [-expires 720h]\n" +
			"       tocsin token list [-email EMAIL]\n" +
			"       tocsin token revoke ID [-email EMAIL]\n" +
			"each with [-tenant TENANT] [-state " + commandline.DefaultState + "]",
		Examples: []string{"tocsin token create deploy-script -role analyst -expires 720h", "tocsin token list",
			"sudo tocsin token create NAME -state /var/lib/tocsin/tocsin.db"}},
	actions: map[string]bool{"create": true, "list": false, "revoke": true},
	reads:   []string{"list"},
	flags: func(f *flag.FlagSet) {
		f.String("email", defaultEmail, "the person in whose name it is done")
		f.String("tenant", "", "the tenant, where the person is of several")
		f.String("kind", string(token.Shared), "shared is of the tenant, personal ends with the person")
		f.String("role", "", "what the token may do (default: as the person)")
		f.String("expires", "", "how long it is good, such as 720h (default: until it is revoked)")
	},
	run: runToken,
}

func runToken(ctx context.Context, a *administration, c call, out io.Writer) error {
	person, err := a.one(ctx, c.Flags["tenant"], cmp.Or(c.Flags["email"], defaultEmail))
	if err != nil {
		return err
	}
	if person.Disabled {
		return fmt.Errorf("%s of tenant %s: %w", person.Email, person.Tenant, account.ErrDisabled)
	}
	by := person.Principal()
	by.Source = access.FromPlatform
	switch c.Action {
	case "create":
		return createToken(ctx, a, c, by, out)
	case "revoke":
		t, err := a.tokens.Revoke(ctx, by, c.Name)
		if errors.Is(err, token.ErrNotFound) {
			err = fmt.Errorf("%w: `%s` lists the ids of those that %s may revoke", err,
				a.of(ctx, person, "token", "list", "-email", person.Email), person.Email)
		}
		if err != nil {
			return fmt.Errorf("revoke the API token %s: %w", c.Name, err)
		}
		fmt.Fprintf(out, "%s (%s) is revoked: it is refused from now on.\n", t.Name, t.ID)
		return nil
	default:
		return listTokens(ctx, a, by, out)
	}
}

func createToken(ctx context.Context, a *administration, c call, by access.Principal, out io.Writer) error {
	o := token.Order{Name: c.Name, Role: c.Flags["role"],
		Kind: token.Kind(cmp.Or(c.Flags["kind"], string(token.Shared)))}
	if good, ok := c.Flags["expires"]; ok {
		d, err := time.ParseDuration(good)
		if err != nil {
			return fmt.Errorf("-expires %q is no span of time: say hours, such as 720h for thirty days", good)
		}
		o.ExpiresAt = a.tokens.Now().Add(d).UTC().Truncate(time.Second)
	}
	if o.Role != "" && !access.ParseRole(o.Role).Known() {
		return fmt.Errorf("make an API token: %q is no role: choose one of %s", o.Role,
			strings.Join(account.Roles(), ", "))
	}
	t, secret, err := a.tokens.Make(ctx, by, o)
	if err != nil {
		return fmt.Errorf("make an API token: %w", err)
	}
	fmt.Fprintf(out, "The API token %s, %s of tenant %s. It is shown this once:\n  %s\n", t.Name, t.Role, t.Tenant,
		secret)
	return nil
}

func listTokens(ctx context.Context, a *administration, by access.Principal, out io.Writer) error {
	all, err := a.tokens.List(ctx, by, "", token.MaxTokens)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tKIND\tROLE\tEXPIRES")
	for _, t := range all {
		expires := "-"
		if !t.ExpiresAt.IsZero() {
			expires = t.ExpiresAt.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.ID, t.Name, t.Kind, t.Role, expires)
	}
	return w.Flush()
}
