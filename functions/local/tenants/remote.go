package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/remote"
	"tocsin/shared/client"
	"tocsin/shared/erasure"
)

// How the commands over the API are written. They are for operators of an installation on AWS, and of any other.
const (
	EraseUsage   = "tocsin tenant erase TENANT -confirm TENANT -url CONSOLE"
	ErasureUsage = "tocsin tenant erasure TENANT -url CONSOLE"
)

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
	f = flag.NewFlagSet("tocsin "+name, flag.ContinueOnError)
	return f, func(args []string) error {
		if err := commandline.Environment(f, os.Getenv); err != nil {
			return err
		}
		s.Connection(f)
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		return err
	}
}

// parsed are the arguments of a command over the API: a tenant, and flags on either side of it.
func parsed(name, usage string, args []string, confirm *string) (tenant string, s *remote.Session, err error) {
	s = remote.New()
	f, parse := flags("tenant "+name, s)
	if confirm != nil {
		f.StringVar(confirm, "confirm", "", "the tenant that is to be erased, once more")
	}
	f.Usage = func() { fmt.Fprintln(f.Output(), "usage: "+usage); f.PrintDefaults() }
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		tenant, args = args[0], args[1:]
	}
	if err := parse(args); err != nil {
		return "", nil, err
	}
	if rest := f.Args(); tenant == "" && len(rest) > 0 {
		tenant = rest[0]
		if err := f.Parse(rest[1:]); err != nil {
			return "", nil, err
		}
	}
	if tenant == "" || f.NArg() > 0 {
		return "", nil, errors.New("usage: " + usage)
	}
	return tenant, s, nil
}

// Erase asks an installation to erase a tenant.
func Erase(ctx context.Context, args []string) error {
	confirm := ""
	tenant, s, err := parsed("erase", EraseUsage, args, &confirm)
	if err != nil {
		return err
	}
	if confirm != tenant {
		return Unconfirmed(tenant)
	}
	c, err := s.API()
	if err != nil {
		return err
	}
	var at client.ErasureView
	if _, err := remote.Ask(ctx, c, &at)(client.NewEraseTenantRequest(c.Server, tenant, nil,
		client.EraseInputBody{Confirm: confirm})); err != nil {
		return err
	}
	return tell(s.Out, at)
}

// Unconfirmed asks for the tenant once more.
func Unconfirmed(tenant string) error {
	return fmt.Errorf("all that is kept of tenant %s would be gone for good: say -confirm %s, and export it before",
		tenant, tenant)
}

// Erasure tells how far the erasure of a tenant is.
func Erasure(ctx context.Context, args []string) error {
	tenant, s, err := parsed("erasure", ErasureUsage, args, nil)
	if err != nil {
		return err
	}
	c, err := s.API()
	if err != nil {
		return err
	}
	var at client.ErasureView
	if _, err := remote.Ask(ctx, c, &at)(client.NewGetTenantErasureRequest(c.Server, tenant, nil)); err != nil {
		return err
	}
	return tell(s.Out, at)
}

// tell says how far an erasure is.
func tell(out io.Writer, at client.ErasureView) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, table := range slices.Sorted(maps.Keys(at.Rows)) {
		fmt.Fprintf(w, "%s\t%d\n", table, at.Rows[table])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d rows of tenant %s are removed so far. ", at.Total, at.Tenant)
	switch {
	case at.Problem != nil:
		fmt.Fprintf(out, "It is %s: %s\n", at.State, commandline.Clean(*at.Problem))
	case at.Next != nil:
		fmt.Fprintf(out, "All is looked through once more at %s.\n", at.Next.UTC().Format("15:04:05 MST"))
	case at.Ended != nil:
		fmt.Fprintln(out, "It is done: nothing else was found.")
	default:
		fmt.Fprintf(out, "It goes on: ask with `tocsin tenant erasure %s`.\n", at.Tenant)
	}
	return nil
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
