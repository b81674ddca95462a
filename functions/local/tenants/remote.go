package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/remote"
	"tocsin/shared/client"
	"tocsin/shared/erasure"
)

// How the commands over the API are written. They are for operators of an installation on AWS, and of any other.
const (
	EraseUsage = "tocsin tenant erase TENANT [-person ADDRESS] -confirm TENANT|ADDRESS [-dry-run] " +
		"-url CONSOLE"
	ErasureUsage = "tocsin tenant erasure TENANT [-person ADDRESS] -url CONSOLE"
)

// What flags are.
const (
	ConfirmFlag = "the tenant that is to be erased, or the address of the person, once more"
	PersonFlag  = "the address of a person of the tenant: this person alone is erased"
	DryFlag     = "with -person: tell what there is, and change nothing"
)

// ErrDry: an export tells what is kept of a tenant.
var ErrDry = errors.New("-dry-run is for one person, with -person; what is kept of a tenant `tocsin tenant export` tells")

// OverTheAPI reports whether the arguments of a command name an installation.
func OverTheAPI(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		name, _, _ := strings.Cut(a, "=")
		return name == "-url" || name == "--url"
	})
}

// flags are those of a command, with those of a session: of these the session itself looks into the environment, so
// that it knows what stands in the command line.
func flags(name string, s *remote.Session) (f *flag.FlagSet, parse func(args []string) error) {
	return commandline.Flags(name, s.Connection)
}

// what is to be erased.
type what struct {
	person, confirm string
	named, dry      bool // named: -person is there, with whatever
}

// summaries and examples are of the help.
var (
	summaries = map[string]string{"erase": "ask an installation to erase a tenant, or a person of it",
		"erasure": "say how far the erasure of a tenant, or of a person of it, is"}
	examples = map[string]string{"erase": " -confirm 42"}
)

// parsed are the arguments of a command over the API: a tenant, and flags on either side of it.
func parsed(name, usage string, args []string, of *what) (tenant string, s *remote.Session, err error) {
	s = remote.New()
	f, parse := flags("tenant "+name, s)
	f.StringVar(&of.person, "person", "", PersonFlag)
	if name == "erase" {
		f.StringVar(&of.confirm, "confirm", "", ConfirmFlag)
		f.BoolVar(&of.dry, "dry-run", false, DryFlag)
	}
	defer func() { f.Visit(func(fl *flag.Flag) { of.named = of.named || fl.Name == "person" }) }()
	commandline.Page{Summary: summaries[name], Usage: "usage: " + usage, Examples: []string{
		"tocsin tenant " + name + " 42 -url https://tocsin.example.com" + examples[name]}}.Of(f)
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		tenant, args = args[0], args[1:]
	}
	if err := parse(args); err != nil {
		return "", nil, err
	}
	if rest := f.Args(); tenant == "" && len(rest) > 0 {
		tenant = rest[0]
		if err := commandline.Parse(f, rest[1:]); err != nil {
			return "", nil, err
		}
	}
	if tenant == "" || f.NArg() > 0 {
		return "", nil, errors.New("usage: " + usage)
	}
	return tenant, s, nil
}

// Erase asks an installation to erase a tenant, or a person of it.
func Erase(ctx context.Context, args []string) error {
	var of what
	tenant, s, err := parsed("erase", EraseUsage, args, &of)
	if err != nil {
		return err
	}
	switch {
	case of.dry && !of.named:
		return ErrDry
	case of.named && !of.dry && of.confirm != of.person:
		return UnconfirmedPerson(of.person)
	case !of.named && of.confirm != tenant:
		return Unconfirmed(tenant)
	}
	c, err := s.API()
	if err != nil {
		return err
	}
	if of.dry {
		return try(ctx, c, s.Out, tenant, of.person)
	}
	if of.named {
		var at client.PersonErasureView
		if _, err := remote.Ask(ctx, c, &at)(client.NewErasePersonRequest(c.Server, tenant, nil,
			client.ErasePersonInputBody{Person: of.person, Confirm: of.confirm})); err != nil {
			return err
		}
		return tellPerson(s.Out, at)
	}
	var at client.ErasureView
	if _, err := remote.Ask(ctx, c, &at)(client.NewEraseTenantRequest(c.Server, tenant, nil,
		client.EraseInputBody{Confirm: of.confirm})); err != nil {
		return err
	}
	return tell(s.Out, at)
}

// try tells what an erasure of a person would find.
func try(ctx context.Context, c *remote.API, out io.Writer, tenant, person string) error {
	var at client.TrialView
	if _, err := remote.Ask(ctx, c, &at)(client.NewTryPersonErasureRequest(c.Server, tenant,
		&client.TryPersonErasureParams{Person: person})); err != nil {
		return err
	}
	rows, err := erasure.Counted(ctx, source{c, person}, tenant)
	if err != nil {
		return err
	}
	return Tried(out, rows, changed(at.Integrations))
}

