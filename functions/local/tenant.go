package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/user"
	"text/tabwriter"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/tenants"
	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/erasure"
	"tocsin/shared/profile"
	"tocsin/shared/tenant"
)

// tenantCommand links tenants to a technical tenant, whose global roles act for them.
var tenantCommand = administrative{
	Page: commandline.Page{Summary: "link tenants, export and erase what is kept of one",
		Usage: "usage: tocsin tenant link TENANT -technical TENANT [-client-name COMPANY]\n" +
			"       tocsin tenant unlink TENANT -technical TENANT\n" +
			"       tocsin tenant list TECHNICAL-TENANT\n" +
			"       " + tenants.ExportUsage + "\n" +
			"       tocsin tenant erase TENANT -confirm TENANT\n" +
			"       tocsin tenant erase TENANT -person ADDRESS -confirm ADDRESS [-dry-run]\n" +
			"       " + tenants.EraseUsage + "\n" +
			"       " + tenants.ErasureUsage + "\n" +
			"each with [-state " + commandline.DefaultState + "]",
		Examples: []string{"tocsin tenant link 7 -technical 42", "tocsin tenant export 42 -to 42.zip",
			"tocsin tenant erase 42 -person ada@example.com -dry-run"}},
	actions: map[string]bool{"link": true, "unlink": true, "list": true, "erase": true},
	inner:   []string{exportAction},
	reads:   []string{"list", exportAction}, // the note of an export changes no layout
	flags: func(f *flag.FlagSet) {
		f.String("technical", "", "the technical tenant")
		f.String("client-name", "", "the linked tenant's company name, as the Console shows it")
		f.String("confirm", "", tenants.ConfirmFlag)
		f.String("person", "", tenants.PersonFlag)
		f.Bool("dry-run", false, tenants.DryFlag)
	},
	run: runTenant,
}

// exportAction notes an export, which another process makes.
const exportAction = "note-export"

// operator is who is noted for a command on the machine.
func operator() activity.Actor {
	return activity.Actor{Name: operatorName(), Source: access.FromPlatform}
}

func operatorName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return "command of " + u.Username
	}
	return cmp.Or(os.Getenv("USER"), "command")
}

func runTenant(ctx context.Context, a *administration, c call, out io.Writer) error {
	technical := c.Flags["technical"]
	switch {
	case c.Action == "list":
		return listTenants(ctx, a, c.Name, out)
	case c.Action == "erase":
		if _, ok := c.Flags["person"]; ok {
			return erasePerson(ctx, a, c, out)
		}
		return eraseTenant(ctx, a, c, out)
	case c.Action == exportAction:
		return a.noteExport(ctx, c)
	case technical == "":
		return errors.New("name the technical tenant with -technical")
	case c.Action == "unlink":
		err := a.tenants.Unlink(ctx, operator(), technical, c.Name)
		if errors.Is(err, tenant.ErrNotFound) {
			return fmt.Errorf("tenant %s is not linked to %s", c.Name, technical)
		}
		if err == nil {
			fmt.Fprintf(out, "Nobody of tenant %s acts for %s any more.\n", technical, c.Name)
		}
		return err
	}
	l, err := a.tenants.Link(ctx, operator(), technical, c.Name, c.Flags["client-name"])
	if err == nil {
		fmt.Fprintf(out, "Global roles of tenant %s act for %s now.\n", l.Technical, l.Tenant)
	}
	return err
}

// eraseTenant removes all that is kept of a tenant, and says of what there was how much.
func eraseTenant(ctx context.Context, a *administration, c call, out io.Writer) error {
	if c.Flags["dry-run"] == "true" {
		return tenants.ErrDry
	}
	if c.Flags["confirm"] != c.Name {
		return tenants.Unconfirmed(c.Name)
	}
	var rows erasure.Counts
	var err error
	var todo string
	said := "%d rows of tenant %s are removed. The entry of this in its activity log is all that is left.\n"
	if a.erasure.Wake == nil {
		if rows, err = a.erasure.Erase(ctx, c.Name); err == nil {
			todo = a.erasure.Clear(ctx)
		}
	} else if rows, err = a.eraseBeside(ctx, c.Name); err == nil {
		said = "%d rows of tenant %s are removed. What is being sent at this moment has " +
			a.erasure.Settle.String() + "; then Tocsin looks once more, and notes in the tenant's activity log " +
			"that it was erased.\n"
	}
	if err = errors.Join(err, tenants.List(out, rows)); err != nil {
		return err
	}
	fmt.Fprintf(out, said, rows.Total(), c.Name)
	return leftToDo(out, todo)
}

