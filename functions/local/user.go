package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"tocsin/functions/local/commandline"
	"tocsin/shared/access"
	"tocsin/shared/account"
)

// userCommand keeps the people who may sign in.
var userCommand = administrative{
	Page: commandline.Page{Summary: "keep the people who may sign in",
		Usage: "usage: tocsin user add EMAIL -role ROLE [-name NAME] [-tenant TENANT] [-client-name COMPANY]\n" +
			"       tocsin user change EMAIL [-role ROLE] [-name NAME] [-client-name COMPANY] [-tenant TENANT]\n" +
			"       tocsin user disable | enable EMAIL [-tenant TENANT]\n" +
			"       tocsin user list\n" +
			"each with [-state " + commandline.DefaultState + "]",
		Examples: []string{`tocsin user add ada@example.com -role analyst -name "Ada Lovelace"`,
			"tocsin user disable ada@example.com", "sudo tocsin user list -state /var/lib/tocsin/tocsin.db"}},
	actions: map[string]bool{"add": true, "change": true, "disable": true, "enable": true, "list": false},
	reads:   []string{"list"},
	flags: func(f *flag.FlagSet) {
		f.String("role", "", "what the person may do: administrator, analyst, read_only, api_developer, "+
			"global_administrator, global_analyst, global_read_only, operator, or a code of the platform such as admin")
		f.String("name", "", "the person's name")
		f.String("tenant", "", "the tenant (add: "+defaultTenant+" where none is named; else where the person is of "+
			"several)")
		f.String("client-name", "", "the tenant's company name (default: that of its other people)")
	},
	run: runUser,
}

func runUser(ctx context.Context, a *administration, c call, out io.Writer) error {
	switch c.Action {
	case "list":
		return listUsers(ctx, a, out)
	case "add":
		return addUser(ctx, a, c, out)
	}
	p, err := a.one(ctx, c.Flags["tenant"], c.Name)
	if err != nil {
		return err
	}
	changed, err := a.people.Change(ctx, p, func(p *account.Person) {
		switch c.Action {
		case "disable", "enable":
			p.Disabled = c.Action == "disable"
		default:
			describe(p, c.Flags)
		}
	})
	if err != nil {
		return err
	}
	switch {
	case changed.Disabled:
		fmt.Fprintf(out, "%s of tenant %s is disabled. Every session of theirs has ended.\n", p.Email, p.Tenant)
	case changed.Role != p.Role:
		fmt.Fprintf(out, "%s of tenant %s has the role %s now, and signs in again.\n", p.Email, p.Tenant, changed.Role)
	default:
		fmt.Fprintf(out, "%s of tenant %s has the role %s, and may sign in.\n", p.Email, p.Tenant, changed.Role)
	}
	return nil
}

// describe sets what flags say of a person.
func describe(p *account.Person, flags map[string]string) {
	if role, ok := flags["role"]; ok {
		p.Role = access.Role(role)
	}
	if name, ok := flags["name"]; ok {
		p.Name = name
	}
	if name, ok := flags["client-name"]; ok {
		p.ClientName = name
	}
}

func addUser(ctx context.Context, a *administration, c call, out io.Writer) error {
	p := account.Person{Email: c.Name, Tenant: cmp.Or(c.Flags["tenant"], defaultTenant)}
	if c.Flags["role"] == "" {
		return fmt.Errorf("say what %s may do, with -role", c.Name)
	}
	describe(&p, c.Flags)
	p, err := a.people.Add(ctx, p)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s may sign in to tenant %s as %s: `%s` makes a link.\n", p.Email, p.Tenant, p.Role,
		a.asks(ctx, p))
	return nil
}

func listUsers(ctx context.Context, a *administration, out io.Writer) error {
	all, err := a.people.Store.List(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "TENANT\tEMAIL\tNAME\tROLE\tSTATE")
	for _, p := range all {
		state := "enabled"
		if p.Disabled {
			state = "disabled"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Tenant, p.Email, p.Name, p.Role, state)
	}
	return w.Flush()
}
