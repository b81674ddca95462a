package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/mattn/go-isatty"

	"tocsin/functions/local/commandline"
	"tocsin/shared/access"
	"tocsin/shared/account"
	"tocsin/shared/ready"
)

// signInCommand makes a sign-in link. It is printed by the command alone, to whoever typed it.
var signInCommand = administrative{
	Page: commandline.Page{Summary: "make a sign-in link for a person of this installation",
		Usage: "usage: tocsin sign-in EMAIL [-tenant TENANT] [-state " + commandline.DefaultState + "]",
		Examples: []string{"tocsin sign-in admin@example.com",
			"sudo tocsin sign-in admin@example.com -state /var/lib/tocsin/tocsin.db"}},
	actions: map[string]bool{"": true},
	reads:   []string{""}, // a link is made by the running program alone
	flags: func(f *flag.FlagSet) {
		f.String("tenant", "", "the tenant, where the person is of several")
	},
	run: func(ctx context.Context, a *administration, c call, out io.Writer) error {
		if a.own == "" {
			return errors.New("the program does not run: start it, then ask for a link, which is good for 15 minutes")
		}
		p, err := a.one(ctx, c.Flags["tenant"], c.Name)
		if err != nil {
			return err
		}
		link, err := a.link(ctx, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "A sign-in link for %s, %s of tenant %s. It is good for one use within 15 minutes:\n  %s\n",
			p.Email, p.Role, p.Tenant, link)
		return nil
	},
}

// link makes a sign-in link. The code is behind `#`, where no server and no log sees it.
func (a *administration) link(ctx context.Context, p account.Person) (string, error) {
	code, _, err := a.links.New(ctx, p)
	return a.own + "/sign-in#code=" + code, err
}

// one finds a person.
func (a *administration) one(ctx context.Context, tenant, email string) (account.Person, error) {
	p, err := a.people.One(ctx, tenant, email)
	if errors.Is(err, account.ErrUnknown) {
		err = fmt.Errorf("%w: `%s` lists who may sign in, `tocsin user add` adds somebody", err,
			commandline.Typed(a.state, "user", "list"))
	}
	return p, err
}

// asks is the command that makes a link for a person, as it is typed on this machine.
func (a *administration) asks(ctx context.Context, p account.Person) string {
	return a.of(ctx, p, "sign-in", p.Email)
}

// of is a command that names a person, as it is typed on this machine.
func (a *administration) of(ctx context.Context, p account.Person, words ...string) string {
	if _, err := a.people.One(ctx, "", p.Email); err != nil { // they are of several tenants
		words = append(words, "-tenant", p.Tenant)
	}
	return commandline.Typed(a.state, words...)
}

// told is the person whom the flags name.
func (c config) told() account.Person {
	return account.Person{Tenant: c.tenant, ClientName: c.clientName, Email: c.email, Name: c.name,
		Role: access.Role(c.role)}
}

// first is the person of the program's flags. Without an identity provider nobody can sign in before somebody is known,
// so a new state knows that person; later they are what `tocsin user` made of them, but for what a flag or a variable
// says again.
func (c config) first(ctx context.Context, a *administration) (account.Person, error) {
	all, err := a.people.Store.List(ctx)
	if err != nil {
		return account.Person{}, err
	}
	told := c.told()
	known, err := a.people.Store.Get(ctx, told.Tenant, told.Address())
	switch {
	case err == nil:
		return a.people.Change(ctx, known, func(p *account.Person) { describe(p, c.said) })
	case !errors.Is(err, account.ErrUnknown):
		return known, err
	case len(all) == 0 && c.signing.issuer == "" || c.said["email"] != "" || c.said["tenant"] != "":
		return a.people.Add(ctx, told)
	}
	return known, err
}

// how says how to sign in: with a link where a person reads what the program prints, else with the command that makes
// one, because what is printed may be kept as a log.
func (c config) how(ctx context.Context, a *administration) (string, error) {
	ask := "`" + commandline.Typed(a.state, "sign-in", "EMAIL") + "` makes a link, `" +
		commandline.Typed(a.state, "user", "list") + "` lists who may sign in"
	p, err := c.first(ctx, a)
	switch {
	case errors.Is(err, account.ErrUnknown) && c.signing.issuer != "":
		return a.own + ", at " + c.signing.issuer, nil
	case errors.Is(err, account.ErrUnknown):
		return ask, nil
	case err != nil:
		return "", err
	case p.Disabled:
		return p.Email + " is disabled; " + ask, nil
	case !isatty.IsTerminal(os.Stdout.Fd()):
		return "`" + a.asks(ctx, p) + "` makes a link", nil
	}
	link, err := a.link(ctx, p)
	if errors.Is(err, ready.ErrNoRoom) {
		return "no link can be made: " + err.Error(), nil // what waits is sent all the same
	}
	return link, err
}