func changed(all []client.ChangedView) (out []erasure.Changed) {
	for _, v := range all {
		out = append(out, erasure.Changed{ID: v.Id, Name: v.Name, Disabled: v.Disabled})
	}
	return out
}

// Unconfirmed asks for the tenant once more.
func Unconfirmed(tenant string) error {
	return fmt.Errorf("all that is kept of tenant %s would be gone for good: say -confirm %s, and export it before",
		tenant, tenant)
}

// UnconfirmedPerson asks for the address once more.
func UnconfirmedPerson(address string) error {
	return fmt.Errorf("what is kept of %s would be gone for good: say -confirm %s, and export it before; "+
		"-dry-run tells what there is", address, address)
}

// List writes how many rows there are of each table.
func List(out io.Writer, rows erasure.Counts) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, table := range slices.Sorted(maps.Keys(rows)) {
		if rows[table] > 0 {
			fmt.Fprintf(w, "%s\t%d\n", table, rows[table])
		}
	}
	return w.Flush()
}

// Integrations writes which a person was taken out of.
func Integrations(out io.Writer, all []erasure.Changed) error {
	for _, c := range all {
		ends := "works on without the person"
		if c.Disabled {
			ends = "can not work without the person, and is disabled: say where it sends to, and enable it"
		}
		if _, err := fmt.Fprintf(out, "Integration %s (%s) %s.\n", commandline.Clean(c.Name), c.ID, ends); err != nil {
			return err
		}
	}
	return nil
}

// Tried writes what an erasure would find.
func Tried(out io.Writer, rows erasure.Counts, changed []erasure.Changed) error {
	if err := errors.Join(List(out, rows), Integrations(out, changed)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d rows name the person. Nothing was changed.\n", rows.Total())
	return err
}

// Erasure tells how far the erasure of a tenant is, or of a person of it.
func Erasure(ctx context.Context, args []string) error {
	var of what
	tenant, s, err := parsed("erasure", ErasureUsage, args, &of)
	if err != nil {
		return err
	}
	c, err := s.API()
	if err != nil {
		return err
	}
	if of.named {
		var at client.PersonErasureView
		if _, err := remote.Ask(ctx, c, &at)(client.NewGetPersonErasureRequest(c.Server, tenant,
			&client.GetPersonErasureParams{Person: of.person})); err != nil {
			return err
		}
		return tellPerson(s.Out, at)
	}
	var at client.ErasureView
	if _, err := remote.Ask(ctx, c, &at)(client.NewGetTenantErasureRequest(c.Server, tenant, nil)); err != nil {
		return err
	}
	return tell(s.Out, at)
}

func tellPerson(out io.Writer, at client.PersonErasureView) error {
	rows := erasure.Counts{}
	for table, n := range at.Rows {
		rows[table] = int(n)
	}
	if err := errors.Join(List(out, rows), Integrations(out, changed(at.Integrations))); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d rows were removed or have the pseudonym %q so far. ", at.Total, at.Pseudonym)
	ends(out, "tocsin tenant erasure "+at.Tenant+" -person ADDRESS", string(at.State), at.Problem, at.Next, at.Ended)
	return nil
}

// tell says how far an erasure is.
func tell(out io.Writer, at client.ErasureView) error {
	rows := erasure.Counts{}
	for table, n := range at.Rows {
		rows[table] = int(n)
	}
	if err := List(out, rows); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d rows of tenant %s are removed so far. ", at.Total, at.Tenant)
	ends(out, "tocsin tenant erasure "+at.Tenant, string(at.State), at.Problem, at.Next, at.Ended)
	return nil
}

// ends says whether it goes on.
func ends(out io.Writer, ask, state string, problem *string, next, ended *time.Time) {
	switch {
	case problem != nil:
		fmt.Fprintf(out, "It is %s: %s\n", state, commandline.Clean(*problem))
	case next != nil:
		fmt.Fprintf(out, "All is looked through once more at %s.\n", next.UTC().Format("15:04:05 MST"))
	case ended != nil:
		fmt.Fprintln(out, "It is done: nothing else was found.")
	default:
		fmt.Fprintf(out, "It goes on: ask with `%s`.\n", ask)
	}
}

// source reads what is kept of tenants over the API.
type source struct {
	api    *remote.API
	person string // "" = all
}

var _ erasure.Source = source{}

// Page reads a page.
func (s source) Page(ctx context.Context, tenant, after string) (rows []erasure.Row, next string, err error) {
	params := client.ExportTenantParams{}
	if after != "" {
		params.Cursor = &after
	}
	if s.person != "" {
		params.Person = &s.person
	}
	var page struct {
		Items      []erasure.Row `json:"items"`
		NextCursor string        `json:"next_cursor"`
	}
	var body json.RawMessage // the rows as they come
	if _, err := remote.Ask(ctx, s.api, &body)(client.NewExportTenantRequest(s.api.Server, tenant,
		&params)); err != nil {
		return nil, "", err
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, "", fmt.Errorf("read a page of the export: %w", err)
	}
	return page.Items, page.NextCursor, nil
}
