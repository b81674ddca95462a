package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tocsin/shared/engine/sqlite"
	"tocsin/shared/httpserver"
)

const (
	// patience is how long another machine may take.
	patience = 10 * time.Second
	// soon is how long before its end a certificate is told of.
	soon = 14 * 24 * time.Hour
)

// ports are free, or a running Tocsin has them.
func (d *Doctor) ports(ctx context.Context) (all []Finding) {
	const name = "ports"
	for flag, at := range map[string]string{"listen": d.Listen, "listen-bus": d.ListenBus,
		"listen-metrics": d.ListenMetrics} {
		if at == "" && flag == "listen-metrics" {
			continue // nothing listens
		}
		l, err := net.Listen("tcp", at)
		if err == nil {
			_ = l.Close()
			all = append(all, Finding{name, OK, at + " (-" + flag + ") is free", ""})
			continue
		}
		all = append(all, d.taken(ctx, flag, at, err))
	}
	slices.SortFunc(all, func(a, b Finding) int { return strings.Compare(a.Says, b.Says) })
	return all
}

func (d *Doctor) taken(ctx context.Context, flag, at string, cause error) Finding {
	const name = "ports"
	running := false
	if _, err := os.Stat(d.State + ".lock"); err == nil {
		release, err := sqlite.Hold(d.State)
		if running = errors.Is(err, sqlite.ErrInUse); err == nil {
			_ = release()
		}
	}
	if !running {
		mend := map[httpserver.Refusal]string{
			httpserver.InUse: "stop what uses the port, or choose another with -",
			httpserver.NotAllowed: "run this as the user that Tocsin runs as: if it says so then too, give that user " +
				"the right (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), or choose a port from 1024 on with -",
			httpserver.NotHere: "this machine has no such address: name one of its own with -",
			httpserver.Other:   "name another address with -",
		}[httpserver.RefusalOf(cause)]
		return Finding{name, Fault, fmt.Sprintf("%s (-%s) can not be used: %s", at, flag, cause), mend + flag}
	}
	if flag != "listen" {
		return Finding{name, OK, at + " (-" + flag + ") is in use, and a program has the state file", ""}
	}
	switch said, err := Ask(ctx, at, d.TLSCert != ""); {
	case err != nil:
		return Finding{name, Fault, fmt.Sprintf("a program has the state file, and does not answer: %s", err),
			"look at its log; it may have been started with another -listen"}
	case said.Status != "ready":
		return Finding{name, Fault, "Tocsin runs at " + at + " and is not ready: " + strings.Join(said.Reasons, "; "),
			"mend what it names"}
	}
	return Finding{name, OK, "Tocsin runs at " + at + " (-" + flag + "), and is ready", ""}
}

// certificate is that of the Console.
func (d *Doctor) certificate(context.Context) []Finding {
	const name = "certificate"
	if d.TLSCert == "" {
		return found(name, OK, "the Console speaks http: something before it may speak https", "")
	}
	held, err := tls.LoadX509KeyPair(d.TLSCert, d.TLSKey)
	if err != nil {
		return found(name, Fault, fmt.Sprintf("-tls-cert %s, -tls-key %s: %s", d.TLSCert, d.TLSKey, err),
			"name the certificate with its chain and the private key that it was made for (PEM)")
	}
	all := d.end(name, "the Console's certificate", held.Leaf.NotAfter)
	if d.now().Before(held.Leaf.NotBefore) {
		all = found(name, Fault, "the Console's certificate is not good before "+
			held.Leaf.NotBefore.Format(time.RFC3339), "look at the clock, or make another")
	}
	if u, err := url.Parse(d.PublicURL); err == nil && u.Hostname() != "" {
		if err := held.Leaf.VerifyHostname(u.Hostname()); err != nil {
			all = append(all, Finding{name, Fault, "the Console's certificate does not name the host of -public-url: " +
				err.Error(), "make one for " + u.Hostname()})
		}
	}
	return all
}

// end tells how long a certificate is good.
func (d *Doctor) end(name, what string, until time.Time) []Finding {
	switch left := until.Sub(d.now()); {
	case left <= 0:
		return found(name, Fault, what+" ended at "+until.Format(time.RFC3339), "renew it")
	case left < soon:
		return found(name, Warning, fmt.Sprintf("%s ends at %s", what, until.Format(time.RFC3339)),
			"renew it, and see why that was not done by itself")
	}
	return found(name, OK, what+" is good until "+until.Format(time.RFC3339), "")
}