// eraseBeside has the program that sends erase the tenant, as the API does: it looks once more when what was on its way
// had its time. It returns when all was gone through.
func (a *administration) eraseBeside(ctx context.Context, of string) (erasure.Counts, error) {
	j, err := a.erasure.Begin(ctx, of)
	j, err = goesOn(ctx, j, err, func() (erasure.Job, error) { return a.erasure.Job(ctx, of) })
	return j.Rows, err
}

// goesOn waits until all was gone through.
func goesOn(ctx context.Context, j erasure.Job, err error, again func() (erasure.Job, error)) (erasure.Job, error) {
	const look = 50 * time.Millisecond
	for err == nil && j.State == erasure.Running && j.Problem == "" {
		select {
		case <-time.After(look):
			j, err = again()
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err == nil && j.Problem != "" && j.State != erasure.Done {
		err = errors.New(j.Problem)
	}
	return j, err
}

// erasePerson removes what is one person's, and says what becomes of their integrations.
func erasePerson(ctx context.Context, a *administration, c call, out io.Writer) error {
	address := c.Flags["person"]
	person := erasure.Person(profile.Names(address))
	if c.Flags["dry-run"] == "true" {
		changed, err := a.erasure.TryPerson(ctx, c.Name, person)
		if err != nil {
			return err
		}
		source, err := person.Of(a.erasure.Source)
		if err != nil {
			return err
		}
		rows, err := erasure.Counted(ctx, source, c.Name)
		if err != nil {
			return err
		}
		return tenants.Tried(out, rows, changed)
	}
	if c.Flags["confirm"] != address {
		return tenants.UnconfirmedPerson(address)
	}
	var j erasure.Job
	var err error
	if a.erasure.Wake == nil {
		j, err = a.erasure.ErasePerson(ctx, operator(), c.Name, person)
	} else {
		j, err = a.erasure.StartPerson(ctx, operator(), c.Name, person)
		j, err = goesOn(ctx, j, err, func() (erasure.Job, error) { return a.erasure.PersonJob(ctx, c.Name, person) })
	}
	if err = errors.Join(err, tenants.List(out, j.Rows), tenants.Integrations(out, j.Integrations)); err != nil {
		return err
	}
	fmt.Fprintf(out, "What is left of the person is told under %q.\n", j.Pseudonym)
	if !j.Over() {
		fmt.Fprintf(out, "What is being sent at this moment has %s; then Tocsin looks once more.\n", a.erasure.Settle)
	}
	return leftToDo(out, j.Problem)
}

// leftToDo says what somebody has to do after an erasure.
func leftToDo(out io.Writer, todo string) error {
	if todo == "" {
		return nil
	}
	_, err := fmt.Fprintf(out, "One thing is left to do: %s.\n", todo)
	return err
}

// noteExport notes who exports a tenant.
func (a *administration) noteExport(ctx context.Context, c call) error {
	if !tenant.Valid(c.Name) {
		return fmt.Errorf("export tenant %q: %w", c.Name, tenant.ErrName)
	}
	var person erasure.Person
	if address, ok := c.Flags["person"]; ok {
		person = profile.Names(address)
	}
	return a.erasure.NoteExport(ctx, operator(), c.Name, person)
}

func listTenants(ctx context.Context, a *administration, technical string, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "TENANT\tCOMPANY\tLINKED\tBY")
	const page = 200
	for after := ""; ; {
		found, err := a.tenants.List(ctx, technical, after, page)
		if err != nil {
			return err
		}
		for _, l := range found {
			after = l.Tenant
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.Tenant, l.ClientName, l.LinkedAt.Format(time.RFC3339), l.LinkedBy)
		}
		if len(found) < page {
			return w.Flush()
		}
	}
}
