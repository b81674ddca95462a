package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/doctor"
	"tocsin/shared/mail"
)

const examineUsage = "usage: tocsin doctor [-json] [-offline] and the flags that Tocsin is started with"

var doctorPage = commandline.Page{Summary: "say what is wrong with an installation, and how to mend it",
	Usage: examineUsage,
	Help:  "It changes nothing, and ends with 1 where something is a fault.",
	Examples: []string{"tocsin doctor",
		"sudo tocsin doctor -state /var/lib/tocsin/tocsin.db -key /var/lib/tocsin/tocsin.key"}}

// examine is `tocsin doctor`. Its other flags are those that the program is started with.
func examine(ctx context.Context, args []string) error {
	var asJSON, offline bool
	c, err := configureAs("tocsin doctor", doctorPage, args, os.Getenv, func(f *flag.FlagSet) {
		f.BoolVar(&asJSON, "json", false, "write the findings as JSON")
		f.BoolVar(&offline, "offline", false, "leave out what sends something to other machines: the way out, names, "+
			"mail")
	})
	if err != nil {
		return fmt.Errorf("%w (%s)", err, examineUsage)
	}
	i, err := c.installation()
	if err != nil {
		return err
	}
	d := doctor.New(i)
	d.Slow = func(check string) {
		fmt.Fprintf(os.Stderr, "still looking at: %s (a disk that is slow, or another machine that does not answer)\n",
			check)
	}
	all := d.Examine(ctx, offline)
	if err := doctor.Tell(os.Stdout, all, asJSON); err != nil {
		return err
	}
	if n := doctor.Faults(all); n > 0 {
		return fmt.Errorf("%d of %d findings are faults", n, len(all))
	}
	return nil
}

// installation is what the doctor looks at.
func (c config) installation() (i doctor.Installation, err error) {
	i = doctor.Installation{State: c.state, Key: c.key, Listen: c.listen, ListenBus: c.listenBus,
		ListenMetrics: c.listenMetrics, TLSCert: c.tlsCert, TLSKey: c.tlsKey, PublicURL: c.publicURL, Proxy: c.proxy,
		UnusedProxy: c.unused}
	if c.proxy != nil {
		i.ProxyAddress = c.proxy.String()
	}
	if c.smtp != "" {
		i.Mail, err = mail.NewSMTP(c.smtp, c.mailFrom, c.sessions, time.Now)
	}
	return i, err
}