// egress is the way out.
func (d *Doctor) egress(ctx context.Context) (all []Finding) {
	const name = "egress"
	if len(d.UnusedProxy) > 0 {
		all = append(all, Finding{name, Warning, "the environment names a proxy, and Tocsin does not use these " +
			"variables: " + strings.Join(d.UnusedProxy, " "),
			"start it with -proxy (TOCSIN_PROXY) to send through one"})
	}
	if d.Proxy == nil {
		return append(all, Finding{name, OK, "requests leave directly", ""})
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.ProxyAddress)
	if err != nil {
		return append(all, Finding{name, Fault, fmt.Sprintf("the proxy %s does not answer: %s", d.ProxyAddress, err),
			"start it, let this machine reach it, or name another with -proxy"})
	}
	_ = conn.Close()
	return append(all, Finding{name, OK, "the proxy " + d.ProxyAddress + " answers", ""})
}

// names are those that have to be resolved. What a secret holds, such as a webhook's address, is not looked at.
func (d *Doctor) names(ctx context.Context) (all []Finding) {
	const name = "names"
	hosts := map[string]string{}
	if u, err := url.Parse(d.PublicURL); err == nil && u.Hostname() != "" {
		hosts[u.Hostname()] = "-public-url"
	}
	if d.Proxy == nil || !d.Proxy.Resolves {
		if err := parameterHosts(d.State, hosts); err != nil {
			all = append(all, Finding{name, Skipped, "the integrations can not be read: see the state", ""})
		}
	}
	asked := slices.DeleteFunc(slices.Sorted(maps.Keys(hosts)), func(h string) bool { return net.ParseIP(h) != nil })
	good, left := 0, 0
	for n, err := range d.lookUp(ctx, asked) {
		switch host := asked[n]; {
		case errors.Is(err, errNotAsked):
			left++
		case err != nil:
			all = append(all, Finding{name, Fault, fmt.Sprintf("%s (%s) can not be resolved: %s", host, hosts[host],
				err), "look at the name, and at the resolver of this machine (/etc/resolv.conf)"})
		default:
			good++
		}
	}
	if left > 0 {
		all = append(all, Finding{name, Skipped, fmt.Sprintf("%d of %d names were not looked up: the resolver took "+
			"longer than %s for the others", left, len(asked), d.within), ""})
	}
	if len(asked) == 0 {
		all = append(all, Finding{name, OK, "there are no names to resolve", ""})
	} else if good > 0 || len(all) == 0 {
		all = append(all, Finding{name, OK, fmt.Sprintf("%d names of integrations and of this program are resolved",
			good), ""})
	}
	return all
}

// errNotAsked: the time was over before a name's turn.
var errNotAsked = errors.New("not asked")

// lookUp resolves names side by side, and says what came of each.
func (d *Doctor) lookUp(ctx context.Context, names []string) []error {
	const atOnce = 16
	ctx, cancel := context.WithTimeout(ctx, d.within)
	defer cancel()
	out := make([]error, len(names))
	var work errgroup.Group
	work.SetLimit(atOnce)
	for n, host := range names {
		work.Go(func() error {
			if out[n] = errNotAsked; ctx.Err() == nil {
				out[n] = d.resolve(ctx, host)
			}
			return nil
		})
	}
	_ = work.Wait() // none fails
	return out
}

// parameterHosts adds the hosts of the addresses in the integrations' parameters that are no secrets.
func parameterHosts(state string, hosts map[string]string) error {
	if _, err := os.Stat(state); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s, err := sqlite.Look(state)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Parameters(func(tenant, id, system string, raw []byte) error {
		var values map[string]any
		if json.Unmarshal(raw, &values) != nil {
			return nil // an older release's form: the program reads it
		}
		for _, v := range values {
			text, _ := v.(string)
			if u, err := url.Parse(text); err == nil && u.Scheme != "" && u.Hostname() != "" {
				hosts[u.Hostname()] = fmt.Sprintf("integration %s of tenant %s, %s", id, tenant, system)
			}
		}
		return nil
	})
}

// mail is the mail server.
func (d *Doctor) mail(ctx context.Context) []Finding {
	const name = "mail"
	if d.Mail == nil {
		return found(name, Warning, "there is no mail server: mails are kept in the mail log, and nobody gets them",
			"name one with -smtp (TOCSIN_SMTP)")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f, err := d.Mail.Look(ctx)
	if err != nil {
		return found(name, Fault, err.Error(), "look at -smtp: name, port, user and password, and whether this "+
			"machine may reach it")
	}
	if !f.TLS {
		return found(name, Warning, "the mail server "+f.Server+" takes mails, unencrypted",
			"use smtps://, or a server that offers STARTTLS")
	}
	all := found(name, OK, "the mail server "+f.Server+" takes mails over TLS", "")
	return append(all, d.end(name, "the certificate of the mail server "+f.Server, f.Until)...)
}
