// Package publishers is `tocsin publisher-key`, which keeps the key pairs that publishers sign with.
package publishers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/shared/keyring"
	"tocsin/shared/publisher"
)

const usage = "usage: tocsin publisher-key add NAME | list | remove ID-OR-NAME   [-key var/tocsin.key]"

var page = commandline.Page{Summary: "keep the key pairs that publishers of events sign with", Usage: usage,
	Help: "From another machine than this one each call of PutEvents is signed. The running program sees a change " +
		"within\na second.",
	Examples: []string{"tocsin publisher-key add platform", "tocsin publisher-key list",
		"sudo tocsin publisher-key add platform -key /var/lib/tocsin/tocsin.key"}}

// Command keeps the key pairs of publishers; the running program sees a change within a second.
func Command(ctx context.Context, args []string) error {
	take := func() (word string) {
		if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			word, args = args[0], args[1:]
		}
		return word
	}
	action, name := take(), ""
	named := action == "add" || action == "remove"
	if named {
		name = take()
	}
	f, parse := commandline.Flags("publisher-key")
	key := f.String("key", commandline.DefaultKey, "the key file; the publishers' file is beside it")
	page.Of(f)
	if err := parse(args); err != nil {
		return err
	}
	if rest := f.Args(); named && name == "" && len(rest) > 0 {
		name = rest[0]
		if err := parse(rest[1:]); err != nil { // flags may stand on both sides of the name
			return err
		}
	}
	if action != "list" && !named || named && name == "" || f.NArg() > 0 {
		return errors.New(usage)
	}
	ring, err := keyring.Read(*key)
	if err != nil {
		return commandline.Unreached("key", err)
	}
	file := publisher.At(publisher.Beside(*key), ring, time.Now)
	switch action {
	case "add":
		k, secret, err := file.Add(ctx, name)
		if err != nil {
			return err
		}
		fmt.Printf("A key pair for %s. The secret is shown this once:\n  AWS_ACCESS_KEY_ID=%s\n  "+
			"AWS_SECRET_ACCESS_KEY=%s\nAny region will do, unless -region names one.\n", k.Name, k.ID, secret)
		return nil
	case "remove":
		k, err := file.Remove(name)
		if err != nil {
			return err
		}
		fmt.Printf("%s of %s is removed: what it signs is refused from now on.\n", k.ID, k.Name)
		return nil
	default:
		keys, err := file.List()
		if err != nil {
			return err
		}
		return list(keys)
	}
}

func list(keys []publisher.Key) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ACCESS KEY\tNAME\tMADE")
	for _, k := range keys {
		fmt.Fprintf(w, "%s\t%s\t%s\n", k.ID, k.Name, k.CreatedAt.Format(time.RFC3339))
	}
	return w.Flush()
}
